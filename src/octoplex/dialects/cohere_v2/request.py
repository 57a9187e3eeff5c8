"""`Chat` -> the body of Cohere's `POST /v2/chat`.

Words differ from the Chat dialect's (`p`, `k`, `stop_sequences`), ideas hardly do. What
there is no word for is settled by the table in `dialects/expression.py`; messages are
`messages.py`'s.

- A forced tool has no word: it alone is offered, and a call is required.
- `top_p = 1` asks for no narrowing; 0.99 is the most the API takes, and its default is 0.75.
- Thinking is asked for of models that think only. Efforts become budgets.
- A JSON form is not taken beside tools (`alone` in `dialects/structured.py`).

Reference: https://docs.cohere.com/reference/chat and https://docs.cohere.com/docs/reasoning

Not promised: that a model takes a JSON form beside documents; it says so itself.
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.cohere_v2.messages import write_messages
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.effort import is_off
from octoplex.dialects.expression import SPOKEN, Omissions, express
from octoplex.dialects.schema_limits import COHERE, is_held
from octoplex.dialects.structured import alone
from octoplex.dialects.tool_schema import object_schema
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, Effort, Tool

NAME = "cohere-v2"

_MOST_STOPS = 5
_MOST_TOP_P = 0.99
_BUDGETS: dict[Effort, int] = {"minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}
"""What an effort may think; above them as much as it likes."""
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')

_json = msgspec.json.Encoder().encode
Body = dict[str, object]


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    chat = alone(express(chat, SPOKEN[NAME], omissions), omissions)
    thinks = traits.thinking not in (None, "none") or "reasoning" in traits.model
    messages, documents = write_messages(chat.messages, omissions, thinks=thinks)
    body: Body = {"model": traits.model, "messages": messages}
    if documents:
        body["documents"] = documents
    if chat.stream:
        body["stream"] = True
    _put_plain(body, chat, omissions)
    _put_tools(body, chat, omissions)
    if chat.format is not None:
        schema = chat.format.schema
        omissions.loose = schema is not None and not is_held(schema, COHERE)
        body["response_format"] = {"type": "json_object"} | (
            {} if schema is None else {"json_schema": schema}
        )
    _put_thinking(body, chat, omissions, thinks=thinks)
    body.update({name: value for name, value in chat.extra.items() if name not in body})
    return Encoded(_json(body), omissions.names(), loose=omissions.loose)


def _put_plain(body: Body, chat: Chat, omissions: Omissions) -> None:
    stops = chat.stop
    if len(stops) > _MOST_STOPS:
        omissions.leave_out("stop", why=f"it takes {_MOST_STOPS} sequences, not {len(stops)}")
        stops = stops[:_MOST_STOPS]
    for name, value in (
        ("max_tokens", chat.max_tokens),
        ("temperature", chat.temperature),
        ("p", None if chat.top_p is None else min(chat.top_p, _MOST_TOP_P)),
        ("k", chat.top_k),
        ("seed", chat.seed),
        ("stop_sequences", list(stops) or None),
        ("presence_penalty", chat.presence_penalty),
        ("frequency_penalty", chat.frequency_penalty),
    ):
        if value is not None:
            body[name] = value


def _put_tools(body: Body, chat: Chat, omissions: Omissions) -> None:
    tools, choice = chat.tools, chat.tool_choice
    if choice is not None and choice.mode == "named":
        tools = tuple(t for t in tools if t.name == choice.name)
    if tools:
        body["tools"] = [_tool(t, omissions) for t in tools]
    if choice is not None and choice.mode != "auto" and chat.tools:
        body["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"


def _tool(tool: Tool, omissions: Omissions) -> Body:
    if tool.strict:
        omissions.leave_out("tool.strict")  # it is said of all tools at once, or of none
    if tool.cache is not None:
        omissions.leave_out("cache_control")
    function: Body = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = object_schema(tool.schema or _NO_PARAMETERS)
    return {"type": "function", "function": function}


def _put_thinking(body: Body, chat: Chat, omissions: Omissions, *, thinks: bool) -> None:
    ask = chat.thinking
    if ask is None:
        return
    off = is_off(ask)
    if not thinks:
        if not off:
            omissions.leave_out("thinking")
        return
    budget = ask.budget_tokens or _BUDGETS.get(ask.effort or "max")
    if budget is not None and ask.budget_tokens is None and chat.max_tokens is not None:
        budget = max(1, min(budget, chat.max_tokens // 2))  # so that an answer is left room
    thinking: Body = {"type": "disabled" if off else "enabled"}
    if budget is not None and not off:
        thinking["token_budget"] = budget
    body["thinking"] = thinking
