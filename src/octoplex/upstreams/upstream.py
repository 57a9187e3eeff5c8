"""Ask one provider for one model with one key, over HTTP.

Within a dialect the caller's body passes verbatim (`dialects/verbatim.py`) and so do
the reply's events; across dialects the typed view is written anew. Either way the
answer opens at its first content event: what comes before is held, so that until then
another target may still be asked and the caller has seen nothing.

The exceptions to verbatim, both documented in `contracts.md`: a stream that did not
ask for usage is asked for it (its usage-only chunk is not shown), and under a budget an
output limit is added where the model's own is unknown.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.dialect import Dialect, Scanner, Traits
from octoplex.dialects.foreign import HISTORY, without_foreign
from octoplex.dialects.gemini.head import with_limit
from octoplex.dialects.verbatim import join
from octoplex.transport.http import Limits, Request, Response, Sender
from octoplex.transport.origin import Origin, header_block
from octoplex.transport.tokens import Tokens, bearer
from octoplex.upstreams.fetch import Fetcher
from octoplex.upstreams.reading import Reading
from octoplex.upstreams.stream import Patience, Streamed
from octoplex.wire.answer import Answer, Head, Whole
from octoplex.wire.ask import BYTES_PER_TOKEN, Ask, Call
from octoplex.wire.error import (
    DeadlinePassed,
    GatewayError,
    InvalidCall,
    UpstreamBroken,
    UpstreamError,
    UpstreamSlow,
)
from octoplex.wire.event import Reply, Usage

OUTPUT_WHEN_UNKNOWN = 4_096
ASK_FOR_USAGE = Raw(b'{"include_usage":true}')
ID_HEADER = "x-amzn-requestid"
"""Where Bedrock, whose replies have no id, says which one this is."""
LIMIT_FIELDS = {"openai-responses": "max_output_tokens", "gemini": "maxOutputTokens"}
TRACE = ("traceparent", "tracestate")
BETAS = ("anthropic-beta",)


class Wait(Struct, frozen=True, kw_only=True):
    """How long one target is waited for, in seconds (contracts.md, Attempts)."""

    connect_s: float = 5.0
    first_s: float = 30.0
    idle_s: float = 30.0
    plain_s: float = 600.0
    stream_s: float = 3_600.0


class Wire(Struct, frozen=True, kw_only=True):
    """One dialect a provider speaks, and the request heads that never change.

    `head` asks for a whole reply, `stream_head` for a stream; `path` and `stream_path` are
    theirs as they stand on the request line.
    """

    dialect: Dialect
    head: bytes
    stream_head: bytes
    path: str
    stream_path: str


Headers = tuple[tuple[str, str], ...]
Sign = Callable[[str, bytes], Sequence[tuple[str, str]]]
"""(path and query, body) -> the headers that prove who asks, made for each request."""


class Spec(Struct, frozen=True, kw_only=True):
    """Everything about a target that is known before a call."""

    provider: str
    origin: Origin
    wires: Mapping[str, Wire]
    traits: Traits
    wait: Wait = Wait()
    sign: Sign | None = None
    tokens: Tokens | None = None
    """What the vendor hands out for the key, where that is not part of the heads."""
    usage_on_request: bool = True
    """Whether the provider understands `stream_options.include_usage`."""


class Sending(Struct, frozen=True, gc=False):
    """A request as it goes out. `hidden`: we asked for usage, the caller did not."""

    wire: Wire
    request: Request
    verbatim: bool
    hidden: bool = False


class Upstream:
    """The Answerer of one target and one key."""

    def __init__(self, spec: Spec, client: Sender, fetch: Fetcher | None = None) -> None:
        """`fetch` gets what a caller names by URL and the target needs as bytes."""
        self._spec, self._client, self._fetch = spec, client, fetch
        self._model = Raw(msgspec.json.encode(spec.traits.model))
        self._preferred = next(iter(spec.wires.values()))
        self._now = asyncio.get_running_loop().time

    async def __call__(self, ask: Ask, /) -> Answer:
        """Send the request and open the answer.

        Raises:
            UpstreamError: no usable answer came; nothing has reached the caller.
        """
        if not isinstance(ask, Call):
            raise InvalidCall(f"The provider {self._spec.provider} does not take {ask.op}.")
        if self._fetch is not None and ask.may_hold_media and ask.face not in self._spec.wires:
            ask = await self._fetch.fill(ask, self._preferred.dialect.name, self._spec.traits.model)
        tokens = self._spec.tokens
        sending = self._sending(ask, await bearer(tokens) if tokens is not None else ())
        request = sending.request
        try:
            response = await self._client.send(request, self._limits(ask))
            if response.body is None and response.status == 200:
                return await self._opened(sending, response)
            return self._whole(sending, response)
        except asyncio.CancelledError as left:
            # Whoever settles this attempt must know whether the provider may bill it.
            left.reached = request.reached  # type: ignore[attr-defined]
            raise
        except DeadlinePassed as late:
            spent = self._now() >= ask.deadline_at
            raise outlasted(late, request.reached, spent, self._spec.provider) from None

    def _sending(self, call: Call, proof: Headers = ()) -> "Sending":
        """What goes out: verbatim where the provider speaks the caller's dialect.

        `proof` are the headers that prove who asks, where the heads do not.
        """
        spec = self._spec
        wire = spec.wires.get(call.face)
        if wire is not None:
            body, hidden = self._verbatim(call, wire.dialect)
            if not (call.headers or proof) and spec.sign is None:
                head = wire.stream_head if call.stream else wire.head
                return Sending(wire, Request(spec.origin, head, body), True, hidden)
            headers: Headers = ()
        else:
            wire, hidden = self._preferred, False
            encoded = wire.dialect.encode_chat(self._with_limit(call), spec.traits)
            body, headers = encoded.body, encoded.headers
            call.trail.dropped.extend(encoded.dropped)
        request = self._request(wire, call, body, headers + proof)
        return Sending(wire, request, wire.dialect.name == call.face, hidden)

    def _limits(self, ask: Ask) -> Limits:
        wait = self._spec.wait
        first_s, total_s = wait.plain_s, wait.plain_s
        if ask.stream:
            first_s, total_s = wait.first_s, wait.stream_s
        until_at = self._now() + total_s
        if ask.deadline_at < until_at:
            until_at = ask.deadline_at
        return Limits(wait.connect_s, first_s, wait.idle_s, until_at)

    def _whole(self, sending: "Sending", response: Response) -> Whole:
        """The answer of a reply that is complete.

        Raises:
            UpstreamError: a refusal, or a reply that is none.
        """
        spec, wire, body = self._spec, sending.wire, response.body
        if response.status != 200 or body is None:
            raise self._refused(wire, response)
        decode: Callable[[bytes], Reply] = wire.dialect.decode_reply
        try:
            seen = wire.dialect.read_whole(body)
            if not sending.verbatim:
                # It will be written anew; if it cannot be, another target may be asked now.
                decode = decoded(self._named(decode(body), response))
        except UpstreamError as error:
            # It said 200: what cannot be read may be billed. An error of its own words is not.
            error.reached = isinstance(error, UpstreamBroken)
            raise
        head = Head(spec.provider, seen.model or spec.traits.model)
        usage = seen.usage or Usage(output_tokens=-(-len(body) // BYTES_PER_TOKEN), estimated=True)
        return Whole(head, wire.dialect.name, body, usage, decode)

    async def _opened(self, sending: "Sending", response: Response) -> Streamed:
        spec, dialect = self._spec, sending.wire.dialect
        head = Head(provider=spec.provider, model=spec.traits.model)
        if sending.verbatim:
            scanner: Scanner = dialect.scanner(hide_usage=sending.hidden)
        else:
            id_ = response.headers.get(ID_HEADER, "")
            scanner = Reading(dialect.decoder(), id_, spec.traits.model)
        patience = Patience(self._now, spec.wait.idle_s)
        answer = Streamed(head, dialect, response, scanner, patience)
        await answer.open()
        return answer

    def _verbatim(self, call: Call, dialect: Dialect) -> tuple[bytes, bool]:
        """The body with only `model` replaced, and whether we added a request for usage."""
        spec = self._spec
        fields = call.fields.copy()
        if dialect.model_in_body:
            fields["model"] = self._model
        if "models" in fields:
            del fields["models"]  # ours: routing has read the fallbacks in it
        if call.may_hold_media:
            self._drop_foreign(call, fields)
        hide = False
        if call.stream and spec.usage_on_request and call.face == "openai-chat":
            asked = fields.get("stream_options")
            if asked is None:
                fields["stream_options"], hide = ASK_FOR_USAGE, True
            else:
                options = msgspec.json.decode(asked)
                if isinstance(options, dict) and options.get("include_usage") is not True:
                    options["include_usage"] = True
                    fields["stream_options"] = Raw(msgspec.json.encode(options))
                    hide = True
        if call.caller.budgeted and call.max_tokens is None and spec.traits.output_cap is None:
            name = self._limit_field(call.face)
            if call.face == "gemini":
                fields = with_limit(fields, OUTPUT_WHEN_UNKNOWN)
            else:
                fields[name] = Raw(b"%d" % OUTPUT_WHEN_UNKNOWN)
            call.trail.added.append(name)
        return join(fields), hide

    def _drop_foreign(self, call: Call, fields: dict[str, Raw]) -> None:
        """Take out another provider's thinking, which this one would answer with a 400."""
        history = HISTORY[call.face]
        messages = without_foreign(call.face, fields[history], self._spec.traits.quirks)
        if messages is not None:
            fields[history] = messages
            call.trail.dropped.append("thinking")

    def _with_limit(self, call: Call) -> Any:
        """The typed view, with the output limit a budget needs where nobody knows the model's."""
        chat = call.chat()
        if (
            call.caller.budgeted
            and chat.max_tokens is None
            and self._spec.traits.output_cap is None
        ):
            call.trail.added.append("max_tokens")
            return msgspec.structs.replace(chat, max_tokens=OUTPUT_WHEN_UNKNOWN)
        return chat

    def _limit_field(self, face: str) -> str:
        if face == "openai-chat" and "max_completion_tokens" in self._spec.traits.quirks:
            return "max_completion_tokens"
        return LIMIT_FIELDS.get(face, "max_tokens")

    def _request(self, wire: Wire, ask: Ask, body: bytes, headers: Headers) -> Request:
        if ask.headers:
            names = TRACE + BETAS if ask.face == "anthropic" == wire.dialect.name else TRACE
            headers += tuple((n, ask.headers[n]) for n in names if n in ask.headers)
        head, path = (wire.stream_head, wire.stream_path) if ask.stream else (wire.head, wire.path)
        if self._spec.sign is not None:
            headers += tuple(self._spec.sign(path, body))
        return Request(self._spec.origin, head, body, header_block(headers) if headers else b"")

    def _named(self, reply: Reply, response: Response) -> Reply:
        """A reply with a model and an id, which some dialects leave out."""
        if reply.model and reply.id:
            return reply
        id_ = reply.id or response.headers.get(ID_HEADER, "")
        model = reply.model or self._spec.traits.model
        return msgspec.structs.replace(reply, id=id_, model=model)

    def _refused(self, wire: Wire, response: Response) -> UpstreamError:
        body = response.body
        if body is None:  # an error status with a stream's content type
            body = b""
            response.close()
        if self._spec.tokens is not None:
            self._spec.tokens.told(response.status)
        error = wire.dialect.decode_error(response.status, response.headers, body)
        error.target = f"{self._spec.provider}/{self._spec.traits.model}"
        return error


async def exchanged(
    client: Sender, request: Request, limits: Limits, ask: Ask, provider: str
) -> Response:
    """Send, and say with whatever ends it whether the provider may bill it.

    Raises:
        UpstreamError: no reply came.
        DeadlinePassed: the ask's own deadline ran out.
    """
    try:
        return await client.send(request, limits)
    except asyncio.CancelledError as left:
        left.reached = request.reached  # type: ignore[attr-defined]
        raise
    except DeadlinePassed as late:
        spent = asyncio.get_running_loop().time() >= ask.deadline_at
        raise outlasted(late, request.reached, spent, provider) from None


def outlasted(late: DeadlinePassed, reached: bool, spent: bool, provider: str) -> GatewayError:
    """What a deadline means: the caller's own is `spent`, or the target's limit has passed."""
    if spent:
        late.reached = reached
        return late
    slow = UpstreamSlow(f"{provider} did not finish within its limit.")  # another may be quicker
    slow.reached = reached
    return slow


def decoded(reply: Reply) -> Callable[[bytes], Reply]:
    """A decoder of a body that was decoded already."""
    return lambda _: reply
