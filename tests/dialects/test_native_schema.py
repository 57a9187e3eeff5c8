"""Schemas in the words of each vendor, and what becomes of those that it has no words for.

https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas and
https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

import json
from typing import Any

import msgspec
import pytest

from octoplex.assembly.dialects import dialects
from octoplex.catalog.families import family, quirks_for
from octoplex.catalog.provider import providers
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.native_schema import CLAUDE, OPENAI_STRICT, Subset, fitted
from octoplex.dialects.structured import forms_of
from octoplex.wire.chat import Chat, Format, Message, TextPart, Tool
from octoplex.wire.error import Unsupported

SPOKEN = dialects()
HI = Message("user", (TextPart("Hi"),))
STRING, AGE = {"type": "string"}, {"type": "integer", "minimum": 1}
CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"name": STRING},
    "required": ["name"],
    "additionalProperties": False,
}
OPEN = {k: v for k, v in CLOSED.items() if k != "additionalProperties"}
OPTIONAL = {k: v for k, v in CLOSED.items() if k != "required"}
AGED = {**CLOSED, "properties": {"name": AGE}}
TREE = {**CLOSED, "properties": {"name": {"$ref": "#/$defs/n"}}, "$defs": {
    "n": {**CLOSED, "properties": {"name": {"$ref": "#/$defs/n"}}}}}  # fmt: skip
WHOLE, CONVERSE = "claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def raw(schema: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(schema).encode())


def fit(schema: Any, subset: Subset) -> Any:
    found = fitted(raw(schema), subset)
    return None if found is None else (json.loads(bytes(found.schema)), found.exact)


def inside(inner: Any) -> Any:
    return {**CLOSED, "properties": {"name": inner}}


@pytest.mark.parametrize(
    ("schema", "openai", "claude"),
    [
        (CLOSED, (CLOSED, True), (CLOSED, True)),
        (OPEN, (CLOSED, True), (CLOSED, True)),
        (inside(OPEN), (inside(CLOSED), True), (inside(CLOSED), True)),
        (OPTIONAL, None, (OPTIONAL, True)),
        (AGED, (AGED, True), (inside({"type": "integer"}), False)),
        ({**CLOSED, "propertyOrdering": ["name"], "$schema": "x", "x-own": 1}, (CLOSED, True),
         (CLOSED, True)),
        (inside({**STRING, "maxLength": 3}), None, (CLOSED, False)),
        (inside({**STRING, "format": "email"}), (inside({**STRING, "format": "email"}), True),
         (inside({**STRING, "format": "email"}), True)),
        (inside({**STRING, "format": "secret"}), (CLOSED, True), (CLOSED, True)),
        (inside({**STRING, "pattern": "^(?=a)"}),
         (inside({**STRING, "pattern": "^(?=a)"}), True), (CLOSED, False)),
        (inside({"oneOf": [STRING, {"type": "integer"}]}), None,
         (inside({"anyOf": [STRING, {"type": "integer"}]}), False)),
        (inside({"allOf": [OPEN, OPEN]}), None, None),
        (inside({**CLOSED, "anyOf": [OPEN]}), None, None),
        (inside({"type": "array", "items": STRING, "minItems": 2}),
         (inside({"type": "array", "items": STRING, "minItems": 2}), True),
         (inside({"type": "array", "items": STRING}), False)),
        (TREE, (TREE, True), None),
        (inside({}), None, None),
        (inside(True), None, None),
        (inside({"type": "object"}), None, None),
        (inside({"type": "object", "additionalProperties": STRING}), None, None),
        (inside({"$ref": "http://127.0.0.1:9/s"}), None, None),
        (3, None, None),
    ],
)  # fmt: skip
def test_the_words_of_a_vendor(schema: Any, openai: Any, claude: Any) -> None:
    assert fit(schema, OPENAI_STRICT) == openai
    assert fit(schema, CLAUDE) == claude


def test_what_is_no_json_or_too_deep_has_no_words() -> None:
    for text in (b"{", b'{"properties":' * 60_000):
        assert fitted(msgspec.Raw(text), OPENAI_STRICT) is None


def encoded(dialect: str, model: str, schema: Any, caller: str, **more: Any) -> Encoded:
    form = Format(schema=raw(schema), strict=True) if schema is not None else None
    chat = Chat(model="m", messages=(HI,), format=form, dialect=caller, **more)
    return SPOKEN[dialect].encode_chat(chat, Traits(model=model))


@pytest.mark.parametrize("caller", ["gemini", "anthropic"])
@pytest.mark.parametrize("dialect", ["openai-chat", "openai-responses"])
def test_openai_is_strict_where_it_can_be(dialect: str, caller: str) -> None:
    for schema, sent, strict in ((OPEN, CLOSED, True), (OPTIONAL, OPTIONAL, False)):
        got = encoded(dialect, "gpt-4o", schema, caller)
        body = json.loads(got.body)
        chat = dialect == "openai-chat"
        form = body["response_format"]["json_schema"] if chat else body["text"]["format"]
        assert (form["schema"], form["strict"], got.loose) == (sent, strict, not strict)
    listed = {"type": "array", "items": OPEN}
    with pytest.raises(Unsupported):
        encoded(dialect, "gpt-4o", listed, caller)
    encoded(dialect, "own/weights", listed, caller)  # others answer in lists
    own = encoded(dialect, "gpt-4o", OPTIONAL, "openai-chat")
    assert (b'"strict":true' in own.body, own.loose) == (True, False)


@pytest.mark.parametrize(
    ("dialect", "model"), [("anthropic", WHOLE), ("bedrock-converse", CONVERSE)]
)
def test_a_claude_gets_what_it_is_held_to(dialect: str, model: str) -> None:
    got = encoded(dialect, model, AGED, "openai-chat")
    assert got.loose
    assert b"minimum" not in got.body
    closed = encoded(dialect, model, OPEN, "gemini")
    assert (b"additionalProperties" in closed.body, closed.loose) == (True, False)
    with pytest.raises(Unsupported):
        encoded(dialect, model, TREE, "openai-chat")
    assert b"minimum" in encoded(dialect, model, AGED, "anthropic").body


@pytest.mark.parametrize(
    ("dialect", "model", "schema", "strict"),
    [
        ("anthropic", WHOLE, OPEN, True),
        ("anthropic", WHOLE, AGED, False),
        ("anthropic", "claude-3-5-haiku-latest", CLOSED, False),
        ("anthropic", "claude-sonnet-4-20250514", CLOSED, False),
        ("bedrock-converse", CONVERSE, OPEN, True),
        ("bedrock-converse", CONVERSE, AGED, False),
        ("bedrock-converse", "amazon.nova-pro-v1:0", CLOSED, False),
        ("bedrock-converse", "meta.llama3-3-70b-instruct-v1:0", CLOSED, False),
    ],
)
def test_a_strict_tool(dialect: str, model: str, schema: Any, strict: bool) -> None:
    tool = Tool(name="f", schema=raw(schema), strict=True)
    got = encoded(dialect, model, None, "openai-chat", tools=(tool,))
    assert (b'"strict":true' in got.body) is strict
    assert got.dropped == (() if strict else ("tool.strict",))
    assert (b"minimum" in got.body) is (schema is AGED)


def test_a_strict_tool_of_another_at_openai() -> None:
    for schema, strict in ((OPEN, True), (OPTIONAL, False)):
        tool = Tool(name="f", schema=raw(schema), strict=True)
        got = encoded("openai-chat", "gpt-4o", None, "anthropic", tools=(tool,))
        assert (b'"strict":true' in got.body) is strict
        assert got.dropped == (() if strict else ("tool.strict",))


@pytest.mark.parametrize(
    ("model", "held"),
    [
        ("openai/gpt-oss-120b", True),
        ("moonshotai/kimi-k2-instruct-0905", True),
        ("meta-llama/llama-4-scout-17b-16e-instruct", True),
        ("llama-3.3-70b-versatile", False),
        ("llama-3.1-8b-instant", False),
        ("qwen/qwen3-32b", False),
        ("deepseek-r1-distill-llama-70b", False),
        ("gemma2-9b-it", False),
    ],
)
def test_groq_holds_some_models_to_a_schema(model: str, held: bool) -> None:
    """https://console.groq.com/docs/structured-outputs#supported-models"""
    quirks = quirks_for(providers()["groq"], family("groq", model))
    found = forms_of(SPOKEN["openai-chat"], Traits(model=model, quirks=quirks))
    assert ("schema" in found, "object" in found) == (held, True)
