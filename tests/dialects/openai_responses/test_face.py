"""The face at its edges: heads, odd event orders, what a response repeats."""

import json
from typing import Any

import pytest
from msgspec import Raw

from octoplex.dialects.dialect import Counter, CountFace, EchoFace, Traits
from octoplex.dialects.openai_responses import OpenAIResponsesFace
from octoplex.wire import error as errors
from octoplex.wire.event import (
    Event,
    Finished,
    Reply,
    Started,
    Text,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    ToolUse,
    Usage,
)
from tests.dialects.grammar.openai_responses import check
from tests.dialects.openai_responses.wires import DIALECT, FACE, call, call_of, fields, written

END = Finished(stop="end", usage=Usage(1, 1))


def last(wire: bytes) -> Any:
    return json.loads(wire.splitlines()[-2][6:])["response"]


def test_it_counts_and_echoes() -> None:
    assert isinstance(FACE, CountFace)
    assert isinstance(FACE, EchoFace)
    assert isinstance(DIALECT, Counter)


def test_a_stream_without_a_start_gets_one() -> None:
    for events in ([TextDelta("a"), END], [Started("", ""), END], [END]):
        response = last(written([*events]))
        assert (response["id"], response["model"]) == ("resp_req-1", "m")


def test_a_second_start_is_one_too_many() -> None:
    assert written([Started("a", "m"), Started("b", "m"), END]).count(b'"response.created"') == 1


def test_nothing_follows_the_end() -> None:
    encoder = FACE.encoder(call(stream=True))
    wire = encoder.feed([Started("a", "m"), END])
    assert encoder.feed([TextDelta("late"), END]) == b""
    check(wire)
    broken = FACE.encoder(call(stream=True))
    failed = broken.fail(errors.Stopping("shutting down"))
    assert broken.feed([TextDelta("late")]) == b""
    check(failed)


def test_a_failure_keeps_what_was_done() -> None:
    encoder = FACE.encoder(call(stream=True))
    wire = encoder.feed([Started("a", "m"), TextDelta("x", 0), ToolStart("c", "f", 1)])
    wire += encoder.fail(errors.ContentRefused("no"))
    check(wire)
    response = last(wire)
    assert [item["type"] for item in response["output"]] == ["message"]
    assert response["error"] == {"code": "invalid_prompt", "message": "no"}


def test_odd_events_are_not_written() -> None:
    odd: list[Event] = [
        Started("a", "m"),
        ToolDelta("{}", 3),
        TextDelta("", 0),
        ThinkingDelta("", 1),
        END,
    ]
    assert last(written(odd))["output"] == []


def test_a_block_that_goes_on_late_begins_anew() -> None:
    late: list[Event] = [
        Started("a", "m"),
        TextDelta("one", 0),
        ThinkingDelta("hm", 1),
        TextDelta("two", 0),
        ThinkingDelta("hm", 1),
        END,
    ]
    kinds = [item["type"] for item in last(written(late))["output"]]
    assert kinds == ["message", "reasoning", "message", "reasoning"]


def test_calls_with_one_id_are_told_apart() -> None:
    calls = (ToolUse("c", "f", "{}"), ToolUse("c", "f", "{}"), ToolUse("", "f", ""))
    reply = Reply(id="resp_1", model="m", blocks=calls, stop="tool", usage=Usage(1, 1))
    ids = [item["call_id"] for item in json.loads(FACE.encode_reply(reply))["output"]]
    assert ids == ["c", "c_1", "call_resp_1_2"]
    assert len({*ids}) == 3


def test_a_signature_of_a_call_travels_in_its_id() -> None:
    reply = Reply(
        id="r", model="m", blocks=(ToolUse("c", "f", "{}", "c2ln"),), stop="tool", usage=Usage(1, 1)
    )
    item = json.loads(FACE.encode_reply(reply))["output"][0]
    result = {"type": "function_call_output", "call_id": item["call_id"], "output": "1"}
    chat = call(input=[{"role": "user", "content": "x"}, item, result]).chat()
    assert chat.messages[1].parts[0].use == ToolUse("c", "f", "{}", "c2ln")  # type: ignore[union-attr]
    assert chat.messages[2].parts[0].id == "c"  # type: ignore[union-attr]


