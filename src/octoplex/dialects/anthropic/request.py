"""`Chat` -> the body of `POST /messages` and of `POST /messages/count_tokens`.

What the dialect has no word for is settled by the table in `dialects/expression.py`;
thinking is `thinking.py`'s, turns are `turns.py`'s. Opaque members (`extra`, server
tools, metadata, file ids) mean something here only when their caller spoke this dialect.

`max_tokens` is required: the caller's, else the family's cap, else 4,096; never less.

Reference: https://platform.claude.com/docs/en/api/messages and
https://platform.claude.com/docs/en/build-with-claude/structured-outputs

Not promised: that the model accepts each value, or a schema's every keyword; that is
the provider's verdict. `anthropic-version` is the provider row's header, not ours.
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.anthropic.families import Family, family_of
from octoplex.dialects.anthropic.thinking import Wanted, lacks_echo, write_thinking
from octoplex.dialects.anthropic.turns import write_turns
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.effort import is_off
from octoplex.dialects.expression import SPOKEN, Omissions, express
from octoplex.dialects.foreign import ECHOES
from octoplex.dialects.native import put_back, with_beside
from octoplex.dialects.native_schema import CLAUDE, fitted
from octoplex.dialects.schema_limits import Room
from octoplex.dialects.tool_schema import object_schema
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, Tool
from octoplex.wire.error import Unsupported

NAME = "anthropic"
OUTPUT_WHEN_UNKNOWN = 4_096

_NATIVE_ONLY = frozenset({"extra", "native", "server_tools", "metadata"})
SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_NOTHING = Raw(b'{"type":"object","properties":{},"additionalProperties":false}')
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}

_json = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
Body = dict[str, object]


def write_request(chat: Chat, traits: Traits, name: str = NAME) -> Encoded:
    """Write the request. `name` is that of the dialect, or of a cloud's form of it.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    return _write(chat, traits, name, counting=False)


def write_count(chat: Chat, traits: Traits, name: str = NAME) -> Encoded:
    """Write the request that counts the tokens of `chat` instead of answering it."""
    return _write(chat, traits, name, counting=True)


def _write(chat: Chat, traits: Traits, name: str, *, counting: bool) -> Encoded:
    omissions = Omissions(name, words_of(chat), drop_unsupported=traits.drop_unsupported)
    native = chat.dialect == NAME
    family = family_of(traits.model, traits.thinking)
    chat = express(without_defaults(chat, family), _spoken(name, native, family), omissions)
    if chat.max_tokens is None:
        max_tokens = traits.output_cap or OUTPUT_WHEN_UNKNOWN
    else:
        max_tokens = chat.max_tokens
    body: Body = {"model": traits.model}
    if not counting:
        body["max_tokens"] = max_tokens
        _put_plain(body, chat, omissions)
    _put_content(body, chat, traits, omissions)
    _put_tools(body, chat, family, omissions)
    if lacks_echo(chat.messages, traits):
        if chat.thinking is None or not is_off(chat.thinking):
            omissions.leave_out("thinking")
        wanted = Wanted({"type": "disabled"})
    else:
        wanted = write_thinking(chat, family, max_tokens, omissions)
    _put_output(body, chat, wanted, omissions, schemas=family.schemas)
    put_extra(body, chat.extra | chat.native)
    if chat.stream and not counting:
        body["stream"] = True
    return Encoded(_json(body), omissions.names(), loose=omissions.loose)


def without_defaults(chat: Chat, family: Family) -> Chat:
    """Leave out sampling fields that only say what is so anyhow: some models refuse even that."""
    if chat.dialect == NAME and family.sampling:
        return chat
    same = {name: None for name in ("temperature", "top_p") if getattr(chat, name) == 1}
    return msgspec.structs.replace(chat, **same) if same else chat


def _spoken(name: str, native: bool, family: Family) -> frozenset[str]:
    spoken = SPOKEN[name] | {"native"} if native else SPOKEN[name] - _NATIVE_ONLY
    return spoken if family.sampling else spoken - SAMPLING


def _put_plain(body: Body, chat: Chat, omissions: Omissions) -> None:
    temperature = chat.temperature
    if temperature is not None and temperature > 1:
        omissions.leave_out("temperature", why=f"it takes 0 to 1, not {temperature}")
        temperature = None
    stops = [s for s in chat.stop if s.strip()]
    if len(stops) < len(chat.stop):
        omissions.leave_out("stop", why="it takes no sequence of white space alone")
    tier = _TIERS.get(chat.service_tier or "")
    if chat.service_tier is not None and tier is None:
        omissions.leave_out("service_tier")
    user = None if chat.user is None else {"user_id": chat.user}
    for name, value in (
        ("temperature", temperature),
        ("top_p", chat.top_p),
        ("top_k", chat.top_k),
        ("stop_sequences", stops or None),
        ("metadata", user if chat.metadata is None else chat.metadata),
        ("service_tier", tier),
    ):
        if value is not None:
            body[name] = value


