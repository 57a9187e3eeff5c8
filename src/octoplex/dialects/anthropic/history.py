"""The `system` and `messages` of a caller's request -> our messages.

Blocks of a kind that is not known here (tools that the provider ran itself, uploads of
a container) are left out of the typed view: no other provider could make sense of them.
A search result that a tool returned keeps its text.

Reference: https://platform.claude.com/docs/en/api/messages

Not promised: citations, `context` and other members of blocks; a call that must be
understood, instead of passed on, loses them.
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
from octoplex.dialects.signed_ids import unsign
from octoplex.wire.chat import Media, Message, Part, Role, TextPart, ToolCall, ToolResult
from octoplex.wire.event import Thinking, ToolUse


class _Turn(Struct):
    role: str
    content: str | list[Raw]


class _Kind(Struct):
    type: str


class _Text(Struct):
    text: str
    cache_control: Raw = NOTHING


class _Source(Struct):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[Raw] | None = None


class _Media(Struct):
    type: str
    source: _Source
    title: str | None = None
    cache_control: Raw = NOTHING


class _Use(Struct):
    id: str
    name: str
    input: Raw = NOTHING
    cache_control: Raw = NOTHING


class _Result(Struct):
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


_turns = msgspec.json.Decoder(list[Raw]).decode
_turn = msgspec.json.Decoder(_Turn).decode
_kind = msgspec.json.Decoder(_Kind).decode
_text = msgspec.json.Decoder(_Text).decode
_media = msgspec.json.Decoder(_Media).decode
_use = msgspec.json.Decoder(_Use).decode
_result = msgspec.json.Decoder(_Result).decode
_thinking = msgspec.json.Decoder(_Thinking).decode
_redacted = msgspec.json.Decoder(_Redacted).decode
_found = msgspec.json.Decoder(_Found).decode
_content = msgspec.json.Decoder(str | list[Raw]).decode

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
        messages.append(Message(role, _parts(turn.content, f"{path}.content")))
    return messages


def _parts(content: str | list[Raw], path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    found = [_part(raw, f"{path}.{number}") for number, raw in enumerate(content)]
    return tuple(part for parts in found for part in parts)


def _part(raw: Raw, path: str) -> tuple[Part, ...]:
    reader = _READERS.get(read(_kind, raw, path).type)
    return () if reader is None else reader(raw, path)


def _text_part(raw: Raw, path: str) -> tuple[Part, ...]:
    block = read(_text, raw, path)
    return (TextPart(block.text, _cache(block.cache_control)),)


def _media_part(raw: Raw, path: str) -> tuple[Part, ...]:
    block = read(_media, raw, path)
    source = block.source
    about: dict[str, Any] = {
        "kind": block.type,
        "title": block.title,
        "cache": _cache(block.cache_control),
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
    return (Media(**about),)


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


def _use_part(raw: Raw, path: str) -> tuple[Part, ...]:
    block = read(_use, raw, path)
    id_, signature = unsign(block.id)
    use = ToolUse(from_wire(id_), block.name, input_text(block.input), signature)
    return (ToolCall(use, _cache(block.cache_control)),)


def _result_part(raw: Raw, path: str) -> tuple[Part, ...]:
    block = read(_result, raw, path)
    inner = _parts([] if block.content is None else block.content, f"{path}.content")
    return (
        ToolResult(
            id=from_wire(unsign(block.tool_use_id)[0]),
            parts=tuple(p for p in inner if isinstance(p, TextPart | Media)),
            failed=bool(block.is_error),
            cache=_cache(block.cache_control),
        ),
    )


def _thinking_part(raw: Raw, path: str) -> tuple[Part, ...]:
    block = read(_thinking, raw, path)
    return (Thinking(block.thinking, block.signature),)


def _redacted_part(raw: Raw, path: str) -> tuple[Part, ...]:
    return (Thinking(data=read(_redacted, raw, path).data),)


def _search_part(raw: Raw, path: str) -> tuple[Part, ...]:
    block = read(_found, raw, path)
    head = TextPart(f"{block.title}\n{block.source}".strip())
    return (head, *_parts(block.content, f"{path}.content"))


def _cache(raw: Raw) -> Raw | None:
    return raw if given(raw) else None


_READERS: dict[str, Callable[[Raw, str], tuple[Part, ...]]] = {
    "text": _text_part,
    "image": _media_part,
    "document": _media_part,
    "tool_use": _use_part,
    "tool_result": _result_part,
    "thinking": _thinking_part,
    "redacted_thinking": _redacted_part,
    "search_result": _search_part,
}
