"""A history as Google's own clients keep a stream: one content per event.

OpenAI takes no result that does not follow all calls of one message, so what the model said
without a break must be one turn; https://ai.google.dev/gemini-api/docs/function-calling.
"""

import json
from typing import Any

import pytest

from octoplex.dialects.dialect import Traits
from octoplex.dialects.gemini import GeminiFace
from tests.dialects.test_crossings import DIALECTS
from tests.dialects.test_transcripts import call_of

PARIS = {"functionCall": {"name": "weather", "args": {"city": "Paris"}, "id": "a"}}
TOKYO = {"functionCall": {"name": "time", "args": {"city": "Tokyo"}, "id": "b"}}
RESULTS = [
    {"functionResponse": {"name": "weather", "id": "a", "response": {"result": "18 °C"}}},
    {"functionResponse": {"name": "time", "id": "b", "response": {"output": ["正午"]}}},
]


def body(*contents: tuple[str, list[Any]]) -> bytes:
    turns = [{"role": role, "parts": parts} for role, parts in contents]
    return json.dumps({"contents": turns}).encode()  # escapes everything beyond ASCII


SPLIT = body(
    ("user", [{"text": "Hi"}]),
    ("model", [{"text": "Look"}]),
    ("model", [{"text": "ing."}]),
    ("model", [PARIS]),
    ("model", [TOKYO]),
    ("user", RESULTS),
)
JOINED = body(
    ("user", [{"text": "Hi"}]), ("model", [{"text": "Looking."}, PARIS, TOKYO]), ("user", RESULTS)
)


@pytest.mark.parametrize("name", DIALECTS)
def test_what_the_model_said_without_a_break_is_one_turn(name: str) -> None:
    face = GeminiFace()
    split, joined = (
        DIALECTS[name].encode_chat(face.decode_chat(call_of(face, said)), Traits(model="m")).body
        for said in (SPLIT, JOINED)
    )
    assert split == joined


def test_openai_gets_all_calls_in_one_message_and_results_that_can_be_read() -> None:
    face = GeminiFace()
    chat = face.decode_chat(call_of(face, SPLIT))
    written = json.loads(DIALECTS["openai-chat"].encode_chat(chat, Traits(model="m")).body)
    roles = [message["role"] for message in written["messages"]]
    assert roles == ["user", "assistant", "tool", "tool"]
    assert [c["id"] for c in written["messages"][1]["tool_calls"]] == ["a", "b"]
    said = [message["content"] for message in written["messages"][2:]]
    assert said == ['{"result":"18 °C"}', '["正午"]']
