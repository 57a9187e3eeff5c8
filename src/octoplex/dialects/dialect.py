"""What a dialect is: two directions, each a handful of pure functions.

`Dialect` is the provider's side: write a request, read a reply. `Face` is the
caller's side: read a request, write a reply. A module pair `NAME/upstream.py` and
`NAME/face.py` implements them as plain classes without state; machines that need
state (decoders, encoders, scanners) are made per reply.

SSE events are handed over as *wire bytes of whole events*: transport cuts them at
event boundaries, so no machine here ever sees half an event.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Raw, Struct

from octoplex.wire.ask import Call, Operation
from octoplex.wire.chat import Chat, Effort
from octoplex.wire.error import GatewayError, UpstreamError
from octoplex.wire.event import Event, Reply, StopReason, Usage


class Traits(Struct, frozen=True, kw_only=True):
    """What an encoder must know of the target: all from the catalogue and the route.

    `output_cap` is the family's largest output, None when unknown. `thinking` is how the
    family is asked to think (`catalog/families.py`), None when unknown; `efforts` are the words
    it takes for how much, empty when unknown. `quirks` are the named deviations of the
    provider's row and the family. `account` is what the vendor wants to be told beside the
    key, by name, such as OCI's `compartment`. `drop_unsupported` is the route's word. `listed`:
    the catalogue describes the provider, so that what it does not say is not so.
    """

    model: str
    output_cap: int | None = None
    thinking: str | None = None
    efforts: tuple[Effort, ...] = ()
    quirks: frozenset[str] = frozenset()
    account: Mapping[str, str] = {}
    drop_unsupported: bool = False
    listed: bool = False
    alone: bool = True
    """Whether the route has no other target, so that what is sent as it came is its to judge."""
    refuses: frozenset[str] = frozenset()
    """Fields that the provider or the model answers 400 to."""
    refuses_thinking: frozenset[str] = frozenset()
    """The same where thinking is asked for."""
    tools: bool | None = None
    vision: bool | None = None
    """Whether the model has tools and eyes, None when unknown."""
    prefill: bool | None = None
    """Whether it goes on from an assistant's turn, unless it is to think; None when unknown."""


class Encoded(Struct, frozen=True):
    """A request body for the provider, and the hints (or dropped fields) it does not carry.

    `headers` are what the request must also carry (lower case), such as `anthropic-beta`.
    `loose`: it asks for less than the caller's schema says, so that the reply must be checked.
    """

    body: bytes
    dropped: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    loose: bool = False


class Seen(Struct, frozen=True):
    """What a light scan of a whole reply found; `usage` None when the provider gave none."""

    model: str
    usage: Usage | None
    stop: StopReason | None


class Decoder(Protocol):
    """Provider's stream -> events. Raises UpstreamError for an in-band failure event."""

    @property
    def stop(self) -> StopReason | None:
        """Why the stream stopped, as soon as the provider has said so."""
        ...

    @property
    def read(self) -> Sequence[Event]:
        """The events of the last `feed`, also of one that raised: what came before the error."""
        ...

    @property
    def skipped(self) -> int:
        """Events that were no JSON."""
        ...

    def feed(self, wire: bytes) -> Sequence[Event]:
        """Decode the wire bytes of one or more whole SSE events."""
        ...

    def end(self) -> Sequence[Event]:
        """The upstream closed: what is still owed (`Finished`), or raise UpstreamBroken."""
        ...


class Scanner(Protocol):
    """Looks at a stream that passes verbatim. Never raises; what it finds are attributes.

    `feed` returns the bytes to forward: the same object when every event is good; less
    when an event is not valid JSON (counted in `skipped`), or is a usage-only chunk the
    caller did not ask for, or in-band error events (kept back and held in `error`).
    """

    content: bool
    """A content event (text, thinking, tool call, refusal) or the stop reason has been seen."""

    @property
    def stop(self) -> StopReason | None:
        """Why the stream stopped, as soon as the provider has said so."""
        ...

    model: str
    error: UpstreamError | None
    ended: bool
    """The dialect's terminal marker ([DONE], message_stop) has been seen."""
    received: int
    """Bytes of content text seen so far: the basis of an estimate when usage never comes."""

    @property
    def skipped(self) -> int:
        """Events that were left out because they were no JSON."""
        ...

    @property
    def usage(self) -> Usage | None:
        """What the provider reported so far; `estimated` where its last word is missing."""
        ...

    def feed(self, wire: bytes) -> bytes: ...


class Dialect(Protocol):
    """The provider's side."""

    name: str
    path: str
    """Path of the chat operation below the provider's base, such as `/chat/completions`."""
    model_in_body: bool
    """Whether the body names the model, in `model`; elsewhere the path does (`path_for`)."""

    def path_for(self, model: str, *, stream: bool) -> str:
        """Path and query of the chat operation for a model, below the provider's base."""
        ...

    def encode_chat(self, chat: Chat, traits: Traits) -> Encoded:
        """Write the request.

        Raises:
            Unsupported: a field that changes the answer cannot be expressed.
        """
        ...

    def read_whole(self, body: bytes) -> Seen:
        """Scan a whole 200 reply lightly (for a reply that passes verbatim).

        Raises:
            UpstreamError: it is not a reply of this dialect, or an error dressed as one.
        """
        ...

    def decode_reply(self, body: bytes) -> Reply: ...

    def decoder(self) -> Decoder: ...

    def scanner(self, *, hide_usage: bool) -> Scanner: ...

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """Classify a non-200 reply by status and structured body, never by English prose."""
        ...


