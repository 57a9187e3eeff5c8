"""JSON that the target does not see to by itself: asked for, checked and asked for again,
from every face with its own SDK's helper, over sockets."""

import json
from collections.abc import Mapping
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors as google
from google.genai import types
from pydantic import BaseModel, Field

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import Sdks
from tests.sdk.house import PRICED, Vendor
from tests.sdk.sides import answer, every_face, streamed_or_not
from tests.sdk.test_lattice_errors import shown
from tests.sdk.test_lattice_form import ASKED, MAYA, Person, parsed, told
from tests.upstream_server import says

TARGETS = {
    "objects": ("oai", "objects/some-model"),  # knows json_object, no schema
    "words": ("oai", "words/some-model"),  # knows neither
    "claude": ("claude", "claude/claude-3-5-haiku-latest"),  # before structured outputs
    "converse": ("rock", "rock/amazon.nova-pro-v1:0"),  # not on Bedrock's list
}
SHORT = '{"name":"Maya"}'
FENCED = f"```json\n{MAYA}\n```\n"
COST = 19 * 1_000 + 10 * 10_000
"""Nano-dollars of one attempt, at a dollar per million in and ten out."""

every_lacking = pytest.mark.parametrize("lacking", TARGETS)


def said(body: dict[str, Any]) -> str:
    """Everything that the provider was told, as one text."""
    return json.dumps({k: body.get(k) for k in ("system", "messages")})


def cost(tee: Tee) -> tuple[int, int]:
    """Nano-dollars and attempts of the last reply."""
    got = tee.got[-1]
    told = dict(got.headers)
    if "x-octoplex-cost-nano" not in told:
        lines = tee.streams[-1][2].decode().splitlines()
        told = dict(line[2:].split(": ", 1) for line in lines if line.startswith(": x-octoplex"))
    return int(told["x-octoplex-cost-nano"].split()[0]), int(told["x-octoplex-attempts"])


@every_face
@every_lacking
@streamed_or_not
def test_a_schema_is_enforced(
    clients: Sdks, behind: Mapping[str, Vendor], tee: Tee, face: str, lacking: str, stream: bool
) -> None:
    prefix, model = TARGETS[lacking]
    up = behind[prefix].plays(answer(prefix, v.text(SHORT)), answer(prefix, v.text(FENCED)))
    assert parsed(clients, face, model, stream) == Person(name="Maya", age=41)
    first, second = up.asked
    assert first.get("stream") is not True
    assert '\\"required\\"' in said(first)
    assert '\\"age\\"' in said(first)
    assert (first.get("response_format") == {"type": "json_object"}) == (lacking == "objects")
    assert "output_config" not in first
    assert "outputConfig" not in first
    turns = [m["role"] for m in second["messages"]]
    assert turns[-2:] == ["assistant", "user"]
    assert "age" in json.dumps(second["messages"][-1])
    assert SHORT.replace('"', '\\"') in json.dumps(second["messages"][-2])
    if lacking == "words" and not (stream and face == "gemini"):
        assert cost(tee) == (2 * COST, 2)


@every_face
@every_lacking
@streamed_or_not
def test_what_stays_invalid_is_an_error_in_the_faces_own_shape(
    clients: Sdks, behind: Mapping[str, Vendor], face: str, lacking: str, stream: bool
) -> None:
    prefix, model = TARGETS[lacking]
    up = behind[prefix].plays(answer(prefix, v.text(SHORT)))
    with pytest.raises((openai.APIError, anthropic.APIError, google.APIError)) as caught:
        parsed(clients, face, model, stream)
    status, code, _ = shown(face, caught.value)
    assert (status, code) == (502, "invalid_output")
    assert "3 attempts" in str(caught.value)
    assert '"age" is a required property' in str(caught.value).replace("\\", "")
    assert len(up.book) == 3


def asks(clients: Sdks, model: str, form: Any, **more: Any) -> Any:
    hi: Any = [{"role": "user", "content": ASKED}]
    chat = clients.gpt.chat.completions.with_raw_response
    return chat.create(model=model, messages=hi, response_format=form, **more)


OBJECT: Any = {"type": "json_object"}
AGED: Any = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
SCHEMA: Any = {"type": "json_schema", "json_schema": {"name": "p", "schema": AGED}}


@pytest.mark.parametrize("lacking", ["words", "claude", "converse"])
def test_an_object_is_enforced(clients: Sdks, behind: Mapping[str, Vendor], lacking: str) -> None:
    prefix, model = TARGETS[lacking]
    tries = [answer(prefix, v.text(t)) for t in ("Gladly! {", "[1]", '{"a": 1}')]
    up = behind[prefix].plays(*tries)
    got = asks(clients, model, OBJECT)
    assert got.parse().choices[0].message.content == '{"a": 1}'
    assert len(up.book) == 3
    assert "not JSON" in said(up.asked[1])
    assert "not a JSON object" in said(up.asked[2])
    assert got.headers["x-octoplex-added"] == "response_format"


