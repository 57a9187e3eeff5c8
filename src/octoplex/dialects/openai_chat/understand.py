"""The members of a Chat request -> `Chat`, the typed view.

Each member has one reader in `READERS`; what has none is `extra`. A null counts as
absent, as it does at OpenAI. Besides OpenAI's own members, `top_k`, `thinking`
(Anthropic's shape, which many clients send through this dialect) and `reasoning`
(OpenRouter's) are understood. `web_search_options` has the provider look for what the reply
says: that changes the answer, and is `native` like the same wish as a tool.

Reference: https://platform.openai.com/docs/api-reference/chat/create

Not promised: `functions` and `function_call`, which `tools` replaced in 2023: a 400
says so.
"""

from typing import get_args

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.native import Known, gathered, named, names_of, reader
from octoplex.dialects.openai_chat.shapes import UNREADABLE
from octoplex.dialects.openai_chat.turns import IN_FUNCTION, read_messages
from octoplex.dialects.readers import (
    Found,
    Reader,
    complaint,
    in_head,
    keep_rest,
    kept,
    kept_native,
    kept_raw,
    read_members,
)
from octoplex.wire.ask import Call
from octoplex.wire.chat import Beside, Chat, Effort, Format, ThinkingAsk, Tool, ToolChoice
from octoplex.wire.error import InvalidCall, Unsupported


class Function(Known):
    """A function as it is declared; in the Responses dialect its `type` stands beside the rest."""

    name: str
    type: str | None = None
    description: str | None = None
    parameters: dict[str, Raw] | None = None
    strict: bool | None = None


class _Tool(Known):
    type: str
    function: Function | None = None
    cache_control: dict[str, Raw] | None = None


class _Named(Struct):
    name: str


class _Allowed(Struct):
    mode: str
    tools: list[Raw]


class _Choice(Struct):
    type: str
    function: _Named | None = None
    allowed_tools: _Allowed | None = None


class Schema(Struct):
    """A JSON Schema the text must follow."""

    name: str = "reply"
    schema: dict[str, Raw] | None = None
    description: str | None = None
    strict: bool | None = None


class _Format(Struct):
    type: str
    json_schema: Schema | None = None
    schema: dict[str, Raw] | None = None
    """Beside `json_object`, where llama.cpp, Together and Fireworks take it."""


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Thinking(Struct):
    type: str
    budget_tokens: int | None = None


class _Reasoning(Struct):
    effort: Effort | None = None
    max_tokens: int | None = None
    enabled: bool | None = None


_json = msgspec.json.Encoder().encode
_read_tools = msgspec.json.Decoder(list[Raw]).decode
_read_plain_tool = msgspec.json.Decoder(_Tool).decode
read_function = reader(Function)
_OF_FUNCTION, _OF_TOOL = names_of(Function), names_of(_Tool)
_members = msgspec.json.Decoder(dict[str, Raw]).decode


def read_chat(call: Call) -> Chat:
    """Understand the call.

    Raises:
        InvalidCall: naming the path of what means nothing.
    """
    found = read_members(call.fields, READERS)
    allowed = found.pop("allowed", None)
    if allowed is not None:
        found["tools"] = tuple(t for t in found.get("tools", ()) if t.name in allowed)
    return Chat(
        model=call.model,
        stream=call.stream,
        max_tokens=call.max_tokens,
        n=call.n,
        dialect="openai-chat",
        **found,
    )


def _messages(raw: Raw, found: Found) -> None:
    found["messages"] = read_messages(raw)


def _tools(raw: Raw, found: Found) -> None:
    tools: list[Tool] = []
    others: list[Raw] = []
    for number, item in enumerate(_read_tools(raw)):
        try:
            tool = _read_tool(item)
        except UNREADABLE as error:
            raise complaint(error, f"tools[{number}]") from None
        if tool.type != "function":
            others.append(item)
        elif tool.function is None:
            path = f"tools[{number}].function"
            raise InvalidCall(f"`{path}`: send the function's name and parameters.", param=path)
        else:
            beside = {**(tool.beside or {}), **named(IN_FUNCTION, tool.function.beside)}
            tools.append(tool_of(tool.function, tool.cache_control, beside or None))
    found["tools"], found["server_tools"] = tuple(tools), tuple(others)


