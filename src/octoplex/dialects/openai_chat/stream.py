"""A Chat stream -> events: a push machine.

A stream is chunks with one `delta` each; the finish reason comes in one of the last,
usage in the same, in trailing chunks without choices, or never, then `[DONE]`. Here
`Finished` is held until `[DONE]` has come or the upstream has closed, because it is
final and the last word on usage counts. A block ends where another kind begins; tool
calls are told apart by `index`, or by `id` where a server sends no index or the same one
for all.

Reference: https://platform.openai.com/docs/api-reference/chat-streaming

Not promised: choices other than the first.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from octoplex.dialects import sse
from octoplex.dialects.broken import cut
from octoplex.dialects.openai_chat.reasoning import read_detail
from octoplex.dialects.openai_chat.shapes import (
    BROKEN_STOPS,
    UNREADABLE,
    Choice,
    FunctionPiece,
    Last,
    ReasoningDetail,
    Said,
    ToolPiece,
    Wire,
    read_more,
    read_wire,
    stop_of,
    usage_of,
)
from octoplex.dialects.openai_chat.toolcalls import arguments_of, content_of, made_id
from octoplex.dialects.openai_chat.verdict import judge_in_band
from octoplex.dialects.openai_chat.whole import UNKNOWN_USAGE, settled_stop
from octoplex.dialects.tier import tiered
from octoplex.wire.event import (
    Event,
    Finished,
    RedactedThinking,
    RefusalDelta,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    Usage,
)


class _Choices(Struct):
    choices: list[Choice] | None = None


_read_choices = msgspec.json.Decoder(_Choices).decode


class ChatDecoder:
    """One stream. `feed` wire bytes of whole events, then `end`."""

    __slots__ = (
        "_block", "_calls", "_decode", "_done", "_goes_on", "_id", "_index", "_plain", "_refused",
        "_started", "_stop", "_usage", "read", "skipped",
    )  # fmt: skip

    def __init__(self, decode: Callable[[bytes], Wire] = read_wire) -> None:
        """`decode` reads a chunk: another one where the dialect is only near this (`near.py`)."""
        self.skipped = 0
        """Events that were not valid JSON."""
        self.read: list[Event] = []
        self._decode = decode
        self._started = self._done = self._refused = self._plain = False
        self._goes_on = False  # whether a chunk is expected to be `More`; in a block of text
        self._id = self._block = ""
        self._index = -1
        self._calls: Calls | None = None
        self._stop: StopReason | None = None
        self._usage: Usage | None = None

    @property
    def stop(self) -> StopReason | None:
        """Why it stopped, as soon as the provider has said so."""
        return self._stop

    def feed(self, wire: bytes) -> Sequence[Event]:
        """Decode the wire bytes of one or more whole SSE events.

        Raises:
            UpstreamError: an in-band error, or choices that cannot be read.
        """
        events = self.read = []
        for _, data in sse.events(wire):
            if self._done:
                break
            if data == b"[DONE]":
                self._finish(events)
                break
            if self._goes_on and self._block == "text":
                try:
                    text = read_more(data).choices[0].delta.content
                except UNREADABLE:
                    self._goes_on = False
                else:
                    if text:
                        events.append(TextDelta(text, self._index))
                    continue
            chunk = self._read(data)
            if chunk is None:
                continue
            self._chunk(chunk, data, events)
            if self._stop is not None and type(chunk) is Last:
                self._finish(events)
        return events

    def end(self) -> Sequence[Event]:
        """The upstream closed.

        Raises:
            UpstreamBroken: it never said why it stopped.
        """
        events: list[Event] = []
        if not self._done:
            self._finish(events)
        return events

    def _read(self, data: bytes) -> Wire | None:
        try:
            return self._decode(data)
        except msgspec.ValidationError:
            return self._read_barely(data)
        except UNREADABLE:
            self.skipped += 1
        return None

    def _read_barely(self, data: bytes) -> Wire | None:
        """Read only the choices of a chunk in which something is misshapen.

        Raises:
            UpstreamBroken: it is the choices; without them the answer would have a hole.
        """
        try:
            return Wire(choices=_read_choices(data).choices)
        except msgspec.ValidationError as error:
            if "$.choices" in str(error):
                raise cut(f"The provider sent a chunk that cannot be read: {error}.") from None
        except UNREADABLE:
            self.skipped += 1  # misshapen first, and no JSON after that
        return None

    def _chunk(self, chunk: Wire, data: bytes, events: list[Event]) -> None:
        if chunk.error:
            raise judge_in_band(data)
        if not self._started and (chunk.choices or chunk.id):
            self._started, self._id = True, chunk.id or ""
            events.append(Started(self._id, chunk.model or ""))
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._choice(choice, data, events)
        usage = chunk.usage or (chunk.x_groq and chunk.x_groq.usage)
        if usage:
            self._usage = tiered(usage_of(usage), chunk.service_tier) or self._usage

    def _choice(self, choice: Choice, data: bytes, events: list[Event]) -> None:
        said = choice.delta or choice.message
        if said is not None:
            self._said(said, events)
        if choice.finish_reason:
            if choice.finish_reason in BROKEN_STOPS:
                raise judge_in_band(data, choice.finish_reason)
            self._stop, self._goes_on = stop_of(choice.finish_reason), False

    def _said(self, said: Said, events: list[Event]) -> None:
        thinking, text = content_of(said)
        if thinking:
            self._plain = True
            events.append(ThinkingDelta(thinking, self._open("thinking")))
        if said.reasoning_details:
            for detail in said.reasoning_details:
                self._detail(detail, events)
        if text:
            events.append(TextDelta(text, self._open("text")))
        if said.refusal:
            self._refused = True
            events.append(RefusalDelta(said.refusal, self._open("refusal")))
        if said.tool_calls:
            self._tools(said.tool_calls, events)
        elif said.function_call is not None:
            self._tools([ToolPiece(0, None, said.function_call)], events)

    def _open(self, kind: str) -> int:
        """The index of the open block of this kind; a new one where another kind was open."""
        if self._block != kind:
            self._block = kind
            self._index += 1
            self._goes_on = self._decode is read_wire
        return self._index

    def _detail(self, detail: ReasoningDetail, events: list[Event]) -> None:
        """Thinking that must be echoed. Its text counts only where it is not said plainly too."""
        thought = read_detail(detail)
        if thought.data:
            self._block = ""
            events.append(RedactedThinking(thought.data, self._open("redacted")))
            self._block = ""
            return
        text = "" if self._plain else thought.text
        if text or thought.signature:
            events.append(ThinkingDelta(text, self._open("thinking"), thought.signature))
        if thought.signature:
            self._block = ""  # a signature closes its block

    def _tools(self, pieces: list[ToolPiece], events: list[Event]) -> None:
        if self._calls is None:
            self._calls = Calls(self._id)
        for piece in pieces:
            call = self._calls.find(piece)
            if call.block < 0:
                self._block = "tool"
                self._index += 1
                call.block = self._index
            call.add(piece.said(), events)

    def _finish(self, events: list[Event]) -> None:
        if self._stop is None:
            raise cut("The provider's stream ended without saying why it stopped.")
        self._done = True
        if self._calls is not None:
            self._calls.close(events)
        stop = settled_stop(self._stop, tools=self._calls is not None, refused=self._refused)
        events.append(Finished(stop=stop, usage=self._usage or UNKNOWN_USAGE))


class ToolCall:
    """One tool call while it arrives. It starts when its name is known."""

    __slots__ = ("_argued", "_early", "_started", "block", "id", "index", "said_id")

    def __init__(self, index: int | None, said_id: str | None, id_: str) -> None:
        self.index, self.said_id, self.id = index, said_id, id_
        self.block = -1
        self._started = self._argued = False
        self._early = ""

    def add(self, piece: FunctionPiece, events: list[Event]) -> None:
        arguments = arguments_of(piece) if piece.arguments else ""
        if not self._started:
            self._early += arguments
            if not piece.name:
                return
            self._started = True
            events.append(ToolStart(self.id, piece.name, self.block))
            arguments = self._early
        if arguments:
            self._argued = True
            events.append(ToolDelta(arguments, self.block))

    def close(self, events: list[Event]) -> None:
        if not self._started:
            raise cut("The provider's stream holds a tool call without a name.")
        if not self._argued:
            events.append(ToolDelta("{}", self.block))


MOST_CALLS = 256
"""In one reply: twice the tools that may be declared. A stream that goes on costs no memory."""


class Calls:
    """The tool calls of one stream, in the order they began."""

    __slots__ = ("_by_id", "_by_place", "_calls", "_reply_id", "_taken")

    def __init__(self, reply_id: str) -> None:
        self._calls: list[ToolCall] = []
        self._by_id: dict[str, ToolCall] = {}
        self._by_place: dict[tuple[int, str], ToolCall] = {}
        """By index and id; under the id "" the last one with the index."""
        self._taken: set[str] = set()
        self._reply_id = reply_id

    def find(self, piece: ToolPiece) -> ToolCall:
        """The call that a piece belongs to; a new one where it belongs to none.

        Raises:
            UpstreamBroken: there are more than an answer can have.
        """
        call = self._begun(piece)
        if call is None:
            if len(self._calls) >= MOST_CALLS:
                raise cut(f"The provider's stream holds more than {MOST_CALLS} tool calls.")
            id_ = made_id(piece.id, self._reply_id, len(self._calls), self._taken)
            call = ToolCall(piece.index, piece.id or None, id_)
            self._calls.append(call)
            if piece.id:
                self._by_id[piece.id] = call
            self._note(call)
        elif piece.id and call.said_id is None:
            call.said_id = piece.id
            self._by_id.setdefault(piece.id, call)
            self._note(call)
        return call

    def _begun(self, piece: ToolPiece) -> ToolCall | None:
        """The call by index, unless another id says that it is a new one; without index, by id.

        A piece with neither goes on with the call that was begun last, unless it names a
        function and so begins one.
        """
        if piece.index is not None:
            last = self._by_place.get((piece.index, ""))
            if not piece.id or last is None or last.said_id is None:
                return last
            return self._by_place.get((piece.index, piece.id))
        if piece.id:
            return self._by_id.get(piece.id)
        return self._calls[-1] if self._calls and not piece.said().name else None

    def _note(self, call: ToolCall) -> None:
        if call.index is not None:
            self._by_place[call.index, call.said_id or ""] = call
            self._by_place[call.index, ""] = call

    def close(self, events: list[Event]) -> None:
        """Nothing more comes: a call without arguments gets the empty object."""
        for call in self._calls:
            call.close(events)
