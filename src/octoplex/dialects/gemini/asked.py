"""The members of a caller's request -> `Chat`, the typed view.

Each member has one reader; what has none is `extra`, under the path where it stood
(`generationConfig.mediaResolution`), so that it is named when dropped and comes back when
the request is written in this dialect again. Members that only this dialect has and that
change the answer (`cachedContent` holds a part of the prompt) are `native`. A null counts as
absent, and every name may be written in snake case.

`includeThoughts` is thinking that is switched on; a budget or level without it only says how
much. `allowedFunctionNames` names the tool, or leaves those it names.

Reference: https://ai.google.dev/api/generate-content

Not promised: that members of a function beyond its name, description and parameters go
anywhere but to this dialect.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.gemini.head import asked, reference_names
from octoplex.dialects.gemini.history import read_contents, read_system
from octoplex.dialects.gemini.names import items, members, plainly, read
from octoplex.dialects.gemini.schema import json_schema, ordered
from octoplex.dialects.gemini.signatures import NAME
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.native import Known, named, reader, unknown
from octoplex.dialects.readers import Found, Reader, complaint, in_head
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Effort, Format, ThinkingAsk, Tool, ToolChoice
from octoplex.wire.error import InvalidCall

_CONFIG = "generationConfig"
_THINKING = f"{_CONFIG}.thinkingConfig"
_CALLING = "toolConfig.functionCallingConfig"
_LEVELS: dict[str, Effort] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}
_NATIVE = frozenset(
    {
        "cachedContent",
        f"{_CONFIG}.speechConfig",
        f"{_CONFIG}.imageConfig",
        f"{_CONFIG}.responseSchema",
        f"{_CONFIG}.responseMimeType",
    }
)


class _Function(Known):
    name: str
    description: str | None = None
    parameters: Raw = Raw()
    parametersJsonSchema: Raw = Raw()  # noqa: N815 - the wire's name


class _Calling(Struct):
    mode: str = "AUTO"
    allowedFunctionNames: list[str] = []  # noqa: N815


class _Thinking(Struct):
    includeThoughts: bool | None = None  # noqa: N815
    thinkingBudget: int | None = None  # noqa: N815
    thinkingLevel: str | None = None  # noqa: N815


_function = reader(_Function)
_calling = msgspec.json.Decoder(_Calling).decode
_thinking = msgspec.json.Decoder(_Thinking).decode
_word = msgspec.json.Decoder(str).decode


def read_chat(call: Call) -> Chat:
    """Understand the call.

    Raises:
        InvalidCall: naming the path of what means nothing.
        Unsupported: a video, which the typed view cannot hold.
    """
    found: Found = {"extra": {}, "native": {}, "system": [], "messages": []}
    _read(reference_names(asked(call.fields)), "", found)
    found["messages"] = (*found.pop("system"), *found["messages"])
    allowed = found.pop("allowed", None)
    if allowed:
        found["tools"] = tuple(t for t in found.get("tools", ()) if t.name in allowed)
    return Chat(
        model=call.model,
        stream=call.stream,
        usage_in_stream=call.stream,
        max_tokens=call.max_tokens,
        n=call.n,
        dialect=NAME,
        **found,
    )


def _read(fields: Mapping[str, Raw], path: str, found: Found) -> None:
    """Let each member's reader add what it means; the rest is kept under its path."""
    for name, raw in fields.items():
        where = path + name
        reader = _READERS.get(where)
        if reader is not None:
            reader(raw, found)
        else:
            found["native" if where in _NATIVE else "extra"][where] = raw


def _system(raw: Raw, found: Found) -> None:
    found["system"] = read_system(raw)


def _contents(raw: Raw, found: Found) -> None:
    found["messages"] = read_contents(raw)


def _tools(raw: Raw, found: Found) -> None:
    tools: list[Tool] = []
    others: list[Raw] = []
    for number, item in enumerate(items(raw, "tools")):
        path = f"tools[{number}]"
        tool = members(item, path)
        declared = tool.pop("functionDeclarations", None)
        if declared is not None:
            path = f"{path}.functionDeclarations"
            named = enumerate(items(declared, path))
            tools += [_tool(raw, f"{path}[{n}]") for n, raw in named]
        if tool:
            others.append(Raw(msgspec.json.encode(tool)) if declared is not None else item)
    found["tools"], found["server_tools"] = tuple(tools), tuple(others)


def _tool(raw: Raw, path: str) -> Tool:
    function = read(_function, raw, path)
    schema: Raw | None = function.parametersJsonSchema or None
    if schema is None and function.parameters:
        schema = _openapi(function.parameters, f"{path}.parameters")
    elif schema is not None:
        schema = _ordered(schema, f"{path}.parametersJsonSchema")
    return Tool(
        name=function.name,
        description=function.description,
        schema=schema,
        beside=function.beside,
    )


def _openapi(raw: Raw, path: str) -> Raw:
    try:
        return json_schema(raw)
    except UNREADABLE as error:
        raise complaint(error, path) from None


def _ordered(raw: Raw, path: str) -> Raw:
    try:
        return ordered(raw)
    except UNREADABLE as error:
        raise complaint(error, path) from None


def _tool_config(raw: Raw, found: Found) -> None:
    _read(members(raw, "toolConfig"), "toolConfig.", found)


