"""What the built-in model answers, over the wire the gateway uses."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
import pytest

from octoplex.upstreams.local import Address, LocalWorker
from tests.upstreams.local.asking import (
    ask,
    chat,
    events,
    needs_model,
    request,
    smollm2,
    until,
)

pytestmark = needs_model
CHAT = "/v1/chat/completions"
HELLO = "Say hello to the octopus."


class Person(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    age: int


PERSON = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 30},
                "age": {"type": "integer", "minimum": 0, "maximum": 120},
            },
            "required": ["name", "age"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def at() -> Iterator[Address]:
    with asyncio.Runner() as runner:
        worker = LocalWorker(smollm2())
        yield runner.run(worker.ready())
        runner.run(worker.close())


def test_a_plain_answer_counts_its_tokens(at: Address) -> None:
    body = chat(HELLO, max_tokens=7)
    reply = ask(at, CHAT, body)
    choice, usage = reply["choices"][0], reply["usage"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"].strip()
    assert choice["finish_reason"] == "length"
    assert usage["completion_tokens"] == 7
    assert usage["prompt_tokens"] == ask(at, f"{CHAT}/input_tokens", body)["input_tokens"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + 7
    assert reply["model"] == "smollm2"


def test_a_stream_is_the_same_answer_in_pieces(at: Address) -> None:
    body = chat(HELLO, max_tokens=20)
    whole = ask(at, CHAT, body)
    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    with request(at, CHAT, streamed) as response:
        *data, done = events(response)
    first, *deltas, last, usage = [json.loads(d) for d in data]
    assert done == "[DONE]"
    assert first["choices"][0]["delta"]["role"] == "assistant"
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in deltas)
    assert text == whole["choices"][0]["message"]["content"]
    assert last["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in (first, *deltas))
    assert usage["choices"] == []
    assert usage["usage"] == whole["usage"]
    assert len({chunk["id"] for chunk in (first, *deltas, last, usage)}) == 1


def test_a_stream_reports_usage_only_when_asked(at: Address) -> None:
    with request(at, CHAT, chat(HELLO, max_tokens=2, stream=True)) as response:
        *data, _ = events(response)
    assert not any("usage" in json.loads(d) for d in data)


@pytest.mark.parametrize("stream", [False, True])
def test_json_follows_the_schema(at: Address, stream: bool) -> None:
    body = chat("Invent a person.", max_tokens=100, response_format=PERSON, stream=stream)
    with request(at, CHAT, body) as response:
        if stream:
            chunks = [json.loads(d) for d in events(response) if d != "[DONE]"]
            pieces = [c["choices"][0]["delta"].get("content") or "" for c in chunks]
            text = "".join(pieces)
        else:
            text = json.loads(response.read())["choices"][0]["message"]["content"]
    person = msgspec.json.decode(text, type=Person)
    assert person.name
    assert 0 <= person.age <= 120


def test_it_stops_where_it_is_told_to(at: Address) -> None:
    body = chat("Count: one two three four", max_tokens=60)
    text = ask(at, CHAT, body)["choices"][0]["message"]["content"]
    word = text.split()[3]
    choice = ask(at, CHAT, {**body, "stop": [word]})["choices"][0]
    assert choice["message"]["content"] == text[: text.index(word)]
    assert choice["finish_reason"] == "stop"


def test_tokens_are_counted_without_generating(at: Address) -> None:
    body = {
        "messages": [{"role": "user", "content": HELLO}],
        "system": "Be brief.",
        "max_tokens": 1,
    }
    counted = ask(at, "/v1/messages/count_tokens", body)["input_tokens"]
    usage = ask(at, "/v1/messages", body)["usage"]
    assert counted == usage["input_tokens"] + usage["cache_read_input_tokens"]


def busy(at: Address) -> int:
    return sum(slot["is_processing"] for slot in ask(at, "/slots"))


def test_two_answers_at_once(at: Address) -> None:
    body = chat("Tell a story.", max_tokens=4_000, ignore_eos=True, stream=True)
    with request(at, CHAT, body), request(at, CHAT, body):
        until(lambda: busy(at) == 2)
    until(lambda: busy(at) == 0)


def test_more_callers_than_slots_wait_in_line(at: Address) -> None:
    body = chat("Hi", max_tokens=4, stream=True)
    with ExitStack() as held:
        for response in [held.enter_context(request(at, CHAT, body)) for _ in range(8)]:
            assert list(events(response))[-1] == "[DONE]"


def test_leaving_a_stream_frees_its_slot(at: Address) -> None:
    body = chat("Tell a long story.", max_tokens=4_000, ignore_eos=True, stream=True)
    with request(at, CHAT, body) as response:
        answer = events(response)
        assert len([next(answer) for _ in range(3)]) == 3
        assert busy(at) == 1
    until(lambda: busy(at) == 0, within_s=5.0)


def test_a_prompt_above_the_context_is_refused(at: Address) -> None:
    with request(at, CHAT, chat("word " * (at.context + 10))) as response:
        error = json.loads(response.read())["error"]
    assert response.status == 400
    assert error["type"] == "exceed_context_size_error"
    assert error["n_ctx"] == at.context == 8_192


def test_only_the_owner_may_ask(at: Address) -> None:
    stranger = msgspec.structs.replace(at, api_key="wrong")
    with request(stranger, CHAT, chat(HELLO)) as response:
        assert response.status == 401


def test_this_model_takes_neither_tools_nor_images(at: Address) -> None:
    assert (at.tools, at.images) == (False, False)
