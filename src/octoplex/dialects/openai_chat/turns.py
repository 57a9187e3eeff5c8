"""The `messages` of a Chat request -> turns.

Consecutive `tool` messages, and a user message right after them, become one user turn:
that is where our words, and Anthropic's, have tool results. Earlier thinking is taken
from `reasoning_details` (signed, see `reasoning.py`), else from `reasoning_content` or
`reasoning`. Every complaint names the JSON path of what it is about.

Reference: https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages

Members of a message, a part or a tool call that only this dialect, or one provider of it, has
(`prefix`, an earlier reply's `audio`, `annotations`, Google's `extra_content`) stay beside the
others (`native.py`).

Not promised: members of a part's address that are not named here.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from octoplex.dialects.media import read_file, read_image
from octoplex.dialects.native import Known, gathered, named, names_of
from octoplex.dialects.openai_chat.reasoning import read_detail
from octoplex.dialects.openai_chat.shapes import UNREADABLE, ReasoningDetail
from octoplex.dialects.readers import complaint
from octoplex.dialects.signed_ids import unsign
from octoplex.wire.chat import Media, Message, Part, Role, TextPart, ToolCall, ToolResult
from octoplex.wire.error import InvalidCall
from octoplex.wire.event import Refusal, Thinking, ToolUse

IN_FUNCTION = "function."
"""Before the name of what stands in a function, not beside it."""
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}


class _Image(Known):
    url: str
    detail: str | None = None


class _Audio(Known):
    data: str
    format: str


class _File(Known):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _Part(Known):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _Image | str | None = None
    input_audio: _Audio | None = None
    file: _File | None = None
    cache_control: dict[str, Raw] | None = None


class _Function(Known):
    name: str
    arguments: str | dict[str, Raw] | None = None


class _Call(Known):
    id: str = ""
    index: int | None = None  # of a stream that was gathered
    type: str = "function"
    function: _Function | None = None


class _Message(Known):
    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    function_call: dict[str, Raw] | None = None


_read = msgspec.json.Decoder(list[_Message]).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_OF_MESSAGE, _OF_PART = names_of(_Message), names_of(_Part)
_OF_CALL, _OF_FUNCTION = names_of(_Call), names_of(_Function)
_DEEPER = {kind: names_of(cls) for kind, cls in
           (("image_url", _Image), ("input_audio", _Audio), ("file", _File))}  # fmt: skip
"""What stands in a part of this kind -> the names of its members."""
_encode = msgspec.json.Encoder().encode
_SYSTEM: dict[str, Role] = {"system": "system", "developer": "developer"}


def read_messages(raw: Raw) -> tuple[Message, ...]:
    """Read every turn.

    Raises:
        InvalidCall: naming the path of the part that means nothing.
    """
    try:
        messages = _understood(raw)
    except UNREADABLE as error:
        raise complaint(error, "messages") from None
    turns: list[Message] = []
    after_tools = False
    for number, message in enumerate(messages):
        turn = _turn(message, f"messages[{number}]")
        if after_tools and turn.role == "user" and turn.name is None:
            beside = {**(turns[-1].beside or {}), **(turn.beside or {})} or None
            turns[-1] = Message("user", turns[-1].parts + turn.parts, beside=beside)
        else:
            turns.append(turn)
        after_tools = message.role == "tool"
    return tuple(turns)


def _understood(raw: Raw) -> list[_Message]:
    """The messages, with what is not known here beside the rest."""
    try:
        return _read(raw)
    except msgspec.ValidationError:
        turns = [_sorted(turn, _OF_MESSAGE) for turn in _items(raw)]
        return _read(_encode(turns))


def _sorted(raw: Raw, known: frozenset[str]) -> object:
    """An object with what is not known beside the rest, down to parts and calls; else as it is."""
    if bytes(raw)[:1] != b"{":
        return raw
    members = gathered(_members(raw), known)
    for name, inner in _DEEPER.items() if known is _OF_PART else ():
        if name in members:
            members[name] = Raw(_encode(_sorted(members[name], inner)))
    for name, inner in (("content", _OF_PART), ("tool_calls", _OF_CALL)):
        held = members.get(name)
        if held and bytes(held)[:1] == b"[":
            members[name] = Raw(_encode([_sorted(one, inner) for one in _items(held)]))
    if known is _OF_CALL and "function" in members:
        members["function"] = Raw(_encode(_sorted(members["function"], _OF_FUNCTION)))
    return members


def _turn(message: _Message, path: str) -> Message:
    name, beside = message.name, message.beside
    match message.role:
        case "user":
            return Message("user", _parts(message.content, path), name, beside)
        case "assistant":
            return Message("assistant", tuple(_said(message, path)), name, beside)
        case "system" | "developer":
            return Message(_SYSTEM[message.role], _parts(message.content, path), name, beside)
        case "tool":
            return Message("user", (_result(message, path),), beside=beside)
        case "function":
            raise _wrong(f"{path}.role", "function messages are retired: send role `tool`")
    raise _wrong(f"{path}.role", f"{message.role!r} is none of system, developer, user, "
                 "assistant, tool")  # fmt: skip


def _result(message: _Message, path: str) -> ToolResult:
    if not message.tool_call_id:
        raise _wrong(f"{path}.tool_call_id", "send the id of the tool call this answers")
    parts = _parts(message.content, path) if message.content else ()
    held = tuple(p for p in parts if isinstance(p, TextPart | Media))
    return ToolResult(unsign(message.tool_call_id)[0], held)


def _said(message: _Message, path: str) -> Iterable[Part]:
    """The parts of an assistant's message: thinking, text, refusal, tool calls."""
    if message.function_call is not None:
        raise _wrong(f"{path}.function_call", "function_call is retired: send `tool_calls`")
    if message.reasoning_details:
        yield from (read_detail(d) for d in message.reasoning_details)
    elif thought := message.reasoning_content or message.reasoning:
        yield Thinking(thought)
    if message.content:
        yield from _parts(message.content, path)
    if message.refusal:
        yield Refusal(message.refusal)
    for number, call in enumerate(message.tool_calls or ()):
        yield _call(call, f"{path}.tool_calls[{number}]")