def test_an_object_passes_verbatim_where_the_provider_knows_the_word(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    up = behind["oai"].plays(answer("oai", v.text("not even JSON")))
    assert asks(clients, "objects/some-model", OBJECT).parse().choices[0].message.content
    assert up.asked[0]["response_format"] == OBJECT
    assert len(up.book) == 1


def test_who_wants_no_form_passes_verbatim(clients: Sdks, behind: Mapping[str, Vendor]) -> None:
    up = behind["oai"].plays(answer("oai", v.text("Hi")))
    hi: Any = [{"role": "user", "content": ASKED}]
    clients.gpt.chat.completions.create(
        model="words/some-model", messages=hi, extra_body={"unheard_of": {"b": [1]}}
    )
    sent = {"messages": hi, "model": "some-model", "unheard_of": {"b": [1]}}
    assert up.asked[0] == sent


@pytest.mark.parametrize(
    ("message", "finish"),
    [
        ({"content": '{"age": 4'}, "length"),
        ({"content": None, "refusal": "No."}, "stop"),
        ({"content": "I cannot."}, "content_filter"),
        ({"content": None, "tool_calls": v.called(("c1", "weather", {"city": "Paris"}))},
         "tool_calls"),
    ],
    ids=["cut", "refused", "filtered", "tool"],
)  # fmt: skip
def test_what_is_no_text_that_ended_is_told_as_what_it_is(
    clients: Sdks, behind: Mapping[str, Vendor], message: v.Json, finish: str
) -> None:
    up = behind["oai"].plays(v.chat(message, finish))
    got = asks(clients, "words/some-model", SCHEMA).parse().choices[0]
    assert got.finish_reason == finish
    assert got.message.content == message["content"]
    assert got.message.refusal == message.get("refusal")
    assert bool(got.message.tool_calls) == ("tool_calls" in message)
    assert len(up.book) == 1


def test_the_route_says_how_often(clients: Sdks, behind: Mapping[str, Vendor]) -> None:
    up = behind["oai"].plays(answer("oai", v.text("no")))
    with pytest.raises(openai.InternalServerError) as caught:
        asks(clients, "twice", SCHEMA)
    assert "2 attempts" in str(caught.value)
    assert len(up.book) == 2


def test_the_next_target_of_a_route_is_asked_then(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    up = behind["oai"].plays(answer("oai", v.text("no")), answer("oai", v.text('{"age": 4}')))
    got = asks(clients, "then", SCHEMA)
    assert got.parse().choices[0].message.content == '{"age": 4}'
    assert up.asked[1]["response_format"] == SCHEMA  # this one sees to it itself
    assert got.headers["x-octoplex-model"] == "oai/gpt-5.1"


def test_each_attempt_has_a_row(clients: Sdks, behind: Mapping[str, Vendor], tee: Tee) -> None:
    behind["oai"].plays(answer("oai", v.text("no")), answer("oai", v.text('{"age": 4}')))
    got = asks(clients, "words/some-model", SCHEMA)
    assert cost(tee) == (2 * COST, 2)
    told: Any = clients.gpt.get(f"/requests/{got.headers['x-request-id']}", cast_to=object)
    rows = [(a["target"], a["outcome"], a["nano"]) for a in told["attempts"]]
    name = "words/some-model"
    assert rows == [(name, "invalid_output", COST), (name, "done", COST)]
    assert told["nano"] == 2 * COST
    assert (told["input_tokens"], told["output_tokens"]) == (2 * 19, 2 * 10)
    assert got.parse().usage.prompt_tokens == 19, "that of the last"


def test_what_stays_invalid_has_its_tokens_in_the_record(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    behind["oai"].plays(answer("oai", v.text("no")))
    with pytest.raises(openai.InternalServerError) as caught:
        asks(clients, "words/some-model", SCHEMA)
    id_ = caught.value.response.headers["x-request-id"]
    told: Any = clients.gpt.get(f"/requests/{id_}", cast_to=object)
    assert (told["input_tokens"], told["output_tokens"]) == (3 * 19, 3 * 10)
    assert told["nano"] == 3 * COST


@pytest.mark.parametrize("more", [{"n": 2}, {"logprobs": True}])
def test_what_cannot_be_checked_is_refused(
    clients: Sdks, behind: Mapping[str, Vendor], more: dict[str, Any]
) -> None:
    up = behind["oai"].plays(answer("oai", v.text("{}")))
    with pytest.raises(openai.BadRequestError) as refused:
        asks(clients, "words/some-model", SCHEMA, **more)
    assert (refused.value.param, refused.value.code) == (next(iter(more)), "unsupported")
    assert up.book == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:PORT/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"$ref": "#/$defs/none"},
        {"properties": {"a": {"pattern": "("}}},
    ],
)
def test_a_schema_that_is_none_is_the_callers_fault(
    clients: Sdks, behind: Mapping[str, Vendor], schema: dict[str, Any]
) -> None:
    up = behind["oai"].plays(says(b"{}"))  # nor is it asked for what the schema refers to
    own = json.loads(json.dumps(schema).replace("PORT", str(up.port)))
    form = {"type": "json_schema", "json_schema": {"name": "p", "schema": own}}
    with pytest.raises(openai.BadRequestError) as refused:
        asks(clients, "words/some-model", form)
    assert refused.value.param == "response_format"
    assert up.book == []


