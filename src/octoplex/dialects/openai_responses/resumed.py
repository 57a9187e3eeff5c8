"""An encoder that goes on with a Responses stream which has passed verbatim until now.

The dialect repeats everything: parts when they are done, items when they are, the whole response
at the end. So the bytes are read item by item, and what they said is what the end repeats, with
the ids that the caller has. Where the bytes end between two events of which the second only
repeats, nothing can go on.

Not promised: items of tools that the provider runs itself, tools in namespaces or of own kinds,
annotations, thinking in plain text or in several parts.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from octoplex.dialects import sse
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_responses.calls import forms_of
from octoplex.dialects.openai_responses.encoder import Call as OpenCall
from octoplex.dialects.openai_responses.encoder import (
    Message,
    Part,
    ResponsesEncoder,
    Stand,
    Thought,
)
from octoplex.dialects.openai_responses.response import Head
from octoplex.wire.ask import Call
from octoplex.wire.event import (
    Event,
    Finished,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolStart,
)

CHANGING = frozenset({"status", "output", "usage", "incomplete_details", "error", "completed_at"})
"""The members of a response that are not the same from its beginning to its end."""
_read = msgspec.json.Decoder(dict[str, Any]).decode


class _Unplain(Exception):
    """The stream holds, or ends with, what cannot be gone on with."""


UNPLAIN = (_Unplain, KeyError, IndexError, TypeError, AttributeError, *UNREADABLE)


def resume(
    call: Call, wire: bytes, told: Sequence[Event], now: Callable[[], float]
) -> ResponsesEncoder | None:
    """The encoder; None where the events hold what it could not go on with."""
    if forms_of(call.fields.get("tools")):
        return None
    reader = _Reader(told)
    try:
        for name, data in sse.events(wire):
            event = _read(data)
            reader.take((event.get("type") or name).removeprefix("response."), event)
        response = reader.response
    except UNPLAIN:
        return None
    if response is None or reader.between:
        return None
    echo = {name: value for name, value in response.items() if name not in CHANGING}
    head = Head(response["id"], response["model"], response["created_at"], echo)
    encoder = ResponsesEncoder(call.id, head, now, keeps_id=True)
    encoder.resume(reader.stand)
    return encoder


class _Reader:
    """What the bytes say. `between`: they end before an event that only repeats."""

    def __init__(self, told: Sequence[Event]) -> None:
        said = [event for event in told if not isinstance(event, Started | Finished)]
        self._next = max((event.index for event in said), default=-1) + 1
        self._texts = [e.index for e in said if isinstance(e, TextDelta | RefusalDelta)]
        self._thoughts = [e.index for e in said if isinstance(e, ThinkingDelta)]
        self._calls = [e.index for e in said if isinstance(e, ToolStart)]
        self.stand = Stand()
        self.response: dict[str, Any] | None = None
        self.between = False

    def take(self, name: str, event: dict[str, Any]) -> None:
        """Read one event.

        Raises:
            UNPLAIN: it says what no event of ours does.
        """
        stand = self.stand
        stand.number = event["sequence_number"] + 1
        if name in ("created", "in_progress"):
            self.response = event["response"]
            return
        number: int = event["output_index"]
        if name == "output_item.added":
            self._added(number, event["item"])
        elif name == "output_item.done":
            self._done(number, event["item"])
        elif name.startswith("function_call_arguments."):
            call = next(c for c in stand.calls.values() if c.number == number)
            self._piece(name, call.arguments.add, event)
        elif name.startswith("reasoning_summary_"):
            self._summary(name.removeprefix("reasoning_summary_"), event)
        elif stand.message is None or stand.message.number != number:
            raise _Unplain
        else:
            self._said(name, stand.message, event)

    def _added(self, number: int, item: dict[str, Any]) -> None:
        stand = self.stand
        if number != len(stand.output) or self.between:
            raise _Unplain
        stand.output.append(item)
        stand.open.add(number)
        match item["type"]:
            case "message":
                stand.message = Message(number, item["id"])
            case "reasoning":
                stand.thought = Thought(number, item["id"], self._next)
            case "function_call":
                tool = {"name": item["name"]}
                index = self._calls[len(stand.calls)]
                stand.calls[index] = OpenCall(number, item["id"], item["call_id"], tool)
            case _:
                raise _Unplain

    def _done(self, number: int, item: dict[str, Any]) -> None:
        stand = self.stand
        stand.open.remove(number)
        stand.output[number] = item
        self.between = False
        if stand.message is not None and stand.message.number == number:
            stand.message = None
        if stand.thought is not None and stand.thought.number == number:
            stand.thought = None

    def _piece(self, name: str, add: Callable[[str], object], event: dict[str, Any]) -> None:
        """A piece of text or arguments, or all of it once more."""
        if name.endswith(".delta"):
            add(event["delta"])
        else:
            self.between = True

    def _said(self, name: str, message: Message, event: dict[str, Any]) -> None:
        part = message.part
        if name == "content_part.added":
            kind = event["part"]["type"]
            if part is not None or kind not in ("output_text", "refusal"):
                raise _Unplain
            at = {key: event[key] for key in ("item_id", "output_index", "content_index")}
            self.stand.refused = self.stand.refused or kind == "refusal"
            message.part = Part(self._next, at, is_text=kind == "output_text")
        elif part is None:
            raise _Unplain
        elif name == "content_part.done":
            message.parts.append(event["part"])
            message.part, self.between = None, False
        elif name in ("output_text.delta", "output_text.done", "refusal.delta", "refusal.done"):
            if event.get("logprobs"):
                raise _Unplain
            self._piece(name, part.pieces.append, event)
            part.index = self._texts[-1]
        else:
            raise _Unplain

    def _summary(self, name: str, event: dict[str, Any]) -> None:
        thought = self.stand.thought
        if thought is None or event["summary_index"] != 0:
            self.between = True  # of several parts, until the item is done
        elif name == "part.added":
            self.between = True  # until its first letters
        elif name == "text.delta":
            thought.pieces.append(event["delta"])
            thought.index, self.between = self._thoughts[-1], False
        else:
            self.between = True
