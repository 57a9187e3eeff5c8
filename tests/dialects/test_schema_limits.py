"""Schemas beyond what a vendor takes, and keywords that a vendor reads over without a word.

The limits and keywords are those of the pages that `schema_limits.py` names.
"""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.assembly.dialects import dialects
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.native_schema import CLAUDE, OPENAI_STRICT, Subset, fitted
from octoplex.dialects.schema_limits import COHERE, GEMINI, LLAMA, Known, is_held, size_of
from octoplex.dialects.structured import holding
from octoplex.wire.chat import Chat, Format, Message, TextPart, Tool

SPOKEN = dialects()
HI = Message("user", (TextPart("Hi"),))
STRING: Any = {"type": "string"}
NUMBER: Any = {"type": "number"}


def raw(schema: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(schema).encode())


def of(properties: dict[str, Any], required: list[str] | None = None, **more: Any) -> Any:
    needed = list(properties) if required is None else required
    return {
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": False,
        **more,
    }


def with_one(inner: Any) -> Any:
    return of({"a": inner})


def nested(levels: int, *, listed: bool = False) -> Any:
    """The innermost value is as many steps into the data."""
    schema = STRING
    for _ in range(levels):
        is_list = listed and schema.get("type") == "object"
        schema = {"type": "array", "items": schema} if is_list else with_one(schema)
    return schema


def many(number: int, optional: int = 0) -> Any:
    names = [f"p{i}" for i in range(number)]
    return of(dict.fromkeys(names, STRING), names[optional:])


def enum(number: int, length: int = 4) -> Any:
    return with_one({"type": "string", "enum": [f"{i:0{length}}" for i in range(number)]})


UNION: Any = {"anyOf": [STRING, {"type": "null"}]}


@pytest.mark.parametrize(
    ("subset", "within", "beyond"),
    [
        (OPENAI_STRICT, nested(10), nested(11)),
        (OPENAI_STRICT, nested(9, listed=True), nested(11, listed=True)),
        (OPENAI_STRICT, many(5_000), many(5_001)),
        (OPENAI_STRICT, enum(1_000), enum(1_001)),
        (OPENAI_STRICT, enum(250, 400), enum(251, 400)),
        (OPENAI_STRICT, enum(300, 50), enum(300, 51)),
        (OPENAI_STRICT, enum(100, 1_199), enum(100, 1_200)),
        (OPENAI_STRICT, of({"n" * 60_000: STRING, "m" * 60_000: STRING}),
         of({"n" * 60_000: STRING, "m" * 60_001: STRING})),
        (CLAUDE, many(30, optional=24), many(30, optional=25)),
        (CLAUDE, with_one(many(25, optional=24)), with_one(many(25, optional=25))),
        (CLAUDE, of({str(i): UNION for i in range(16)}), of({str(i): UNION for i in range(17)})),
        (CLAUDE, of({str(i): {"type": ["string", "null"]} for i in range(16)}),
         of({str(i): {"type": ["string", "null"]} for i in range(17)})),
    ],
)  # fmt: skip
def test_a_schema_beyond_a_limit_is_one_that_the_vendor_does_not_take(
    subset: Subset, within: Any, beyond: Any
) -> None:
    assert fitted(raw(within), subset) is not None
    assert fitted(raw(beyond), subset) is None


def test_a_schema_of_the_other_vendor_is_not_held_to_these_limits() -> None:
    assert fitted(raw(nested(11)), CLAUDE) is not None
    assert fitted(raw(of({str(i): UNION for i in range(17)})), OPENAI_STRICT) is not None


def test_names_are_no_keywords_and_garbage_is_counted_as_nothing() -> None:
    size = size_of(of({"enum": STRING, "anyOf": STRING, "properties": STRING}))
    assert (size.properties, size.enums, size.unions, size.depth) == (3, 0, 0, 1)
    odd = {"properties": [1], "required": 3, "enum": "x", "items": [True, 4], "$defs": None}
    assert size_of(odd).properties == 0
    assert size_of({"properties": {"a": 1}, "required": [["a"], {}]}).optional == 1


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["properties", "items", "enum", "required", "anyOf", "$defs", "not"]),
        inner, max_size=3),
))  # fmt: skip
def test_nothing_that_a_caller_writes_breaks_the_count(schema: Any) -> None:
    size_of(schema)
    for known in (GEMINI, COHERE, LLAMA):
        assert is_held(raw(schema), known) in (True, False)


def test_what_is_no_json_or_very_deep_is_the_providers_to_judge() -> None:
    for text in (b"{", b'{"properties":' * 60_000):
        assert is_held(msgspec.Raw(text), GEMINI)


BASIC = with_one(of({"b": {"type": "array", "items": STRING}, "c": {"enum": ["x", "y"]}}, ["b"]))


