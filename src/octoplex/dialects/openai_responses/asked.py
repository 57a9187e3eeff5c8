"""The members of a Responses request -> `Chat`, the typed view.

Each member has one reader in `_READERS`; what has none is `extra`. Members that change
the answer and that no other dialect has (a stored conversation, a prompt kept at OpenAI,
log probabilities, a choice among the provider's own tools) are `native`: refused by every
other dialect, by name. Members of `text` and `reasoning` that have no word in `Chat` are
kept as `reasoning.summary` and so on. A member that says what is so anyhow says nothing.

`store` is no word for a provider: whoever keeps responses is this side of it.

Reference: https://developers.openai.com/api/reference/resources/responses/methods/create

Not promised: that members of a function beside its schema and `strict` go anywhere but to
this dialect.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.understand import (
    Schema,
    effort_asked,
    format_of,
    mode_of,
    read_function,
    tool_of,
)
from octoplex.dialects.openai_responses.history import read_input
from octoplex.dialects.openai_responses.namespaces import functions_of, joined
from octoplex.dialects.openai_responses.shapes import NAME, NOTHING, given
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
from octoplex.dialects.sieve import is_utf8
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Format, Message, TextPart, Tool, ToolChoice
from octoplex.wire.error import InvalidCall

ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"


class _Typed(Struct):
    type: str
    name: str | None = None
    server_label: str | None = None


class _Choice(Struct):
    type: str
    name: str | None = None
    mode: str = "auto"
    tools: list[_Typed] = []


class _Text(Struct):
    format: Raw = NOTHING
    verbosity: str | None = None


class _Format(Struct):
    type: str


class _Reasoning(Struct):
    effort: str | None = None


_json = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_typed = msgspec.json.Decoder(_Typed).decode
_choice = msgspec.json.Decoder(str | _Choice).decode
_text = msgspec.json.Decoder(_Text).decode
_format = msgspec.json.Decoder(_Format).decode
_schema = msgspec.json.Decoder(Schema).decode
_reasoning = msgspec.json.Decoder(_Reasoning).decode
_names = msgspec.json.Decoder(list[str]).decode
_string = msgspec.json.Decoder(str).decode


def read_chat(call: Call) -> Chat:
    """Understand the call.

    Raises:
        InvalidCall: naming the path of what means nothing.
    """
    if not is_utf8(call.raw):  # members are repeated in the reply as they came
        raise InvalidCall("The body is not valid UTF-8.")
    found = read_members(call.fields, _READERS)
    instructions = found.pop("instructions", "")
    system = (Message("system", (TextPart(instructions),)),) if instructions else ()
    found["messages"] = (*system, *found.get("messages", ()))
    allowed = found.pop("allowed", None)
    if allowed is not None:
        _allow(allowed, found)
    return Chat(
        model=call.model,
        stream=call.stream,
        usage_in_stream=call.stream,
        max_tokens=call.max_tokens,
        dialect=NAME,
        **found,
    )


def _unless(name: str, default: bytes, place: str) -> Reader:
    """A reader that keeps the bytes unless they say what is so anyhow."""

    def keep(raw: Raw, found: Found) -> None:
        if bytes(raw) != default:
            found.setdefault(place, {})[name] = raw

    return keep


def _read_tools(raw: Raw, found: Found) -> None:
    tools: list[Tool] = []
    others: list[Raw] = []
    for number, item in enumerate(_list(raw)):
        try:
            kind = _typed(item).type
            space = functions_of(item) if kind == "namespace" else None
            if kind == "function":
                tools.append(_function(item))
            elif space is not None:
                about = _members(item).get("description")
                if about is not None and given(about):
                    found["extra"][f"tools[{number}].description"] = about
                tools += [_spaced(space[0], raw) for raw in space[1]]
            else:
                others.append(item)
        except UNREADABLE as error:
            raise complaint(error, f"tools[{number}]") from None
    found["tools"], found["server_tools"] = tuple(tools), tuple(others)


def _function(raw: Raw) -> Tool:
    function = read_function(raw)
    return tool_of(function, None, function.beside)


def _spaced(namespace: str, raw: Raw) -> Tool:
    tool = _function(raw)
    return msgspec.structs.replace(tool, name=joined(namespace, tool.name))


def _read_choice(raw: Raw, found: Found) -> None:
    choice = _choice(raw)
    if isinstance(choice, str):
        found["tool_choice"] = mode_of(choice)
    elif choice.type == "function" and choice.name is not None:
        found["tool_choice"] = ToolChoice(mode="named", name=choice.name)
    elif choice.type == "allowed_tools":
        found["tool_choice"] = mode_of(choice.mode)
        found["allowed"] = choice.tools
    else:
        found.setdefault("native", {})["tool_choice"] = raw
        return
    if not isinstance(choice, str):
        keep_rest("tool_choice", raw, _Choice.__struct_fields__, found)


def _allow(allowed: list[_Typed], found: Found) -> None:
    """To be allowed only some tools is the same as to be given only these."""
    names = {tool.name for tool in allowed if tool.type == "function"}
    found["tools"] = tuple(t for t in found.get("tools", ()) if t.name in names)
    found["server_tools"] = tuple(
        raw
        for raw in found.get("server_tools", ())
        if any(_is(_typed(raw), tool) for tool in allowed)
    )


def _is(tool: _Typed, meant: _Typed) -> bool:
    return (
        tool.type == meant.type
        and meant.name in (None, tool.name)
        and meant.server_label in (None, tool.server_label)
    )


def _read_text(raw: Raw, found: Found) -> None:
    text = _text(raw)
    if given(text.format):
        _read_format(text.format, found)
    found["verbosity"] = text.verbosity
    keep_rest("text", raw, {"format", "verbosity"}, found)


def _read_format(raw: Raw, found: Found) -> None:
    try:
        kind = _format(raw).type
        if kind == "json_object":
            found["format"] = Format()
        elif kind == "json_schema":
            schema = _schema(raw)
            if schema.schema is None:
                raise _missing("text.format.schema", "a JSON Schema")
            found["format"] = format_of(schema)
        elif kind != "text":
            path = "text.format.type"
            why = f"`{path}` is {kind!r}; send text, json_object or json_schema."
            raise InvalidCall(why, param=path)
        keep_rest("text.format", raw, {"type", *Schema.__struct_fields__}, found)
    except UNREADABLE as error:
        raise complaint(error, "text.format") from None


def _read_reasoning(raw: Raw, found: Found) -> None:
    effort = _reasoning(raw).effort
    if effort is not None:
        found["thinking"] = effort_asked(effort, "reasoning.effort")
    keep_rest("reasoning", raw, {"effort"}, found)


def _read_include(raw: Raw, found: Found) -> None:
    """What to include. Ciphers always are; log probabilities are in no other reply."""
    rest = [name for name in _names(raw) if name != ENCRYPTED]
    if rest:
        place = "native" if _LOGPROBS in rest else "extra"
        found.setdefault(place, {})["include"] = Raw(_json(rest))


def _read_instructions(raw: Raw, found: Found) -> None:
    found["instructions"] = _string(raw)


def _missing(path: str, wanted: str) -> InvalidCall:
    return InvalidCall(f"`{path}` is missing; send {wanted}.", param=path)


_READERS: dict[str, Reader] = {
    "model": in_head,
    "stream": in_head,
    "max_output_tokens": in_head,
    "background": in_head,
    "store": in_head,
    "input": read_input,
    "instructions": _read_instructions,
    "tools": _read_tools,
    "tool_choice": _read_choice,
    "parallel_tool_calls": kept("parallel_tools", bool),
    "text": _read_text,
    "reasoning": _read_reasoning,
    "include": _read_include,
    "temperature": kept("temperature", float),
    "top_p": kept("top_p", float),
    "top_logprobs": _unless("top_logprobs", b"0", "native"),
    "truncation": _unless("truncation", b'"disabled"', "extra"),
    "user": kept("user", str),
    "metadata": kept_raw("metadata"),
    "service_tier": kept("service_tier", str),
    "prompt_cache_key": kept("prompt_cache_key", str),
    "prompt_cache_retention": kept("prompt_cache_retention", str),
    "safety_identifier": kept("safety_identifier", str),
    "previous_response_id": kept_native("previous_response_id"),
    "conversation": kept_native("conversation"),
    "prompt": kept_native("prompt"),
    "moderation": kept_native("moderation"),
}
