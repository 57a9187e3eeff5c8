"""Our messages -> `systemInstruction` and `contents` of a request.

- System and developer turns go to `systemInstruction`, in their order, wherever they stood.
- Turns of one role that follow each other become one. Tool results come first in it, in the
  order of the calls they answer, because models without call ids match them by their order.
- A result is `{"output": text}`, or `{"error": text}` of a tool that failed. Media that a tool
  returned go into the result where the family takes them, else after the results.
- Thinking goes back where Gemini signed it; what another provider made is dropped and named.
  From the third generation on the first call of a step must be signed: where no signature
  came back, the documented substitute stands in (`signatures.py`).
- Empty texts are left out. A chat of system turns alone becomes one user turn.

Reference: https://ai.google.dev/api/caching#Content and
https://ai.google.dev/gemini-api/docs/function-calling

Not promised: that every tool call has its result; that is the provider's verdict.
"""

from collections.abc import Iterable

from octoplex.dialects.arguments import input_object
from octoplex.dialects.expression import Omissions
from octoplex.dialects.gemini.families import Family
from octoplex.dialects.gemini.history import IN_DATA, IN_FILE, IN_PART
from octoplex.dialects.gemini.shapes import Body
from octoplex.dialects.gemini.signatures import SUBSTITUTE, own
from octoplex.dialects.media import source_of
from octoplex.dialects.media_types import media_type_of
from octoplex.dialects.native import as_it_came, taken_from, with_beside
from octoplex.wire.chat import Beside, Media, Message, Native, Part, TextPart, ToolCall, ToolResult
from octoplex.wire.event import Refusal, Thinking, ToolUse

_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "aiff": "audio/aiff",
    "pdf": "application/pdf",
    "json": "application/json",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
}
"""Endings of files -> the types that the API documents."""
_BEGINNINGS: dict[str, tuple[str, ...]] = {
    "image": ("image/",),
    "audio": ("audio/",),
    "document": ("application/", "text/"),
}
_ROLES = {"user": "user", "assistant": "model"}


def write_turns(
    messages: Iterable[Message], family: Family, omissions: Omissions, *, native: bool
) -> tuple[list[Body], list[Body]]:
    """Write the system parts and the turns.

    `native` says that the caller speaks this dialect: its files and its unsigned thoughts
    mean something here.

    Raises:
        Unsupported: a part cannot be expressed.
    """
    writer = _Writer(family, omissions, native)
    for message in messages:
        writer.add(message)
    return writer.finished()


