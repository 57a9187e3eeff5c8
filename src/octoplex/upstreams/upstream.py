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
import contextlib
import re
from asyncio import to_thread
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.accepted import accepted, is_looked_into, look_into
from octoplex.dialects.addresses import NO_MEDIA_URLS
from octoplex.dialects.dialect import Dialect, Encoded, Scanner, Traits
from octoplex.dialects.expression import Omissions
from octoplex.dialects.foreign import HISTORY, NOT_READ, THOUGHT, without_ciphers, without_foreign
from octoplex.dialects.gemini.head import with_limit
from octoplex.dialects.mending import menders_of
from octoplex.dialects.openai_chat.regular import TOOL_CALLS, regular_body
from octoplex.dialects.openai_chat.tags import TagScanner, parted_body
from octoplex.dialects.surrogates import mended
from octoplex.dialects.think_tags import TAGS, UNOPENED, parted, parted_reply
from octoplex.dialects.tool_names import NONE, Names, fitted, replied
from octoplex.dialects.verbatim import join, split
from octoplex.dialects.words import words_of
from octoplex.transport.http import Limits, Request, Response, Sender
from octoplex.transport.origin import Origin, header_block
from octoplex.transport.tokens import Tokens, proven
from octoplex.upstreams.fetch import Fetcher
from octoplex.upstreams.reading import Reading
from octoplex.upstreams.stream import Patience, Streamed
from octoplex.wire.answer import Answer, Head, Whole
from octoplex.wire.ask import BYTES_PER_TOKEN, Ask, Call
from octoplex.wire.beside import LARGE
from octoplex.wire.chat import Chat
from octoplex.wire.error import (
    DeadlinePassed,
    GatewayError,
    InvalidCall,
    UpstreamBroken,
    UpstreamDenied,
    UpstreamError,
    UpstreamRejected,
    UpstreamSlow,
)
from octoplex.wire.event import Reply, Usage

OUTPUT_WHEN_UNKNOWN = 4_096
ASK_FOR_USAGE = Raw(b'{"include_usage":true}')
ID_HEADER = "x-amzn-requestid"
"""Where Bedrock, whose replies have no id, says which one this is."""
LIMIT_FIELDS = {"openai-responses": "max_output_tokens", "gemini": "maxOutputTokens"}
NO_TAGS = frozenset({"anthropic", "gemini", "openai-responses"})
"""Words whose vendors tell thinking apart."""
TRACE = ("traceparent", "tracestate")
BETAS = ("anthropic-beta",)
URL_SOURCE = re.compile(rb'"type"\s*:\s*"url"')
"""What a body of Anthropic's holds that names media by URL."""
ADDRESS = re.compile(rb'"https?:', re.IGNORECASE)


class Wait(Struct, frozen=True, kw_only=True):
    """How long one target is waited for, in seconds (contracts.md, Attempts)."""

    connect_s: float = 5.0
    first_s: float = 30.0
    idle_s: float = 30.0
    plain_s: float = 600.0
    stream_s: float = 3_600.0


class Wire(Struct, frozen=True, kw_only=True):
    """One dialect a provider speaks, and the request heads that never change.

    `words` is the face whose callers pass verbatim. `head` asks for a whole reply,
    `stream_head` for a stream; `path` and `stream_path` are theirs as they stand on the
    request line. `seal` puts the members of a verbatim body into the envelope of a `Form`.
    """

    dialect: Dialect
    words: str
    head: bytes
    stream_head: bytes
    path: str
    stream_path: str
    seal: "Seal | None" = None


Headers = tuple[tuple[str, str], ...]
NO_HEADERS: Headers = ()
Sign = Callable[[str, bytes], Sequence[tuple[str, str]]]
"""(path and query, body) -> the headers that prove who asks, made for each request."""
Seal = Callable[[Mapping[str, Raw], Mapping[str, str]], Encoded]
"""(members, the caller's headers that may travel) -> the request."""


class Spec(Struct, frozen=True, kw_only=True):
    """Everything about a target that is known before a call."""

    provider: str
    origin: Origin
    wires: Mapping[str, Wire]
    """By their words, the preferred one first."""
    traits: Traits
    wait: Wait = Wait()
    sign: Sign | None = None
    tokens: Tokens | None = None
    """What the vendor hands out for the key, where that is not part of the heads."""
    compacting: Wire | None = None
    """Where it compacts a conversation itself, if it does."""
    usage_on_request: bool = True
    """Whether the provider understands `stream_options.include_usage`."""