def _function_calling(raw: Raw, found: Found) -> None:
    config = read(_calling, raw, _CALLING)
    for name, value in members(raw, _CALLING).items():
        if name not in _Calling.__struct_fields__:
            found["extra"][f"{_CALLING}.{name}"] = value
    allowed = config.allowedFunctionNames
    match config.mode.upper():
        case "ANY" if len(allowed) == 1:
            found["tool_choice"] = ToolChoice(mode="named", name=allowed[0])
        case "ANY":
            found["tool_choice"], found["allowed"] = ToolChoice(mode="any"), allowed
        case "AUTO" | "VALIDATED" | "MODE_UNSPECIFIED":
            found["tool_choice"], found["allowed"] = ToolChoice(mode="auto"), allowed
        case "NONE":
            found["tool_choice"] = ToolChoice(mode="none")
        case other:
            raise InvalidCall(
                f"`{_CALLING}.mode` is {other!r}; send AUTO, ANY, NONE or VALIDATED.",
                param=f"{_CALLING}.mode",
            )


def _config(raw: Raw, found: Found) -> None:
    config = members(raw, _CONFIG)
    _format(config, found)
    _read(config, f"{_CONFIG}.", found)


def _format(config: dict[str, Raw], found: Found) -> None:
    """Take out the form of the text where it is JSON or plain; other forms are native."""
    raw = config.get("responseMimeType")
    kind = "" if raw is None else plainly(_word, raw, f"{_CONFIG}.responseMimeType")
    if kind == "application/json":
        schema = config.pop("responseJsonSchema", None) or config.pop("_responseJsonSchema", None)
        subset = config.pop("responseSchema", None)
        if schema is None and subset is not None:
            schema = _openapi(subset, f"{_CONFIG}.responseSchema")
        elif schema is not None:
            schema = _ordered(schema, f"{_CONFIG}.responseJsonSchema")
        found["format"] = Format(schema=schema, strict=None if schema is None else True)
    if kind in ("application/json", "text/plain"):
        del config["responseMimeType"]


def _thinking_config(raw: Raw, found: Found) -> None:
    found["thinking"] = thinking_of(raw)
    rest = unknown(members(raw, _THINKING), frozenset(_Thinking.__struct_fields__))
    found["extra"] |= named(f"{_THINKING}.", rest)


def thinking_of(raw: Raw) -> ThinkingAsk:
    """How much thinking a `thinkingConfig` asks for.

    Raises:
        InvalidCall: it means nothing, or two things.
    """
    config = read(_thinking, raw, _THINKING)
    budget, level, enabled = config.thinkingBudget, config.thinkingLevel, config.includeThoughts
    if budget is not None and level is not None:
        raise InvalidCall(
            f"`{_THINKING}` has a budget and a level; send one of them.", param=_THINKING
        )
    effort = None
    if level is not None and level.upper() != "THINKING_LEVEL_UNSPECIFIED":
        effort = _LEVELS.get(level.upper())
        if effort is None:
            path = f"{_THINKING}.thinkingLevel"
            raise InvalidCall(
                f"`{path}` is {level!r}; send minimal, low, medium or high.", param=path
            )
    if budget == 0:
        return ThinkingAsk(enabled=False)
    kept = budget if budget is not None and budget > 0 else None
    return ThinkingAsk(enabled=True if enabled else None, effort=effort, budget_tokens=kept)


def _modalities(raw: Raw, found: Found) -> None:
    words = plainly(_words, raw, f"{_CONFIG}.responseModalities")
    modalities = tuple(word.lower() for word in words)
    found["modalities"] = () if modalities == ("text",) else modalities


def _stops(raw: Raw, found: Found) -> None:
    found["stop"] = tuple(plainly(_words, raw, f"{_CONFIG}.stopSequences"))


_words = msgspec.json.Decoder(list[str]).decode


def _as(attribute: str, name: str, kind: Any) -> Reader:
    """A reader that checks the type and keeps the value."""
    decode = msgspec.json.Decoder(kind).decode

    def keep(raw: Raw, found: Found) -> None:
        found[attribute] = plainly(decode, raw, name)

    return keep


_PLAIN: dict[str, tuple[str, Any]] = {
    "temperature": ("temperature", float),
    "topP": ("top_p", float),
    "topK": ("top_k", int),
    "seed": ("seed", int),
    "presencePenalty": ("presence_penalty", float),
    "frequencyPenalty": ("frequency_penalty", float),
    "responseLogprobs": ("logprobs", bool),
    "logprobs": ("top_logprobs", int),
}
_READERS: dict[str, Reader] = {
    "model": in_head,
    "systemInstruction": _system,
    "contents": _contents,
    "tools": _tools,
    "toolConfig": _tool_config,
    _CALLING: _function_calling,
    _CONFIG: _config,
    _THINKING: _thinking_config,
    f"{_CONFIG}.maxOutputTokens": in_head,
    f"{_CONFIG}.candidateCount": in_head,
    f"{_CONFIG}.stopSequences": _stops,
    f"{_CONFIG}.responseModalities": _modalities,
    "serviceTier": _as("service_tier", "serviceTier", str),
    **{
        f"{_CONFIG}.{name}": _as(attribute, f"{_CONFIG}.{name}", kind)
        for name, (attribute, kind) in _PLAIN.items()
    },
}
