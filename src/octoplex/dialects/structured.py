"""JSON that a reply must be, where the provider does not see to it: asked for in words, checked.

    forms_of(dialect, traits)           what a target sees to by itself
    holding(dialect, traits, ...)       how much of one schema it does
    instructed(chat, ...)               the same request, asking for the form in words
    Measure(format).fault(text)         what is wrong with a reply, "" when nothing is
    corrected(chat, said, fault)        the request that asks again

What a target sees to is not another table: its encoder is asked, which refuses what the
dialect, the provider's row or the model has no word for.

Schemas come from callers, and are never trusted: nothing that one refers to is fetched,
patterns run under a bound, and all of it in a process of its own (`upstreams/judge.py`).
`format` (a date, an e-mail address) is advice, as JSON Schema
has it. Complaints name a place and a keyword, never a value: they are logged.

Reference: https://json-schema.org/draft/2020-12

Not promised: that a model answers in the form at all.
"""

import re
from typing import Any, Literal

import msgspec

from octoplex.dialects.dialect import Dialect, Traits
from octoplex.dialects.expression import Omissions
from octoplex.wire.chat import Chat, Format, Message, TextPart, Tool
from octoplex.wire.error import GatewayError, InvalidCall

Kind = Literal["schema", "object"]
Holding = Literal["exactly", "loosely", "not"]
"""Whether what a target enforces is all that a schema says, some of it, or nothing."""


class _Typed(msgspec.Struct):
    type: str = ""


_typed = msgspec.json.Decoder(_Typed).decode
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_LONGEST = 300
_FENCE = re.compile(r"```[A-Za-z]*[ \t]*\n(.*?)\n?```", re.DOTALL)
_PROBE = Chat(model="", messages=(Message("user", (TextPart("x"),)),))
_FORMATS: dict[Kind, Format] = {
    "schema": Format(
        schema=msgspec.Raw(b'{"type":"object","properties":{},"additionalProperties":false}')
    ),
    "object": Format(),
}
ASK = "Answer with one JSON object and nothing else: no words around it, no code fence."
_ASK_SCHEMA = (
    "Answer with one JSON value and nothing else: no words around it, no code fence. "
    "It must be valid against this JSON Schema:\n"
)


def forms_of(dialect: Dialect, traits: Traits, *, beside_tools: bool = False) -> frozenset[Kind]:
    """The forms of text that a target enforces by itself, alone or beside tools."""
    strict = msgspec.structs.replace(traits, drop_unsupported=False)
    probe = msgspec.structs.replace(_PROBE, tools=(Tool(name="f"),)) if beside_tools else _PROBE
    found: set[Kind] = set()
    for kind, form in _FORMATS.items():
        try:
            dialect.encode_chat(msgspec.structs.replace(probe, format=form), strict)
        except GatewayError:
            continue
        found.add(kind)
    return frozenset(found)


def holding(dialect: Dialect, traits: Traits, form: Format, caller: str) -> Holding:
    """How a target holds the model to a form that a caller of some dialect asks for."""
    strict = msgspec.structs.replace(traits, drop_unsupported=False)
    probe = msgspec.structs.replace(_PROBE, format=form, dialect=caller)
    try:
        return "loosely" if dialect.encode_chat(probe, strict).loose else "exactly"
    except GatewayError:
        return "not"


def kind_of(form: Format) -> Kind:
    """Which of the forms it is."""
    return "object" if form.schema is None else "schema"


def has_tools(chat: Chat) -> bool:
    """Whether the model may call anything."""
    return bool(chat.tools or chat.server_tools)


def alone(chat: Chat, omissions: Omissions) -> Chat:
    """The request at a target that takes no form of text beside tools.

    Raises:
        Unsupported: it has both, and the route does not drop the form.
    """
    if chat.format is None or not has_tools(chat):
        return chat
    omissions.leave_out("response_format", why="not beside tools")
    return msgspec.structs.replace(chat, format=None)


