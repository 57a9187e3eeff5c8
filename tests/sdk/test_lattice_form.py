"""Structured output from every face to every provider dialect, with the SDKs' own helpers."""

import json
from collections.abc import Mapping
from typing import Any

from google import genai
from google.genai import types
from pydantic import BaseModel

from tests.sdk import vendors as v
from tests.sdk.faces import Sdks
from tests.sdk.house import PRICED, Vendor, words
from tests.sdk.sides import answer, every_face, every_target, streamed_or_not

MAYA = '{"name":"Maya","age":41}'
ASKED = "Invent a person."


class Person(BaseModel):
    name: str
    age: int


def told(target: str, body: dict[str, Any]) -> dict[str, Any]:
    """The schema as the provider received it."""
    match words(target):
        case "oai" | "wat":
            found = body["response_format"]["json_schema"]["schema"]
        case "claude":
            found = body["output_config"]["format"]["schema"]
        case "resp":
            assert body["text"]["format"]["type"] == "json_schema"
            found = body["text"]["format"]["schema"]
        case "gem":
            config = body["generationConfig"]
            assert config["responseMimeType"] == "application/json"
            found = config.get("responseJsonSchema") or config["responseSchema"]
        case "rock":
            form = body["outputConfig"]["textFormat"]
            found = json.loads(form["structure"]["jsonSchema"]["schema"])
        case "oci":
            found = body["chatRequest"]["responseFormat"]["jsonSchema"]["schema"]
        case "coh":
            assert body["response_format"]["type"] == "json_object"
            found = body["response_format"]["json_schema"]
        case "giga":
            assert body["response_format"]["type"] == "json_schema"
            found = body["response_format"]["schema"]
        case _:
            found = body["format"]
    return found  # type: ignore[no-any-return]


def parsed(sdks: Sdks, face: str, model: str, stream: bool) -> Any:
    """What the SDK made of the reply by itself."""
    hi: Any = [{"role": "user", "content": ASKED}]
    match face:
        case "openai-chat":
            chat, given = sdks.gpt.chat.completions, {"model": model, "messages": hi}
            if not stream:
                return chat.parse(**given, response_format=Person).choices[0].message.parsed
            with chat.stream(**given, response_format=Person) as events:
                return events.get_final_completion().choices[0].message.parsed
        case "openai-responses":
            if not stream:
                said = sdks.gpt.responses.parse(model=model, input=hi, text_format=Person)
                return said.output_parsed
            with sdks.gpt.responses.stream(model=model, input=hi, text_format=Person) as told:
                return told.get_final_response().output_parsed
        case "anthropic":
            asked: Any = {"model": model, "messages": hi, "max_tokens": 99, "output_format": Person}
            if not stream:
                return sdks.claude.messages.parse(**asked).parsed_output
            with sdks.claude.messages.stream(**asked) as got:
                return got.get_final_message().parsed_output
        case _:
            return _google(sdks.google, model, stream)


def _google(google: genai.Client, model: str, stream: bool) -> Any:
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=Person
    )
    asked: Any = {"model": model, "contents": ASKED, "config": config}
    if not stream:
        return google.models.generate_content(**asked).parsed
    text = "".join(g.text or "" for g in google.models.generate_content_stream(**asked))
    return Person.model_validate_json(text)  # the SDK parses no stream


@every_face
@every_target
@streamed_or_not
def test_row20_a_schema_is_asked_for_and_parsed(
    clients: Sdks, behind: Mapping[str, Vendor], face: str, target: str, stream: bool
) -> None:
    up = behind[target].plays(answer(target, v.text(MAYA), stream=stream))
    assert parsed(clients, face, PRICED[target], stream) == Person(name="Maya", age=41)
    if target == "qian":  # it has JSON without a schema, which is told and seen to here
        assert up.asked[0]["response_format"] == "json_object"
        assert '\\"required\\"' in json.dumps(up.asked[0], ensure_ascii=False)
        return
    schema = told(target, up.asked[0])
    assert schema["required"] == ["name", "age"]
    kinds = {name: value["type"].lower() for name, value in schema["properties"].items()}
    assert kinds == {"name": "string", "age": "integer"}


JSON_ALONE = {"oai", "sage", "oci", "resp", "gem", "vert", "coh", "oll", "wat", "qian"}
"""Those that can be asked for JSON without a schema."""


@every_target
def test_row20_json_without_a_schema_is_asked_for_or_enforced(
    clients: Sdks, behind: Mapping[str, Vendor], target: str
) -> None:
    """Never dropped in silence."""
    up = behind[target].plays(answer(target, v.text(MAYA)))
    hi: Any = [{"role": "user", "content": ASKED}]

    def asks() -> str:
        said = clients.gpt.chat.completions.create(
            model=PRICED[target], messages=hi, response_format={"type": "json_object"}
        )
        return said.choices[0].message.content or ""

    assert json.loads(asks())["name"] == "Maya"
    told = json.dumps(up.asked[0])
    assert ("one JSON object and nothing else" in told) == (target not in JSON_ALONE)
    assert "json" in told.lower()
