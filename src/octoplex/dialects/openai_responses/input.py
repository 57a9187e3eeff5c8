"""Turns -> the `input` of a Responses request.

Each part becomes an item, in its order; texts of a user's turn gather in one message,
after the results of tools. A result may hold images. A failed one is marked in its text,
since there is no member for it. Thinking goes back only to who made it (`reasoning.py`).

Reference: https://developers.openai.com/api/reference/resources/responses/methods/create

Not promised: that every tool call has its result; that is the provider's verdict.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from octoplex.dialects.expression import Omissions
from octoplex.dialects.media import FAILED, file_of, image_url, source_of
from octoplex.dialects.native import taken_from, with_beside
from octoplex.dialects.openai_responses.history import IN_MESSAGE
from octoplex.dialects.openai_responses.reasoning import own_item
from octoplex.wire.chat import Beside, Media, Message, Part, TextPart, ToolCall, ToolResult
from octoplex.wire.event import Refusal, Thinking

Body = dict[str, object]
_LONGEST_ID = 64


def write_input(messages: Iterable[Message], omissions: Omissions, dialect: str) -> list[Body]:
    """Write every turn; `dialect` is the caller's, whose file ids and breakpoints may be ours.

    Raises:
        Unsupported: a part cannot be expressed.
    """
    writer = _Writer(omissions, dialect)
    for message in messages:
        writer.add(message)
    return writer.written


class _Writer:
    """The items written so far."""

    def __init__(self, omissions: Omissions, dialect: str) -> None:
        self.written: list[Body] = []
        self._omissions = omissions
        self._native = dialect in ("", omissions.dialect)
        self._knows_files = self._native or dialect == "openai-chat"

    def add(self, message: Message) -> None:
        if message.name is not None:
            self._omissions.leave_out("message.name")
        if message.role == "assistant":
            for part in message.parts:
                self._said(part)
            return
        rest: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                self._result(part)
            else:
                rest.append(part)
        if rest or not message.parts:
            around: Beside = {}
            for part in rest:
                around |= taken_from(getattr(part, "beside", None), IN_MESSAGE)[1]
            self._put(message.role, self._content(rest), around)

    def _put(self, role: str, content: object, beside: Beside | None = None) -> None:
        written: Body = {"type": "message", "role": role, "content": content}
        self.written.append(with_beside(written, beside))

    def _said(self, part: Part) -> None:
        """A part of an assistant's turn."""
        match part:
            case TextPart(text=text, cache=cache):
                if cache is not None:
                    self._omissions.leave_out("cache_control")
                within, around = taken_from(part.beside, IN_MESSAGE)
                told: Body = {"type": "output_text", "text": text, **within}
                self._put("assistant", [told] if within else text, around)
            case Refusal(text=text):
                self._put("assistant", [{"type": "refusal", "refusal": text}])
            case ToolCall():
                self._call(part)
            case Thinking():
                item = own_item(part)
                if item is None:
                    self._omissions.leave_out("thinking_history")
                else:
                    self.written.append(item)
            case Media():
                self._omissions.leave_out(f"{part.kind}.{source_of(part)}", why="by the assistant")

    def _call(self, call: ToolCall) -> None:
        if call.cache is not None:
            self._omissions.leave_out("cache_control")
        item: Body = {"type": "function_call", "call_id": short_id(call.use.id)}
        item |= {"name": call.use.name, "arguments": call.use.arguments or "{}"}
        self.written.append(with_beside(item, call.beside))

    def _result(self, result: ToolResult) -> None:
        if result.cache is not None:
            self._omissions.leave_out("cache_control")
        parts: list[Part] = list(result.parts)
        if result.failed:
            first = parts[0] if parts else None
            if isinstance(first, TextPart):
                parts[0] = TextPart(FAILED + first.text, first.cache)
            else:
                parts.insert(0, TextPart(FAILED))
        output = self._content(parts)
        item: Body = {"type": "function_call_output", "call_id": short_id(result.id)}
        self.written.append(with_beside(item | {"output": output}, result.beside))

    def _content(self, parts: Sequence[Part]) -> object:
        """One string where that says it all, else a list of parts."""
        written = [w for p in parts if (w := self._part(p)) is not None]
        if len(written) == 1 and written[0].keys() == {"type", "text"}:
            return written[0]["text"]
        return written or ""

    def _part(self, part: Part) -> Body | None:
        written: Body | None = None
        if isinstance(part, TextPart | Refusal):
            written = {"type": "input_text", "text": part.text}
        elif isinstance(part, Media):
            written = self._media(part)
        cache = getattr(part, "cache", None)
        if written is None:
            return None
        written |= taken_from(getattr(part, "beside", None), IN_MESSAGE)[0]
        if cache is None:
            return written
        if self._native:
            return written | {"prompt_cache_breakpoint": {"mode": "explicit"}}
        self._omissions.leave_out("cache_control")
        return written

    def _media(self, media: Media) -> Body | None:
        source = source_of(media)
        if media.kind == "audio" or (source == "file_id" and not self._knows_files):
            self._omissions.leave_out(f"{media.kind}.{source}")
            return None
        if media.kind == "image":
            where: Body = {"file_id": media.file_id}
            if source != "file_id":
                where = {"image_url": image_url(media)}
            return {"type": "input_image", **where, "detail": media.detail or "auto"}
        if source == "data":
            return {"type": "input_file", **file_of(media)}
        if media.title is not None and not self._native:
            self._omissions.leave_out("document.title")
        name = "file_url" if source == "url" else source
        return {"type": "input_file", name: media.url or media.file_id}


def short_id(id_: str) -> str:
    """The id of a tool call as the API takes it; equal ids stay equal, so results match."""
    if len(id_) <= _LONGEST_ID:
        return id_
    digest = blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=16)
    return f"call_{digest.hexdigest()}"