class Sending(Struct, frozen=True, gc=False):
    """A request as it goes out. `hidden`: we asked for usage, the caller did not.

    `names` are what those of tools stand for that the target does not take.
    """

    call: Call
    wire: Wire
    request: Request
    verbatim: bool
    hidden: bool = False
    names: Names = NONE


class Upstream:
    """The Answerer of one target and one key."""

    def __init__(self, spec: Spec, client: Sender, fetch: Fetcher | None = None) -> None:
        """`fetch` gets what a caller names by URL and the target needs as bytes."""
        self._spec, self._client, self._fetch = spec, client, fetch
        self._model = Raw(msgspec.json.encode(spec.traits.model))
        self._name = f"{spec.provider}/{spec.traits.model}"
        self._preferred = next(iter(spec.wires.values()))
        self._menders = menders_of(spec.wires, spec.traits)
        self._looks = is_looked_into(spec.traits)
        self._tags = TAGS in spec.traits.quirks
        # What passes verbatim from whom nobody knows is left alone; a crossing writes it anyhow.
        unknown = spec.traits.thinking is None and self._preferred.words not in NO_TAGS
        self._parting = spec.traits.quirks | ({TAGS} if unknown else set())
        self._bytes_only = NO_MEDIA_URLS in spec.traits.quirks
        self._now = asyncio.get_running_loop().time

    async def __call__(self, ask: Ask, /) -> Answer:
        """Send the request and open the answer.

        Raises:
            UpstreamError: no usable answer came; nothing has reached the caller.
        """
        if not isinstance(ask, Call):
            raise InvalidCall(f"The provider {self._spec.provider} does not take {ask.op}.")
        call = ask
        if self._fetch is not None and ask.may_hold_media:
            call = await self._filled(ask, self._fetch)
        tokens = self._spec.tokens
        write, anew = self._sending, call is not ask
        small = len(call.raw) < LARGE  # to call `beside` costs 0.2 us
        sending = write(call, anew=anew) if small else await to_thread(write, call, anew=anew)
        again = tokens is not None
        while True:
            request = sending.request if tokens is None else await proven(sending.request, tokens)
            limits = limits_of(self._spec.wait, ask, self._now())
            try:
                response = await self._client.send(request, limits)
                if response.body is None and response.status == 200:
                    return await self._opened(sending, response)
                return self._whole(sending, response)
            except UpstreamDenied as denied:
                # A token may end before its time; what it was made of is not to blame yet.
                if not (_is_of_token(denied, tokens) and again):
                    raise
                again = False
            except UpstreamRejected as refused:
                sending = self._without_ciphers(sending, refused)
            except asyncio.CancelledError as left:
                # Whoever settles this attempt must know whether the provider may bill it.
                left.reached = request.reached  # type: ignore[attr-defined]
                raise
            except DeadlinePassed as late:
                spent = self._now() >= ask.deadline_at
                raise outlasted(late, request.reached, spent, self._spec.provider) from None

    def _without_ciphers(self, sending: "Sending", refused: UpstreamRejected) -> "Sending":
        """The request again, without thinking that another account of this dialect encrypted.

        Raises:
            UpstreamRejected: it was refused for something else.
        """
        old, body = sending.request, None
        if refused.facts.get("provider_code") == NOT_READ and self._spec.sign is None:
            body = without_ciphers(old.body)
        if body is None:
            raise refused
        face = sending.call.face
        sending.call.trail.drop(self._name, (THOUGHT.get(face, "reasoning_details"),))
        request = Request(old.origin, old.head, body, old.extra)
        return msgspec.structs.replace(sending, request=request)

    async def _filled(self, call: Call, fetch: Fetcher) -> Call:
        """The call with the bytes in it that this target wants in place of addresses."""
        wire = self._spec.wires.get(call.face, self._preferred)
        if wire.words == call.face and not self._must_fill(wire, call):
            return call
        return await fetch.fill(call, wire.dialect.name, self._spec.traits)

    def _must_fill(self, wire: Wire, call: Call) -> bool:
        """Whether a call of this target's own words may name what it does not fetch."""
        if self._bytes_only:
            return ADDRESS.search(call.raw) is not None
        return wire.seal is not None and URL_SOURCE.search(call.raw) is not None

    def _sending(self, call: Call, *, anew: bool = False) -> "Sending":
        """What goes out: verbatim where the provider speaks the caller's dialect.

        `anew`: it holds other bytes than the caller sent, and must be written.
        """
        spec = self._spec
        own = spec.compacting if call.op == "compact" else spec.wires.get(call.face)
        wire, names = own, NONE
        if wire is not None and not call.prefix and not anew:
            if self._looks and call.op == "chat":
                look_into(call, wire.dialect.name, spec.traits)
            fields, hidden = self._verbatim(call, wire.dialect)
            if wire.seal is None:
                body, headers = join(fields), NO_HEADERS
            else:
                body, headers = self._told(call, wire.seal(fields, call.headers))
            if not (call.headers or headers) and spec.sign is None:
                head = wire.stream_head if call.stream else wire.head
                return Sending(call, wire, Request(spec.origin, head, body), True, hidden)
        else:
            wire, hidden = wire or self._preferred, False
            chat = self._accepted(call, self._with_limit(call), wire.dialect)
            if own is None:
                chat, names = fitted(chat, wire.dialect.name)
            encoded = wire.dialect.encode_chat(chat, spec.traits)
            body, headers = self._told(call, encoded)
            if wire.seal is not None and wire.words == call.face:
                body, headers = self._told(call, wire.seal(split(body), call.headers))
            else:
                call.trail.drop(self._name, betas_of(call.headers))
        request = self._request(wire, call, body, headers)
        return Sending(call, wire, request, own is not None and not call.prefix, hidden, names)

    def _told(self, call: Call, encoded: Encoded) -> tuple[bytes, Headers]:
        """Body and headers of a request that was written; what it leaves out is named."""
        call.trail.drop(self._name, encoded.dropped)
        return encoded.body, encoded.headers

    def _whole(self, sending: "Sending", response: Response) -> Whole:
        """The answer of a reply that is complete.

        Raises:
            UpstreamError: a refusal, or a reply that is none.
        """
        body = response.body
        if response.status != 200 or body is None:
            raise self._refused(sending.wire, response)
        try:
            try:
                return self._read(sending, response, body, body)
            except UpstreamBroken:
                text = mended(body)
                if text is body:
                    raise
                return self._read(sending, response, body, text)
        except UpstreamError as error:
            # It said 200: what cannot be read may be billed. An error of its own words is not.
            error.reached = isinstance(error, UpstreamBroken)
            raise

    def _read(self, sending: "Sending", response: Response, body: bytes, text: bytes) -> Whole:
        """The answer of a reply; `text` is its body in a form that can be read."""
        spec, wire = self._spec, sending.wire
        decode: Callable[[bytes], Reply] = wire.dialect.decode_reply
        seen = wire.dialect.read_whole(text)
        usage = seen.usage or guessed(sending.call, body)
        if not sending.verbatim:
            # It will be written anew; if it cannot be, another target may be asked now.
            reply = replied(parted_reply(decode(text), self._parting), sending.names)
            if reply.usage.estimated:
                reply = msgspec.structs.replace(reply, usage=usage)
            decode = decoded(self._named(reply, response))
        elif text is not body:
            decode = decoded(decode(text))
        elif (self._tags or TOOL_CALLS in body) and wire.dialect.name == "openai-chat":
            body = regular_body(body)
            if self._tags:
                body = parted_body(body, unopened=UNOPENED in spec.traits.quirks)
        head = Head(spec.provider, seen.model or spec.traits.model)
        return Whole(head, wire.words, body, usage, decode)

    async def _opened(self, sending: "Sending", response: Response) -> Streamed:
        spec, dialect = self._spec, sending.wire.dialect
        head = Head(provider=spec.provider, model=spec.traits.model)
        scanner: Scanner
        if sending.verbatim and self._may_hold_tags(sending.wire):
            unopened, n = UNOPENED in spec.traits.quirks, sending.call.n
            scanner = TagScanner(hide_usage=sending.hidden, unopened=unopened, choices=n)
        elif sending.verbatim:
            scanner = dialect.scanner(hide_usage=sending.hidden)
        else:
            id_ = response.headers.get(ID_HEADER, "")
            decoder = parted(dialect.decoder(), self._parting)
            asked = sending.call.worst_case
            scanner = Reading(decoder, id_, spec.traits.model, asked, sending.names)
        patience = Patience(self._now, spec.wait.idle_s)
        answer = Streamed(head, dialect, response, scanner, patience, sending.wire.words)
        await answer.open()
        return answer

    def _verbatim(self, call: Call, dialect: Dialect) -> tuple[dict[str, Raw], bool]:
        """The members with only `model` replaced, and whether we added a request for usage."""
        spec = self._spec
        fields = call.fields.copy()
        if dialect.model_in_body:
            fields["model"] = self._model
        if "models" in fields:
            del fields["models"]  # ours: routing has read the fallbacks in it
        if call.may_hold_media:
            self._drop_foreign(call, fields)
        mender = self._menders.get(call.face) if self._menders else None
        if mender is not None and call.op == "chat":
            call.trail.drop(self._name, mender.mend(call, fields))
        hide = False
        if call.stream and spec.usage_on_request and call.face == "openai-chat":
            hide = ask_for_usage(fields)
        limited = call.caller.budgeted and call.op == "chat"  # a compaction takes no limit
        if limited and call.max_tokens is None and spec.traits.output_cap is None:
            name = self._limit_field(call.face)
            if call.face == "gemini":
                fields = with_limit(fields, OUTPUT_WHEN_UNKNOWN)
            else:
                fields[name] = Raw(b"%d" % OUTPUT_WHEN_UNKNOWN)
            call.trail.added.append(name)
        return fields, hide

    def _may_hold_tags(self, wire: Wire) -> bool:
        """Whether a reply's text may begin with its thinking, in the place of the Chat dialect."""
        return self._tags and wire.dialect.name == "openai-chat"

    def _drop_foreign(self, call: Call, fields: dict[str, Raw]) -> None:
        """Take out another provider's thinking, which this one would answer with a 400."""
        history = HISTORY[call.face]
        messages = without_foreign(call.face, fields[history], self._spec.traits.quirks)
        if messages is not None:
            fields[history] = messages
            call.trail.drop(self._name, (THOUGHT[call.face],))

    def _with_limit(self, call: Call) -> Chat:
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

    def _accepted(self, call: Call, chat: Chat, dialect: Dialect) -> Chat:
        """The typed view without what the target refuses, which is named."""
        traits = self._spec.traits
        drops = traits.drop_unsupported
        omissions = Omissions(dialect.name, words_of(chat), drop_unsupported=drops)
        chat = accepted(chat, traits, omissions)
        call.trail.drop(self._name, omissions.names())
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
        error = wire.dialect.decode_error(response.status, response.headers, body)
        error.target = self._name
        return error


