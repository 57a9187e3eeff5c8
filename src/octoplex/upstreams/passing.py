"""Pass a request on to one provider as it came, with its key in place of the caller's.

For paths that nobody here understands: files, batches, whatever a provider adds next. Status,
type and body come back as they are, except that a provider who does not accept *our* key is
our failure, not the caller's. Nothing is asked twice: we do not know what a repetition does.

What is billed is read at the side (`passed_bill.py`), of streams too; what names a model and comes
back without a bill is settled at an estimate, flagged.
"""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from octoplex.transport.http import Limits, Request, Response, Sender
from octoplex.transport.origin import Origin
from octoplex.transport.tokens import Tokens, proven
from octoplex.upstreams.passed_bill import Endings, Tally, billed, dialect_of
from octoplex.upstreams.upstream import Wait, billed_if_reached
from octoplex.wire.answer import Answer, Ended, Ending, Frame, Head, Outcome, Whole
from octoplex.wire.ask import Ask, Passed
from octoplex.wire.error import DeadlinePassed, InvalidCall, UpstreamDenied, UpstreamError
from octoplex.wire.event import Reply

PASS = "pass:"
"""Before the name of a target that is asked this way."""
NO_MODEL = "-"
"""In place of the model where a request names none."""
OUR_KEY = frozenset({401, 403})


class Way(Struct, frozen=True, kw_only=True):
    """How a provider is reached. `head` writes the request head: (method, path, headers)."""

    provider: str
    origin: Origin
    head: Callable[[str, str, tuple[tuple[str, str], ...]], bytes]
    wait: Wait
    endings: Endings
    tokens: Tokens | None = None


class PassUpstream:
    """The Answerer of one provider and one key, for requests that pass."""

    def __init__(self, way: Way, client: Sender) -> None:
        self._way, self._client = way, client
        self._now = asyncio.get_running_loop().time

    async def __call__(self, ask: Ask, /) -> Answer:
        """Send it, and hand back what comes.

        Raises:
            UpstreamError: no reply came, or the provider does not accept our key.
        """
        way = self._way
        if not isinstance(ask, Passed):
            raise InvalidCall(f"`pass:{way.provider}` is for /providers/{way.provider}/ only.")
        head = way.head(ask.method, ask.path, ask.sent)
        request = await proven(
            Request(way.origin, head, ask.raw, in_pieces=ask.in_pieces), way.tokens
        )
        until_at = min(ask.deadline_at, self._now() + way.wait.stream_s)
        limits = Limits(way.wait.connect_s, way.wait.plain_s, way.wait.idle_s, until_at)
        with billed_if_reached(request, ask, way.provider):
            response = await self._client.send(request, limits)
        return self._answered(ask, response)

    def _answered(self, ask: Passed, response: Response) -> Answer:
        provider, status = self._way.provider, response.status
        if status in OUR_KEY:
            if self._way.tokens is not None:
                self._way.tokens.told(status)
            response.close()
            denied = UpstreamDenied(f"{provider} does not accept its key for this path.")
            denied.facts["provider_status"] = status
            denied.reached, denied.next = False, "end"
            raise denied
        kind = response.headers.get("content-type", "application/octet-stream")
        head = Head(provider, ask.model, status=status, content_type=kind)
        dialect = dialect_of(ask.path, self._way.endings)
        if response.body is None:
            ask.stream = True  # nobody knew before
            return PassedStream(head, response, ask, Tally(dialect))
        head.told, usage = billed(ask, status, response.body, dialect)
        return Whole(head, "", response.body, usage)


class PassedStream:
    """A stream of bytes that nobody changes; its bill is read beside them."""

    def __init__(self, head: Head, response: Response, ask: Passed, tally: Tally) -> None:
        self.head, self.dialect = head, ""
        self.body: bytes | None = None
        self._response, self._ask, self._ending = response, ask, Ending()
        self._tally = tally

    def reply(self) -> Reply:
        """Nobody here knows what it means."""
        raise TypeError("a passed stream has no typed view")

    def __aiter__(self) -> "PassedStream":
        return self

    async def __anext__(self) -> Frame:
        """What has come."""
        if self._ending.outcome is not None:
            raise StopAsyncIteration
        try:
            data = await self._response.read()
        except UpstreamError as error:
            error.reached = True
            self.close("cut")
            raise
        except DeadlinePassed:
            self.close("late")
            raise
        if not data:
            self._tally.end()
            self._end("done")
            raise StopAsyncIteration
        self._tally.feed(data)
        self._response.expires_at = asyncio.get_running_loop().time() + self._response.idle_s
        return Frame(data)

    def close(self, outcome: Outcome = "left") -> None:
        """Stop caring: the upstream's connection closes at once."""
        if self._ending.outcome is None:
            self._response.close()
            self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        self.head.told = self._tally.model(self._ask)
        self._ending.fire(outcome, self._tally.usage(self._ask))

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended."""
        self._ending.on_end(told)
