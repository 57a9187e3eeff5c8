"""Turns -> the `messages` of an Ollama request.

A message is one text, a list of images as bare base64, thinking, and tool calls whose
arguments are an object. Tool results are messages of role `tool` that name the tool, not
the call, so they stand in the order of the calls. Images that a tool returned follow in the
next user message, introduced by one line that names the call; a failed result is marked in
its text.

Thinking comes back as it came; what another provider signed or encrypted is dropped and
named.

Reference: https://docs.ollama.com/api/chat and
https://docs.ollama.com/capabilities/tool-calling

Not promised: the order of texts, images and tool calls within one message; documents.
"""

from collections.abc import Iterable, Sequence

from octoplex.dialects.arguments import input_object
from octoplex.dialects.expression import Omissions
from octoplex.dialects.foreign import made_by
from octoplex.dialects.media import FAILED, source_of
from octoplex.wire.chat import Media, Message, Part, TextPart, ToolCall, ToolResult
from octoplex.wire.event import Refusal, Thinking

Body = dict[str, object]


def write_messages(messages: Iterable[Message], omissions: Omissions) -> list[Body]:
    """Write every turn.

    Raises:
        Unsupported: a part cannot be expressed.
    """
    writer = _Writer(omissions)
    for message in messages:
        writer.add(message)
    return writer.written


class _Writer:
    """The messages written so far, and which tool each call was of."""

    def __init__(self, omissions: Omissions) -> None:
        self.written: list[Body] = []
        self._omissions = omissions
        self._tools: dict[str, str] = {}
        self._order: dict[str, int] = {}
        """Of the calls of the last turn of the assistant."""

    def add(self, message: Message) -> None:
        if message.name is not None:
            self._omissions.leave_out("message.name")
        rest: list[Part] = []
        if message.role == "assistant":
            self._order = {}
        results = [p for p in message.parts if isinstance(p, ToolResult)]
        # Nothing but their order says whose they are.
        for result in sorted(results, key=lambda r: self._order.get(r.id, len(self._order))):
            rest += self._result(result)
        rest += [p for p in message.parts if not isinstance(p, ToolResult)]
        if rest:
            role = "system" if message.role == "developer" else message.role
            self.written.append({"role": role} | self._content(rest))

    def _content(self, parts: Sequence[Part]) -> Body:
        texts = [p.text for p in parts if isinstance(p, TextPart | Refusal)]
        content: Body = {"content": "\n".join(texts)}
        thoughts = [t for p in parts if isinstance(p, Thinking) and (t := self._thought(p))]
        images = [i for p in parts if isinstance(p, Media) and (i := self._image(p))]
        calls = [self._call(p) for p in parts if isinstance(p, ToolCall)]
        for name, value in (
            ("thinking", "".join(thoughts)),
            ("images", images),
            ("tool_calls", calls),
        ):
            if value:
                content[name] = value
        for part in parts:
            self._name_cache(part)
        return content

    def _result(self, result: ToolResult) -> list[Part]:
        """Write one result; return the media it held, which must follow in a user message."""
        for part in (result, *result.parts):
            self._name_cache(part)
        text = "\n".join(p.text for p in result.parts if isinstance(p, TextPart))
        written: Body = {"role": "tool"}
        name = self._tools.get(result.id)
        if name is not None:
            written["tool_name"] = name
        self.written.append(written | {"content": FAILED + text if result.failed else text})
        media = [p for p in result.parts if isinstance(p, Media)]
        return [TextPart(f"[returned by tool call {result.id}]"), *media] if media else []

    def _call(self, call: ToolCall) -> Body:
        self._tools[call.use.id] = call.use.name
        self._order[call.use.id] = len(self._order)
        arguments = input_object(call.use.arguments)
        return {"type": "function", "function": {"name": call.use.name, "arguments": arguments}}

    def _thought(self, part: Thinking) -> str:
        if made_by(part):
            self._omissions.leave_out("thinking_history")
            return ""
        return part.text

    def _image(self, media: Media) -> str | None:
        if media.detail is not None:
            self._omissions.leave_out("image.detail")
        source = source_of(media)
        if media.kind == "image" and source == "data":
            return media.data
        self._omissions.leave_out(f"{media.kind}.{source}", why=media.media_type or "")
        return None

    def _name_cache(self, part: Part) -> None:
        if getattr(part, "cache", None) is not None:
            self._omissions.leave_out("cache_control")
