"""`Chat` -> the body of `POST /responses` and of `POST /responses/input_tokens`.

A request that is written anew keeps nothing at the provider (`store` is false), so the
cipher of its thinking is asked for wherever the model is known to think: a model that
does not answers 400 to that. A summary of the thinking is asked for only where a caller
turned thinking on, as opposed to naming an effort: some accounts may not have one.

What the dialect has no word for is settled by the table in `dialects/expression.py`.

Reference: https://developers.openai.com/api/reference/resources/responses/methods/create

Not promised: that the model accepts each value; that is the provider's verdict.
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.effort import effort_word
from octoplex.dialects.expression import SPOKEN, Omissions, express
from octoplex.dialects.native import put_back, with_beside
from octoplex.dialects.openai_chat.request import TIERS, held_to, shortened
from octoplex.dialects.openai_responses.asked import ENCRYPTED
from octoplex.dialects.openai_responses.input import write_input
from octoplex.dialects.openai_responses.shapes import NAME
from octoplex.dialects.structured import naming_json
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, Format, Message, TextPart, ThinkingAsk, Tool, ToolChoice

LEAST_OUTPUT = 16
"""The least `max_output_tokens` that the API takes."""
_FAMILIAR = frozenset({"", "openai-chat", NAME})
"""Callers whose `metadata` means the same here."""
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')

_json = msgspec.json.Encoder().encode
_names = msgspec.json.Decoder(list[str]).decode
Body = dict[str, object]


def write_request(chat: Chat, traits: Traits) -> Encoded:
    """Write the request.

    Raises:
        Unsupported: a field that changes the answer cannot be expressed.
    """
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    chat = naming_json(express(chat, _spoken(chat, traits), omissions), last=True)
    body = _asked(chat, traits, omissions)
    _put_plain(body, chat, omissions)
    body["store"] = False
    if chat.stream:
        body["stream"] = True
    _put_members(body, chat, omissions)
    _put_include(body, traits)
    return Encoded(_json(body), omissions.names(), loose=omissions.loose)


def write_count(chat: Chat, traits: Traits) -> Encoded:
    """Write the request that counts the tokens of `chat` instead of answering it."""
    omissions = Omissions(NAME, words_of(chat), drop_unsupported=traits.drop_unsupported)
    chat = express(chat, _spoken(chat, traits), omissions)
    return Encoded(_json(_asked(chat, traits, omissions)), omissions.names())


def _spoken(chat: Chat, traits: Traits) -> frozenset[str]:
    spoken = SPOKEN[NAME]
    if traits.thinking == "none":
        spoken -= {"thinking"}  # a hint must not become the provider's 400
    return spoken if chat.dialect in _FAMILIAR else spoken - {"metadata"}


def _asked(chat: Chat, traits: Traits, omissions: Omissions) -> Body:
    """What counts as input: all that both operations take."""
    chat = held_to(chat, traits, omissions)
    body: Body = {"model": traits.model}
    messages = chat.messages
    # Alone it is the input: there must be one.
    if len(messages) > 1 and (text := _instructions(messages[0], omissions)) is not None:
        body["instructions"] = text
        messages = messages[1:]
    if messages:
        body["input"] = write_input(messages, omissions, chat.dialect)
    if chat.tools or chat.server_tools:
        body["tools"] = [*map(_tool, chat.tools), *chat.server_tools]
        if any(tool.cache is not None for tool in chat.tools):
            omissions.leave_out("cache_control")
        if chat.tool_choice is not None:
            body["tool_choice"] = _tool_choice(chat.tool_choice)
        if chat.parallel_tools is not None:
            body["parallel_tool_calls"] = chat.parallel_tools
    form = _text(chat, traits, omissions)
    if form:
        body["text"] = form
    if chat.thinking is not None:
        reasoning = _reasoning(chat.thinking, traits, omissions)
        if reasoning:
            body["reasoning"] = reasoning
    return body


def _instructions(first: Message, omissions: Omissions) -> str | None:
    """The text of a first system turn that is one text; others stay in their places."""
    if first.role != "system" or len(first.parts) != 1 or first.name is not None:
        return None
    part = first.parts[0]
    if not isinstance(part, TextPart) or not part.text or part.beside:
        return None
    if part.cache is not None:
        omissions.leave_out("cache_control")
    return part.text


def _tool(tool: Tool) -> Body:
    written: Body = {"type": "function", "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    written["parameters"] = _NO_PARAMETERS if tool.schema is None else tool.schema
    written["strict"] = bool(tool.strict)  # left out, it would mean true here
    return with_beside(written, tool.beside)


def _tool_choice(choice: ToolChoice) -> object:
    if choice.mode == "named":
        return {"type": "function", "name": choice.name}
    return "required" if choice.mode == "any" else choice.mode


def _text(chat: Chat, traits: Traits, omissions: Omissions) -> Body:
    text: Body = {}
    if chat.format is not None and not _lacks(chat.format, traits.quirks, omissions):
        text["format"] = _format(chat.format)
    if chat.verbosity is not None:
        text["verbosity"] = chat.verbosity
    return text


def _lacks(form: Format, quirks: frozenset[str], omissions: Omissions) -> bool:
    """Whether the model cannot be held to the form, which is left out then."""
    lacks_schemas = "no_json_schema" in quirks and form.schema is not None
    if not lacks_schemas and "no_response_format" not in quirks:
        return False
    omissions.leave_out("response_format", why="this model is not held to it")
    return True


def _format(form: Format) -> Body:
    if form.schema is None:
        return {"type": "json_object"}
    written: Body = {"type": "json_schema", "name": form.name, "schema": form.schema}
    if form.description is not None:
        written["description"] = form.description
    if form.strict is not None:
        written["strict"] = form.strict
    return written


def _reasoning(ask: ThinkingAsk, traits: Traits, omissions: Omissions) -> Body:
    """Off means no member where no member means off."""
    effort = effort_word(ask, traits, omissions)
    written: Body = {} if effort is None else {"effort": effort}
    if ask.enabled:
        written["summary"] = "auto"
    return written


def _put_plain(body: Body, chat: Chat, omissions: Omissions) -> None:
    limit = chat.max_tokens
    if limit is not None and limit < LEAST_OUTPUT:
        omissions.leave_out("max_tokens")
        limit = LEAST_OUTPUT
    tier = chat.service_tier
    if tier is not None and tier not in TIERS:
        omissions.leave_out("service_tier")
        tier = None
    for name, value in (
        ("max_output_tokens", limit),
        ("temperature", chat.temperature),
        ("top_p", chat.top_p),
        ("user", shortened(chat.user)),
        ("metadata", chat.metadata),
        ("service_tier", tier),
        ("prompt_cache_key", chat.prompt_cache_key),
        ("prompt_cache_retention", chat.prompt_cache_retention),
        ("safety_identifier", shortened(chat.safety_identifier)),
    ):
        if value is not None:
            body[name] = value


def _put_members(body: Body, chat: Chat, omissions: Omissions) -> None:
    """Put back what only this dialect knows, as `asked.py` split it."""
    for name, value in (chat.extra | chat.native).items():
        if name.startswith(("input[", "tools[")):  # its place there is not known any more
            omissions.leave_out("native" if name in chat.native else "extra", name)
            continue
        if not put_back(body, name, value):
            omissions.leave_out("extra", name)


def _put_include(body: Body, traits: Traits) -> None:
    reasoning = body.get("reasoning")
    asked = isinstance(reasoning, dict) and reasoning.get("effort") != "none"
    wanted = [ENCRYPTED] if asked or traits.thinking not in (None, "none") else []
    rest = body.pop("include", None)
    if isinstance(rest, Raw):
        wanted += _names(rest)
    if wanted:
        body["include"] = wanted