def _read_tool(raw: Raw) -> _Tool:
    """The tool, with what is not known of it and of its function beside the rest."""
    try:
        return _read_plain_tool(raw)
    except msgspec.ValidationError:
        tool = _members(raw)
        if bytes(tool.get("function", b""))[:1] == b"{":
            tool["function"] = Raw(_json(gathered(_members(tool["function"]), _OF_FUNCTION)))
        return _read_plain_tool(_json(gathered(tool, _OF_TOOL)))


def tool_of(function: Function, cache: dict[str, Raw] | None, beside: Beside | None) -> Tool:
    """The tool that is declared; `beside` is what only the caller's dialect knows of it."""
    return Tool(
        name=function.name,
        description=function.description,
        schema=None if function.parameters is None else Raw(_json(function.parameters)),
        strict=function.strict,
        cache=None if cache is None else Raw(_json(cache)),
        beside=beside,
    )


_read_choice = msgspec.json.Decoder(str | _Choice).decode


def _tool_choice(raw: Raw, found: Found) -> None:
    choice = _read_choice(raw)
    if isinstance(choice, str):
        found["tool_choice"] = mode_of(choice)
        return
    keep_rest("tool_choice", raw, _Choice.__struct_fields__, found)
    if choice.type == "function" and choice.function is not None:
        keep_rest("tool_choice.function", _members(raw)["function"], ("name",), found)
        found["tool_choice"] = ToolChoice(mode="named", name=choice.function.name)
    elif choice.type == "allowed_tools" and choice.allowed_tools is not None:
        # To be allowed only some tools is the same as to be given only these.
        tools = [_read_tool(t).function for t in choice.allowed_tools.tools]
        found["allowed"] = {t.name for t in tools if t is not None}
        found["tool_choice"] = mode_of(choice.allowed_tools.mode)
    else:
        raise Unsupported(
            f"`tool_choice` of type {choice.type!r} cannot be carried to this target; name a"
            " function, or send auto, none or required.",
            param="tool_choice",
        )


def mode_of(word: str) -> ToolChoice:
    """The choice that a word stands for."""
    if word in ("auto", "none"):
        return ToolChoice(mode="auto" if word == "auto" else "none")
    if word in ("required", "any"):
        return ToolChoice(mode="any")
    raise InvalidCall(
        f"`tool_choice` is {word!r}; send auto, none, required or a function.",
        param="tool_choice",
    )


_read_format = msgspec.json.Decoder(_Format).decode


def _format(raw: Raw, found: Found) -> None:
    form = _read_format(raw)
    members = _members(raw)
    keep_rest("response_format", raw, _Format.__struct_fields__, found)
    if form.json_schema is not None:
        known = Schema.__struct_fields__
        keep_rest("response_format.json_schema", members["json_schema"], known, found)
    if form.type == "json_object":
        found["format"] = Format() if not form.schema else format_of(Schema(schema=form.schema))
    elif form.type == "json_schema" and form.json_schema and form.json_schema.schema is not None:
        found["format"] = format_of(form.json_schema)
    elif form.type == "json_schema":
        path = "response_format.json_schema.schema"
        raise InvalidCall(f"`{path}` is missing; send a JSON Schema.", param=path)
    elif form.type != "text":
        path = "response_format.type"
        raise InvalidCall(
            f"`{path}` is {form.type!r}; send text, json_object or json_schema.", param=path
        )


def format_of(schema: Schema) -> Format:
    """The form of text that follows a schema."""
    return Format(
        schema=Raw(_json(schema.schema)),
        name=schema.name,
        description=schema.description,
        strict=schema.strict,
    )


_read_word = msgspec.json.Decoder(str).decode


def _effort(raw: Raw, found: Found) -> None:
    found["thinking"], found["called"] = effort_asked(_read_word(raw), "reasoning_effort"), {}


