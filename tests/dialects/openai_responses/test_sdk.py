"""The real `openai` package reads what the face writes: replies, streams and errors."""

from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from octoplex.wire import error as errors
from octoplex.wire.event import (
    Event,
    Finished,
    RefusalDelta,
    Reply,
    Started,
    Text,
    TextDelta,
    Thinking,
    ToolUse,
    Usage,
    unfold,
)
from tests.dialects.grammar.openai_responses import check
from tests.dialects.openai_responses.wires import (
    FACE,
    NOW,
    call,
    call_of,
    saying,
    streaming,
    written,
)

USAGE = Usage(input_tokens=20, output_tokens=9, cached_tokens=16, reasoning_tokens=4)
REPLY = Reply(
    id="chatcmpl-1",
    model="claude",
    blocks=(
        Thinking("Compare.", "c2ln"),
        Thinking(data="cmVk"),
        Text("Looking."),
        ToolUse("call_1", "weather", '{"city":"Paris"}'),
        ToolUse("call_2", "time", ""),
    ),
    stop="tool",
    usage=USAGE,
)
TOOLS: Any = [
    {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True},
    {"type": "function", "name": "time", "parameters": {"type": "object"}, "strict": None},
]


def test_the_sdk_reads_a_reply() -> None:
    body = FACE.encode_reply_to(call(tools=TOOLS, temperature=0.5, metadata={"a": "b"}), REPLY)
    Response.model_validate_json(body, strict=True)
    got = saying(body).responses.create(model="m", input="x")
    assert (got.id, got.model, got.created_at) == ("chatcmpl-1", "claude", NOW)
    assert (got.status, got.output_text) == ("completed", "Looking.")
    assert (got.temperature, got.metadata) == (0.5, {"a": "b"})
    assert [tool.type for tool in got.tools] == ["function", "function"]
    calls = [item for item in got.output if item.type == "function_call"]
    assert [(c.call_id, c.arguments) for c in calls] == [
        ("call_1", '{"city":"Paris"}'),
        ("call_2", "{}"),
    ]
    assert got.usage is not None
    assert got.usage.total_tokens == 29
    assert got.usage.input_tokens_details.cached_tokens == 16


def test_the_sdk_gathers_a_stream_to_the_same_reply() -> None:
    wire = written(unfold(REPLY), tools=TOOLS)
    with streaming(wire).responses.stream(model="m", input="x", tools=TOOLS) as stream:
        kinds = [event.type for event in stream]
        got = stream.get_final_response()
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    whole = saying(FACE.encode_reply_to(call(tools=TOOLS), REPLY)).responses.create(
        model="m", input="x"
    )
    assert got.model_dump(exclude={"output"}) == whole.model_dump(exclude={"output"})
    same = [item.model_dump(exclude={"parsed_arguments"}) for item in got.output]
    for item in same:
        for part in item.get("content") or ():
            part.pop("parsed", None)
    assert same == [item.model_dump() for item in whole.output]


def test_what_the_sdk_gathered_comes_back_as_it_was() -> None:
    """The items go back as they came, which is what the documentation tells callers to do."""
    with streaming(written(unfold(REPLY))).responses.stream(model="m", input="x") as stream:
        got = stream.get_final_response()
    items = [
        item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in got.output
    ]
    said = call(input=[{"role": "user", "content": "x"}, *items]).chat().messages[1].parts
    assert said[:2] == (Thinking("Compare.", "c2ln"), Thinking(data="cmVk"))
    assert [p.use.arguments for p in said[3:]] == ['{"city":"Paris"}', "{}"]  # type: ignore[union-attr]


def test_the_sdk_parses_structured_output() -> None:
    class City(BaseModel):
        name: str

    events: list[Event] = [
        Started("r", "m"),
        TextDelta('{"name":'),
        TextDelta('"Paris"}'),
        Finished(stop="end", usage=USAGE),
    ]
    with streaming(written(events)).responses.stream(
        model="m", input="x", text_format=City
    ) as stream:
        parsed = stream.get_final_response().output_parsed
    assert parsed == City(name="Paris")


