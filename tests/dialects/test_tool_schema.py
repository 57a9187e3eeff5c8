"""A function's parameters are an object wherever the provider wants that said."""

import msgspec
import pytest
from msgspec import Raw

from octoplex.dialects.anthropic import Anthropic
from octoplex.dialects.bedrock_converse import BedrockConverse
from octoplex.dialects.cohere_v2 import CohereV2
from octoplex.dialects.dialect import Dialect, Traits
from octoplex.dialects.gemini import Gemini
from octoplex.dialects.openai_chat import OpenAIChat
from octoplex.dialects.tool_schema import object_schema
from octoplex.wire.chat import Chat, Message, TextPart, Tool

WANTING = (Anthropic(), BedrockConverse(), CohereV2(), Gemini())


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (b"{}", b'{"type":"object"}'),
        (b'{"properties":{}}', b'{"type":"object","properties":{}}'),
        (b'{"type": "object"}', b'{"type": "object"}'),
        (b'{"properties":{"type":{}},"type":"object"}',) * 2,
        (b"true", b"true"),
    ],
)
def test_the_type_is_said(given: bytes, sent: bytes) -> None:
    assert bytes(object_schema(Raw(given))) == sent


@pytest.mark.parametrize("dialect", WANTING, ids=lambda d: d.name)
def test_who_wants_it_said(dialect: Dialect) -> None:
    chat = Chat(
        model="m",
        messages=(Message("user", (TextPart("x"),)),),
        tools=(Tool(name="f", schema=Raw(b"{}")),),
    )
    assert b'"type":"object"' in dialect.encode_chat(chat, Traits(model="m")).body
    same = msgspec.json.decode(OpenAIChat().encode_chat(chat, Traits(model="m")).body)
    assert same["tools"][0]["function"]["parameters"] == {}
