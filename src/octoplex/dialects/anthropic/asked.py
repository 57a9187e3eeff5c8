"""The members of a caller's request -> `Chat`, the typed view.

Each member has one reader in `_READERS`; what has none is `extra`. A null counts as
absent. Opaque members stay the bytes that came: schemas, `cache_control`, server tools.
Members that only this dialect has and that change the answer (tools of another server, a
container with its files and skills), or where it is made, are `native`: refused elsewhere.

Members of `thinking` and `output_config` that have no word in `Chat` (`display`, ...)
are kept under the same name in `extra`, so that they are named when dropped, and come
back when the request is written in this dialect again.

Reference: https://platform.claude.com/docs/en/api/messages

Not promised: that members of a tool beside its schema, `strict` and `cache_control` go
anywhere but to this dialect.
"""

from collections.abc import Callable
from typing import Any, get_args

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.anthropic.complaint import missing, read, wrong
from octoplex.dialects.anthropic.history import read_messages, read_system
from octoplex.dialects.anthropic.shapes import NOTHING, given
from octoplex.dialects.native import Known, reader
from octoplex.dialects.readers import keep_rest
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Effort, Format, ThinkingAsk, Tool, ToolChoice

Found = dict[str, Any]
"""What was understood so far: arguments of `Chat`."""
Reader = Callable[[Raw, Found], None]

_json = msgspec.json.Encoder().encode


class _Typed(Struct):
    type: str | None = None


class _Tool(Known):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Raw = NOTHING
    strict: bool | None = None
    cache_control: Raw = NOTHING


