"""`Chat` -> the body of `POST /chat/completions`.

Fields come out as most servers of the dialect take them unless a quirk of the
provider's row says otherwise (`catalog/quirk.py`); what the dialect has no word for is
settled by the table in `dialects/expression.py`. Messages are `messages.py`'s, thinking is
`thinking.py`'s.

Reference: https://platform.openai.com/docs/api-reference/chat/create

Not promised: that the provider's model accepts each value; that is its own verdict.
"""

import re
from hashlib import sha256

import msgspec

from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.expression import OPENAI_HINTS, SPOKEN, Omissions, express, says
from octoplex.dialects.native import put_back, taken_from, with_beside
from octoplex.dialects.native_schema import OPENAI_STRICT, fitted, is_object
from octoplex.dialects.openai_chat.messages import write_messages
from octoplex.dialects.openai_chat.thinking import put_thinking
from octoplex.dialects.openai_chat.turns import IN_FUNCTION
from octoplex.dialects.structured import alone, naming_json
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, Format, Tool, ToolChoice

NAME = "openai-chat"

LONGEST_USER = 64
TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_MOST_STOPS = 4
_FACES = frozenset({NAME, "openai-responses"})
"""Dialects with strict schemas; their callers say themselves what is."""
_OWN_MODEL = re.compile(r"(?:.*/)?(?:ft:)?(?:(?:chat)?gpt-(?!oss)|o\d)")

_json = msgspec.json.Encoder().encode
Body = dict[str, object]


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    body = _json(write_body(chat, traits, omissions))
    return Encoded(body, omissions.names(), loose=omissions.loose)


