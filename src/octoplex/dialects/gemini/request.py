"""`Chat` -> the body of `:generateContent`, `:streamGenerateContent` and `:countTokens`.

The model and whether the reply is streamed stand in the path, not here. What the dialect
has no word for is settled by the table in `dialects/expression.py`; thinking is
`thinking.py`'s, turns are `turns.py`'s. Members that only a caller of this dialect can
have (`extra`, `native`) go back to where they came from: a dotted name is a path.

A tool's schema goes out as `parametersJsonSchema`, a format's as `responseJsonSchema`: both
are JSON Schema as the caller wrote it. The older `parameters` and `responseSchema` are a
subset of OpenAPI's, with other names of types, and refuse `$ref`, `additionalProperties` and
empty objects. Keywords that Gemini reads over are checked in the reply (`Encoded.loose`).

Reference: https://ai.google.dev/api/generate-content and https://ai.google.dev/api/tokens

Not promised: that the model accepts each value, or a schema's every keyword.
"""

import msgspec

from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.expression import SPOKEN, Omissions, express
from octoplex.dialects.gemini.families import family_of
from octoplex.dialects.gemini.shapes import Body
from octoplex.dialects.gemini.signatures import NAME
from octoplex.dialects.gemini.thinking import write_thinking
from octoplex.dialects.gemini.turns import write_turns
from octoplex.dialects.native import put_back, with_beside
from octoplex.dialects.schema_limits import GEMINI, is_held
from octoplex.dialects.structured import alone, has_tools
from octoplex.dialects.tool_schema import object_schema
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, Format, Tool, ToolChoice

_MOST_STOPS = 5
_TIERS = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_MODES = {"auto": "AUTO", "any": "ANY", "none": "NONE", "named": "ANY"}

_json = msgspec.json.Encoder().encode


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    body, omissions = _write(chat, traits)
    return Encoded(_json(body), omissions.names(), loose=omissions.loose)


def write_count(chat: Chat, traits: Traits) -> Encoded:
    """Write the request that counts the tokens of `chat`: the whole request in a member."""
    if has_tools(chat) and not family_of(traits.model, traits.thinking).forms_beside_tools:
        chat = msgspec.structs.replace(chat, format=None)  # it counts for nothing
    body, omissions = _write(chat, traits)
    asked = {"model": f"models/{traits.model}", **body}
    return Encoded(_json({"generateContentRequest": asked}), omissions.names())


def _write(chat: Chat, traits: Traits) -> tuple[Body, Omissions]:
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    if chat.parallel_tools:  # which they are unless somebody forbids it
        chat = msgspec.structs.replace(chat, parallel_tools=None)
    chat = express(chat, SPOKEN[NAME], omissions)
    family = family_of(traits.model, traits.thinking)
    if not family.forms_beside_tools:
        chat = alone(chat, omissions)
    native = chat.dialect == NAME
    body: Body = {}
    system, turns = write_turns(chat.messages, family, omissions, native=native)
    if system:
        body["systemInstruction"] = {"parts": system}
    body["contents"] = turns
    _put_tools(body, chat, omissions)
    config = _config(chat, omissions)
    thinking = write_thinking(chat, family, omissions)
    if thinking:
        config["thinkingConfig"] = thinking
    if config:
        body["generationConfig"] = config
    _put_tier(body, chat.service_tier, omissions)
    for name, value in (chat.extra | chat.native).items():
        put_back(body, name, value)
    return body, omissions


def _put_tools(body: Body, chat: Chat, omissions: Omissions) -> None:
    tools: list[object] = []
    if chat.tools:
        tools.append({"functionDeclarations": [_tool(t, omissions) for t in chat.tools]})
    tools += chat.server_tools
    if tools:
        body["tools"] = tools
        if chat.tool_choice is not None:
            body["toolConfig"] = {"functionCallingConfig": _tool_choice(chat.tool_choice)}


def _tool(tool: Tool, omissions: Omissions) -> Body:
    if tool.strict:
        omissions.leave_out("tool.strict")
    if tool.cache is not None:
        omissions.leave_out("cache_control")
    written: Body = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.schema is not None:
        written["parametersJsonSchema"] = object_schema(tool.schema)
    return with_beside(written, tool.beside)


def _tool_choice(choice: ToolChoice) -> Body:
    config: Body = {"mode": _MODES[choice.mode]}
    if choice.mode == "named":
        config["allowedFunctionNames"] = [choice.name]
    return config


def _config(chat: Chat, omissions: Omissions) -> Body:
    """The `generationConfig`, without thinking."""
    stops = list(chat.stop)
    if len(stops) > _MOST_STOPS:
        omissions.leave_out("stop", why=f"it takes {_MOST_STOPS} sequences, not {len(stops)}")
        stops = stops[:_MOST_STOPS]
    members = {
        "maxOutputTokens": chat.max_tokens,
        "temperature": chat.temperature,
        "topP": chat.top_p,
        "topK": chat.top_k,
        "stopSequences": stops or None,
        "candidateCount": chat.n if chat.n != 1 else None,
        "seed": chat.seed,
        "presencePenalty": chat.presence_penalty,
        "frequencyPenalty": chat.frequency_penalty,
        "responseLogprobs": chat.logprobs or None,
        "logprobs": chat.top_logprobs,
        "responseModalities": [m.upper() for m in chat.modalities] or None,
    }
    config: Body = {name: value for name, value in members.items() if value is not None}
    if chat.format is not None and chat.format.schema is not None and chat.dialect != NAME:
        omissions.loose = not is_held(chat.format.schema, GEMINI)
    return config | _format(chat.format)


def _format(form: Format | None) -> Body:
    if form is None:
        return {}
    mime: Body = {"responseMimeType": "application/json"}
    return mime if form.schema is None else mime | {"responseJsonSchema": form.schema}


def _put_tier(body: Body, tier: str | None, omissions: Omissions) -> None:
    if tier is None:
        return
    if tier in _TIERS:
        body["serviceTier"] = _TIERS[tier]
    else:
        omissions.leave_out("service_tier")
