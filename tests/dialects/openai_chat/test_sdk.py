"""The real `openai` package reads what the face writes: replies, streams and errors."""

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import msgspec
import openai
import pytest
from openai.types.chat import ChatCompletion

from octoplex.dialects.openai_chat import OpenAIChatFace
from octoplex.wire import error as errors
from octoplex.wire.event import (
    Event,
    Finished,
    RedactedThinking,
    RefusalDelta,
    Reply,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    ToolUse,
    Usage,
)
from tests.dialects.grammar.openai_chat import check
from tests.dialects.test_transcripts import call_of

FACE = OpenAIChatFace(now=lambda: 1_741_569_952.0)
USAGE = Usage(input_tokens=20, output_tokens=9, cached_tokens=16, reasoning_tokens=4)
ASK = b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true%b}'
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
EVENTS: list[Event] = [
    Started("chatcmpl-1", "claude"),
    ThinkingDelta("Comp", 0),
    ThinkingDelta("are.", 0),
    ThinkingDelta("", 0, "c2ln"),
    RedactedThinking("cmVk", 1),
    TextDelta("Look", 2),
    TextDelta("ing.", 2),
    ToolStart("call_1", "weather", 3),
    ToolDelta('{"city":', 3),
    ToolDelta('"Paris"}', 3),
    ToolStart("call_2", "time", 4),
    Finished(stop="tool", usage=USAGE),
]


def client(answer: Callable[[httpx.Request], httpx.Response]) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="none",
        base_url="http://octoplex.test/v1",
        max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    )


def saying(body: bytes, status: int = 200, kind: str = "application/json") -> openai.OpenAI:
    return client(lambda _: httpx.Response(status, content=body, headers={"content-type": kind}))


def written(events: list[Event], options: bytes = b"") -> bytes:
    encoder = FACE.encoder(call_of(FACE, ASK % options))
    wire = b"".join([encoder.feed([event]) for event in events])
    check(wire)
    return wire


def streamed(wire: bytes) -> list[Any]:
    ask = saying(wire, kind="text/event-stream")
    return list(
        ask.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "x"}], stream=True
        )
    )


def test_the_sdk_reads_a_reply() -> None:
    ask = saying(FACE.encode_reply(REPLY))
    got = ask.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    ChatCompletion.model_validate(got.model_dump(), strict=True)
    message = got.choices[0].message
    assert (got.id, got.model, got.created) == ("chatcmpl-1", "claude", 1_741_569_952)
    assert message.content == "Looking."
    assert message.tool_calls is not None
    assert [c.function.arguments for c in message.tool_calls] == ['{"city":"Paris"}', "{}"]  # type: ignore[union-attr]
    assert got.choices[0].finish_reason == "tool_calls"
    assert got.usage is not None
    assert got.usage.total_tokens == 29
    assert got.usage.prompt_tokens_details is not None
    assert got.usage.prompt_tokens_details.cached_tokens == 16


def test_the_sdk_reads_a_stream() -> None:
    chunks = streamed(written(EVENTS, b',"stream_options":{"include_usage":true}'))
    deltas = [c.choices[0].delta for c in chunks if c.choices]
    assert "".join(d.content or "" for d in deltas) == "Looking."
    assert "".join(getattr(d, "reasoning_content", "") for d in deltas) == "Compare."
    calls = [c for d in deltas for c in d.tool_calls or ()]
    assert [c.id for c in calls if c.id] == ["call_1", "call_2"]
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "tool_calls"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 20


def test_the_sdk_gathers_a_stream_to_what_can_be_echoed() -> None:
    """The helper that adds deltas up, as applications use it, keeps signatures whole."""
    ask = saying(written(EVENTS), kind="text/event-stream")
    with ask.chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "x"}]
    ) as stream:
        message = stream.get_final_completion().choices[0].message
    said = message.model_dump(exclude_none=True)
    assert said["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Compare.", "index": 0, "signature": "c2ln"},
        {"type": "reasoning.encrypted", "data": "cmVk", "index": 1},
    ]
    assert [c["function"]["arguments"] for c in said["tool_calls"]] == ['{"city":"Paris"}', "{}"]

    # The message goes back as it was gathered.
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "x"}, said]})
    parts = call_of(FACE, body).chat().messages[1].parts
    assert parts[:2] == (Thinking("Compare.", "c2ln"), Thinking(data="cmVk"))


def test_the_sdk_reads_a_refusal() -> None:
    events: list[Event] = [
        Started("c", "m"),
        RefusalDelta("No."),
        Finished(stop="refusal", usage=USAGE),
    ]
    chunks = streamed(written(events))
    assert "".join(c.choices[0].delta.refusal or "" for c in chunks) == "No."
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_sdk_raises_on_an_error_in_the_stream() -> None:
    encoder = FACE.encoder(call_of(FACE, ASK % b""))
    wire = encoder.feed(EVENTS[:6]) + encoder.fail(errors.UpstreamBroken("it broke off"))
    check(wire)
    with pytest.raises(openai.APIError, match="it broke off"):
        streamed(wire)


CLASSES: list[tuple[errors.GatewayError, type[openai.APIStatusError], str | None]] = [
    (errors.InvalidCall("x", param="model"), openai.BadRequestError, None),
    (errors.Unsupported("x", param="top_k"), openai.BadRequestError, "unsupported"),
    (errors.Unauthorized("x"), openai.AuthenticationError, "invalid_api_key"),
    (errors.Forbidden("x"), openai.PermissionDeniedError, "forbidden"),
    (errors.NotFound("x"), openai.NotFoundError, "not_found"),
    (errors.ModelGone("x"), openai.NotFoundError, "model_not_found"),
    (errors.TooFast("x"), openai.RateLimitError, "rate_limit_exceeded"),
    (errors.UpstreamBusy("x"), openai.RateLimitError, "rate_limit_exceeded"),
    (errors.ContextTooLong("x"), openai.BadRequestError, "context_length_exceeded"),
    (errors.ContentRefused("x"), openai.BadRequestError, "content_policy_violation"),
    (errors.UpstreamDenied("x"), openai.InternalServerError, "upstream_denied"),
    (errors.UpstreamQuota("x"), openai.InternalServerError, "upstream_quota"),
    (errors.UpstreamOverloaded("x"), openai.InternalServerError, "upstream_overloaded"),
]


@pytest.mark.parametrize(("error", "expected", "code"), CLASSES, ids=lambda v: type(v).__name__)
def test_the_sdk_raises_its_own_class(
    error: errors.GatewayError, expected: type[openai.APIStatusError], code: str | None
) -> None:
    ask = saying(FACE.encode_error(error, "req-1"), FACE.status(error))
    with pytest.raises(expected) as caught:
        ask.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert caught.value.code == code
    body: Any = caught.value.body
    assert body["octoplex"]["code"] == error.code
    assert body["octoplex"]["request_id"] == "req-1"


def test_overload_is_503_here_and_a_budget_402() -> None:
    assert FACE.status(errors.UpstreamOverloaded("x")) == 503
    assert FACE.status(errors.UpstreamDenied("x")) == 502
    assert FACE.status(errors.OverBudget("x")) == 402
    assert b'"type":"insufficient_quota"' in FACE.encode_error(errors.OverBudget("x"), "r")
