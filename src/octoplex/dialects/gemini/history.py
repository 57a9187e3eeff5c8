"""The `contents` of a caller's request -> our messages.

Calls and results without an id, which older clients send, are matched by their order: a
result answers the first call of its name, in the turn before it, that has no answer yet.
A result is what stands under `output`, or failed with what stands under `error`; any other
object is the result itself. Proofs of thoughts are read by `signatures.py`.

Google's own clients keep a stream as one content per event: what the model said without a
break is one turn here, because OpenAI takes no result that is not next to all its calls.

What only this dialect has stays in its place (`native.py`). Parts of tools that the provider
ran itself (code and its result) are hints elsewhere: their fruits are in the text after them. A
part of any other kind changes the answer and is refused elsewhere, named by its place. So is
video here, because nothing else in the view could stand for it.

Reference: https://ai.google.dev/api/caching#Content

Not promised: members of what stands in lists of data.
"""

import contextlib
from typing import Literal

import msgspec
from msgspec import Raw

from octoplex.dialects.arguments import input_text
from octoplex.dialects.gemini import signatures
from octoplex.dialects.gemini.names import items, members, plainly, read
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.native import Known, named, reader, unknown
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
from octoplex.wire.error import InvalidCall, Unsupported
from octoplex.wire.event import Thinking, ToolUse

Kind = Literal["image", "document", "audio"]

_ROLES: dict[str, Role] = {"user": "user", "function": "user", "model": "assistant"}
_KINDS: dict[str, Kind] = {"image": "image", "audio": "audio"}
_RUN_THERE = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
"""What the provider did itself: code that it wrote and ran, tools of its own."""
_OF_CONTENT = frozenset({"parts", "role"})
_OF_PART = frozenset(
    {"text", "thought", "thoughtSignature", "functionCall", "functionResponse"}
    | {"inlineData", "fileData"}
)
IN_PART = "part."
"""Before the name of what stands beside a call or a result, not in it."""
IN_DATA, IN_FILE = "inlineData.", "fileData."
"""Before the name of what stands in bytes or in the address of some, not beside it."""
_FILES = "https://generativelanguage.googleapis.com/"


class _Blob(Known):
    mimeType: str = ""  # noqa: N815 - the wire's name
    data: str = ""
    displayName: str | None = None  # noqa: N815


class _File(Known):
    fileUri: str  # noqa: N815
    mimeType: str | None = None  # noqa: N815
    displayName: str | None = None  # noqa: N815


class _Call(Known):
    name: str
    id: str | None = None
    args: Raw = Raw()


class _Response(Known):
    name: str = ""
    id: str | None = None
    response: Raw = Raw()
    parts: Raw = Raw()


_encode = msgspec.json.Encoder().encode
_text = msgspec.json.Decoder(str).decode
_flag = msgspec.json.Decoder(bool).decode
_blob = reader(_Blob)
_file = reader(_File)
_call = reader(_Call)
_response = reader(_Response)
Parts = dict[str, Raw]


def read_system(raw: Raw) -> list[Message]:
    """The system turn, none when it is empty."""
    path = "systemInstruction"
    content = members(raw, path)
    parts = _Reader().parts(content, path)
    return [Message("system", parts, beside=unknown(content, _OF_CONTENT) or None)] if parts else []


def read_contents(raw: Raw) -> list[Message]:
    """Every turn, in order.

    Raises:
        InvalidCall: naming the path of what means nothing.
        Unsupported: a video.
    """
    reader = _Reader()
    messages: list[Message] = []
    for number, item in enumerate(items(raw, "contents")):
        path = f"contents[{number}]"
        content = members(item, path)
        said = _string(content["role"], f"{path}.role") if "role" in content else "user"
        role = _ROLES.get(said.lower())
        if role is None:
            raise InvalidCall(
                f"`{path}.role` is {said!r}; send user or model.", param=f"{path}.role"
            )
        reader.turn = number
        parts = reader.parts(content, path)
        beside = unknown(content, _OF_CONTENT)
        if role == "assistant" and messages and messages[-1].role == role:
            last = messages[-1]
            beside = {**(last.beside or {}), **beside}
            messages[-1] = Message(role, _one_turn(last.parts, parts), beside=beside or None)
        else:
            messages.append(Message(role, parts, beside=beside or None))
    return messages


