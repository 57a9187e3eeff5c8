"""Ollama's replies as they are on the wire, and what their words mean here.

One struct reads a whole reply and a line of a stream: both are the same object, the last
of which is `done`. Every member is optional and unknown ones are read over; counts are
kept raw, so that a bad one never costs the reply it came with.

A reply has no id: one is made of `created_at`, which counts nanoseconds.

Reference: https://docs.ollama.com/api/chat

Not promised: log probabilities, images that a model makes.
"""

import re
from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.arguments import input_text
from octoplex.dialects.broken import named
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.shapes import WireUsage, usage_of
from octoplex.dialects.openai_chat.toolcalls import made_id
from octoplex.wire.event import StopReason, ToolUse, Usage

_STOPS: dict[str, StopReason] = {"stop": "end", "length": "length"}
_NOT_DIGITS = re.compile(r"[^0-9]")


class _Function(Struct, gc=False):
    name: str = ""
    arguments: Raw = Raw()


class _Call(Struct, gc=False):
    function: _Function
    id: str = ""


class Said(Struct):
    """A message, or what a line adds to it."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class Wire(Struct):
    """A whole reply, or one line of a stream."""

    model: str = ""
    created_at: str = ""
    message: Said | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: Raw = Raw()
    eval_count: Raw = Raw()
    error: Raw = Raw()


read_wire = msgspec.json.Decoder(Wire).decode
_read_count: Callable[[Raw], int | float] = msgspec.json.Decoder(int | float).decode
_NOTHING = Said()


class Made:
    """What one reply is given: its id, and ids for its calls, the same for the same bytes."""

    __slots__ = ("_calls", "_stamp", "_taken")

    def __init__(self, wire: Wire) -> None:
        self._stamp = _NOT_DIGITS.sub("", wire.created_at)
        self._taken: set[str] = set()
        self._calls = 0

    @property
    def id(self) -> str:
        """The reply's id."""
        return f"ollama-{self._stamp}" if self._stamp else ""

    def uses(self, wire: Wire) -> list[ToolUse]:
        """The tool calls of a reply or a line."""
        found: list[ToolUse] = []
        for call in (wire.message or _NOTHING).tool_calls or ():
            id_ = made_id(call.id, self._stamp, self._calls, self._taken)
            name, arguments = named(call.function.name), input_text(call.function.arguments)
            found.append(ToolUse(id_, name, arguments))
            self._calls += 1
        return found

    def stop(self, wire: Wire) -> StopReason:
        """Why it stopped, after its calls were given ids; an unknown reason is a plain end."""
        stop = _STOPS.get(wire.done_reason or "stop", "end")
        return "tool" if stop == "end" and self._calls else stop


def usage_in(wire: Wire) -> Usage | None:
    """What was counted; None when a count is missing."""
    read, wrote = _count(wire.prompt_eval_count), _count(wire.eval_count)
    if read is None or wrote is None:
        return None
    return usage_of(WireUsage(prompt_tokens=read, completion_tokens=wrote))


def _count(raw: Raw) -> int | float | None:
    try:
        return _read_count(raw)
    except UNREADABLE:
        return None