class _Writer:
    """The turns written so far, and the functions that results will name."""

    def __init__(self, family: Family, omissions: Omissions, native: bool) -> None:
        self._family, self._omissions, self._native = family, omissions, native
        self._system: list[Body] = []
        self._turns: list[tuple[str, list[Body]]] = []
        self._names: dict[str, str] = {}
        """Id of a call -> its function's name."""

    def add(self, message: Message) -> None:
        """Write one turn, or add it to the last one of its role."""
        if message.name is not None:
            self._omissions.leave_out("message.name")
        for name in message.beside or ():  # turns may merge
            self._omissions.leave_out("extra", f"message.{name}")
        role = _ROLES.get(message.role, "")
        parts = self._system
        if role and self._turns and self._turns[-1][0] == role:
            parts = self._turns[-1][1]
        elif role:
            parts = []
        for part in message.parts:
            self._part(part, parts)
        if role and parts and not (self._turns and self._turns[-1][1] is parts):
            self._turns.append((role, parts))

    def finished(self) -> tuple[list[Body], list[Body]]:
        """The system parts and the turns, in the order that the API wants.

        Raises:
            Unsupported: nothing is said at all.
        """
        if not self._turns and not self._system:
            raise self._omissions.empty()
        if not self._turns:
            self._turns, self._system = [("user", self._system)], []
        calls: list[Body] = []
        for role, parts in self._turns:
            if role == "user":
                _put_in_order(parts, calls)
                continue
            calls = [part for part in parts if "functionCall" in part]
            if calls and self._family.signs_calls:
                calls[0].setdefault("thoughtSignature", SUBSTITUTE)
        return self._system, [{"role": role, "parts": parts} for role, parts in self._turns]

    def _part(self, part: Part, parts: list[Body]) -> None:
        match part:
            case TextPart(text=text, cache=cache):
                self._hint("cache_control", cache)
                if text:
                    parts.append(with_beside({"text": text}, part.beside))
            case Refusal(text=text):
                if text:
                    parts.append({"text": text})
            case Media():
                self._media(part, parts)
            case ToolCall(use=use, cache=cache):
                self._hint("cache_control", cache)
                parts.append(self._call(use, part.beside))
            case ToolResult():
                self._result(part, parts)
            case Thinking():
                self._thinking(part, parts)
            case Native():
                parts.append(as_it_came(part))

    def _hint(self, field: str, value: object) -> None:
        if value is not None:
            self._omissions.leave_out(field)

    def _call(self, use: ToolUse, beside: Beside | None) -> Body:
        self._names[use.id] = use.name
        arguments = input_object(use.arguments)
        call: Body = {"id": use.id, "name": use.name, "args": arguments}
        within, around = taken_from(beside, IN_PART)
        part: Body = {**around, "functionCall": with_beside(call, within)}
        if use.signature:
            part["thoughtSignature"] = use.signature
        return part

    def _result(self, result: ToolResult, parts: list[Body]) -> None:
        self._hint("cache_control", result.cache)
        media: list[Body] = []
        texts: list[str] = []
        for part in result.parts:
            if isinstance(part, TextPart):
                self._hint("cache_control", part.cache)
                texts.append(part.text)
            elif isinstance(part, Media):
                self._media(part, media)
            else:
                media.append(as_it_came(part))
        name = self._names.get(result.id, result.id)
        said = {"error" if result.failed else "output": "\n".join(texts)}
        written: Body = {"id": result.id, "name": name, "response": said}
        if media and self._family.signs_calls:
            written["parts"] = media
            media = []
        within, around = taken_from(result.beside, IN_PART)
        parts += [{**around, "functionResponse": with_beside(written, within)}, *media]

    def _thinking(self, thinking: Thinking, parts: list[Body]) -> None:
        signature = own(thinking)
        if signature is None and (not self._native or thinking.signature or thinking.data):
            self._omissions.leave_out("thinking_history")
            return
        last = parts[-1] if parts else {}
        if not thinking.text and last.keys() == {"text"}:
            last["thoughtSignature"] = signature
            return
        part: Body = {"text": thinking.text}
        if thinking.text:
            part["thought"] = True
        if signature:
            part["thoughtSignature"] = signature
        parts.append(part)

    def _media(self, media: Media, parts: list[Body]) -> None:
        self._hint("cache_control", media.cache)
        self._hint("image.detail", media.detail)
        named: Body = {}
        if self._native and media.title is not None:
            named["displayName"] = media.title
        elif media.kind == "document":
            self._hint("document.title", media.title)
        source = source_of(media)
        if source == "data":
            beside, within = taken_from(media.beside, IN_DATA)
            data = {"mimeType": media_type_of(media), "data": media.data or "", **named}
            parts.append(with_beside({"inlineData": with_beside(data, within)}, beside))
        elif source == "url" or self._native:
            beside, within = taken_from(media.beside, IN_FILE)
            uri = media.url or media.file_id or ""
            file = {"mimeType": _type_at(uri, media), "fileUri": uri, **named}
            parts.append(with_beside({"fileData": with_beside(file, within)}, beside))
        else:
            self._omissions.leave_out(f"{media.kind}.{source}")


def _type_at(uri: str, media: Media) -> str:
    """The media type of a file: as said, else by the name at its address, if it fits."""
    if not media.media_type:
        name = uri.partition("#")[0].partition("?")[0]
        kind = _TYPES.get(name.rpartition(".")[2].lower(), "")
        if kind.startswith(_BEGINNINGS[media.kind]):
            return kind
        if media.kind == "audio":
            return "audio/wav"
    return media_type_of(media)


def _put_in_order(parts: list[Body], calls: list[Body]) -> None:
    """Put results first, in the order of the calls of the turn before; the rest stays."""
    places = {_id_in(call, "functionCall"): place for place, call in enumerate(calls)}

    def place_of(part: Body) -> int:
        if "functionResponse" not in part:
            return len(calls) + 1
        return places.get(_id_in(part, "functionResponse"), len(calls))

    parts.sort(key=place_of)


def _id_in(part: Body, member: str) -> object:
    inner = part[member]
    return inner["id"] if isinstance(inner, dict) else None
