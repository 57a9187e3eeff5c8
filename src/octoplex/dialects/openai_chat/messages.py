"""Turns -> the `messages` of a Chat request.

Our user turn holds tool results as parts; this dialect wants each as a message of
role `tool` directly after the assistant's turn, so a user turn becomes its results
first and the rest after. A `tool` message holds text only: media that a tool returned
follow in the next user message, introduced by one line that names the tool call. A
failed result is marked in its text, since there is no member for it.

Earlier thinking is dropped and named, unless the provider wants it back (quirks
`echo_reasoning`, `echo_tool_reasoning`, `echo_reasoning_details`).

Reference: https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages

Not promised: the order of text and tool calls within one assistant turn (the dialect
has one `content` and one `tool_calls`).
"""

import re
from base64 import b32encode
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from msgspec import Raw

from octoplex.dialects.expression import Omissions, says
from octoplex.dialects.foreign import made_by
from octoplex.dialects.media import FAILED, file_of, image_url, source_of
from octoplex.dialects.native import taken_from, with_beside
from octoplex.dialects.openai_chat.reasoning import write_details
from octoplex.dialects.openai_chat.turns import IN_FUNCTION
from octoplex.wire.chat import Beside, Media, Message, Part, TextPart, ToolCall, ToolResult
from octoplex.wire.event import Refusal, Thinking

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")
_AUDIO = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}

_WITH_ITS_FILES = frozenset({"", "openai-chat", "openai-responses"})
"""Callers whose ids of files mean something here."""

Body = dict[str, object]
Quirks = frozenset[str]


def write_messages(
    messages: Iterable[Message], quirks: Quirks, omissions: Omissions, dialect: str = ""
) -> list[Body]:
    """Write every turn; `dialect` is the caller's, whose ids of files may be OpenAI's.

    Raises:
        Unsupported: a part cannot be expressed.
    """
    turns = list(messages)
    if "echo_tool_reasoning" in quirks and any(_calls(turn) for turn in turns):
        quirks |= {"echo_reasoning"}
    writer = _Writer(quirks, omissions, dialect in _WITH_ITS_FILES)
    for turn in turns:
        writer.add(turn)
    return writer.written


def short_id(id_: str) -> str:
    """The id in nine letters and digits: the same one for the same id, for others another.

    One that is so already stays; of any other it is 45 bits of a hash.
    """
    if _SHORT_ID.fullmatch(id_):
        return id_
    digest = blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return b32encode(digest)[:9].decode()


def _calls(message: Message) -> list[ToolCall]:
    return [p for p in message.parts if isinstance(p, ToolCall)]