@pytest.mark.parametrize(
    ("inner", "gemini", "cohere", "llama"),
    [
        (BASIC, True, True, True),
        ({"$ref": "#/$defs/a"}, True, True, True),
        ({**STRING, "format": "date"}, True, True, True),
        ({"anyOf": [STRING, NUMBER]}, True, True, True),
        ({"oneOf": [STRING, NUMBER]}, False, False, False),
        ({"allOf": [STRING]}, False, False, False),
        ({"not": STRING}, False, False, False),
        ({"const": 3}, False, True, True),
        ({"enum": [1, 2.5, "x"]}, True, True, True),
        ({"enum": ["x", None]}, False, True, True),
        ({"enum": [True]}, False, True, True),
        ({**NUMBER, "minimum": 0}, True, False, False),
        ({**NUMBER, "exclusiveMinimum": 0}, False, False, False),
        ({**NUMBER, "multipleOf": 2}, False, False, False),
        ({**STRING, "maxLength": 3}, False, False, True),
        ({**STRING, "pattern": "[A-Z]{3}"}, False, True, False),
        ({**STRING, "pattern": "^[A-Z]{3}$"}, False, False, False),
        ({**STRING, "pattern": "(?=a)b"}, False, False, False),
        ({"type": "array", "items": STRING, "maxItems": 3}, True, False, True),
        ({"type": "array", "prefixItems": [STRING]}, True, False, False),
        ({"type": "array", "uniqueItems": True}, False, False, False),
        ({"type": "object", "patternProperties": {"a": STRING}}, False, False, False),
        ({**with_one(STRING), "anyOf": [with_one(STRING)]}, True, True, False),
        (of({"not": STRING, "minimum": STRING, "const": STRING}), True, True, True),
        ({**STRING, "default": {"not": 1}, "examples": [{"not": 1}]}, True, True, True),
    ],
)  # fmt: skip
def test_which_keywords_a_model_is_held_to(
    inner: Any, gemini: bool, cohere: bool, llama: bool
) -> None:
    held = [is_held(raw(with_one(inner)), known) for known in (GEMINI, COHERE, LLAMA)]
    assert held == [gemini, cohere, llama]
    deep = {"type": "array", "items": of({}, [], **{"$defs": {"x": with_one(inner)}})}
    assert [is_held(raw(deep), known) for known in (GEMINI, COHERE, LLAMA)] == held


BOUND = with_one({**STRING, "pattern": "^a$", "not": {"const": "a"}})
TAKERS = [
    ("gemini", "gemini-2.5-flash", GEMINI),
    ("vertex", "gemini-2.5-flash", GEMINI),
    ("cohere-v2", "command-a-03-2025", COHERE),
    ("oci", "cohere.command-a-03-2025", COHERE),
    ("ollama", "qwen3:8b", LLAMA),
]


@pytest.mark.parametrize(("dialect", "model", "known"), TAKERS)
def test_what_a_vendor_reads_over_is_checked_in_the_reply(
    dialect: str, model: str, known: Known
) -> None:
    assert not is_held(raw(BOUND), known)
    traits = Traits(model=model)
    for schema, how in ((BOUND, "loosely"), (BASIC, "exactly")):
        form = Format(schema=raw(schema), strict=True)
        assert holding(SPOKEN[dialect], traits, form, "openai-chat") == how
    own = encoded(dialect, model, BOUND, "openai-chat")
    assert b'"^a$"' in own.body, "it goes there as it came all the same"


@pytest.mark.parametrize("dialect", ["gemini", "vertex"])
def test_a_caller_of_the_vendors_own_dialect_knows_its_words(dialect: str) -> None:
    form = Format(schema=raw(BOUND))
    assert holding(SPOKEN[dialect], Traits(model="gemini-2.5-flash"), form, "gemini") == "exactly"


@pytest.mark.parametrize(
    ("dialect", "model"),
    [
        ("anthropic", "claude-sonnet-4-5"),
        ("vertex-anthropic", "claude-sonnet-4-5"),
        ("bedrock-converse", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ],
)
def test_every_claude_is_checked_by_what_it_is_not_held_to(dialect: str, model: str) -> None:
    aged = with_one({"type": "integer", "minimum": 1})
    assert encoded(dialect, model, aged, "openai-chat").loose
    assert not encoded(dialect, model, BASIC, "openai-chat").loose


def test_a_schema_that_is_too_large_for_openai_is_not_strict_and_checked() -> None:
    for dialect in ("openai-chat", "openai-responses"):
        got = encoded(dialect, "gpt-5.1", nested(11), "anthropic")
        assert (b'"strict":false' in got.body, got.loose) == (True, True)
        own = encoded(dialect, "gpt-5.1", nested(11), "openai-chat")
        assert (b'"strict":true' in own.body, own.loose) == (True, False)


def encoded(dialect: str, model: str, schema: Any, caller: str, **more: Any) -> Encoded:
    form = Format(schema=raw(schema), strict=True) if schema is not None else None
    chat = Chat(model="m", messages=(HI,), format=form, dialect=caller, **more)
    return SPOKEN[dialect].encode_chat(chat, Traits(model=model))


def strict(number: int, schema: Any) -> tuple[Tool, ...]:
    return tuple(Tool(name=f"f{i}", schema=raw(schema), strict=True) for i in range(number))


@pytest.mark.parametrize(
    ("dialect", "model"),
    [
        ("anthropic", "claude-sonnet-4-5"),
        ("vertex-anthropic", "claude-sonnet-4-5"),
        ("bedrock-converse", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ],
)
@pytest.mark.parametrize(
    ("tools", "form", "held"),
    [
        (strict(20, many(1)), None, 20),
        (strict(21, many(1)), None, 20),
        (strict(4, many(6, optional=6)), None, 4),
        (strict(5, many(6, optional=6)), None, 4),
        (strict(3, many(6, optional=6)), many(12, optional=12), 2),
        (strict(3, of({str(i): UNION for i in range(8)})), None, 2),
        ((*strict(1, many(25, optional=25)), *strict(2, many(1))), None, 2),
    ],
)
def test_as_many_tools_are_strict_as_a_claude_takes(
    dialect: str, model: str, tools: tuple[Tool, ...], form: Any, held: int
) -> None:
    got = encoded(dialect, model, form, "openai-chat", tools=tools)
    assert got.body.count(b'"strict":true') == held
    assert got.dropped == (("tool.strict",) if held < len(tools) else ())


def test_tools_of_anthropics_own_callers_stay_as_they_are() -> None:
    got = encoded("anthropic", "claude-sonnet-4-5", None, "anthropic", tools=strict(21, many(1)))
    assert (got.body.count(b'"strict":true'), got.dropped) == (21, ())