def write_body(chat: Chat, traits: Traits, omissions: Omissions) -> Body:
    """The members of the request, for this dialect or one near it: whose `omissions` are.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    spoken = spoken_with(traits, omissions.dialect)
    if omissions.dialect == NAME and chat.dialect not in ("", NAME):
        spoken -= {"metadata"}  # labels of what is stored here; without `store` they are a 400
        if chat.service_tier not in TIERS:
            spoken -= {"service_tier"}
    chat = naming_json(express(chat, spoken, omissions))
    chat = held_to(chat, traits, omissions)
    body: Body = {
        "model": traits.model,
        "messages": write_messages(chat.messages, traits.quirks, omissions, chat.dialect),
    }
    put_limits(body, chat, traits.quirks, omissions)
    put_plain(body, chat, traits.quirks)
    if "no_format_beside_tools" in traits.quirks:
        chat = alone(chat, omissions)
    if chat.format is not None:
        _put_format(body, chat.format, traits.quirks, omissions)
    if chat.tools or chat.server_tools:
        body["tools"] = [_tool(t, traits.quirks, omissions) for t in chat.tools] + [
            *chat.server_tools
        ]
        put_tool_choice(body, chat, traits.quirks, omissions)
    put_thinking(body, chat, traits, omissions)
    if "reasoning_split" in traits.quirks:
        body["reasoning_split"] = True
    if chat.stream:
        body["stream"] = True
        if "no_stream_options" not in traits.quirks:
            body["stream_options"] = {"include_usage": True}
    _put_own(body, chat, omissions)
    return body


def _put_own(body: Body, chat: Chat, omissions: Omissions) -> None:
    """Put what only this dialect knows where it came from, if its place is still there."""
    for name, value in (chat.extra | chat.native).items():
        gone = name.startswith("stream_options.") and "stream_options" not in body
        if gone or not put_back(body, name, value):
            omissions.leave_out("extra", name)


def spoken_with(traits: Traits, dialect: str = NAME) -> frozenset[str]:
    """The dialect's words, plus and minus what the provider's row and the family say."""
    quirks = traits.quirks
    spoken = SPOKEN[dialect] | (quirks & {"top_k", "cache_control"})
    if "openai_hints" in quirks:
        spoken |= OPENAI_HINTS
    if "no_thinking_field" in quirks or traits.thinking == "none":
        spoken -= {"thinking"}  # a hint must not become the provider's 400
    if "no_parallel_tool_calls" in quirks:
        spoken -= {"parallel_tool_calls"}
    return spoken


def put_limits(body: Body, chat: Chat, quirks: frozenset[str], omissions: Omissions) -> None:
    """The output limit under its name, and as many stop sequences as are taken."""
    if chat.max_tokens is not None:
        newer = "max_completion_tokens" in quirks
        body["max_completion_tokens" if newer else "max_tokens"] = chat.max_tokens
    stops = chat.stop
    if len(stops) > _MOST_STOPS and "many_stops" not in quirks:
        omissions.leave_out("stop", why=f"it takes {_MOST_STOPS} sequences, not {len(stops)}")
        stops = stops[:_MOST_STOPS]
    if stops:
        body["stop"] = list(stops)


def put_plain(body: Body, chat: Chat, quirks: frozenset[str]) -> None:
    """Members that have the same name and meaning on both sides."""
    for name, value in (
        ("temperature", chat.temperature),
        ("top_p", chat.top_p),
        ("top_k", chat.top_k),
        ("presence_penalty", chat.presence_penalty),
        ("frequency_penalty", chat.frequency_penalty),
        ("logit_bias", chat.logit_bias),
        ("random_seed" if "random_seed" in quirks else "seed", chat.seed),
        ("n", chat.n if chat.n != 1 else None),
        ("logprobs", chat.logprobs or None),
        ("top_logprobs", chat.top_logprobs),
        ("modalities", list(chat.modalities) or None),
        ("user", shortened(chat.user)),
        ("metadata", chat.metadata),
        ("service_tier", chat.service_tier),
        ("verbosity", chat.verbosity),
        ("prompt_cache_key", chat.prompt_cache_key),
        ("prompt_cache_retention", chat.prompt_cache_retention),
        ("safety_identifier", shortened(chat.safety_identifier)),
    ):
        if value is not None:
            body[name] = value


def shortened(name: str | None) -> str | None:
    """What stands for a user: their name, or where that is longer than OpenAI takes, its hash.

    Reference: https://developers.openai.com/api/docs/guides/safety-best-practices
    """
    if name is None or len(name) <= LONGEST_USER:
        return name
    return sha256(name.encode()).hexdigest()


def held_to(chat: Chat, traits: Traits, omissions: Omissions) -> Chat:
    """The request with its schemas as strict mode takes them, or said not to be strict.

    Raises:
        Unsupported: the form is one that the model cannot be held to at all.
    """
    if chat.dialect in _FACES or omissions.dialect not in _FACES:
        return chat
    tools = tuple(_strictly(tool, omissions) for tool in chat.tools)
    form = chat.format
    if form is not None and form.schema is not None:
        own = "openai_hints" in traits.quirks or _OWN_MODEL.match(traits.model)
        fit = fitted(form.schema, OPENAI_STRICT) if form.strict else None
        if own and not is_object(form.schema):
            omissions.leave_out("response_format", why="OpenAI's models answer in objects")
            form = None
        elif fit is not None:
            form = msgspec.structs.replace(form, schema=fit.schema)
        elif form.strict:
            form, omissions.loose = msgspec.structs.replace(form, strict=False), True
    return msgspec.structs.replace(chat, tools=tools, format=form)


def _strictly(tool: Tool, omissions: Omissions) -> Tool:
    if not tool.strict or tool.schema is None or not says(omissions.dialect, "tool.strict"):
        return tool
    fit = fitted(tool.schema, OPENAI_STRICT)
    if fit is None:
        omissions.leave_out("tool.strict")
        return msgspec.structs.replace(tool, strict=False)
    return msgspec.structs.replace(tool, schema=fit.schema)


def _put_format(body: Body, form: Format, quirks: frozenset[str], omissions: Omissions) -> None:
    if "no_response_format" in quirks:
        omissions.leave_out("response_format", why="this provider has no word for it")
        return
    if form.schema is None:
        body["response_format"] = {"type": "json_object"}
        return
    if "no_json_schema" in quirks:
        omissions.leave_out("response_format", why="this provider has json_object only")
        body["response_format"] = {"type": "json_object"}
        return
    schema: Body = {"name": form.name, "schema": form.schema}
    if form.description is not None:
        schema["description"] = form.description
    if form.strict is not None:
        schema["strict"] = form.strict
    body["response_format"] = {"type": "json_schema", "json_schema": schema}


def _tool(tool: Tool, quirks: frozenset[str], omissions: Omissions) -> Body:
    function: Body = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        if says(omissions.dialect, "tool.strict"):
            function["strict"] = tool.strict
        elif tool.strict:
            omissions.leave_out("tool.strict")
    beside, within = taken_from(tool.beside, IN_FUNCTION)
    written: Body = {**beside, "type": "function", "function": with_beside(function, within)}
    if tool.cache is not None:
        if "cache_control" in quirks:
            written["cache_control"] = tool.cache
        else:
            omissions.leave_out("cache_control")
    return written


def put_tool_choice(body: Body, chat: Chat, quirks: frozenset[str], omissions: Omissions) -> None:
    """Which tool must be called, and whether several at once."""
    choice = chat.tool_choice
    forced = choice is not None and choice.mode in ("any", "named")
    if forced and "no_forced_tool_choice" in quirks:
        omissions.leave_out("tool_choice", why="this provider leaves the choice to the model")
    elif choice is not None:
        body["tool_choice"] = _tool_choice(choice, quirks)
    if chat.parallel_tools is not None:
        body["parallel_tool_calls"] = chat.parallel_tools


def _tool_choice(choice: ToolChoice, quirks: frozenset[str]) -> object:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": choice.name}}
    if choice.mode == "any":
        return "any" if "required_is_any" in quirks else "required"
    return choice.mode
