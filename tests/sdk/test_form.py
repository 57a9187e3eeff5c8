"""Structured output over all four crossings, with the SDKs' own parse helpers."""

import json
from typing import Any

import anthropic
import openai
from pydantic import BaseModel

from tests.sdk import vendors as v
from tests.sdk.house import Vendor
from tests.sdk.sides import MODELS, answer, both_targets, streamed_or_not, vendor

MAYA = '{"name":"Maya","age":41}'
HI: Any = [{"role": "user", "content": "Invent a person."}]


class Person(BaseModel):
    name: str
    age: int


def told(target: str, body: dict[str, Any]) -> dict[str, Any]:
    """The schema as the upstream received it."""
    if target == "oai":
        form = body["response_format"]
        assert form["type"] == "json_schema"
        return form["json_schema"]["schema"]  # type: ignore[no-any-return]
    form = body["output_config"]["format"]
    assert form["type"] == "json_schema"
    return form["schema"]  # type: ignore[no-any-return]


@both_targets
@streamed_or_not
def test_the_openai_parse_helper(
    gpt: openai.OpenAI, oai: Vendor, claude: Vendor, target: str, stream: bool
) -> None:
    behind = vendor(target, oai, claude).plays(answer(target, v.text(MAYA), stream=stream))
    if stream:
        with gpt.chat.completions.stream(
            model=MODELS[target], messages=HI, response_format=Person
        ) as events:
            parsed = events.get_final_completion().choices[0].message.parsed
    else:
        said = gpt.chat.completions.parse(model=MODELS[target], messages=HI, response_format=Person)
        parsed = said.choices[0].message.parsed
    assert parsed == Person(name="Maya", age=41)
    schema = told(target, behind.asked[0])
    assert schema["required"] == ["name", "age"]
    assert schema["additionalProperties"] is False


@both_targets
@streamed_or_not
def test_the_anthropic_parse_helper(
    sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor, target: str, stream: bool
) -> None:
    behind = vendor(target, oai, claude).plays(answer(target, v.text(MAYA), stream=stream))
    if stream:
        with sonnet.messages.stream(
            model=MODELS[target], max_tokens=99, messages=HI, output_format=Person
        ) as events:
            parsed = events.get_final_message().parsed_output
    else:
        said = sonnet.messages.parse(
            model=MODELS[target], max_tokens=99, messages=HI, output_format=Person
        )
        parsed = said.parsed_output
    assert parsed == Person(name="Maya", age=41)
    assert told(target, behind.asked[0])["required"] == ["name", "age"]


def test_json_without_a_schema(gpt: openai.OpenAI, oai: Vendor, claude: Vendor) -> None:
    oai.plays(answer("oai", v.text(MAYA)))
    form: Any = {"type": "json_object"}
    said = gpt.chat.completions.create(model=MODELS["oai"], messages=HI, response_format=form)
    assert json.loads(said.choices[0].message.content or "")["name"] == "Maya"
    # Anthropic has no JSON without a schema: it is asked for in words, and checked.
    claude.plays(answer("claude", v.text("Gladly.")), answer("claude", v.text(MAYA)))
    said = gpt.chat.completions.create(model=MODELS["claude"], messages=HI, response_format=form)
    assert json.loads(said.choices[0].message.content or "")["name"] == "Maya"
    assert len(claude.book) == 2