def _one_turn(first: tuple[Part, ...], more: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts of two contents of the model that follow each other, texts joined."""
    last, following = first[-1] if first else None, more[0] if more else None
    if isinstance(last, TextPart) and isinstance(following, TextPart):
        beside = {**(last.beside or {}), **(following.beside or {})} or None
        return (*first[:-1], TextPart(last.text + following.text, beside=beside), *more[1:])
    return (*first, *more)


class _Reader:
    """Reads parts, and remembers which calls wait for their results."""

    def __init__(self) -> None:
        self.turn = 0
        self._waiting: list[tuple[str, str]] = []
        """Name and id of each call without an answer."""

    def parts(self, content: Parts, path: str) -> tuple[Part, ...]:
        """The parts of one content."""
        found: list[Part] = []
        raw = content.get("parts")
        for number, item in enumerate(items(raw, f"{path}.parts") if raw else ()):
            where = f"{path}.parts[{number}]"
            part = members(item, where)
            if "functionCall" in part:
                found.append(self._call(part, where, number))
            elif "functionResponse" in part:
                found.append(self._result(part, where))
            elif not part.keys() <= _OF_PART and _holds_no_text(part):
                found.append(Native(item, "extra", where))
            elif "text" in part or part.keys() <= {"thought", "thoughtSignature"}:
                _add_text(part, where, found)
            else:
                found.append(_media(part, where) or _native(item, part, where))
        return tuple(found)

    def _call(self, part: Parts, path: str, number: int) -> ToolCall:
        call = read(_call, part["functionCall"], f"{path}.functionCall")
        id_ = call.id or f"call_{self.turn}_{number}"
        self._waiting.append((call.name, id_))
        signature = signatures.of_call(_signature(part, path))
        use = ToolUse(id_, call.name, input_text(call.args), signature)
        return ToolCall(use, beside=_beside(part, call))

    def _result(self, part: Parts, path: str) -> ToolResult:
        path = f"{path}.functionResponse"
        said = read(_response, part["functionResponse"], path)
        id_ = said.id or next((i for name, i in self._waiting if name == said.name), said.name)
        self._waiting = [call for call in self._waiting if call[1] != id_]
        text, failed = _outcome(said.response, path)
        parts: list[TextPart | Media | Native] = [TextPart(text)] if text else []
        for number, item in enumerate(items(said.parts, f"{path}.parts") if said.parts else ()):
            where = f"{path}.parts[{number}]"
            inner = members(item, where)
            parts.append(_media(inner, where) or _native(item, inner, where))
        return ToolResult(id_, tuple(parts), failed, beside=_beside(part, said))


def _beside(part: Parts, inner: Known) -> Beside | None:
    """What is not known of a call or a result, and of the part that it is in."""
    return {**(inner.beside or {}), **named(IN_PART, unknown(part, _OF_PART))} or None


def _holds_no_text(part: Parts) -> bool:
    """Whether a part is a thought, or a proof of one beside an empty text."""
    return bytes(part.get("thought", b"")) == b"true" or bytes(part.get("text", b"")) == b'""'


def _native(item: Raw, part: Parts, path: str) -> Native:
    """A part that only this dialect has."""
    ran = next((kind for kind in _RUN_THERE if kind in part), None)
    return Native(item, "native", path) if ran is None else Native(item, "extra", ran)


def _outcome(response: Raw, path: str) -> tuple[str, bool]:
    """The text of a result, and whether it is a failure."""
    if not response:
        return "", False
    found = members(response, f"{path}.response")
    if len(found) == 1:
        for name in ("output", "error"):
            if name in found:
                return _plain(found[name]), name == "error"
    return _plain(response), False


def _plain(raw: Raw) -> str:
    """A JSON value as a model should read it: a string bare, nothing in escapes of ASCII."""
    text = bytes(raw)
    if text[:1] == b'"':
        return _text(raw)
    if b"\\u" in text:
        with contextlib.suppress(*UNREADABLE):
            text = msgspec.json.encode(msgspec.json.decode(raw))
    return text.decode("utf-8", "replace")


def _add_text(part: Parts, path: str, found: list[Part]) -> None:
    text = _string(part["text"], f"{path}.text") if "text" in part else ""
    signature = _signature(part, path)
    if "thought" in part and plainly(_flag, part["thought"], f"{path}.thought"):
        thought = signatures.from_wire(signature, text) if signature else Thinking(text)
        whole = signatures.joined(found[-1] if found else None, thought)
        if whole is not None:
            found[-1] = whole
        else:
            found.append(thought)
        return
    if text:
        found.append(TextPart(text, beside=unknown(part, _OF_PART) or None))
    if signature:
        found.append(signatures.from_wire(signature, ""))


def _media(part: Parts, path: str) -> Media | None:
    beside = unknown(part, _OF_PART)
    if "inlineData" in part:
        blob = read(_blob, part["inlineData"], f"{path}.inlineData")
        kind = _kind(blob.mimeType, path)
        media_type = blob.mimeType or None
        title, more = _title(kind, blob)
        beside |= named(IN_DATA, more)
        return Media(
            kind=kind, data=blob.data, media_type=media_type, title=title, beside=beside or None
        )
    if "fileData" in part:
        file = read(_file, part["fileData"], f"{path}.fileData")
        uri, kind = file.fileUri, _kind(file.mimeType or "", path)
        title, more = _title(kind, file)
        beside |= named(IN_FILE, more)
        elsewhere = uri.startswith(("https://", "http://", "data:")) and not uri.startswith(_FILES)
        return Media(
            kind=kind,
            url=uri if elsewhere else None,
            file_id=None if elsewhere else uri,
            media_type=file.mimeType,
            title=title,
            beside=beside or None,
        )
    return None


def _title(kind: Kind, data: _Blob | _File) -> tuple[str | None, Beside]:
    """The name of a document; that of anything else is one of the members that others lack."""
    if kind == "document" or data.displayName is None:
        return data.displayName, data.beside or {}
    return None, {**(data.beside or {}), "displayName": Raw(_encode(data.displayName))}


def _kind(media_type: str, path: str) -> Kind:
    family = media_type.partition("/")[0]
    if family == "video":
        raise Unsupported(
            f"`{path}` is a video, which this target cannot be sent. Choose a Gemini model.",
            param=path,
        )
    return _KINDS.get(family, "document")


def _signature(part: Parts, path: str) -> str:
    raw = part.get("thoughtSignature")
    return _string(raw, f"{path}.thoughtSignature") if raw else ""


def _string(raw: Raw, path: str) -> str:
    return plainly(_text, raw, path)
