"""The `system` and `messages` of a caller's request -> our messages.

What only this dialect has stays in its place (`native.py`). Blocks of tools that the provider
ran itself are hints elsewhere: their fruits are in the text after them. A search result and a
summary of what was compacted keep their text, a document that is made of blocks its texts and
images. A block of any other kind (an upload to a
container, kinds not yet invented) changes the answer and is refused elsewhere, named by its place.

Reference: https://platform.claude.com/docs/en/api/messages

Not promised: members of thinking.
"""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.anthropic.complaint import missing, read, wrong
from octoplex.dialects.anthropic.shapes import NOTHING, given
from octoplex.dialects.anthropic.tool_ids import from_wire
from octoplex.dialects.arguments import input_text
from octoplex.dialects.native import Known, named, reader
from octoplex.dialects.signed_ids import unsign
from octoplex.wire.chat import (
    Beside,
    Media,
    Message,
    Native,
    Part,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
)
from octoplex.wire.event import Thinking, ToolUse

Means = tuple[TextPart | Media | Native, ...]
IN_SOURCE = "source."
"""Before the name of what stands in a source, not beside it."""


class _Turn(Known):
    role: str
    content: str | list[Raw]


class _Kind(Struct):
    type: str


class _Text(Known):
    type: str
    text: str
    cache_control: Raw = NOTHING


class _Source(Known):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[Raw] | None = None


class _Media(Known):
    type: str
    source: Raw
    title: str | None = None
    cache_control: Raw = NOTHING


class _Use(Known):
    type: str
    id: str
    name: str
    input: Raw = NOTHING
    cache_control: Raw = NOTHING


class _Result(Known):
    type: str
    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None
    cache_control: Raw = NOTHING


class _Thinking(Struct):
    thinking: str
    signature: str = ""


class _Redacted(Struct):
    data: str


class _Found(Struct):
    """A search result; its `source` is an address."""

    content: list[Raw]
    title: str = ""
    source: str = ""
    citations: Raw = NOTHING
    cache_control: Raw = NOTHING


class _Compacted(Struct):
    """What the provider made of earlier turns, in words."""

    content: str | None = None
    encrypted_content: str | None = None
    cache_control: Raw = NOTHING


_turns = msgspec.json.Decoder(list[Raw]).decode
_turn = reader(_Turn)
_kind = msgspec.json.Decoder(_Kind).decode
_text = reader(_Text)
_media = reader(_Media)
_source = reader(_Source)
_use = reader(_Use)
_result = reader(_Result)
_thinking = msgspec.json.Decoder(_Thinking).decode
_redacted = msgspec.json.Decoder(_Redacted).decode
_found = msgspec.json.Decoder(_Found).decode
_compacted = msgspec.json.Decoder(_Compacted).decode
_content = msgspec.json.Decoder(str | list[Raw]).decode

_RUN_THERE = frozenset(
    {"fallback", "mcp_tool_listing", "mcp_tool_use", "server_tool_use", "tool_reference"}
)
"""With `*_tool_result`: what the provider did itself, and what it made for itself."""
_DIRECTLY = b'"direct"'

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


def read_system(raw: Raw) -> list[Message]:
    """The system turn, none when it is empty."""
    parts = _parts(read(_content, raw, "system"), "system")
    return [Message("system", parts)] if parts else []


def read_messages(raw: Raw) -> list[Message]:
    """Every turn, in order.

    Raises:
        InvalidCall: naming the path of what means nothing.
    """
    messages: list[Message] = []
    for number, item in enumerate(read(_turns, raw, "messages")):
        path = f"messages.{number}"
        turn = read(_turn, item, path)
        role = _ROLES.get(turn.role)
        if role is None:
            raise wrong(f"{path}.role", turn.role, "user or assistant")
        parts = _parts(turn.content, f"{path}.content")
        messages.append(Message(role, parts, beside=turn.beside))
    return messages