def _call(call: _Call, path: str) -> ToolCall:
    if call.function is None:
        raise _wrong(path, f"calls of type {call.type!r} cannot be carried; send `function`")
    if not call.id:
        raise _wrong(f"{path}.id", "send the id that the tool call had in the reply")
    arguments = call.function.arguments
    if isinstance(arguments, dict):
        arguments = _encode(arguments).decode()
    id_, signature = unsign(call.id)
    beside = {**(call.beside or {}), **named(IN_FUNCTION, call.function.beside)}
    use = ToolUse(id_, call.function.name, arguments or "{}", signature)
    return ToolCall(use, beside=beside or None)


def _parts(content: str | list[_Part] | None, path: str) -> tuple[Part, ...]:
    if content is None:
        raise _wrong(f"{path}.content", "send text, or a list of parts")
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(_part(p, f"{path}.content[{n}]") for n, p in enumerate(content))


def _part(part: _Part, path: str) -> Part:
    cache = None if part.cache_control is None else Raw(_encode(part.cache_control))
    if part.type == "text" and part.text is not None:
        return TextPart(part.text, cache, part.beside)
    if part.type == "refusal" and part.refusal is not None:
        return Refusal(part.refusal)
    media = _media(part, path, cache)
    if media is not None:
        within = getattr(getattr(part, part.type), "beside", None)
        beside = {**(part.beside or {}), **named(f"{part.type}.", within)}
        return msgspec.structs.replace(media, beside=beside) if beside else media
    if part.type in ("text", "refusal", "image_url", "input_audio", "file"):
        raise _wrong(f"{path}.{part.type}", f"a part of type {part.type!r} needs this member")
    raise _wrong(f"{path}.type", f"{part.type!r} is none of text, image_url, input_audio, file, "
                 "refusal")  # fmt: skip


def _media(part: _Part, path: str, cache: Raw | None) -> Media | None:
    if part.type == "image_url" and part.image_url is not None:
        return _image(part.image_url, cache)
    if part.type == "input_audio" and part.input_audio is not None:
        return _audio(part.input_audio, path)
    if part.type == "file" and part.file is not None:
        return _file(part.file, path, cache)
    return None


def _image(image: _Image | str, cache: Raw | None) -> Media:
    url, detail = (image, None) if isinstance(image, str) else (image.url, image.detail)
    return read_image(url, detail, cache)


def _audio(audio: _Audio, path: str) -> Media:
    if audio.format not in _AUDIO:
        raise _wrong(f"{path}.input_audio.format", f"{audio.format!r} is none of wav, mp3")
    return Media(kind="audio", data=audio.data, media_type=_AUDIO[audio.format])


def _file(file: _File, path: str, cache: Raw | None) -> Media:
    if file.file_id is not None:
        return Media(kind="document", file_id=file.file_id, title=file.filename, cache=cache)
    if file.file_data is None:
        raise _wrong(f"{path}.file", "send `file_data` or `file_id`")
    return read_file(file.file_data, file.filename, cache)


def _wrong(path: str, why: str) -> InvalidCall:
    return InvalidCall(f"`{path}`: {why}.", param=path)
