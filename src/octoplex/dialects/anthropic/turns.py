"""Our messages -> `system` and `messages` of a request.

- System and developer turns go to the top-level `system`, in their order, wherever in
  the conversation they stood: not every model takes `role: "system"` further down. A
  caller of this dialect who put one there knows his model, so there it stays.
- Turns of one role that follow each other become one, which the API would do itself;
  tool results come first in it, because they must directly follow their tool calls.
- Thinking is echoed byte for byte when it is signed. Without a signature Anthropic did
  not make it, and it is dropped and named, unless the vendor takes bare text back.
- Empty and blank texts are left out; the API refuses them.
- A chat of system turns alone becomes one user turn, since there must be one.

Reference: https://platform.claude.com/docs/en/api/messages and
https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use

Not promised: that every tool call has its result; that is the provider's verdict.
"""

from base64 import b64decode
from collections.abc import Iterable

from msgspec import Raw

from octoplex.dialects.anthropic.history import IN_SOURCE
from octoplex.dialects.anthropic.thinking import is_echo, is_signed
from octoplex.dialects.anthropic.tool_ids import to_wire
from octoplex.dialects.arguments import input_object
from octoplex.dialects.expression import Omissions, says
from octoplex.dialects.media import source_of
from octoplex.dialects.media_types import media_type_of
from octoplex.dialects.native import as_it_came, taken_from, with_beside
from octoplex.wire.chat import Media, Message, Native, Part, TextPart, ToolCall, ToolResult
from octoplex.wire.event import Refusal, Thinking

Body = dict[str, object]
Turns = list[tuple[str, list[Body]]]


def write_turns(
    messages: Iterable[Message], omissions: Omissions, *, native: bool, echoes: bool = False
) -> tuple[list[Body], list[Body]]:
    """Write the system blocks and the turns.

    `native` says that the caller speaks this dialect: its file ids mean something here,
    and its system turns stay where they stand once the conversation has begun. `echoes`: the
    vendor wants thinking back, and signs nothing.

    Raises:
        Unsupported: a part cannot be expressed, or nothing is said at all.
    """
    writer = _Parts(omissions, native, echoes)
    system: list[Body] = []
    turns: Turns = []
    for message in messages:
        if message.name is not None:
            omissions.leave_out("message.name")
        if message.beside is not None:  # turns may merge
            for name in message.beside:
                omissions.leave_out("extra", f"message.{name}")
        blocks = [b for p in message.parts if (b := writer.write(p)) is not None]
        role = "system" if message.role == "developer" else message.role
        if role == "system" and not (native and turns):
            system += blocks
        elif turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, blocks))
    if not turns and not system:
        raise omissions.empty()
    if not turns:
        turns, system = [("user", system)], []
    return system, [_turn(role, blocks) for role, blocks in turns]


def _turn(role: str, blocks: list[Body]) -> Body:
    if role == "user":
        blocks.sort(key=lambda b: b["type"] != "tool_result")  # stable: the rest keeps its order
    return {"role": role, "content": _shortest(blocks)}


def _shortest(blocks: list[Body]) -> object:
    """A lone plain text as a string: every server behind this dialect takes it."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


class _Parts:
    """Writes parts as content blocks, and remembers what it had to leave out."""

    def __init__(self, omissions: Omissions, native: bool, echoes: bool) -> None:
        self._omissions, self._native, self._echoes = omissions, native, echoes

    def write(self, part: Part) -> Body | None:
        match part:
            case TextPart(text=text, cache=cache):
                block = _cached(_text(text), cache)
                return block if part.beside is None or block is None else {**part.beside, **block}
            case Refusal(text=text):
                return _text(text)
            case Media():
                return self._media(part)
            case ToolResult():
                return self._result(part)
            case ToolCall(use=use, cache=cache):
                called: Body = {"type": "tool_use", "id": to_wire(use.id), "name": use.name}
                called["input"] = input_object(use.arguments)
                return _cached(with_beside(called, part.beside), cache)
            case Thinking():
                return self._thinking(part)
            case Native():
                return as_it_came(part)

    def _thinking(self, part: Thinking) -> Body | None:
        if self._echoes and is_echo(part):
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
        if not is_signed(part):
            self._omissions.leave_out("thinking_history")
            return None
        if part.data:
            return {"type": "redacted_thinking", "data": part.data}
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}

    def _result(self, part: ToolResult) -> Body:
        block: Body = {"type": "tool_result", "tool_use_id": to_wire(part.id)}
        inner = [b for p in part.parts if (b := self.write(p)) is not None]
        if inner:
            block["content"] = _shortest(inner)
        if part.failed:
            block["is_error"] = True
        return with_beside(_cached(block, part.cache) or block, part.beside)

    def _media(self, media: Media) -> Body | None:
        if media.detail is not None:
            self._omissions.leave_out("image.detail")
        field = f"{media.kind}.{source_of(media)}"
        source = _source(media) if says(self._omissions.dialect, field) else None
        if source is None or (media.file_id is not None and not self._native):
            self._omissions.leave_out(field)
            return None
        beside, within = taken_from(media.beside, IN_SOURCE)
        block: Body = {"type": media.kind, "source": with_beside(source, within)}
        if media.title is not None and media.kind == "document":
            block["title"] = media.title
        return _cached(with_beside(block, beside), media.cache)


def _text(text: str) -> Body | None:
    return {"type": "text", "text": text} if text.strip() else None


def _cached(block: Body | None, cache: Raw | None) -> Body | None:
    if block is not None and cache is not None:
        block["cache_control"] = cache
    return block


def _source(media: Media) -> Body | None:
    if media.file_id is not None:
        return {"type": "file", "file_id": media.file_id}
    if media.url is not None:
        return {"type": "url", "url": media.url}
    data = media.data or ""
    kind = media_type_of(media)
    if media.kind == "document" and kind.startswith("text/"):
        return _plain_text(data)
    return {"type": "base64", "media_type": kind, "data": data}


def _plain_text(data: str) -> Body | None:
    """Plain text is the one source that is not base64."""
    try:
        text = b64decode(data).decode("utf-8", "replace")
    except ValueError:
        return None
    return {"type": "text", "media_type": "text/plain", "data": text}