def test_the_sdk_reads_a_refusal_and_a_length() -> None:
    refused: list[Event] = [
        Started("r", "m"),
        RefusalDelta("No."),
        Finished(stop="refusal", usage=USAGE),
    ]
    events: Any = list(
        streaming(written(refused)).responses.create(model="m", input="x", stream=True)
    )
    assert "".join(e.delta for e in events if e.type == "response.refusal.delta") == "No."
    assert events[-1].response.output[0].content[0].refusal == "No."
    short: list[Event] = [Started("r", "m"), TextDelta("Hi"), Finished(stop="length", usage=USAGE)]
    events = list(streaming(written(short)).responses.create(model="m", input="x", stream=True))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("after", [0, 1, 4, 7])
def test_the_sdk_raises_on_an_error_in_the_stream(after: int) -> None:
    encoder = FACE.encoder(call(stream=True))
    wire = encoder.feed(unfold(REPLY)[:after]) + encoder.fail(errors.UpstreamBroken("it broke off"))
    check(wire)
    with pytest.raises(openai.APIError, match="it broke off"):
        list(streaming(wire).responses.create(model="m", input="x", stream=True))


def test_the_sdk_raises_on_an_error_after_a_verbatim_part() -> None:
    wire = written(unfold(REPLY)).split(b"event: response.completed")[0]
    wire += FACE.fail_event(errors.UpstreamBusy("slow down", retry_after_s=1.0), "req-9")
    with pytest.raises(openai.APIError, match="slow down") as caught:
        list(streaming(wire).responses.create(model="m", input="x", stream=True))
    assert caught.value.code == "rate_limit_exceeded"
    events = [line for line in wire.splitlines() if line.startswith(b"event: ")]
    assert events[-2:] == [b"event: error", b"event: response.failed"]


CLASSES: list[tuple[errors.GatewayError, type[openai.APIStatusError], str | None]] = [
    (errors.InvalidCall("x", param="input"), openai.BadRequestError, None),
    (errors.Unsupported("x", param="stop"), openai.BadRequestError, "unsupported"),
    (errors.Unauthorized("x"), openai.AuthenticationError, "invalid_api_key"),
    (errors.TooFast("x"), openai.RateLimitError, "rate_limit_exceeded"),
    (errors.UpstreamDenied("x"), openai.InternalServerError, "upstream_denied"),
    (errors.UpstreamOverloaded("x"), openai.InternalServerError, "upstream_overloaded"),
]


@pytest.mark.parametrize(("error", "expected", "code"), CLASSES, ids=lambda v: type(v).__name__)
def test_the_sdk_raises_its_own_class(
    error: errors.GatewayError, expected: type[openai.APIStatusError], code: str | None
) -> None:
    ask = saying(FACE.encode_error(error, "req-1"), FACE.status(error))
    with pytest.raises(expected) as caught:
        ask.responses.create(model="m", input="x")
    assert caught.value.code == code


def test_the_sdk_counts() -> None:
    counted = saying(FACE.encode_count(12)).responses.input_tokens.count(model="m", input="x")
    assert (counted.input_tokens, counted.object) == (12, "response.input_tokens")


def test_the_sdks_own_request_is_understood() -> None:
    """What the client puts on the wire, not what we think it does."""
    sent: list[bytes] = []
    ask = saying(FACE.encode_reply(REPLY))
    ask._client.event_hooks["request"] = [lambda request: sent.append(request.read())]
    ask.responses.create(
        model="m",
        instructions="Be brief.",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        tools=TOOLS,
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": {"type": "json_object"}, "verbosity": "low"},
        include=["reasoning.encrypted_content"],
        store=False,
    )
    chat = call_of(sent[0]).chat()
    assert [m.role for m in chat.messages] == ["system", "user"]
    assert [t.name for t in chat.tools] == ["weather", "time"]
    assert set(chat.extra) == {"reasoning.summary"}
    assert chat.verbosity == "low"
    assert not chat.native
