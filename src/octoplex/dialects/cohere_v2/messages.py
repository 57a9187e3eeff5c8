"""Turns -> the `messages` of a Cohere request, and its `documents`.

Our user turn holds tool results as parts; here each is a message of role `tool`, so a user
turn becomes its results first and the rest after. A `tool` message holds text and text
documents; images that a tool returned follow in the next user message, introduced by one
line that names the call. A failed result is marked in its text.

Documents are text, and belong to the request rather than to a message. Thinking comes back
as `thinking` to models that think, and as the `tool_plan` before their calls to those that
do not; what another provider signed or encrypted is dropped and named.

Reference: https://docs.cohere.com/reference/chat and
https://docs.cohere.com/docs/tool-use-overview

Not promised: documents that are not text (PDF), audio.
"""

from base64 import b64decode
from collections.abc import Iterable, Sequence

from octoplex.dialects.expression import Omissions
from octoplex.dialects.foreign import made_by
from octoplex.dialects.media import FAILED, image_url, source_of
from octoplex.wire.chat import Media, Message, Part, TextPart, ToolCall, ToolResult
from octoplex.wire.event import Refusal, Thinking

Body = dict[str, object]


def write_messages(
    messages: Iterable[Message], omissions: Omissions, *, thinks: bool
) -> tuple[list[Body], list[Body]]:
    """Write every turn, and the documents in them.

    Raises:
        Unsupported: a part cannot be expressed.
    """
    writer = _Writer(omissions, thinks)
    for message in messages:
        writer.add(message)
    return writer.written, writer.documents


class _Writer:
    """The messages written so far."""

    def __init__(self, omissions: Omissions, thinks: bool) -> None:
        self.written: list[Body] = []
        self.documents: list[Body] = []
        self._omissions, self._thinks = omissions, thinks

    def add(self, message: Message) -> None:
        if message.name is not None:
            self._omissions.leave_out("message.name")
        if message.role == "assistant":
            self._assistant(message.parts)
            return
        rest: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                rest += self._result(part)
        rest += [p for p in message.parts if not isinstance(p, ToolResult)]
        blocks = [b for p in rest if (b := self._block(p, self.documents)) is not None]
        if blocks:
            role = "user" if message.role == "user" else "system"
            self.written.append({"role": role, "content": _shortest(blocks)})

    def _result(self, result: ToolResult) -> list[Part]:
        """Write one result; return the media it held, which must follow in a user message."""
        self._name_cache(result)
        documents: list[Body] = []
        images = [p for p in result.parts if isinstance(p, Media) and p.kind != "document"]
        rest = [p for p in result.parts if p not in images]
        content = [b for p in rest if (b := self._block(p, documents)) is not None]
        content += [{"type": "document", "document": document} for document in documents]
        if result.failed:
            first = content[0].get("text", "") if content else ""
            content[: 1 if first else 0] = [{"type": "text", "text": f"{FAILED}{first}"}]
        self.written.append({"role": "tool", "tool_call_id": result.id, "content": content})
        return [TextPart(f"[returned by tool call {result.id}]"), *images] if images else []

    def _assistant(self, parts: Sequence[Part]) -> None:
        message: Body = {"role": "assistant"}
        calls = [p for p in parts if isinstance(p, ToolCall)]
        content: list[Body] = []
        plan = ""
        for part in parts:
            if isinstance(part, ToolCall):
                self._name_cache(part)
            elif not isinstance(part, Thinking):
                block = self._block(part, self.documents)
                content += [] if block is None else [block]
            elif made_by(part) or not (self._thinks or calls):
                self._omissions.leave_out("thinking_history")
            elif self._thinks:
                content.append({"type": "thinking", "thinking": part.text})
            else:
                plan += part.text
        if content:
            message["content"] = _shortest(content)
        if plan:
            message["tool_plan"] = plan
        if calls:
            message["tool_calls"] = [_call(c) for c in calls]
        if len(message) > 1:
            self.written.append(message)

    def _block(self, part: Part, documents: list[Body]) -> Body | None:
        self._name_cache(part)
        if isinstance(part, TextPart | Refusal):
            return {"type": "text", "text": part.text} if part.text else None
        if isinstance(part, Media):
            return self._media(part, documents)
        return None

    def _media(self, media: Media, documents: list[Body]) -> Body | None:
        source = source_of(media)
        if media.kind == "image" and source != "file_id":
            image: Body = {"url": image_url(media)}
            if media.detail is not None:
                image["detail"] = media.detail
            return {"type": "image_url", "image_url": image}
        text = _text_of(media)
        if text is None:
            self._omissions.leave_out(f"{media.kind}.{source}", why=media.media_type or "")
            return None
        title: Body = {} if media.title is None else {"title": media.title}
        documents.append({"data": title | {"text": text}})
        return None

    def _name_cache(self, part: Part) -> None:
        if getattr(part, "cache", None) is not None:
            self._omissions.leave_out("cache_control")


def _shortest(blocks: list[Body]) -> object:
    """A lone text as a string."""
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        return blocks[0]["text"]
    return blocks


def _text_of(media: Media) -> str | None:
    """The text of a document that is text."""
    kind = media.media_type or ""
    if media.kind != "document" or media.data is None or not kind.startswith("text/"):
        return None
    try:
        return b64decode(media.data).decode("utf-8", "replace")
    except ValueError:
        return None


def _call(call: ToolCall) -> Body:
    function = {"name": call.use.name, "arguments": call.use.arguments or "{}"}
    return {"id": call.use.id, "type": "function", "function": function}
