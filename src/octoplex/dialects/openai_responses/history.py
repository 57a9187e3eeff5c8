"""The `input` of a Responses request -> our messages.

Items of the assistant that follow each other (reasoning, messages, calls) are one turn;
so are tool results and a user's message right after them. Calls of the tools that the
caller runs itself (custom, shell, patch, computer) become tool calls like any other, with
what they were called with as JSON, so that another provider can go on from there.

What is left has no meaning elsewhere. Calls that the provider ran itself are hints: their
fruits are in the text after them. So is a history that another provider compacted: its
cipher says nothing elsewhere, and the user's messages stand beside it. Everything else
(approvals, kinds not yet invented) changes the answer and is refused elsewhere. Either is
named by its place, `input[3]`.

Reference: https://developers.openai.com/api/reference/resources/responses/methods/create

Members that only this dialect has stand beside what they are members of (`native.py`): those of
a message beside its first part, since items become turns.

Not promised: members of reasoning, and of an output that is no text.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.media import read_file, read_image
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.native import Known, named, reader
from octoplex.dialects.openai_responses.calls import CALLS, CUSTOM, OF_ONE_TOOL
from octoplex.dialects.openai_responses.namespaces import joined
from octoplex.dialects.openai_responses.reasoning import read_reasoning
from octoplex.dialects.openai_responses.shapes import NOTHING, given, read_item
from octoplex.dialects.readers import Found, complaint
from octoplex.dialects.signed_ids import unsign
from octoplex.wire.chat import (
    Beside,
    Media,
    Message,
    Part,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
)
from octoplex.wire.error import InvalidCall
from octoplex.wire.event import Refusal, ToolUse

_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_ROLES: dict[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
}
_OUTPUTS = frozenset(
    {"function_call_output", "custom_tool_call_output", *(f"{name}_output" for name in OF_ONE_TOOL)}
)
_MADE_ELSEWHERE = frozenset(
    {
        "code_interpreter_call",
        "compaction",
        "file_search_call",
        "image_generation_call",
        "mcp_call",
        "mcp_list_tools",
        "web_search_call",
    }
)
"""Calls of tools that the provider ran, and what it made for itself."""
_NONE = (NOTHING, Raw(b"null"), Raw(b"[]"))
IN_MESSAGE = "message."
"""Before the name of what stands beside a message's content, not in a part of it."""
_EPHEMERAL = Raw(b'{"type":"ephemeral"}')
"""Our word for a cache breakpoint is Anthropic's."""


class _Audio(Known):
    data: str
    format: str


class _Part(Known):
    type: str
    text: str | None = None
    refusal: str | None = None
    annotations: Raw = NOTHING
    logprobs: Raw = NOTHING
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None
    input_audio: Raw = NOTHING
    prompt_cache_breakpoint: dict[str, Raw] | None = None


class _Kind(Struct):
    type: str | None = None
    role: str | None = None


class _Message(Known):
    role: str
    content: str | list[Raw]
    type: str | None = None
    id: str | None = None
    status: str | None = None


class _Call(Known):
    type: str | None = None
    id: str | None = None
    status: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | dict[str, Raw] | None = None
    input: str = ""
    action: Raw = NOTHING
    operation: Raw = NOTHING


class _Output(Known):
    type: str | None = None
    id: str | None = None
    status: str | None = None
    call_id: str | None = None
    output: Raw = NOTHING


_input = msgspec.json.Decoder(str | list[Raw]).decode
_kind = msgspec.json.Decoder(_Kind).decode
_part = reader(_Part)
_read_audio = reader(_Audio)
_message = reader(_Message)
_call = reader(_Call)
_output = reader(_Output)
_text_or_parts = msgspec.json.Decoder(str | list[Raw]).decode
_json = msgspec.json.Encoder().encode