@runtime_checkable
class Counter(Protocol):
    """A provider's side that can also count the tokens of a request."""

    name: str
    model_in_body: bool
    count_path: str
    """Path of the count below the provider's base."""

    def count_path_for(self, model: str) -> str:
        """The same for a model, where the path names it."""
        ...

    def encode_count(self, chat: Chat, traits: Traits) -> Encoded:
        """Write the request that counts instead of answering."""
        ...

    def decode_count(self, body: bytes) -> int:
        """The input tokens that were counted.

        Raises:
            UpstreamBroken: the reply holds no count.
        """
        ...

    def decode_error(
        self, status: int, headers: Mapping[str, str], body: bytes
    ) -> UpstreamError: ...


@runtime_checkable
class Form(Protocol):
    """A provider's side that has another dialect's words in an envelope of its own.

    A caller of the face `words` passes verbatim: what changes are members at the top of the
    body, headers and the framing of a stream, never a value or the data of an event.
    """

    name: str
    words: str

    def serves(self, model: str) -> bool:
        """Whether it is for this model, at a provider that speaks other dialects too."""
        ...

    def seal(self, fields: Mapping[str, Raw], headers: Mapping[str, str]) -> Encoded:
        """The request with these members. `headers` are those of the caller that may travel."""
        ...


@runtime_checkable
class CountForm(Protocol):
    """A form whose requests for a count have an envelope too."""

    uncounted: frozenset[int]
    """Statuses that say no more than that this model or this key has no count."""

    def seal_count(self, fields: Mapping[str, Raw], model: str) -> bytes:
        """The body that asks for the count of these members."""
        ...


class Encoder(Protocol):
    """Events -> the caller's stream. Bytes are whole SSE events of the face's grammar."""

    def feed(self, events: Sequence[Event]) -> bytes: ...

    def fail(self, error: GatewayError, request_id: str = "") -> bytes:
        """The in-band failure event: never anything that looks like a proper end.

        `request_id` is the one that is shown, where it is not the call's own.
        """
        ...


class HeadFields(Struct, frozen=True):
    """The checked head of a chat request."""

    model: str
    stream: bool
    max_tokens: int | None
    n: int
    may_hold_media: bool


class Face(Protocol):
    """The caller's side."""

    name: str

    def read_head(self, fields: Mapping[str, Raw]) -> HeadFields:
        """Check model, stream, max_tokens and that messages is a non-empty list.

        Raises:
            InvalidCall: naming the field (`param`), its value and what to send.
        """
        ...

    def decode_chat(self, call: Call) -> Chat:
        """The typed view of a call; InvalidCall where the body means nothing."""
        ...

    def encode_reply(self, reply: Reply) -> bytes: ...

    def encoder(self, call: Call) -> Encoder: ...

    def resume(self, call: Call, wire: bytes, told: Sequence[Event]) -> Encoder | None:
        """What goes on with a stream that passed verbatim: the caller has these bytes, no more.

        `told` are their events. None where they hold what no event says, or end between two
        events of which the second says nothing new.
        """
        ...

    def encode_error(self, error: GatewayError, request_id: str) -> bytes:
        """The error body. Never echoes a provider's 401 and never a secret."""
        ...

    def status(self, error: GatewayError) -> int:
        """The HTTP status this face uses for the error (529 stays 529 only on Anthropic's)."""
        ...

    def fail_event(self, error: GatewayError, request_id: str) -> bytes:
        """The in-band failure event of a stream that passed verbatim until now."""
        ...


@runtime_checkable
class EchoFace(Protocol):
    """A caller's side whose replies repeat what the request asked for."""

    def encode_reply_to(self, call: Call, reply: Reply) -> bytes:
        """What `encode_reply` writes, with the parameters of the call."""
        ...


class Place(Struct, frozen=True):
    """What the URL of a request says, in a dialect whose bodies do not say it.

    `array`: a stream is wanted as one JSON array (`JsonArray` of `gemini`), not as SSE.
    """

    model: str
    op: Operation = "chat"
    stream: bool = False
    array: bool = False


@runtime_checkable
class PathFace(Protocol):
    """A caller's side whose URL names the model and the operation; its heads name neither."""

    def read_path(self, path: str, query: str = "") -> Place:
        """Read what stands in the URL after the version; `path` is unquoted.

        Raises:
            InvalidCall, NotFound: it names no model, or an operation that is not here.
        """
        ...


@runtime_checkable
class CountFace(Protocol):
    """A caller's side whose dialect has an operation that counts tokens."""

    def read_count_head(self, fields: Mapping[str, Raw]) -> HeadFields:
        """Check the head of a request that only counts.

        Raises:
            InvalidCall: naming the field, its value and what to send.
        """
        ...

    def encode_count(self, input_tokens: int) -> bytes:
        """The body of the reply."""
        ...
