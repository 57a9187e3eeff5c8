"""Our messages -> `system` and `messages` of a Converse request.

- System and developer turns go to the top-level `system`, in their order.
- Turns of one role that follow each other become one, because roles must alternate; tool
  results come first in it, because they must directly follow their tool calls.
- A cache breakpoint is a block of its own after the part that has it (`cachePoint`); one
  inside a tool result moves after the result.
- Thinking is echoed byte for byte to Claude when it is signed; signatures are good on
  every platform that serves Claude. Any other thinking is dropped and named.
- Blank texts are left out; the API refuses them.
- A chat of system turns alone becomes one user turn, since there must be one.

Reference: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html

Not promised: that every tool call has its result, or that a turn with a document has the
text it needs; that is the provider's verdict. That a redacted block made by Anthropic's own
API is one here.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.anthropic.thinking import is_signed
from octoplex.dialects.arguments import input_object
from octoplex.dialects.bedrock_converse.media import Names, media_block
from octoplex.dialects.bedrock_converse.models import Model
from octoplex.dialects.expression import Omissions
from octoplex.dialects.members import UNREADABLE
from octoplex.wire.chat import Media, Message, Native, Part, TextPart, ToolCall, ToolResult
from octoplex.wire.event import Refusal, Thinking

Body = dict[str, object]
Unit = list[Body]
"""A block, and the cache point after it."""

_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class _Cache(Struct):
    ttl: str | None = None


_read_cache = msgspec.json.Decoder(_Cache).decode


def write_turns(
    messages: Iterable[Message], model: Model, omissions: Omissions
) -> tuple[list[Body], list[Body]]:
    """Write the system blocks and the turns.

    Raises:
        Unsupported: a part cannot be expressed.
    """
    writer = Writer(model, omissions)
    system: list[Unit] = []
    turns: list[tuple[str, list[Unit]]] = []
    for message in messages:
        if message.name is not None:
            omissions.leave_out("message.name")
        units = writer.units(message.parts)
        if message.role in ("system", "developer"):
            system += units
        elif turns and turns[-1][0] == message.role:
            turns[-1][1].extend(units)
        elif units:
            turns.append((message.role, units))
    if not turns and system:
        turns, system = [("user", system)], []
    return _flat(system), [{"role": role, "content": _flat(units)} for role, units in turns]


def _flat(units: list[Unit]) -> list[Body]:
    """The blocks, those of tool results first; all else keeps its order."""
    units = sorted(units, key=lambda unit: "toolResult" not in unit[0])
    return [block for unit in units for block in unit]


class Writer:
    """Writes parts as content blocks, and remembers what it had to leave out."""

    def __init__(self, model: Model, omissions: Omissions) -> None:
        self._model, self._omissions = model, omissions
        self._names = Names()

    def units(self, parts: Iterable[Part]) -> list[Unit]:
        """The blocks of some parts, each with its cache point."""
        written = ((self._block(part), _cache_of(part)) for part in parts)
        may = self._model.caches
        return [[block, *self.points(cache, may)] for block, cache in written if block is not None]

    def points(self, cache: Raw | None, may: bool) -> list[Body]:
        """The cache point a breakpoint stands for: one, or none."""
        if cache is None:
            return []
        if not may:
            self._omissions.leave_out("cache_control")
            return []
        point: Body = {"type": "default"}
        try:
            ttl = _read_cache(cache).ttl
        except UNREADABLE:
            ttl = None
        if ttl is not None and self._model.caches_hours:
            point["ttl"] = ttl
        elif ttl not in (None, "5m"):
            self._omissions.leave_out("cache_control", "cache_control.ttl")
        return [{"cachePoint": point}]

    def _block(self, part: Part) -> Body | None:
        match part:
            case TextPart(text=text) | Refusal(text=text):
                return {"text": text} if text.strip() else None
            case Media():
                return media_block(part, self._names, self._omissions)
            case ToolCall(use=use):
                input_ = input_object(use.arguments)
                return {
                    "toolUse": {"toolUseId": tool_id(use.id), "name": use.name, "input": input_}
                }
            case ToolResult():
                return {"toolResult": self._result(part)}
            case Thinking():
                return self._thinking(part)
            case Native():
                return None  # no caller speaks this dialect

    def _result(self, part: ToolResult) -> Body:
        content = [b for p in part.parts if (b := self._block(p)) is not None]
        result: Body = {"toolUseId": tool_id(part.id), "content": content}
        return result | {"status": "error"} if part.failed else result

    def _thinking(self, part: Thinking) -> Body | None:
        if self._model.maker != "claude" or not is_signed(part):
            self._omissions.leave_out("thinking_history")
            return None
        if part.data:
            return {"reasoningContent": {"redactedContent": part.data}}
        text = {"text": part.text, "signature": part.signature}
        return {"reasoningContent": {"reasoningText": text}}


def tool_id(id_: str) -> str:
    """The id as the API takes it; equal ids stay equal, so calls and results match."""
    if _ID.fullmatch(id_):
        return id_
    return "octo_" + blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _cache_of(part: Part) -> Raw | None:
    if isinstance(part, ToolResult):
        inner = [cache for p in part.parts if (cache := _cache_of(p)) is not None]
        return part.cache or (inner[-1] if inner else None)
    return None if isinstance(part, Thinking | Refusal | Native) else part.cache
