"""Events -> a Responses stream: a push machine.

The stream is `response.created` and `response.in_progress`, then the items, then
`response.completed` or `response.incomplete` with everything once more. An item is
announced, filled by deltas and repeated whole when it is done; `sequence_number` counts
the events. Texts and thinking are done as soon as another block begins, a tool call once
its arguments are one whole JSON object; calls that interleave stay open side by side,
told apart by `output_index`. Thinking is written as a summary, which is what clients show;
its proof stands in the item that is done.

Memory: the reply's text, once, because the dialect repeats it at the end.

Reference: https://developers.openai.com/api/reference/resources/responses/streaming-events

Not promised: `obfuscation` members; they are optional padding.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from octoplex.dialects.arguments import Gathered
from octoplex.dialects.openai_responses.calls import CUSTOM
from octoplex.dialects.openai_responses.failure import frame, write_failure
from octoplex.dialects.openai_responses.items import (
    Ids,
    call_item,
    message_item,
    prefix_of,
    refusal_part,
    text_part,
    tool_of_call,
)
from octoplex.dialects.openai_responses.reasoning import write_reasoning
from octoplex.dialects.openai_responses.response import (
    Head,
    status_of,
    write_response,
    write_usage,
)
from octoplex.wire.error import GatewayError
from octoplex.wire.event import (
    Delta,
    Event,
    Finished,
    RedactedThinking,
    RefusalDelta,
    Started,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
)

Body = dict[str, object]
_json = msgspec.json.Encoder().encode
_TEXT = "response.output_text"


class Part:
    """The open part of a message: which block it is, and its text so far."""

    __slots__ = ("at", "head", "index", "is_text", "pieces")

    def __init__(self, index: int, at: Body, *, is_text: bool) -> None:
        self.index, self.at, self.is_text = index, at, is_text
        self.pieces: list[str] = []
        # Pieces of text are most of a stream, so they are cut from ready-made bytes.
        more: Body = {"logprobs": []} if is_text else {}
        name = f"{self.name}.delta"
        start = _json({"type": name, **at, **more})[:-1]
        self.head = b"event: %b\ndata: %b" % (name.encode(), start)

    @property
    def name(self) -> str:
        return _TEXT if self.is_text else "response.refusal"

    def whole(self) -> Body:
        text = "".join(self.pieces)
        return text_part(text) if self.is_text else refusal_part(text)


class Message:
    """A message while it is written."""

    def __init__(self, number: int, id_: str) -> None:
        self.number, self.id = number, id_
        self.parts: list[Body] = []
        self.part: Part | None = None


class Thought:
    """A reasoning item while it is written."""

    def __init__(self, number: int, id_: str, index: int) -> None:
        self.number, self.id, self.index = number, id_, index
        self.pieces: list[str] = []
        self.proof = ""


class Call:
    """A tool call while it is written."""

    def __init__(self, number: int, id_: str, call_id: str, tool: Body) -> None:
        self.number, self.id, self.call_id, self.tool = number, id_, call_id, tool
        self.kind = str(tool.get("type", ""))
        """Where it is no function's."""
        self.arguments = Gathered()

    def item(self, status: str) -> Body:
        return call_item(self.id, self.call_id, self.tool, self.arguments.text, status)


class Stand(Struct):
    """Where a stream stands: what is open, and what is done as it was said."""

    number: int = 0
    """Of the next event."""
    output: list[Body] = []
    open: set[int] = set()
    """The numbers of the items that are not done."""
    message: Message | None = None
    thought: Thought | None = None
    calls: dict[int, Call] = {}
    """By their blocks, also those that are done."""
    refused: bool = False