def test_an_array_is_asked_for_without_the_mode_for_objects(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    up = behind["oai"].plays(answer("oai", v.text("[1, 2]")))
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=list[int]
    )
    got = clients.google.models.generate_content(
        model="objects/some-model", contents=ASKED, config=config
    )
    assert got.parsed == [1, 2]
    assert "response_format" not in up.asked[0]


class Grown(BaseModel):
    name: str
    age: int = Field(ge=18)


class Maybe(BaseModel):
    name: str
    age: int | None = None


def test_a_bound_that_the_model_is_not_held_to_is_checked(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    """https://platform.claude.com/docs/en/build-with-claude/structured-outputs"""
    young = '{"name":"Maya","age":3}'
    up = behind["claude"].plays(answer("claude", v.text(young)), answer("claude", v.text(MAYA)))
    made = clients.gpt.chat.completions.parse(
        model="claude/claude-sonnet-4-5",
        messages=[{"role": "user", "content": ASKED}],
        response_format=Grown,
    )
    assert made.choices[0].message.parsed == Grown(name="Maya", age=41)
    for body in up.asked:
        schema = body["output_config"]["format"]["schema"]
        assert schema["properties"]["age"] == {"title": "Age", "type": "integer"}
        assert schema["additionalProperties"] is False
    assert len(up.asked) == 2


class Coded(BaseModel):
    name: str
    code: str = Field(pattern="^[A-Z]{2}$")


@pytest.mark.parametrize("target", ["gem", "vert", "coh", "oll"])
@streamed_or_not
def test_a_keyword_that_the_vendor_reads_over_is_checked(
    clients: Sdks, behind: Mapping[str, Vendor], target: str, stream: bool
) -> None:
    """The pages of `dialects/schema_limits.py`."""
    bad, good = '{"name":"Maya","code":"nl"}', '{"name":"Maya","code":"NL"}'
    up = behind[target].plays(answer(target, v.text(bad)), answer(target, v.text(good)))
    asked: Any = {
        "model": PRICED[target],
        "messages": [{"role": "user", "content": ASKED}],
        "response_format": Coded,
    }
    if stream:
        with clients.gpt.chat.completions.stream(**asked) as events:
            made = events.get_final_completion().choices[0].message.parsed
    else:
        made = clients.gpt.chat.completions.parse(**asked).choices[0].message.parsed
    assert made == Coded(name="Maya", code="NL")
    assert [told(target, body)["properties"]["code"]["pattern"] for body in up.asked] == [
        "^[A-Z]{2}$"
    ] * 2


def test_what_openai_cannot_be_strict_about_is_checked(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    """https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas"""
    up = behind["oai"].plays(answer("oai", v.text('{"age":1}')), answer("oai", v.text(MAYA)))
    made = clients.claude.messages.parse(
        model="oai/gpt-4o",
        max_tokens=99,
        messages=[{"role": "user", "content": ASKED}],
        output_format=Maybe,
    )
    assert made.parsed_output == Maybe(name="Maya", age=41)
    assert [b["response_format"]["json_schema"]["strict"] for b in up.asked] == [False, False]


def test_googles_order_is_no_other_vendors_word(
    clients: Sdks, behind: Mapping[str, Vendor]
) -> None:
    up = behind["oai"].plays(answer("oai", v.text(MAYA)), answer("oai", v.text(f"[{MAYA}]")))
    for schema in (Person, list[Person]):
        clients.google.models.generate_content(
            model="oai/gpt-4o",
            contents=ASKED,
            config=types.GenerateContentConfig(
                response_mime_type="application/json", response_schema=schema
            ),
        )
    form = up.asked[0]["response_format"]["json_schema"]
    assert (form["strict"], form["schema"]["additionalProperties"]) == (True, False)
    assert "propertyOrdering" not in json.dumps(up.asked)
    assert "response_format" not in up.asked[1]
