"""Turns -> messages of dialects that know one `function_call` in a message, and no ids.

    assistant (text, calls a and b), user (results of a and b, more)
      ->  assistant (text, call a), function (result of a), assistant (call b), function, user

A call is written when its result is, so that each result directly follows its call and is
known by the function's name. The system's turns are gathered. What differs between vendors
is a `Form`: how a call and a result are written, and which media have a word.

Not promised: where texts and calls stood within one turn; earlier thinking.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from octoplex.dialects.expression import Omissions, says
from octoplex.dialects.media import FAILED, source_of
from octoplex.wire.chat import Media, Message, Part, TextPart, Tool, ToolCall, ToolResult
from octoplex.wire.event import Refusal, Thinking, ToolUse

Body = dict[str, object]


class Form(Struct, frozen=True):
    """`call`: the members that a call adds to its message; `result`: the content of one."""

    call: Callable[[ToolUse], Body]
    result: Callable[[str], str]


def write_turns(
    messages: Iterable[Message], form: Form, omissions: Omissions
) -> tuple[str, list[Body]]:
    """The system's text, and the messages.

    Raises:
        Unsupported: a part cannot be expressed.
    """
    writer = _Writer(form, omissions)
    for message in messages:
        writer.add(message)
    writer.flush()
    return "\n\n".join(writer.system), writer.written


def write_function(tool: Tool, omissions: Omissions) -> Body:
    """The description of a function."""
    if tool.strict:
        omissions.leave_out("tool.strict")
    if tool.cache is not None:
        omissions.leave_out("cache_control")
    function: Body = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    empty: Body = {"type": "object", "properties": {}}
    return function | {"parameters": empty if tool.schema is None else tool.schema}


class _Writer:
    """The messages written so far, and the calls whose results are still to come."""

    def __init__(self, form: Form, omissions: Omissions) -> None:
        self.system: list[str] = []
        self.written: list[Body] = []
        self._form, self._omissions = form, omissions
        self._open: dict[str, Body] = {}
        self._names: dict[str, str] = {}

    def add(self, message: Message) -> None:
        if message.name is not None:
            self._omissions.leave_out("message.name")
        if message.role == "assistant":
            self.flush()
            self._assistant(message.parts)
        elif message.role == "user":
            self._user(message.parts)
        else:
            self.system.append(self._text(message.parts))

    def flush(self) -> None:
        """Write the calls that nobody answered."""
        self.written += self._open.values()
        self._open.clear()

    def _assistant(self, parts: Sequence[Part]) -> None:
        self._attachments(parts, why="by the assistant")
        said: Body = {"role": "assistant", "content": self._text(parts)}
        for call in (p for p in parts if isinstance(p, ToolCall)):
            self._names[call.use.id] = call.use.name
            self._open[call.use.id] = said | self._form.call(call.use)
            said = said | {"content": ""}
        if not self._open:
            self.written.append(said)

    def _user(self, parts: Sequence[Part]) -> None:
        rest: list[Part] = []
        for result in (p for p in parts if isinstance(p, ToolResult)):
            rest += self._result(result)
        self.flush()
        rest += [p for p in parts if not isinstance(p, ToolResult)]
        if rest:
            said: Body = {"role": "user", "content": self._text(rest)}
            files = self._attachments(rest)
            self.written.append(said | ({"attachments": files} if files else {}))

    def _result(self, result: ToolResult) -> list[Part]:
        """Write one result; return the media it held, which must follow in a user message."""
        if result.id in self._open:
            self.written.append(self._open.pop(result.id))
        text = self._text((result, *result.parts))
        name = self._names.get(result.id, result.id)
        content = self._form.result(FAILED + text if result.failed else text)
        self.written.append({"role": "function", "name": name, "content": content})
        media = [p for p in result.parts if isinstance(p, Media)]
        return [TextPart(f"[returned by {name}]"), *media] if media else []

    def _text(self, parts: Sequence[Part]) -> str:
        for part in parts:
            if getattr(part, "cache", None) is not None:
                self._omissions.leave_out("cache_control")
            if isinstance(part, Thinking):
                self._omissions.leave_out("thinking_history")
        return "\n".join(p.text for p in parts if isinstance(p, TextPart | Refusal))

    def _attachments(self, parts: Sequence[Part], why: str = "") -> list[str]:
        """The ids of files that were uploaded; all other media are left out."""
        found: list[str] = []
        for media in (p for p in parts if isinstance(p, Media)):
            field = f"{media.kind}.{source_of(media)}"
            if media.file_id is not None and not why and says(self._omissions.dialect, field):
                found.append(media.file_id)
            else:
                self._omissions.leave_out(field, why=why or media.media_type or "")
            if media.detail is not None:
                self._omissions.leave_out("image.detail")
        return found