def _parts(content: str | list[Raw], path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(_part(raw, f"{path}.{number}") for number, raw in enumerate(content))


def _part(raw: Raw, path: str) -> Part:
    kind = read(_kind, raw, path).type
    reads = _READERS.get(kind)
    if reads is not None:
        return reads(raw, path)
    if kind in _RUN_THERE or kind.endswith("_tool_result"):
        return Native(raw, "extra", kind)
    return Native(raw, "native", path)


def _text_part(raw: Raw, path: str) -> Part:
    block = read(_text, raw, path)
    return TextPart(block.text, _cache(block.cache_control), block.beside)


def _media_part(raw: Raw, path: str) -> Part:
    block = read(_media, raw, path)
    source = read(_source, block.source, f"{path}.source")
    if source.type == "content" and (odd := _mixed(raw, block, source, path)) is not None:
        return odd
    beside = {**(_unless_off(block.beside) or {}), **named(IN_SOURCE, source.beside)}
    about: dict[str, Any] = {
        "kind": block.type,
        "title": block.title,
        "cache": _cache(block.cache_control),
        "beside": beside or None,
    }
    path += ".source"
    match source.type:
        case "base64":
            about["data"] = _need(source.data, f"{path}.data", "base64")
            about["media_type"] = source.media_type
        case "url":
            about["url"] = _need(source.url, f"{path}.url", "an address")
        case "file":
            about["file_id"] = _need(source.file_id, f"{path}.file_id", "a file's id")
        case "text" | "content":
            about["data"] = b64encode(_plain(source, path).encode("utf-8", "replace")).decode()
            about["media_type"] = "text/plain"
        case other:
            raise wrong(f"{path}.type", other, "base64, url, file or text")
    return Media(**about)


def _mixed(raw: Raw, block: _Media, source: _Source, path: str) -> Native | None:
    """A document made of more than plain texts: elsewhere its parts by themselves."""
    content = source.content
    parts = _parts(content, f"{path}.source.content") if isinstance(content, list) else ()
    if all(isinstance(p, TextPart) and p.cache is None and p.beside is None for p in parts):
        return None
    about = _unless_off(block.beside) or {}
    lost = [
        Native(raw, "native" if name == "citations" else "extra", f"document.{name}")
        for name in about
    ]
    title = () if block.title is None else (TextPart(block.title),)
    return Native(raw, "", means=(*lost, *title, *_shown(parts, block.cache_control)))


def _unless_off(beside: Beside | None) -> Beside | None:
    """Without `citations` that are switched off."""
    if beside is None or "citations" not in beside or _is_on(beside["citations"]):
        return beside
    return {name: raw for name, raw in beside.items() if name != "citations"} or None


def _is_on(citations: Raw) -> bool:
    return given(citations) and b"true" in bytes(citations)


def _plain(source: _Source, path: str) -> str:
    """The text of a document that is text; of one made of blocks, what is text in it."""
    if source.type == "text":
        return _need(source.data, f"{path}.data", "text")
    content = source.content
    if content is None:
        raise missing(f"{path}.content", "text or blocks")
    parts = _parts(content, f"{path}.content")
    return "\n".join(p.text for p in parts if isinstance(p, TextPart))


def _need(value: str | None, path: str, wanted: str) -> str:
    if value is None:
        raise missing(path, wanted)
    return value


def _use_part(raw: Raw, path: str) -> Part:
    block = read(_use, raw, path)
    id_, signature = unsign(block.id)
    use = ToolUse(from_wire(id_), block.name, input_text(block.input), signature)
    beside = block.beside
    if beside is not None and _DIRECTLY in bytes(beside.get("caller", b"")):
        beside = {name: raw for name, raw in beside.items() if name != "caller"} or None
    return ToolCall(use, _cache(block.cache_control), beside)


def _result_part(raw: Raw, path: str) -> Part:
    block = read(_result, raw, path)
    inner = _parts([] if block.content is None else block.content, f"{path}.content")
    return ToolResult(
        id=from_wire(unsign(block.tool_use_id)[0]),
        parts=tuple(p for p in inner if isinstance(p, TextPart | Media | Native)),
        failed=bool(block.is_error),
        cache=_cache(block.cache_control),
        beside=block.beside,
    )


def _thinking_part(raw: Raw, path: str) -> Part:
    block = read(_thinking, raw, path)
    return Thinking(block.thinking, block.signature)


def _redacted_part(raw: Raw, path: str) -> Part:
    return Thinking(data=read(_redacted, raw, path).data)


def _search_part(raw: Raw, path: str) -> Part:
    """A search result is text elsewhere; to have the answer cite it changes the answer."""
    block = read(_found, raw, path)
    means: Means = (TextPart(f"{block.title}\n{block.source}".strip()),)
    means += _shown(_parts(block.content, f"{path}.content"), block.cache_control)
    if _is_on(block.citations):
        return Native(raw, "native", "search_result.citations", means)
    return Native(raw, "", means=means)


def _compacted_part(raw: Raw, path: str) -> Part:
    """A summary; a cipher says nothing elsewhere, and nothing is left of what it stood for."""
    block = read(_compacted, raw, path)
    if not block.content and block.encrypted_content:
        return Native(raw, "native", path)
    said = (TextPart(block.content),) if block.content else ()
    return Native(raw, "", means=_shown(said, block.cache_control))


def _shown(parts: tuple[Part, ...], cache: Raw) -> Means:
    """What elsewhere stands for a block of these parts, with its cache breakpoint at their end."""
    means = [p for p in parts if isinstance(p, TextPart | Media | Native)]
    last = means[-1] if means else None
    if given(cache) and isinstance(last, TextPart | Media):
        means[-1] = msgspec.structs.replace(last, cache=cache)
    return tuple(means)


def _cache(raw: Raw) -> Raw | None:
    return raw if given(raw) else None


_READERS: dict[str, Callable[[Raw, str], Part]] = {
    "text": _text_part,
    "image": _media_part,
    "document": _media_part,
    "tool_use": _use_part,
    "tool_result": _result_part,
    "thinking": _thinking_part,
    "redacted_thinking": _redacted_part,
    "search_result": _search_part,
    "compaction": _compacted_part,
}