class ResponsesEncoder:
    """One stream for one caller. `head` stands in for what the provider leaves out.

    `keeps_id`: the reply has the head's id, whatever its provider calls it.
    """

    __slots__ = (
        "_argued", "_calls", "_done", "_head", "_ids", "_keeps_id", "_message", "_now", "_number",
        "_output", "_refused", "_request_id", "_started", "_thought",
    )  # fmt: skip

    def __init__(
        self, request_id: str, head: Head, now: Callable[[], float], *, keeps_id: bool = False
    ) -> None:
        self._request_id, self._head, self._now = request_id, head, now
        self._keeps_id = keeps_id
        self._ids = Ids(head.id)
        self._number = 0
        self._output: list[Body] = []
        """The items in their order; those not yet done as they were announced."""
        self._message: Message | None = None
        self._thought: Thought | None = None
        self._calls: dict[int, Call] = {}
        self._argued: dict[int, Call] = {}
        """Those of them whose arguments have gone on since the last was closed."""
        self._started = self._done = self._refused = False

    def feed(self, events: Sequence[Event]) -> bytes:
        """The wire bytes of whole events."""
        out: list[bytes] = []
        for event in events:
            if self._done:
                break
            if isinstance(event, Started):
                self._start(event, out)
                continue
            if not self._started:
                self._start(Started("", ""), out)
            if isinstance(event, Finished):
                self._finish(event, out)
            else:
                self._delta(event, out)
        return b"".join(out)

    def resume(self, stand: "Stand") -> None:
        """Go on where somebody else's stream stands."""
        self._started, self._number, self._output = True, stand.number, stand.output
        self._message, self._thought, self._refused = stand.message, stand.thought, stand.refused
        for call in stand.calls.values():
            self._ids.call(call.call_id, "")
        self._calls = {i: c for i, c in stand.calls.items() if c.number in stand.open}
        self._argued = dict(self._calls)

    def fail(self, error: GatewayError, request_id: str = "") -> bytes:
        """The in-band failure; nothing comes after it."""
        self._done = True
        output = [item for item in self._output if item.get("status") != "in_progress"]
        id_ = request_id or self._request_id
        return write_failure(error, id_, self._head, output, self._number)

    def _put(self, type_: str, members: Body, out: list[bytes]) -> None:
        out.append(frame(type_, self._number, members))
        self._number += 1

    def _start(self, event: Started, out: list[bytes]) -> None:
        if self._started:
            return
        self._started = True
        head = self._head
        id_ = head.id if self._keeps_id else event.id or head.id
        self._head = msgspec.structs.replace(head, id=id_, model=event.model or head.model)
        self._ids = Ids(self._head.id)
        response = write_response(self._head, "in_progress", [])
        self._put("response.created", {"response": response}, out)
        self._put("response.in_progress", {"response": response}, out)

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        match event:
            case TextDelta() | RefusalDelta() if event.text:
                self._say(event, out)
            case ThinkingDelta() if event.text or event.signature:
                self._think(event, out)
            case RedactedThinking():
                self._settle(out)
                thought = self._begin_thought(event.index, out)
                self._done_thought(thought, Thinking(data=event.data), out)
            case ToolStart():
                self._begin_call(event, out)
            case ToolDelta() if event.index in self._calls and event.arguments:
                call = self._argued[event.index] = self._calls[event.index]
                self._argue(call, event.arguments, out)
            case _:
                pass  # an empty piece, or arguments of a call that nobody began

    def _say(self, event: TextDelta | RefusalDelta, out: list[bytes]) -> None:
        message = self._message
        part = message.part if message is not None else None
        is_text = isinstance(event, TextDelta)
        if part is None or part.index != event.index or part.is_text != is_text:
            part = self._begin_part(event.index, is_text, out)
        part.pieces.append(event.text)
        out.append(
            b'%b,"delta":%b,"sequence_number":%d}\n\n'
            % (part.head, _json(event.text), self._number)
        )
        self._number += 1

    def _begin_part(self, index: int, is_text: bool, out: list[bytes]) -> Part:
        message = self._message
        if message is None:
            self._settle(out)
            number = len(self._output)
            message = self._message = Message(number, self._ids.item("msg", number))
            self._announce(message_item(message.id, [], "in_progress"), out)
        else:
            self._close_part(message, out)
        at: Body = {
            "item_id": message.id,
            "output_index": message.number,
            "content_index": len(message.parts),
        }
        part = message.part = Part(index, at, is_text=is_text)
        self._refused = self._refused or not is_text
        self._put("response.content_part.added", {**at, "part": part.whole()}, out)
        return part

    def _close_part(self, message: Message, out: list[bytes]) -> None:
        part = message.part
        if part is None:
            return
        whole = part.whole()
        said: Body = {"refusal": whole.get("refusal")}
        if part.is_text:
            said = {"text": whole["text"], "logprobs": []}
        self._put(f"{part.name}.done", {**part.at, **said}, out)
        self._put("response.content_part.done", {**part.at, "part": whole}, out)
        message.parts.append(whole)
        message.part = None

    def _announce(self, item: Body, out: list[bytes]) -> None:
        members: Body = {"output_index": len(self._output), "item": item}
        self._output.append(item)
        self._put("response.output_item.added", members, out)

    def _item_done(self, number: int, item: Body, out: list[bytes]) -> None:
        self._output[number] = item
        self._put("response.output_item.done", {"output_index": number, "item": item}, out)

    def _settle(self, out: list[bytes], status: str = "completed", *, all_: bool = False) -> None:
        """Close what is over now that another item begins; `all_` at the end of the reply.

        `status` is the status of the reply's last item.
        """
        looked_at = self._calls if all_ else self._argued
        self._argued = {}
        for index, call in sorted(looked_at.items(), key=lambda item: item[1].number):
            if all_ or call.arguments.is_whole():
                del self._calls[index]
                self._close_call(call, self._status_at(call.number, status), out)
        message, self._message = self._message, None
        if message is not None:
            self._close_part(message, out)
            item = message_item(message.id, message.parts, self._status_at(message.number, status))
            self._item_done(message.number, item, out)
        if self._thought is not None:
            self._close_thought(self._thought, out)

    def _status_at(self, number: int, last: str) -> str:
        return last if number == len(self._output) - 1 else "completed"

    def _think(self, event: ThinkingDelta, out: list[bytes]) -> None:
        thought = self._thought
        if thought is None or thought.index != event.index:
            self._settle(out)
            thought = self._thought = self._begin_thought(event.index, out)
        thought.proof += event.signature
        if not event.text:
            return
        at = self._summary_of(thought)
        if not thought.pieces:
            empty = {"type": "summary_text", "text": ""}
            self._put("response.reasoning_summary_part.added", {**at, "part": empty}, out)
        thought.pieces.append(event.text)
        self._put("response.reasoning_summary_text.delta", {**at, "delta": event.text}, out)

    @staticmethod
    def _summary_of(thought: Thought) -> Body:
        return {"item_id": thought.id, "output_index": thought.number, "summary_index": 0}

    def _begin_thought(self, index: int, out: list[bytes]) -> Thought:
        number = len(self._output)
        thought = Thought(number, self._ids.item("rs", number), index)
        item: Body = {
            "type": "reasoning",
            "id": thought.id,
            "summary": [],
            "encrypted_content": None,
        }
        self._announce(item, out)
        return thought

    def _close_thought(self, thought: Thought, out: list[bytes]) -> None:
        self._thought = None
        text = "".join(thought.pieces)
        if text:
            at = self._summary_of(thought)
            part = {"type": "summary_text", "text": text}
            self._put("response.reasoning_summary_text.done", {**at, "text": text}, out)
            self._put("response.reasoning_summary_part.done", {**at, "part": part}, out)
        self._done_thought(thought, Thinking(text, thought.proof), out)

    def _done_thought(self, thought: Thought, thinking: Thinking, out: list[bytes]) -> None:
        # The id was announced before its maker's was known, and must stay.
        item = {**write_reasoning(thinking, thought.id), "id": thought.id}
        self._item_done(thought.number, item, out)

    def _begin_call(self, event: ToolStart, out: list[bytes]) -> None:
        if event.index in self._calls:
            return
        self._settle(out)
        number = len(self._output)
        call_id = self._ids.call(event.id, event.signature)
        tool = tool_of_call(event.name, self._head.forms)
        call = Call(number, self._ids.item(prefix_of(tool), number), call_id, tool)
        self._calls[event.index] = call
        self._announce(call.item("in_progress"), out)

    def _argue(self, call: Call, arguments: str, out: list[bytes]) -> None:
        call.arguments.add(arguments)
        if call.kind:
            return  # nobody can tell of a piece of JSON what it says
        members: Body = {"item_id": call.id, "output_index": call.number, "delta": arguments}
        self._put("response.function_call_arguments.delta", members, out)

    def _close_call(self, call: Call, status: str, out: list[bytes]) -> None:
        if not call.arguments.text:  # a call without arguments is a call with none
            self._argue(call, "{}", out)
        item = call.item(status)
        at: Body = {"item_id": call.id, "output_index": call.number}
        if not call.kind:
            arguments = {"arguments": item["arguments"]}
            self._put("response.function_call_arguments.done", {**at, **arguments}, out)
        elif call.kind == CUSTOM:
            name = "response.custom_tool_call_input"
            self._put(f"{name}.delta", {**at, "delta": item["input"]}, out)
            self._put(f"{name}.done", {**at, "input": item["input"]}, out)
        self._item_done(call.number, item, out)

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        status, why = status_of(event.stop, refused=self._refused)
        self._settle(out, status, all_=True)
        response = write_response(
            self._head,
            status,
            self._output,
            usage=write_usage(event.usage),
            incomplete_details=why,
            completed_at=int(self._now()) if status == "completed" else None,
        )
        self._put(f"response.{status}", {"response": response}, out)
        self._done = True