def test_a_response_repeats_the_request_on_one_line() -> None:
    asked = b"""{
      "model": "m", "input": "x", "stream": true, "store": true,
      "tools": [ {"type": "function",
                  "name": "f", "parameters": {"type": "object"}, "strict": false} ],
      "metadata": {"a": "b"}, "reasoning": {"effort": "low"}, "temperature": 0.50,
      "instructions": "Two\\nlines.", "truncation": null
    }"""
    wire = FACE.encoder(call_of(asked)).feed([Started("r", "m"), END])
    check(wire)
    response = last(wire)
    assert response["tools"][0]["name"] == "f"
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert (response["instructions"], response["truncation"]) == ("Two\nlines.", "disabled")
    assert response["store"] is False
    stores = OpenAIResponsesFace(stores=True)
    reply = Reply(id="r", model="m", blocks=(Text("x"),), stop="end", usage=Usage(1, 1))
    assert json.loads(stores.encode_reply_to(call_of(asked), reply))["store"] is True
    assert json.loads(stores.encode_reply_to(call(), reply))["store"] is True
    assert json.loads(stores.encode_reply_to(call(store=False), reply))["store"] is False


@pytest.mark.parametrize(
    ("input_", "may"),
    [
        ("plain", False),
        ('say "input_image" aloud', False),
        ([{"role": "user", "content": "x"}], False),
        ([{"role": "user", "content": [{"type": "input_image", "image_url": "u"}]}], True),
        ([{"type": "reasoning", "summary": [], "encrypted_content": "octoplex::"}], True),
        ([{"type": "function_call", "call_id": "c__gemini_sig__c2ln"}], False),
    ],
)
def test_media_is_suspected_by_its_bytes(input_: Any, may: bool) -> None:
    head = FACE.read_head(fields(model="m", input=input_))
    assert head.may_hold_media is may or "gemini" in str(input_)


def test_a_body_that_is_not_utf8_is_the_callers_fault() -> None:
    bodies = [
        b'{"model":"m","input":[{"role":"user","content":"\xff"}]}',
        b'{"model":"m","input":"\xff"}',
        b'{"model":"m","input":"x","instructions":"\xff"}',
        b'{"model":"m","input":"x","metadata":{"a":"\xff"}}',
        b'{"model":"m","input":"x","tools":[{"type":"\xff"}]}',
        b'{"model":"m","input":[{"type":"shell_call","call_id":"c","action":{"a":"\xff"}}]}',
        b'{"model":"m","input":[{"type":"shell_call_output","call_id":"c","output":{"a":"\xff"}}]}',
        b'{"model":"m","input":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ]
    for body in bodies:
        with pytest.raises(errors.InvalidCall):
            call_of(body).chat()


def test_count_heads_need_no_limit() -> None:
    head = FACE.read_count_head(fields(model="m", input="x", max_output_tokens="x"))
    assert (head.model, head.max_tokens, head.stream) == ("m", None, False)
    with pytest.raises(errors.InvalidCall):
        FACE.read_count_head(fields(model="m"))


@pytest.mark.parametrize("body", [b'{"input_tokens":12}', b'{"input_tokens":-3}', b"<html>", b"{}"])
def test_a_count_is_a_count(body: bytes) -> None:
    if body.startswith(b'{"i'):
        assert DIALECT.decode_count(body) >= 0
    else:
        with pytest.raises(errors.UpstreamBroken):
            DIALECT.decode_count(body)


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_what_is_kept_elsewhere_may_stand_for_the_input(name: str) -> None:
    kept = json.dumps({"model": "m", name: "resp_1"}).encode()
    chat = call_of(kept).chat()
    assert (chat.messages, chat.native) == ((), {name: Raw(b'"resp_1"')})
    assert json.loads(DIALECT.encode_chat(chat, Traits(model="gpt-5")).body) == {
        "model": "gpt-5",
        name: "resp_1",
        "store": False,
    }


def test_an_absent_member_is_absent() -> None:
    with pytest.raises(errors.InvalidCall):
        FACE.read_head({"model": Raw(b'"m"'), "input": Raw(b"null")})