def effort_asked(word: str, path: str) -> ThinkingAsk:
    """How much thinking an effort asks for."""
    if word not in get_args(Effort):
        raise InvalidCall(
            f"`{path}` is {word!r}; send one of {', '.join(get_args(Effort))}.", param=path
        )
    effort: Effort = word  # type: ignore[assignment]  # it is one of them
    return ThinkingAsk(enabled=False if word == "none" else None, effort=effort)


_read_thinking = msgspec.json.Decoder(_Thinking).decode
_read_reasoning = msgspec.json.Decoder(_Reasoning).decode


def _thinking(raw: Raw, found: Found) -> None:
    asked = _read_thinking(raw)
    keep_rest("thinking", raw, _Thinking.__struct_fields__, found)
    on = asked.type != "disabled"
    if "thinking" not in found:
        found["thinking"] = ThinkingAsk(enabled=on, budget_tokens=asked.budget_tokens)
        found["called"] = {"thinking": "thinking", "thinking.amount": "thinking.budget_tokens"}


def _reasoning(raw: Raw, found: Found) -> None:
    asked = _read_reasoning(raw)
    for name, value in _members(raw).items():
        if name not in _WISHES and bytes(value) not in (b"null", b"false"):
            found["extra"][f"reasoning.{name}"] = value
    on = False if asked.effort == "none" else asked.enabled
    if "thinking" not in found:
        found["thinking"] = ThinkingAsk(
            enabled=on, effort=asked.effort, budget_tokens=asked.max_tokens
        )
        amount = "reasoning.max_tokens" if asked.effort is None else "reasoning.effort"
        found["called"] = {"thinking": "reasoning", "thinking.amount": amount}


_WISHES = frozenset(_Reasoning.__struct_fields__)
_read_count = msgspec.json.Decoder(int).decode
_read_stop = msgspec.json.Decoder(str | list[str]).decode
_read_modalities = msgspec.json.Decoder(list[str]).decode
_read_options = msgspec.json.Decoder(_StreamOptions).decode


def _top_logprobs(raw: Raw, found: Found) -> None:
    found["top_logprobs"] = _read_count(raw) or None  # 0 asks for none


def _stop(raw: Raw, found: Found) -> None:
    stop = _read_stop(raw)
    found["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)


def _modalities(raw: Raw, found: Found) -> None:
    modalities = tuple(_read_modalities(raw))
    found["modalities"] = () if modalities == ("text",) else modalities


def _stream_options(raw: Raw, found: Found) -> None:
    found["usage_in_stream"] = bool(_read_options(raw).include_usage)
    keep_rest("stream_options", raw, _StreamOptions.__struct_fields__, found)


def _retired(name: str, instead: str) -> Reader:
    def refuse(raw: Raw, found: Found) -> None:
        raise InvalidCall(f"`{name}` is retired: send `{instead}`.", param=name)

    return refuse


READERS: dict[str, Reader] = {
    "model": in_head,
    "stream": in_head,
    "max_tokens": in_head,
    "max_completion_tokens": in_head,
    "n": in_head,
    "messages": _messages,
    "stream_options": _stream_options,
    "temperature": kept("temperature", float),
    "top_p": kept("top_p", float),
    "top_k": kept("top_k", int),
    "stop": _stop,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": kept("parallel_tools", bool),
    "response_format": _format,
    "reasoning_effort": _effort,
    "thinking": _thinking,
    "reasoning": _reasoning,
    "seed": kept("seed", int),
    "presence_penalty": kept("presence_penalty", float),
    "frequency_penalty": kept("frequency_penalty", float),
    "logit_bias": kept_raw("logit_bias"),
    "logprobs": kept("logprobs", bool),
    "top_logprobs": _top_logprobs,
    "modalities": _modalities,
    "user": kept("user", str),
    "metadata": kept_raw("metadata"),
    "service_tier": kept("service_tier", str),
    "verbosity": kept("verbosity", str),
    "prompt_cache_key": kept("prompt_cache_key", str),
    "prompt_cache_retention": kept("prompt_cache_retention", str),
    "safety_identifier": kept("safety_identifier", str),
    "web_search_options": kept_native("web_search_options"),
    "functions": _retired("functions", "tools"),
    "function_call": _retired("function_call", "tool_choice"),
}
