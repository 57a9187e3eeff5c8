"""Members within members: of a source, a choice, a form. They keep their place or are named."""

from typing import Any

import msgspec
import pytest

from octoplex.dialects.dialect import Traits
from tests.dialects.test_native import (
    FACES,
    MODEL,
    OWN,
    SCHEMA,
    of_anthropic,
    of_chat,
    of_gemini,
    of_responses,
    with_tool,
)
from tests.dialects.test_transcripts import call_of

IMAGE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
WHOLE = {
    "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
    "additionalProperties": False,
}  # fmt: skip
DEEP: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "source": (
        "anthropic",
        of_anthropic({"type": "image", "source": {**IMAGE, "odd": 1}}),
        "messages.0.content.0.source.odd",
        "image.source.odd",
    ),
    "choice of a tool": (
        "anthropic",
        {
            **with_tool(of_anthropic(), name="f", input_schema=SCHEMA),
            "tool_choice": {"type": "tool", "name": "f", "odd": 1},
        },
        "tool_choice.odd",
        "tool_choice.odd",
    ),
    "bytes": (
        "gemini",
        of_gemini({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo=", "odd": 1}}),
        "contents.0.parts.0.inlineData.odd",
        "image.inlineData.odd",
    ),
    "name of an image": (
        "gemini",
        of_gemini(
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo=", "displayName": "n"}}
        ),
        "contents.0.parts.0.inlineData.displayName",
        "image.inlineData.displayName",
    ),
    "image": (
        "openai-chat",
        {"model": "m", "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "odd": 1}}]}]},
        "messages.0.content.0.image_url.odd",
        "image.image_url.odd",
    ),
    "form": (
        "openai-chat",
        {**of_chat(), "response_format": {
            "type": "json_schema", "json_schema": {"name": "n", "schema": WHOLE, "odd": 1}}},
        "response_format.json_schema.odd",
        "response_format.json_schema.odd",
    ),
    "wish to think": (
        "openai-chat",
        {**of_chat(), "reasoning": {"effort": "low", "exclude": True}},
        "reasoning.exclude",
        "reasoning.exclude",
    ),
    "form of a response": (
        "openai-responses",
        {**of_responses(), "text": {"format": {
            "type": "json_schema", "name": "n", "schema": WHOLE, "odd": 1}}},
        "text.format.odd",
        "text.format.odd",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DEEP)
def test_members_in_a_member_come_back_to_their_place_or_are_named(what: str) -> None:
    name, body, place, lost = DEEP[what]
    chat = call_of(FACES[name], msgspec.json.encode(body)).chat()
    for other, dialect in OWN.items():
        sent = dialect.encode_chat(chat, Traits(model=MODEL))
        if other != name:
            assert lost in sent.dropped, other
            assert b'"odd"' not in sent.body
            continue
        assert sent.dropped == ()
        found: Any = msgspec.json.decode(sent.body)
        for step in place.split("."):
            found = found[int(step) if step.isdigit() else step]
        assert found in (1, True, "n")


def test_a_schema_beside_json_object_is_a_schema() -> None:
    """As llama.cpp, Together and Fireworks take it: elsewhere it would be lost."""
    body = {**of_chat(), "response_format": {"type": "json_object", "schema": SCHEMA}}
    chat = call_of(FACES["openai-chat"], msgspec.json.encode(body)).chat()
    sent = OWN["gemini"].encode_chat(chat, Traits(model="gemini-2.5-flash"))
    config = msgspec.json.decode(sent.body)["generationConfig"]
    assert config["responseJsonSchema"] == SCHEMA
