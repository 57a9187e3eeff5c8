"""JSON that a reply must be: what is asked for in words, what counts as it, who needs it."""

import json
from typing import Any

import msgspec
import pytest

from octoplex.assembly.dialects import dialects
from octoplex.dialects.dialect import Traits
from octoplex.dialects.structured import Measure, bare, corrected, forms_of, instructed
from octoplex.wire.chat import Chat, Format, Message, TextPart
from octoplex.wire.error import InvalidCall

SPOKEN = dialects()
HI = Message("user", (TextPart("Invent a person."),))
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
BOTH, SCHEMA, OBJECT, NEITHER = {"schema", "object"}, {"schema"}, {"object"}, set[str]()


def form(schema: Any) -> Format:
    return Format(schema=msgspec.Raw(json.dumps(schema).encode()))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"name": "Maya", "age": 41}', ""),
        ('{"name": "Maya"}', 'at /: "age" is a required property'),
        ('{"name": "Maya", "age": -1}', "at /age: the value is less than the minimum of 0"),
        ('{"name": "sk-canary", "age": "x"}', 'at /age: the value is not of type "integer"'),
        ('{"name": "Maya", "age": 41, "b": 1}',
         "at /: Additional properties are not allowed ('b' was unexpected)"),
        ("[]", 'at /: the value is not of type "object"'),
        ("", "it is empty"),
        ('{"name": "Maya", "age": NaN}', "it is not JSON"),
        ('{"name": "Maya"', "it is not JSON"),
        ("Sure! {}", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
    ],
)  # fmt: skip
def test_the_first_fault_is_named_without_the_value(text: str, fault: str) -> None:
    found = Measure(form(PERSON)).fault(text)
    assert found.startswith(fault)
    assert bool(found) == bool(fault)
    assert "canary" not in found


@pytest.mark.parametrize(("text", "ok"), [("{}", True), ("[]", False), ("1", False), ("x", False)])
def test_without_a_schema_any_object_will_do(text: str, ok: bool) -> None:
    assert (Measure(Format()).fault(text) == "") is ok


def test_a_schema_may_refer_to_itself() -> None:
    tree = {"$ref": "#/$defs/node", "$defs": {"node": {
        "type": "object", "properties": {"next": {"$ref": "#/$defs/node"}},
        "additionalProperties": False}}}  # fmt: skip
    measure = Measure(form(tree))
    assert measure.fault('{"next": {"next": {}}}') == ""
    assert "/next/next" in measure.fault('{"next": {"next": 1}}')


@pytest.mark.parametrize(
    "schema",
    [{"type": "banana"}, [], 3, {"$ref": "http://127.0.0.1:9/s"}, {"$schema": "file:///x"}],
)
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(InvalidCall) as refused:
        Measure(form(schema))
    assert refused.value.facts["param"] == "response_format"


def test_a_pattern_cannot_take_for_ever() -> None:
    measure = Measure(form({"type": "string", "pattern": r"^(?=a)((a+)+)+\1$"}))
    assert measure.fault(json.dumps("a" * 5_000 + "!"))


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('  ```\n{"a": 1}```\n', '{"a": 1}'),
        ('\n{"a": 1}\n', '{"a": 1}'),
        ('Here:\n```json\n{"a": 1}\n```', 'Here:\n```json\n{"a": 1}\n```'),
        ("```{}```", "```{}```"),
        ("", ""),
    ],
)
def test_a_fence_around_all_of_it_does_not_count(text: str, inside: str) -> None:
    assert bare(text) == inside


def test_it_is_asked_for_behind_the_callers_own_system_turns() -> None:
    system = Message("system", (TextPart("Be brief."),))
    chat = Chat(model="m", messages=(system, HI), format=form(PERSON), stream=True)
    asked = instructed(chat, frozenset({"object"}))
    assert [m.role for m in asked.messages] == ["system", "system", "user"]
    assert json.dumps(PERSON) in asked.messages[1].parts[0].text  # type: ignore[union-attr]
    assert (asked.format, asked.stream) == (Format(), False)
    again = corrected(asked, "no", "it is not JSON")
    assert [m.role for m in again.messages[3:]] == ["assistant", "user"]
    assert [m.role for m in corrected(asked, " ", "it is empty").messages[3:]] == ["user"]
    listed = msgspec.structs.replace(chat, format=form({"type": "array"}))
    assert instructed(listed, frozenset({"object"})).format is None
    for other in ({"type": ["object", "null"]}, True, {}):
        either = msgspec.structs.replace(chat, format=form(other))
        assert instructed(either, frozenset({"object"})).format is None