def read_input(raw: Raw, found: Found) -> None:
    """Read every item into `messages`; what has no meaning elsewhere into `extra`, `native`.

    Raises:
        InvalidCall: naming the path of the part that means nothing.
    """
    items = _input(raw)
    turns = _Turns()
    if isinstance(items, str):
        turns.add("user", (TextPart(items),))
        items = []
    for number, item in enumerate(items):
        path = f"input[{number}]"
        try:
            known = _read(item, path, turns)
        except UNREADABLE as error:
            raise complaint(error, path) from None
        if known is not None:
            found.setdefault(known, {})[path] = item
    found["messages"] = turns.messages


class _Turns:
    """The turns so far, and whether the last one ends with tool results."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._after_result = False

    def add(self, role: Role, parts: tuple[Part, ...], *, result: bool = False) -> None:
        last = self.messages[-1].role if self.messages else None
        same = role == last == "assistant" or (role == last == "user" and self._after_result)
        if same:
            self.messages[-1] = Message(role, self.messages[-1].parts + parts)
        else:
            self.messages.append(Message(role, parts))
        self._after_result = result


def _read(raw: Raw, path: str, turns: _Turns) -> str | None:
    """Read an item; return where it belongs instead of the turns."""
    head = _kind(raw)
    kind = head.type or ("message" if head.role is not None else "item_reference")
    if kind == "message":
        _read_message(raw, path, turns)
    elif kind == "reasoning":
        thinking = read_reasoning(read_item(raw))
        if thinking is not None:
            turns.add("assistant", (thinking,))
    elif kind in CALLS:
        turns.add("assistant", (_read_call(raw, kind, path),))
    elif kind in _OUTPUTS:
        turns.add("user", (_read_output(raw, path),), result=True)
    elif kind == "item_reference":
        raise InvalidCall(
            f"`{path}` refers to an item that is not kept here; send the item itself.", param=path
        )
    else:
        return "extra" if kind in _MADE_ELSEWHERE else "native"
    return None


def _read_message(raw: Raw, path: str, turns: _Turns) -> None:
    message = _message(raw)
    role = _ROLES.get(message.role)
    if role is None:
        raise _wrong(f"{path}.role", f"{message.role!r} is none of {', '.join(_ROLES)}")
    parts = _parts(message.content, f"{path}.content")
    turns.add(role, _with(parts, message.beside) if message.beside else parts)


def _with(parts: tuple[Part, ...], beside: Beside) -> tuple[Part, ...]:
    """The parts of a message, its members beside the first one that is text."""
    first = next((p for p in parts if isinstance(p, TextPart | Media)), None)
    if first is None:
        return parts
    told = {**(first.beside or {}), **named(IN_MESSAGE, beside)}
    return tuple(msgspec.structs.replace(p, beside=told) if p is first else p for p in parts)


def _read_call(raw: Raw, kind: str, path: str) -> ToolCall:
    call = _call(raw)
    id_, signature = unsign(_need(call.call_id or call.id, f"{path}.call_id"))
    if kind in OF_ONE_TOOL:
        name, member = OF_ONE_TOOL[kind]
        given_with = bytes(getattr(call, member))
        arguments = msgspec.json.format(given_with, indent=-1).decode() if given_with else "{}"
        return ToolCall(ToolUse(id_, name, arguments, signature), beside=call.beside)
    name = _need(call.name, f"{path}.name")
    if kind == CUSTOM:
        given_with = _json({"input": call.input})
        use = ToolUse(id_, name, given_with.decode(), signature)
        return ToolCall(use, beside=call.beside)
    text = call.arguments
    if isinstance(text, dict):
        text = _json(text).decode()
    use = ToolUse(id_, joined(call.namespace, name), text or "{}", signature)
    return ToolCall(use, beside=call.beside)


def _read_output(raw: Raw, path: str) -> ToolResult:
    found = _output(raw)
    id_, _ = unsign(_need(found.call_id or found.id, f"{path}.call_id"))
    output = found.output
    if not given(output):
        return ToolResult(id_, (), beside=found.beside)
    try:
        content = _text_or_parts(output) or []
        if isinstance(content, list) and any(_kind(raw).type is None for raw in content):
            content = None  # what a shell wrote
    except UNREADABLE:
        content = None
    if content is None:
        return ToolResult(id_, _other_output(output), beside=found.beside)
    parts = _parts(content, f"{path}.output")
    kept = tuple(p for p in parts if isinstance(p, TextPart | Media))
    return ToolResult(id_, kept, beside=found.beside)


def _other_output(output: Raw) -> tuple[TextPart | Media, ...]:
    """A screenshot as the image it is; what a shell wrote as its JSON."""
    try:
        shot = _part(output)
    except UNREADABLE:
        shot = _Part("")
    media = _image(shot, None)
    if media is not None:
        return (media,)
    return (TextPart(msgspec.json.format(bytes(output), indent=-1).decode()),)


def _parts(content: str | list[Raw], path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(_read_part(raw, f"{path}[{n}]") for n, raw in enumerate(content))


def _read_part(raw: Raw, path: str) -> Part:
    try:
        part = _part(raw)
    except UNREADABLE as error:
        raise complaint(error, path) from None
    found, beside = _meaning(part, path), part.beside or {}
    told = {"annotations": part.annotations, "logprobs": part.logprobs}
    if part.type == "input_file" and part.detail is not None:
        told["detail"] = Raw(_json(part.detail))
    beside |= {name: raw for name, raw in told.items() if raw not in _NONE}
    if beside and isinstance(found, TextPart | Media):
        return msgspec.structs.replace(found, beside={**(found.beside or {}), **beside})
    return found


def _meaning(part: _Part, path: str) -> Part:
    cache = None if part.prompt_cache_breakpoint is None else _EPHEMERAL
    found: Part | None
    match part.type:
        case "input_text" | "output_text" | "text" | "summary_text":
            found = None if part.text is None else TextPart(part.text, cache)
        case "refusal":
            found = None if part.refusal is None else Refusal(part.refusal)
        case "input_image":
            found = _image(part, cache)
        case "input_file":
            found = _file(part, cache)
        case "input_audio":
            found = _audio(part, path)
        case other:
            raise _wrong(f"{path}.type", f"{other!r} is none of input_text, input_image, "
                         "input_file, input_audio, output_text, refusal")  # fmt: skip
    if found is None:
        raise _wrong(path, f"a part of type {part.type!r} needs its content")
    return found


def _image(part: _Part, cache: Raw | None) -> Media | None:
    detail = None if part.detail == "auto" else part.detail
    if part.image_url is not None:
        return read_image(part.image_url, detail, cache)
    if part.file_id is None:
        return None
    return Media(kind="image", file_id=part.file_id, detail=detail, cache=cache)


def _file(part: _Part, cache: Raw | None) -> Media | None:
    if part.file_data is not None:
        return read_file(part.file_data, part.filename, cache)
    if part.file_id is None and part.file_url is None:
        return None
    return Media(
        kind="document",
        url=part.file_url,
        file_id=None if part.file_url else part.file_id,
        title=part.filename,
        cache=cache,
    )


def _audio(part: _Part, path: str) -> Media | None:
    if not given(part.input_audio):
        return None
    try:
        audio = _read_audio(part.input_audio)
    except UNREADABLE as error:
        raise complaint(error, f"{path}.input_audio") from None
    if audio.format not in _AUDIO:
        return None
    beside = named("input_audio.", audio.beside) or None
    return Media(kind="audio", data=audio.data, media_type=_AUDIO[audio.format], beside=beside)


def _need(value: str | None, path: str) -> str:
    if not value:
        raise _wrong(path, "it is missing; send what the reply had")
    return value


def _wrong(path: str, why: str) -> InvalidCall:
    return InvalidCall(f"`{path}`: {why}.", param=path)
