"""`Chat` -> the body of Ollama's `POST /api/chat`.

Sampling goes into `options`; `stream` is always said, because its default is true. What
the dialect has no word for is settled by the table in `dialects/expression.py`; messages
are `messages.py`'s.

- There is no tool choice. Leaving the tools out says "none"; a forced one cannot be said.
- Ollama refuses `think: true` for models that cannot, and thinks unasked with those that
  can; so it is sent only for families that are known to. gpt-oss takes a level.

Reference: https://docs.ollama.com/api/chat and https://docs.ollama.com/capabilities/thinking

Not promised: a context window; Ollama's own (`num_ctx`) holds, and longer prompts it cuts.
"""

import msgspec

from octoplex.dialects.anthropic.request import put_extra
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.effort import effort_of, is_off, says_amount
from octoplex.dialects.expression import SPOKEN, Omissions, express
from octoplex.dialects.ollama.messages import write_messages
from octoplex.dialects.schema_limits import LLAMA, is_held
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, Effort, Tool

NAME = "ollama"

_LEVELS: dict[Effort, str] = {"minimal": "low", "low": "low", "medium": "medium"}

_json = msgspec.json.Encoder().encode
Body = dict[str, object]


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    chat = express(chat, SPOKEN[NAME], omissions)
    messages = write_messages(chat.messages, omissions)
    body: Body = {"model": traits.model, "messages": messages, "stream": chat.stream}
    _put_options(body, chat)
    _put_tools(body, chat, omissions)
    if chat.format is not None:
        schema = chat.format.schema
        omissions.loose = schema is not None and not is_held(schema, LLAMA)
        body["format"] = "json" if schema is None else schema
    _put_thinking(body, chat, traits, omissions)
    put_extra(body, chat.extra)
    return Encoded(_json(body), omissions.names(), loose=omissions.loose)


def _put_options(body: Body, chat: Chat) -> None:
    options = {
        name: value
        for name, value in (
            ("num_predict", chat.max_tokens),
            ("temperature", chat.temperature),
            ("top_p", chat.top_p),
            ("top_k", chat.top_k),
            ("seed", chat.seed),
            ("stop", list(chat.stop) or None),
            ("presence_penalty", chat.presence_penalty),
            ("frequency_penalty", chat.frequency_penalty),
        )
        if value is not None
    }
    if options:
        body["options"] = options


def _put_tools(body: Body, chat: Chat, omissions: Omissions) -> None:
    mode = chat.tool_choice.mode if chat.tool_choice is not None else "auto"
    if mode in ("any", "named"):
        omissions.leave_out("tool_choice", why="it leaves the choice to the model")
    if chat.tools and mode != "none":
        body["tools"] = [_tool(t, omissions) for t in chat.tools]


def _tool(tool: Tool, omissions: Omissions) -> Body:
    if tool.strict:
        omissions.leave_out("tool.strict")
    if tool.cache is not None:
        omissions.leave_out("cache_control")
    function: Body = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    return {"type": "function", "function": function}


def _put_thinking(body: Body, chat: Chat, traits: Traits, omissions: Omissions) -> None:
    ask = chat.thinking
    if ask is None:
        return
    if is_off(ask) and "gpt-oss" in traits.model:
        omissions.leave_out("thinking")
        body["think"] = "low"  # it cannot stop
    elif is_off(ask):
        body["think"] = False
    elif "gpt-oss" in traits.model:
        effort = ask.effort or effort_of(ask.budget_tokens)
        body["think"] = _LEVELS.get(effort, "high")
    elif traits.thinking in (None, "none"):
        omissions.leave_out("thinking")
    else:
        body["think"] = True
        if says_amount(ask):
            omissions.leave_out("thinking.amount")