class _Writer:
    """The messages written so far, and what the provider's row says."""

    def __init__(self, quirks: Quirks, omissions: Omissions, knows_files: bool) -> None:
        self.written: list[Body] = []
        self._quirks, self._omissions, self._knows_files = quirks, omissions, knows_files

    def add(self, message: Message) -> None:
        if message.role == "assistant":
            self._assistant(message)
        elif message.role == "user":
            self._user(message)
        else:
            role = message.role if "developer_role" in self._quirks else "system"
            self._put(role, self._content(message.parts), message)

    def _put(self, role: str, content: object, message: Message) -> None:
        written: Body = {"role": role, "content": content}
        if message.name is not None:
            written["name"] = message.name
        self.written.append(with_beside(written, message.beside))

    def _user(self, message: Message) -> None:
        results = [p for p in message.parts if isinstance(p, ToolResult)]
        rest: list[Part] = []
        for result in results:
            rest += self._tool_result(result)
        rest += [p for p in message.parts if not isinstance(p, ToolResult)]
        if rest or not results:
            self._put("user", self._content(rest), message)

    def _tool_result(self, result: ToolResult) -> list[Part]:
        """Write one result; return the media it held, which must follow in a user message."""
        texts = [p for p in result.parts if isinstance(p, TextPart)]
        media = [p for p in result.parts if isinstance(p, Media)]
        if result.failed:
            first = texts[0] if texts else TextPart("")
            texts[:1] = [TextPart(FAILED + first.text, first.cache)]
        if result.cache is not None and texts and texts[-1].cache is None:
            texts[-1] = TextPart(texts[-1].text, result.cache)
        self.written.append(
            {
                "role": "tool",
                "tool_call_id": self._id(result.id),
                "content": self._content(texts) if texts else "",
            }
        )
        if not media:
            return []
        return [TextPart(f"[returned by tool call {self._id(result.id)}]"), *media]

    def _assistant(self, message: Message) -> None:
        texts = [p for p in message.parts if isinstance(p, TextPart)]
        calls = _calls(message)
        refusals = [p.text for p in message.parts if isinstance(p, Refusal)]
        content = self._content(texts) if texts else None
        if content is None and not calls and not refusals:
            content = ""
        self._put("assistant", content, message)
        written = self.written[-1]
        if refusals:
            written["refusal"] = "".join(refusals)
        if calls:
            written["tool_calls"] = [self._tool_call(c) for c in calls]
        self._echo([p for p in message.parts if isinstance(p, Thinking)], written)
        for part in message.parts:
            if isinstance(part, Media):
                self._omissions.leave_out(f"{part.kind}.{source_of(part)}", why="by the assistant")

    def _echo(self, thinking: Sequence[Thinking], written: Body) -> None:
        if not thinking:
            return
        if "echo_reasoning_details" in self._quirks:
            # What OpenRouter gave stands as it is; what is pinned is another's.
            own = [t for t in thinking if made_by(t) in ("", "anthropic")]
            if own:
                written["reasoning_details"] = write_details(own)
            if len(own) == len(thinking):
                return
        elif "echo_reasoning" in self._quirks:
            written["reasoning_content"] = "".join(t.text for t in thinking)
            return
        self._omissions.leave_out("thinking_history")

    def _tool_call(self, call: ToolCall) -> Body:
        if call.cache is not None:
            self._omissions.leave_out("cache_control")
        # Some servers refuse "" although a call without arguments is just that.
        function: Body = {"name": call.use.name, "arguments": call.use.arguments or "{}"}
        beside, within = taken_from(call.beside, IN_FUNCTION)
        written: Body = {"id": self._id(call.use.id), "type": "function"}
        return with_beside(written | {"function": with_beside(function, within)}, beside)

    def _id(self, id_: str) -> str:
        """The id as the provider takes it; equal ids stay equal, so calls and results match."""
        return short_id(id_) if "short_tool_ids" in self._quirks else id_

    def _content(self, parts: Sequence[Part]) -> object:
        """One string where that says it all, else a list of parts."""
        first = parts[0] if len(parts) == 1 else None
        if isinstance(first, TextPart) and first.cache is None and first.beside is None:
            return first.text
        written = [w for part in parts if (w := self._part(part)) is not None]
        flat = "flat_content" in self._quirks
        if flat and all(part.keys() == {"type", "text"} for part in written):
            return "\n".join(str(part["text"]) for part in written)
        return written or ""

    def _part(self, part: Part) -> Body | None:
        if isinstance(part, TextPart):
            text = with_beside({"type": "text", "text": part.text}, part.beside)
            return self._cached(text, part.cache)
        if isinstance(part, Media):
            written = self._media(part)
            if written is None:
                return None
            return self._cached(_with_deeper(written, part.beside), part.cache)
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        return None  # thinking and tool parts have members of their own

    def _cached(self, written: Body, cache: Raw | None) -> Body:
        if cache is not None:
            if "cache_control" in self._quirks:
                written["cache_control"] = cache
            else:
                self._omissions.leave_out("cache_control")
        return written

    def _media(self, media: Media) -> Body | None:
        source, form = source_of(media), _AUDIO.get(media.media_type or "")
        known = source != "file_id" or self._knows_files
        if known and says(self._omissions.dialect, f"{media.kind}.{source}"):
            if media.kind == "image":
                return self._image(media)
            if media.kind == "document":
                by_id = source == "file_id"
                file = {"file_id": media.file_id} if by_id else file_of(media)
                return {"type": "file", "file": file}
            if form is not None:
                return {"type": "input_audio", "input_audio": {"data": media.data, "format": form}}
        self._omissions.leave_out(f"{media.kind}.{source}", why=media.media_type or "")
        return None

    def _image(self, media: Media) -> Body:
        image: Body = {"url": image_url(media)}
        if media.detail is not None:
            image["detail"] = media.detail
        return {"type": "image_url", "image_url": image}


def _with_deeper(written: Body, beside: Beside | None) -> Body:
    """A part with what stood beside it, and in what it holds."""
    kind = str(written["type"])
    here, deeper = taken_from(beside, f"{kind}.")
    held = written[kind]
    if deeper and isinstance(held, dict):
        written[kind] = with_beside(held, deeper)
    return with_beside(written, here)
