"""`Chat` -> the body of `POST /wenxinworkshop/chat/MODEL`.

- Turns alternate: what follows in the same role is joined to what came before, also the
  user's words to a function's result (`function_turns.py` makes one call of each turn).
- `system` is a member of its own, which is not allowed beside functions: there it stands
  before the first question.
- A function can be forced by its name only: any of them, where there is one. To call none
  is to be told of none.
- A temperature is above 0 and 1 at most: 0 becomes 0.01.
- `extra_parameters` of ChatLaw, `penalty_score` and the like go as they come, in requests
  that are written in this dialect.

Reference: https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Qlphtigbf and
https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Fm3e8i4zy

Not promised: that a model takes each member; ChatLaw documents messages and
`extra_parameters` only.
"""

from collections.abc import Iterable

import msgspec

from octoplex.dialects.anthropic.request import put_extra
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.expression import SPOKEN, Omissions, express
from octoplex.dialects.function_turns import Body, Form, write_function, write_turns
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat
from octoplex.wire.event import ToolUse

NAME = "ernie-v1"

_MOST_STOPS = 4
_LEAST_TEMPERATURE, _MOST_TEMPERATURE = 0.01, 1.0
_LEAST_OUTPUT = 2
_ONE_SIDE = frozenset({("user", "user"), ("function", "user"), ("assistant", "assistant")})
_json = msgspec.json.Encoder().encode


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    chat = express(chat, SPOKEN[NAME], omissions)
    system, messages = write_turns(chat.messages, _FORM, omissions)
    choice = chat.tool_choice
    tools = () if choice is not None and choice.mode == "none" else chat.tools
    if system and tools:
        messages.insert(0, {"role": "user", "content": system})
    body: Body = {"messages": _alternating(messages)}
    if system and not tools:
        body["system"] = system
    _put_plain(body, chat, omissions)
    if tools:
        body["functions"] = [write_function(tool, omissions) for tool in tools]
        _put_choice(body, chat, omissions)
    put_extra(body, chat.extra)
    return Encoded(_json(body), omissions.names())


def _alternating(messages: Iterable[Body]) -> list[Body]:
    """The messages with neighbours joined that one side said; a function's call stays alone."""
    joined: list[Body] = []
    for message in messages:
        last = joined[-1] if joined else {"role": ""}
        if (last["role"], message["role"]) not in _ONE_SIDE or "function_call" in last:
            joined.append(message)
        else:
            texts = [last["content"], message.pop("content")]
            last |= message | {"role": last["role"]}
            last["content"] = "\n\n".join([str(text) for text in texts if text])
    return joined


def _put_plain(body: Body, chat: Chat, omissions: Omissions) -> None:
    stops, least = chat.stop, chat.max_tokens
    if len(stops) > _MOST_STOPS:
        omissions.leave_out("stop", why=f"it takes {_MOST_STOPS} sequences, not {len(stops)}")
        stops = stops[:_MOST_STOPS]
    if least is not None and least < _LEAST_OUTPUT:
        omissions.leave_out("max_tokens")
        least = _LEAST_OUTPUT
    for name, value in (
        ("stream", chat.stream or None),
        ("max_output_tokens", least),
        ("temperature", _temperature(chat.temperature, omissions)),
        ("top_p", chat.top_p),
        ("stop", list(stops) or None),
        ("user_id", chat.user),
        ("response_format", _form(chat, omissions)),
    ):
        if value is not None:
            body[name] = value


def _temperature(asked: float | None, omissions: Omissions) -> float | None:
    if asked is None:
        return None
    if asked > _MOST_TEMPERATURE:
        omissions.leave_out("temperature", why=f"it takes {_MOST_TEMPERATURE} at most")
    return min(max(asked, _LEAST_TEMPERATURE), _MOST_TEMPERATURE)


def _form(chat: Chat, omissions: Omissions) -> str | None:
    if chat.format is None:
        return None
    if chat.format.schema is not None:
        omissions.leave_out("response_format", why="it has JSON without a schema only")
    return "json_object"


def _put_choice(body: Body, chat: Chat, omissions: Omissions) -> None:
    choice = chat.tool_choice
    if choice is None or choice.mode == "auto":
        return
    name = choice.name if choice.mode == "named" else chat.tools[0].name
    if choice.mode == "any" and len(chat.tools) > 1:
        omissions.leave_out("tool_choice", why="one tool can be forced, not any of several")
    else:
        body["tool_choice"] = {"type": "function", "function": {"name": name}}


def _call(use: ToolUse) -> Body:
    return {"function_call": {"name": use.name, "arguments": use.arguments or "{}"}}


_FORM = Form(_call, lambda text: text)
