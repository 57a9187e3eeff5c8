"""`Chat` -> the body of `POST /model/{id}/converse` and `/converse-stream`.

The model and the wish for a stream are in the path, not in the body. What only some models
take goes into `additionalModelRequestFields` (`models.py`, `thinking.py`); what the dialect
has no word for is settled by the table in `dialects/expression.py`; turns are `turns.py`'s.

There is no "none" among the tool choices: the tools are left out instead, unless the
history holds tool calls, which the API takes only beside their tools.

Without `max_tokens` none is sent: then the model's own cap holds.

Reference: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html

Not promised: that the model accepts each value; that is its own verdict.
"""

import msgspec

from octoplex.dialects.anthropic.families import family_of
from octoplex.dialects.anthropic.request import (
    SAMPLING,
    held_to,
    put_extra,
    strictly,
    without_defaults,
)
from octoplex.dialects.bedrock_converse.models import Model, model_of
from octoplex.dialects.bedrock_converse.thinking import thinking_fields
from octoplex.dialects.bedrock_converse.turns import Writer, write_turns
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.expression import SPOKEN, Omissions, express
from octoplex.dialects.tool_schema import object_schema
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, Format, Tool, ToolCall, ToolResult

NAME = "bedrock-converse"

OUTPUT_WHEN_UNKNOWN = 32_000
"""Room for thinking where neither caller nor family says: every Claude that thinks has it."""

_TIERS = frozenset({"default", "flex", "priority"})

_json = msgspec.json.Encoder().encode
Body = dict[str, object]


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    model = model_of(traits.model)
    family = family_of(traits.model, traits.thinking)
    spoken = SPOKEN[NAME]
    if model.maker == "claude":
        chat = without_defaults(chat, family)
        spoken = spoken if family.sampling else spoken - SAMPLING
    chat = express(chat, spoken, omissions)
    system, turns = write_turns(chat.messages, model, omissions)
    body: Body = {"messages": turns}
    if system:
        body["system"] = system
    _put_inference(body, chat, omissions)
    _put_tools(body, chat, model, omissions)
    if chat.format is not None:
        _put_format(body, chat, chat.format, model, omissions)
    _put_service_tier(body, chat, omissions)
    fields = _top_k(chat, model, omissions)
    max_tokens = chat.max_tokens or traits.output_cap or OUTPUT_WHEN_UNKNOWN
    fields |= thinking_fields(chat, model, family, max_tokens, omissions)
    if fields:
        body["additionalModelRequestFields"] = fields
    if chat.stop and model.maker == "claude":
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    put_extra(body, chat.extra)
    return Encoded(_json(body), omissions.names(), loose=omissions.loose)


def _put_inference(body: Body, chat: Chat, omissions: Omissions) -> None:
    temperature = chat.temperature
    if temperature is not None and temperature > 1:
        omissions.leave_out("temperature", why=f"it takes 0 to 1, not {temperature}")
        temperature = None
    stops = [s for s in chat.stop if s.strip()]
    if len(stops) < len(chat.stop):
        omissions.leave_out("stop", why="it takes no sequence of white space alone")
    config = {
        name: value
        for name, value in (
            ("maxTokens", chat.max_tokens),
            ("temperature", temperature),
            ("topP", chat.top_p),
            ("stopSequences", stops or None),
        )
        if value is not None
    }
    if config:
        body["inferenceConfig"] = config


def _put_tools(body: Body, chat: Chat, model: Model, omissions: Omissions) -> None:
    choice, used = chat.tool_choice, _uses_tools(chat)
    none = choice is not None and choice.mode == "none"
    if none and used:
        omissions.leave_out("tool_choice", why="tools that were called cannot be switched off")
    if not chat.tools or (none and not used):
        return
    writer = Writer(model, omissions)
    tools: list[Body] = []
    for tool in strictly(chat, omissions, takes=model.schemas):
        tools += [_tool(tool), *writer.points(tool.cache, model.caches_tools)]
    config: Body = {"tools": tools}
    if choice is not None and choice.mode == "named":
        config["toolChoice"] = {"tool": {"name": choice.name}}
    elif choice is not None and choice.mode == "any":
        config["toolChoice"] = {"any": {}}
    body["toolConfig"] = config  # "auto" is the default, and not every model takes the word


def _uses_tools(chat: Chat) -> bool:
    return any(isinstance(p, ToolCall | ToolResult) for m in chat.messages for p in m.parts)


def _tool(tool: Tool) -> Body:
    spec: Body = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": object_schema(tool.schema)}
    if tool.strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _put_format(body: Body, chat: Chat, form: Format, model: Model, omissions: Omissions) -> None:
    if form.schema is None or not model.schemas:
        why = "this model is held to no schema" if form.schema else "JSON needs a schema here"
        omissions.leave_out("response_format", why=why)
        return
    held = held_to(chat, omissions)
    if held is None:
        return
    schema: Body = {"schema": bytes(held).decode(), "name": form.name}
    if form.description is not None:
        schema["description"] = form.description
    format_ = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    body["outputConfig"] = {"textFormat": format_}


def _put_service_tier(body: Body, chat: Chat, omissions: Omissions) -> None:
    if chat.service_tier in _TIERS:
        body["serviceTier"] = {"type": chat.service_tier}
    elif chat.service_tier is not None:
        omissions.leave_out("service_tier")


def _top_k(chat: Chat, model: Model, omissions: Omissions) -> Body:
    if chat.top_k is None:
        return {}
    if model.maker == "claude":
        return {"top_k": chat.top_k}
    if model.maker in ("nova", "nova-2"):
        return {"inferenceConfig": {"topK": chat.top_k}}
    omissions.leave_out("top_k", why="of this model no such field is known")
    return {}