def _is_of_token(denied: UpstreamDenied, tokens: Tokens | None) -> bool:
    """Whether it was a token that is not accepted, which its source is told."""
    if tokens is None or denied.facts.get("provider_status") != 401:
        return False
    tokens.told(401)
    return True


def ask_for_usage(fields: dict[str, Raw]) -> bool:
    """Have a stream of the Chat dialect end with its usage; whether its caller had not asked."""
    asked = fields.get("stream_options")
    options = None if asked is None else msgspec.json.decode(asked)
    if options is None:
        fields["stream_options"] = ASK_FOR_USAGE
        return True
    if not isinstance(options, dict) or options.get("include_usage") is True:
        return False
    fields["stream_options"] = Raw(msgspec.json.encode({**options, "include_usage": True}))
    return True


def limits_of(wait: Wait, ask: Ask, now: float) -> Limits:
    """How long an ask may take at a target that is waited for like this."""
    first_s, total_s = wait.plain_s, wait.plain_s
    if ask.stream:
        first_s, total_s = wait.first_s, wait.stream_s
    until_at = now + total_s
    if ask.deadline_at < until_at:
        until_at = ask.deadline_at
    return Limits(wait.connect_s, first_s, wait.idle_s, until_at)


@contextlib.contextmanager
def billed_if_reached(request: Request, ask: Ask, provider: str) -> Iterator[None]:
    """Say with whatever ends an exchange whether the provider may bill it."""
    try:
        yield
    except asyncio.CancelledError as left:
        left.reached = request.reached  # type: ignore[attr-defined]
        raise
    except DeadlinePassed as late:
        spent = asyncio.get_running_loop().time() >= ask.deadline_at
        raise outlasted(late, request.reached, spent, provider) from None


def guessed(call: Call, body: bytes) -> Usage:
    """What a reply that does not say it may have used."""
    output = -(-len(body) // BYTES_PER_TOKEN)
    return Usage(call.worst_case().input_tokens, output, estimated=True)


def betas_of(headers: Mapping[str, str]) -> list[str]:
    """The flags of Anthropic's API that a caller set; no other dialect has a word for them."""
    return [beta for text in headers.get("anthropic-beta", "").split(",") if (beta := text.strip())]


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