@pytest.mark.parametrize(
    ("dialect", "traits", "forms"),
    [
        ("openai-chat", {}, BOTH),
        ("openai-chat", {"quirks": frozenset({"no_json_schema"})}, OBJECT),
        ("openai-chat", {"quirks": frozenset({"no_response_format"})}, NEITHER),
        ("openai-responses", {}, BOTH),
        ("openai-responses", {"quirks": frozenset({"no_json_schema"})}, OBJECT),
        ("openai-responses", {"quirks": frozenset({"no_response_format"})}, NEITHER),
        ("gemini", {"model": "gemini-3-flash-preview"}, BOTH),
        ("cohere-v2", {}, BOTH),
        ("ollama", {}, BOTH),
        ("watsonx", {}, BOTH),
        ("gigachat", {}, SCHEMA),
        ("ernie-v1", {}, OBJECT),
        ("anthropic", {"model": "claude-sonnet-4-5", "thinking": "budget"}, SCHEMA),
        ("anthropic", {"model": "claude-opus-4-1", "thinking": "budget"}, SCHEMA),
        ("anthropic", {"model": "claude-opus-5", "thinking": "adaptive"}, SCHEMA),
        ("anthropic", {"model": "claude-fable-1", "thinking": "always"}, SCHEMA),
        ("anthropic", {"model": "claude-sonnet-4-20250514", "thinking": "budget"}, NEITHER),
        ("anthropic", {"model": "claude-3-5-haiku-latest", "thinking": "none"}, NEITHER),
        ("anthropic", {"model": "deepseek-v4-pro", "thinking": "effort"}, NEITHER),
        ("anthropic", {"model": "something-new"}, SCHEMA),
        ("bedrock-converse", {"model": "us.anthropic.claude-haiku-4-5-20251001-v1:0"}, SCHEMA),
        ("bedrock-converse", {"model": "anthropic.claude-3-haiku-20240307-v1:0"}, NEITHER),
        ("bedrock-converse", {"model": "amazon.nova-2-lite-v1:0"}, NEITHER),
        ("bedrock-converse", {"model": "meta.llama3-3-70b-instruct-v1:0"}, NEITHER),
        ("bedrock-converse", {"model": "qwen.qwen3-32b-v1:0"}, SCHEMA),
    ],
)
def test_what_a_target_sees_to_by_itself(
    dialect: str, traits: dict[str, Any], forms: set[str]
) -> None:
    """https://platform.claude.com/docs/en/build-with-claude/structured-outputs and
    https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html"""
    for dropping in (False, True):
        known = Traits(**{"model": "m", "drop_unsupported": dropping, **traits})
        assert forms_of(SPOKEN[dialect], known) == forms


@pytest.mark.parametrize(
    ("dialect", "traits", "forms"),
    [
        ("openai-chat", {}, BOTH),
        ("openai-responses", {}, BOTH),
        ("anthropic", {"model": "claude-sonnet-4-5", "thinking": "budget"}, SCHEMA),
        # https://ai.google.dev/gemini-api/docs/structured-output#structured_outputs_with_tools
        ("gemini", {"model": "gemini-3-flash-preview"}, BOTH),
        ("gemini", {"model": "gemini-2.5-flash"}, NEITHER),
        ("gemini", {"model": "gemini-2.0-flash"}, NEITHER),
        ("vertex", {"model": "gemini-2.5-pro", "thinking": "budget"}, NEITHER),
        # https://docs.cohere.com/reference/chat
        ("cohere-v2", {}, NEITHER),
        # https://console.groq.com/docs/structured-outputs
        ("openai-chat", {"quirks": frozenset({"no_format_beside_tools"})}, NEITHER),
    ],
)
def test_what_a_target_sees_to_where_tools_are_offered(
    dialect: str, traits: dict[str, Any], forms: set[str]
) -> None:
    known = Traits(**{"model": "m", **traits})
    assert forms_of(SPOKEN[dialect], known, beside_tools=True) == forms


@pytest.mark.parametrize(
    ("dialect", "turns"), [("openai-chat", "messages"), ("openai-responses", "input")]
)
def test_openais_mode_for_objects_reads_its_word(dialect: str, turns: str) -> None:
    """https://developers.openai.com/api/docs/guides/structured-outputs#json-mode: the context
    must hold "JSON"; Gemini demands no such thing of its callers."""

    def sent(text: str, caller: str) -> str:
        chat = Chat(
            model="m",
            messages=(Message("user", (TextPart(text),)),),
            format=Format(),
            dialect=caller,
        )
        body = msgspec.json.decode(SPOKEN[dialect].encode_chat(chat, Traits(model="m")).body)
        return json.dumps(body[turns])

    assert "one JSON object" in sent("Invent a person.", "gemini")
    assert "one JSON object" not in sent("As Json, please.", "gemini")
    assert "one JSON object" not in sent("Invent a person.", "openai-chat")