class Measure:
    """What a reply is measured by."""

    def __init__(self, form: Format) -> None:
        """Read the schema.

        Raises:
            InvalidCall: it is none, or refers to other documents.
        """
        self._schema: Any = None
        """A `jsonschema_rs.Validator`: 7 MB, that most servers never need, are loaded late."""
        if form.schema is None:
            return
        try:
            from jsonschema_rs import validator_for

            schema = msgspec.json.decode(form.schema)
            self._schema = validator_for(schema, mask="the value", offline=True)
        except UNREADABLE as error:
            raise _no_schema(str(error)) from None
        except (ValueError, TypeError) as error:  # its own errors are ValueErrors
            raise _no_schema(str(getattr(error, "message", error))) from None

    def fault(self, text: str) -> str:
        """The first thing that is wrong with a reply; "" when nothing is."""
        try:
            value = msgspec.json.decode(text)
        except UNREADABLE as error:
            return f"it is not JSON ({str(error)[:_LONGEST]})" if text else "it is empty"
        if self._schema is None:
            return "" if isinstance(value, dict) else "it is not a JSON object"
        first = next(iter(self._schema.iter_errors(value)), None)
        if first is None:
            return ""
        place = "/".join(str(step) for step in first.instance_path)
        return f"at /{place}: {first.message}"[:_LONGEST]


def _no_schema(why: str) -> InvalidCall:
    return InvalidCall(
        f"The JSON Schema of the response format cannot be used: {why[:_LONGEST]}.",
        param="response_format",
    )


def bare(text: str) -> str:
    """The text without white space and a code fence around it."""
    text = text.strip()
    fenced = _FENCE.fullmatch(text)
    return fenced[1].strip() if fenced else text


def _is_object(form: Format) -> bool:
    """Whether only an object can be valid, so that a JSON mode fits."""
    if form.schema is None:
        return True
    try:
        return _typed(form.schema).type == "object"
    except msgspec.ValidationError:  # `true` is a schema, and a list of types is a type
        return False


def instructed(chat: Chat, forms: frozenset[Kind]) -> Chat:
    """The request with its form asked for in words, after the caller's own system turns.

    `forms`: what the target enforces by itself; its JSON mode helps where an object is wanted.
    """
    form = chat.format
    assert form is not None
    schema = "" if form.schema is None else bytes(form.schema).decode()
    return msgspec.structs.replace(
        chat,
        messages=_told(chat.messages, _ASK_SCHEMA + schema if schema else ASK),
        format=Format() if "object" in forms and _is_object(form) else None,
        stream=False,
    )


def _told(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """The turns with one more of the system's, behind those that they begin with."""
    users = (i for i, m in enumerate(messages) if m.role not in ("system", "developer"))
    at = next(users, len(messages))
    return (*messages[:at], Message("system", (TextPart(text),)), *messages[at:])


def naming_json(chat: Chat, *, last: bool = False) -> Chat:
    """The request with the word in it that OpenAI's JSON mode demands and Gemini's does not.

    `last`: it must stand in the input, not in the instructions.
    """
    if chat.dialect != "gemini" or chat.format is None or chat.format.schema is not None:
        return chat
    read = [m for m in chat.messages if not (last and m.role == "system")]
    parts = (p for m in read for p in m.parts)
    if any(isinstance(p, TextPart) and "json" in p.text.lower() for p in parts):
        return chat
    said = Message("developer", (TextPart(ASK),))
    messages = (*chat.messages, said) if last else _told(chat.messages, ASK)
    return msgspec.structs.replace(chat, messages=messages)


def corrected(chat: Chat, said: str, fault: str) -> Chat:
    """The request that asks again, after a reply with a fault."""
    turns = [Message("assistant", (TextPart(said),))] if said.strip() else []
    ask = f"That is not what was asked for: {fault}. Answer again, with the right JSON alone."
    turns.append(Message("user", (TextPart(ask),)))
    return msgspec.structs.replace(chat, messages=(*chat.messages, *turns))
