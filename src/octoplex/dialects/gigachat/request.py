"""`Chat` -> the body of GigaChat's `POST /chat/completions`.

- Tools are `functions`, their results JSON objects in messages of role `function`; a call's
  arguments are an object. One call in a reply is all there is (`function_turns.py`).
- There is one system message, and it comes first.
- A tool can be forced by its name only: any of them, where there is one.
- Files are attached by the ids that GigaChat gave them.
- A temperature of 0 is refused; up to 0.001 stands for the surest word, and so for 0.

Reference: https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-chat,
https://developers.sber.ru/docs/ru/gigachat/guides/functions/function-calling-modes; forms
and effort: https://github.com/ai-forever/gigachat

Not promised: that a file belongs to the account that is asked.
"""

import msgspec

from octoplex.dialects.anthropic.request import put_extra
from octoplex.dialects.arguments import input_object, is_object
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.expression import SPOKEN, Omissions, express
from octoplex.dialects.function_turns import Body, Form, write_function, write_turns
from octoplex.dialects.gigachat.replies import MARK
from octoplex.dialects.openai_chat.near import effort_in
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat
from octoplex.wire.event import ToolUse

NAME = "gigachat"

_LEAST_TEMPERATURE = 0.001
_json = msgspec.json.Encoder().encode


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    spoken = SPOKEN[NAME] - ({"thinking"} if traits.thinking == "none" else set())
    chat = express(chat, spoken, omissions)
    system, messages = write_turns(chat.messages, _FORM, omissions)
    if system:
        messages.insert(0, {"role": "system", "content": system})
    body: Body = {"model": traits.model, "messages": messages}
    _put_plain(body, chat, omissions)
    if chat.tools:
        body["functions"] = [write_function(tool, omissions) for tool in chat.tools]
        _put_choice(body, chat, omissions)
    _put_format(body, chat, omissions)
    put_extra(body, chat.extra)
    return Encoded(_json(body), omissions.names())


def _put_plain(body: Body, chat: Chat, omissions: Omissions) -> None:
    warmth = chat.temperature
    for name, value in (
        ("stream", chat.stream or None),
        ("max_tokens", chat.max_tokens),
        ("temperature", None if warmth is None else max(warmth, _LEAST_TEMPERATURE)),
        ("top_p", chat.top_p),
        ("reasoning_effort", effort_in(chat, omissions)),
    ):
        if value is not None:
            body[name] = value


def _put_choice(body: Body, chat: Chat, omissions: Omissions) -> None:
    choice = chat.tool_choice
    if choice is None:
        return
    name = chat.tools[0].name if choice.mode == "any" and len(chat.tools) == 1 else choice.name
    if name is not None:
        body["function_call"] = {"name": name}
    elif choice.mode == "any":
        omissions.leave_out("tool_choice", why="one tool can be forced, not any of several")
    else:
        body["function_call"] = choice.mode


def _put_format(body: Body, chat: Chat, omissions: Omissions) -> None:
    form = chat.format
    if form is None:
        return
    if form.schema is None:
        omissions.leave_out("response_format", why="JSON without a schema has no word")
        return
    written: Body = {"type": "json_schema", "schema": form.schema}
    body["response_format"] = written | ({} if form.strict is None else {"strict": form.strict})


def _call(use: ToolUse) -> Body:
    call = {"name": use.name, "arguments": input_object(use.arguments)}
    state = use.id.removeprefix(MARK)
    return {"function_call": call} | ({} if state == use.id else {"functions_state_id": state})


def _result(text: str) -> str:
    """A JSON object in any case; what is none is its one member."""
    return text if is_object(text) else _json({"output": text}).decode()


_FORM = Form(_call, _result)