def _put_content(body: Body, chat: Chat, traits: Traits, omissions: Omissions) -> None:
    echoes = not traits.quirks.isdisjoint(ECHOES)
    native = chat.dialect == NAME
    system, turns = write_turns(chat.messages, omissions, native=native, echoes=echoes)
    if system:
        body["system"] = system
    if not turns and omissions.names():
        said = omissions.word("messages")
        raise Unsupported(
            f"Nothing is left of `{said}` that can be expressed in the anthropic dialect of this "
            "target; send text too, or choose another model.",
            param=said,
        )
    body["messages"] = turns


def _put_tools(body: Body, chat: Chat, family: Family, omissions: Omissions) -> None:
    strict = chat.tools
    if chat.dialect != NAME:
        strict = strictly(chat, omissions, takes=family.schemas)
    tools: list[object] = [_tool(t) for t in strict]
    tools += chat.server_tools
    if tools:
        body["tools"] = tools
    choice = _tool_choice(chat, bool(tools))
    if choice is not None:
        body["tool_choice"] = choice


def strictly(chat: Chat, omissions: Omissions, *, takes: bool) -> tuple[Tool, ...]:
    """The tools as a Claude is held to them, as many as it can be; the others are named."""
    if all(tool.strict is None for tool in chat.tools):
        return chat.tools
    room = Room(None if chat.format is None else chat.format.schema) if takes else None
    return tuple(_strictly(tool, room, omissions) for tool in chat.tools)


def _strictly(tool: Tool, room: Room | None, omissions: Omissions) -> Tool:
    if tool.strict is None or (room is not None and not tool.strict):
        return tool
    if not tool.strict:
        return msgspec.structs.replace(tool, strict=None)
    schema = _NOTHING if tool.schema is None else tool.schema
    fit = fitted(schema, CLAUDE) if room is not None else None
    if fit is None or room is None or not fit.exact or not room.takes(fit.size):
        omissions.leave_out("tool.strict")
        return msgspec.structs.replace(tool, strict=None)
    return msgspec.structs.replace(tool, schema=fit.schema)


def held_to(chat: Chat, omissions: Omissions) -> Raw | None:
    """The schema of the form in the words that a Claude is held to; None: it is left out.

    Raises:
        Unsupported: there are none for it.
    """
    assert chat.format is not None
    assert chat.format.schema is not None
    if chat.dialect == NAME:  # whoever speaks it knows its words
        return chat.format.schema
    fit = fitted(chat.format.schema, CLAUDE)
    if fit is None:
        omissions.leave_out("response_format", why="models are held to no such schema here")
        return None
    omissions.loose = not fit.exact
    return fit.schema


def _tool(tool: Tool) -> Body:
    written: Body = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    written["input_schema"] = object_schema(tool.schema)
    if tool.strict is not None:
        written["strict"] = tool.strict
    if tool.cache is not None:
        written["cache_control"] = tool.cache
    return with_beside(written, tool.beside)


def _tool_choice(chat: Chat, has_tools: bool) -> Body | None:
    """The choice, with "at most one call" in it: there is no other place for that."""
    mode = chat.tool_choice.mode if chat.tool_choice is not None else None
    if not has_tools and mode in (None, "auto", "none"):
        return None
    choice: Body | None = None
    if chat.tool_choice is not None and mode == "named":
        choice = {"type": "tool", "name": chat.tool_choice.name}
    elif mode is not None:
        choice = {"type": mode}
    if chat.parallel_tools is False and mode != "none":
        choice = choice or {"type": "auto"}
        choice["disable_parallel_tool_use"] = True
    return choice


def _put_output(
    body: Body, chat: Chat, wanted: Wanted, omissions: Omissions, *, schemas: bool
) -> None:
    if wanted.thinking is not None:
        body["thinking"] = wanted.thinking
    output: Body = {}
    if wanted.effort is not None:
        output["effort"] = wanted.effort
    if chat.format is not None and chat.format.schema is None:
        omissions.leave_out("response_format", why="JSON needs a schema here")
    elif chat.format is not None and not schemas:
        omissions.leave_out("response_format", why="this model is held to no schema")
    elif chat.format is not None and (schema := held_to(chat, omissions)) is not None:
        output["format"] = {"type": "json_schema", "schema": schema}
    if output:
        body["output_config"] = output


def put_extra(body: Body, extra: dict[str, Raw]) -> None:
    """Put opaque members back; the face splits `thinking` and `output_config` in two.

    A dotted name is a path.
    """
    for name, value in extra.items():
        written = body.get(name)
        if "." in name:
            put_back(body, name, value)
        elif isinstance(written, dict):
            body[name] = written | _members(value)
        elif written is None:
            body[name] = value
