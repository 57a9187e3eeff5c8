"""Ask one provider for an operation of one body: embeddings, a ranking, a verdict, a completion.

What passes verbatim and what is written anew is the shape's matter (`dialects/single/`).
Whatever is not in the bill is estimated from what was sent, and flagged. A completion may be a
stream: its chunks are those of the Chat dialect but for where the text stands, so its way is
that of a chat (`stream.py`).
"""

import asyncio

from msgspec import Struct

from octoplex.dialects.openai_chat import OpenAIChat
from octoplex.dialects.single import Shape
from octoplex.transport.http import Request, Response, Sender
from octoplex.transport.origin import Origin, header_block
from octoplex.transport.tokens import Tokens, proven
from octoplex.upstreams.metered import guessed
from octoplex.upstreams.stream import Patience, Streamed
from octoplex.upstreams.upstream import (
    TRACE,
    Wait,
    ask_for_usage,
    billed_if_reached,
    limits_of,
)
from octoplex.wire.answer import Answer, Head, Whole
from octoplex.wire.ask import Ask, Single
from octoplex.wire.beside import beside
from octoplex.wire.error import InvalidCall, UpstreamBroken, UpstreamError


class SingleSpec(Struct, frozen=True, kw_only=True):
    """Everything about a target and an operation that is known before a call."""

    provider: str
    origin: Origin
    shape: Shape
    head: bytes
    model: str
    wait: Wait
    tokens: Tokens | None = None
    usage_on_request: bool = True
    """Whether the provider understands `stream_options.include_usage`."""


class SingleUpstream:
    """The Answerer of one target, one operation and one key."""

    def __init__(self, spec: SingleSpec, client: Sender) -> None:
        self._spec, self._client = spec, client
        self._now = asyncio.get_running_loop().time

    async def __call__(self, ask: Ask, /) -> Answer:
        """Send the request and read the reply, or open it where it is a stream.

        Raises:
            InvalidCall, Unsupported: the shape cannot say what was asked.
            UpstreamError: no usable reply came.
        """
        if not isinstance(ask, Single):
            raise InvalidCall(f"{self._spec.provider}/{self._spec.model} does not take {ask.op}.")
        request, hidden = await beside(len(ask.raw), self._request, ask)
        request = await proven(request, self._spec.tokens)
        with billed_if_reached(request, ask, self._spec.provider):
            limits = limits_of(self._spec.wait, ask, self._now())
            response = await self._client.send(request, limits)
            if ask.stream and response.body is None and response.status == 200:
                return await self._opened(response, hidden)
        body = response.body
        if body is None:
            response.close()
            body = b""
        if response.status != 200:
            if self._spec.tokens is not None:
                self._spec.tokens.told(response.status)
            raise self._refused(response.status, response.headers, body)
        return self._answered(ask, body)

    def _request(self, ask: Single) -> tuple[Request, bool]:
        """What goes out, and whether we ask for usage where the caller did not."""
        spec, fields, hidden = self._spec, ask.fields, False
        if ask.stream and spec.usage_on_request:
            fields = fields.copy()
            hidden = ask_for_usage(fields)
        encoded = spec.shape.write(fields, spec.model)
        ask.trail.drop(f"{spec.provider}/{spec.model}", encoded.dropped)
        traced = [(name, ask.headers[name]) for name in TRACE if name in ask.headers]
        extra = header_block([*traced, *encoded.headers])
        return Request(spec.origin, spec.head, encoded.body, extra), hidden

    async def _opened(self, response: Response, hidden: bool) -> Streamed:
        spec, dialect = self._spec, OpenAIChat()
        head, patience = Head(spec.provider, spec.model), Patience(self._now, spec.wait.idle_s)
        answer = Streamed(head, dialect, response, dialect.scanner(hide_usage=hidden), patience)
        await answer.open()
        return answer

    def _answered(self, ask: Single, body: bytes) -> Whole:
        spec = self._spec
        try:
            told = spec.shape.read(body, ask.fields, spec.model)
        except UpstreamError as error:
            error.reached = isinstance(error, UpstreamBroken)
            raise
        usage = told.usage or guessed(ask.worst_case())
        return Whole(Head(spec.provider, told.model or spec.model), ask.face, told.body, usage)

    def _refused(self, status: int, headers: dict[str, str], body: bytes) -> UpstreamError:
        error = self._spec.shape.decode_error(status, headers, body)
        error.target = f"{self._spec.provider}/{self._spec.model}"
        return error