class _Choice(Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(Struct):
    type: str
    budget_tokens: int | None = None


class _Output(Struct):
    effort: str | None = None
    format: Raw = NOTHING


class _Format(Struct):
    type: str
    schema: Raw = NOTHING


class _Metadata(Struct):
    user_id: str | None = None


_members = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_typed = msgspec.json.Decoder(_Typed).decode
_tool = reader(_Tool)
_choice = msgspec.json.Decoder(_Choice).decode
_thinking = msgspec.json.Decoder(_Thinking).decode
_output = msgspec.json.Decoder(_Output).decode
_form = msgspec.json.Decoder(_Format).decode
_metadata = msgspec.json.Decoder(_Metadata).decode


def read_chat(call: Call) -> Chat:
    """Understand the call.

    Raises:
        InvalidCall: naming the path of what means nothing.
    """
    found: Found = {"extra": {}, "native": {}, "called": {}, "system": [], "messages": []}
    for name, raw in call.fields.items():
        if not given(raw):
            continue
        reader = _READERS.get(name)
        if reader is None:
            found["extra"][name] = raw
        else:
            reader(raw, found)
    found["messages"] = (*found.pop("system"), *found["messages"])
    effort = found.pop("effort", None)
    if effort is not None:
        ask, name = found.get("thinking"), "output_config.effort"
        found["called"]["thinking.amount"] = name
        if ask is None:
            found["called"]["thinking"], ask = name, ThinkingAsk()
        found["thinking"] = msgspec.structs.replace(ask, effort=effort)
    return Chat(
        model=call.model,
        stream=call.stream,
        usage_in_stream=call.stream,
        max_tokens=call.max_tokens,
        dialect="anthropic",
        **found,
    )


def _in_head(raw: Raw, found: Found) -> None:
    """Read by `head.py`."""


def _read_system(raw: Raw, found: Found) -> None:
    found["system"] = read_system(raw)


def _read_messages(raw: Raw, found: Found) -> None:
    found["messages"] = read_messages(raw)


def _read_tools(raw: Raw, found: Found) -> None:
    tools: list[Tool] = []
    others: list[Raw] = []
    for number, item in enumerate(read(_list, raw, "tools")):
        path = f"tools.{number}"
        if read(_typed, item, path).type not in (None, "custom"):
            others.append(item)
            continue
        tool = read(_tool, item, path)
        tools.append(
            Tool(
                name=tool.name,
                description=tool.description,
                schema=tool.input_schema if given(tool.input_schema) else None,
                strict=tool.strict,
                cache=tool.cache_control if given(tool.cache_control) else None,
                beside=tool.beside,
            )
        )
    found["tools"], found["server_tools"] = tuple(tools), tuple(others)


def _read_choice(raw: Raw, found: Found) -> None:
    choice = read(_choice, raw, "tool_choice")
    keep_rest("tool_choice", raw, _Choice.__struct_fields__, found)
    match choice.type:
        case "auto" | "any" | "none":
            found["tool_choice"] = ToolChoice(mode=choice.type)
        case "tool" if choice.name is not None:
            found["tool_choice"] = ToolChoice(mode="named", name=choice.name)
        case "tool":
            raise missing("tool_choice.name", "the name of a tool")
        case other:
            raise wrong("tool_choice.type", other, "auto, any, tool or none")
    if choice.disable_parallel_tool_use:
        found["parallel_tools"] = False


def _read_thinking(raw: Raw, found: Found) -> None:
    ask = read(_thinking, raw, "thinking")
    match ask.type:
        case "disabled" | "between_tools":
            found["thinking"] = ThinkingAsk(enabled=False)
        case "adaptive":
            found["thinking"] = ThinkingAsk(enabled=True)
        case "enabled" if ask.budget_tokens is not None:
            found["thinking"] = ThinkingAsk(enabled=True, budget_tokens=ask.budget_tokens)
        case "enabled":
            raise missing("thinking.budget_tokens", "a number of at least 1024")
        case other:
            raise wrong("thinking.type", other, "adaptive, enabled or disabled")
    understood = ("budget_tokens",) if ask.type == "between_tools" else ("type", "budget_tokens")
    _keep_rest("thinking", raw, understood, found)


def _read_output(raw: Raw, found: Found) -> None:
    output = read(_output, raw, "output_config")
    if output.effort is not None:
        if output.effort not in get_args(Effort):
            raise wrong("output_config.effort", output.effort, "low, medium, high, xhigh or max")
        found["effort"] = output.effort
    if given(output.format):
        _put_format(output.format, "output_config.format", found)
    _keep_rest("output_config", raw, ("effort", "format"), found)


def _read_old_format(raw: Raw, found: Found) -> None:
    """`output_format`, the name that `output_config.format` had in its beta."""
    _put_format(raw, "output_format", found)
    found["called"]["response_format"] = "output_format"


def _put_format(raw: Raw, path: str, found: Found) -> None:
    form = read(_form, raw, path)
    if form.type != "json_schema":
        raise wrong(f"{path}.type", form.type, "json_schema")
    if not given(form.schema):
        raise missing(f"{path}.schema", "a JSON Schema")
    found["format"] = Format(schema=form.schema, strict=True)
    keep_rest(path, raw, _Format.__struct_fields__, found)


def _keep_rest(name: str, raw: Raw, understood: tuple[str, ...], found: Found) -> None:
    rest = {k: v for k, v in _members(raw).items() if k not in understood}
    if rest:
        found["extra"][name] = Raw(_json(rest))


def _read_metadata(raw: Raw, found: Found) -> None:
    found["user"] = read(_metadata, raw, "metadata").user_id
    if _members(raw).keys() - {"user_id"}:  # else all of it is said by `user`
        found["metadata"] = raw


def _read_geo(raw: Raw, found: Found) -> None:
    """Where the answer is made: who says so wants it nowhere else."""
    if bytes(raw) != b'"global"':
        found["native"]["inference_geo"] = raw


def _native(name: str) -> Reader:
    """A reader of what nobody else can go on with."""

    def keep(raw: Raw, found: Found) -> None:
        found["native"][name] = raw

    return keep


def _as(attribute: str, name: str, kind: Any) -> Reader:
    """A reader that checks the type and keeps the value."""
    decode = msgspec.json.Decoder(kind).decode

    def keep(raw: Raw, found: Found) -> None:
        value = read(decode, raw, name)
        found[attribute] = tuple(value) if isinstance(value, list) else value

    return keep


_READERS: dict[str, Reader] = {
    "model": _in_head,
    "stream": _in_head,
    "max_tokens": _in_head,
    "system": _read_system,
    "messages": _read_messages,
    "tools": _read_tools,
    "tool_choice": _read_choice,
    "thinking": _read_thinking,
    "output_config": _read_output,
    "output_format": _read_old_format,
    "metadata": _read_metadata,
    "thread": _native("thread"),  # the conversation so far, which lies at Anthropic
    "container": _native("container"),
    "mcp_servers": _native("mcp_servers"),
    "inference_geo": _read_geo,
    "temperature": _as("temperature", "temperature", float),
    "top_p": _as("top_p", "top_p", float),
    "top_k": _as("top_k", "top_k", int),
    "stop_sequences": _as("stop", "stop_sequences", list[str]),
    "service_tier": _as("service_tier", "service_tier", str),
}
