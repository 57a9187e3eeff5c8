"""The real `anthropic` package reads what the face writes: replies, streams and errors."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest

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
from tests.dialects.anthropic.wires import FACE, HELLO, call
from tests.dialects.grammar.anthropic import check

USAGE = Usage(
    input_tokens=20, output_tokens=9, cached_tokens=12, cache_write_tokens=4, reasoning_tokens=2
)
ASK: dict[str, Any] = {"model": "m", "max_tokens": 64, "messages": HELLO}
REPLY = Reply(
    id="chatcmpl-1",
    model="gpt-5-mini",
    blocks=(
        Thinking("Compare.", "c2ln"),
        Thinking(data="cmVk"),
        Text("Looking."),
        ToolUse("functions.weather:0", "weather", '{"city":"Paris"}'),
        ToolUse("", "time", ""),
        ToolUse("call_3", "odd", '{"city": nope'),
    ),
    stop="tool",
    usage=USAGE,
)
EVENTS: list[Event] = [
    Started("chatcmpl-1", "gpt-5-mini"),
    ThinkingDelta("Comp", 0),
    ThinkingDelta("are.", 0, "c2ln"),
    RedactedThinking("cmVk", 1),
    TextDelta("Look", 2),
    TextDelta("ing.", 2),
    ToolStart("functions.weather:0", "weather", 3),
    ToolDelta('{"city":', 3),
    ToolStart("", "time", 4),
    ToolDelta('"Paris"}', 3),
    Finished(stop="tool", usage=USAGE),
]


def client(answer: Callable[[httpx2.Request], httpx2.Response]) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key="none",
        base_url="http://octoplex.test",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )


def saying(body: bytes, status: int = 200, kind: str = "application/json") -> anthropic.Anthropic:
    headers = {"content-type": kind, "request-id": "req-1"}
    return client(lambda _: httpx2.Response(status, content=body, headers=headers))


def streaming(wire: bytes) -> anthropic.Anthropic:
    return saying(wire, kind="text/event-stream")


def written(events: list[Event]) -> bytes:
    encoder = FACE.encoder(call(stream=True))
    wire = b"".join([encoder.feed([event]) for event in events])
    check(wire)
    return wire


def test_a_whole_reply() -> None:
    message = saying(FACE.encode_reply(REPLY)).messages.create(**ASK)
    kinds = [b.type for b in message.content]
    assert kinds == ["thinking", "redacted_thinking", "text", *["tool_use"] * 3]
    assert [b.input for b in message.content if b.type == "tool_use"] == [
        {"city": "Paris"},
        {},
        {"INVALID_JSON": '{"city": nope'},
    ]
    assert (message.stop_reason, message.model) == ("tool_use", "gpt-5-mini")
    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens) == (4, 9)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (12, 4)


def test_a_stream_gathers_into_the_message() -> None:
    with streaming(written(EVENTS)).messages.stream(**ASK) as stream:
        said = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert said == "Looking."
    kinds = [b.type for b in message.content]
    assert kinds == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
    thinking = message.content[0]
    assert thinking.type == "thinking"
    assert (thinking.thinking, thinking.signature) == ("Compare.", "c2ln")
    calls = [b for b in message.content if b.type == "tool_use"]
    assert [b.input for b in calls] == [{"city": "Paris"}, {}]
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (4, 9)
    assert message.usage.cache_read_input_tokens == 12


def test_raw_stream_events() -> None:
    events = list(streaming(written(EVENTS)).messages.create(**ASK, stream=True))
    assert events[0].type == "message_start"
    assert events[-1].type == "message_stop"


def test_a_reply_and_its_stream_agree() -> None:
    plain: list[Event] = [Started("m", "m", USAGE), RefusalDelta("No.", 0)]
    plain.append(Finished(stop="refusal", usage=USAGE))
    with streaming(written(plain)).messages.stream(**ASK) as stream:
        streamed = stream.get_final_message()
    reply = Reply(id="m", model="m", blocks=(Text("No."),), stop="refusal", usage=USAGE)
    whole = saying(FACE.encode_reply(reply)).messages.create(**ASK)
    assert streamed.content[0].model_dump(exclude={"parsed_output"}) == (
        whole.content[0].model_dump(exclude={"parsed_output"})
    )
    assert streamed.usage == whole.usage
    assert streamed.stop_reason == whole.stop_reason == "refusal"


def test_a_failure_in_the_stream_is_raised() -> None:
    encoder = FACE.encoder(call(stream=True))
    wire = encoder.feed(EVENTS[:5]) + encoder.fail(errors.UpstreamOverloaded("Overloaded."))
    check(wire)
    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        streaming(wire).messages.stream(**ASK) as stream,
    ):
        stream.until_done()
    assert caught.value.type == "overloaded_error"


CASES: list[tuple[errors.GatewayError, int, str, type[anthropic.APIStatusError]]] = [
    (
        errors.InvalidCall("`model` is missing", param="model"),
        400,
        "invalid_request_error",
        anthropic.BadRequestError,
    ),
    (errors.Unsupported("n", param="n"), 400, "invalid_request_error", anthropic.BadRequestError),
    (errors.Unauthorized("no"), 401, "authentication_error", anthropic.AuthenticationError),
    (errors.OverBudget("no"), 402, "billing_error", anthropic.APIStatusError),
    (errors.Forbidden("no"), 403, "permission_error", anthropic.PermissionDeniedError),
    (errors.NotFound("no"), 404, "not_found_error", anthropic.NotFoundError),
    (errors.ModelGone("no"), 404, "not_found_error", anthropic.NotFoundError),
    (errors.TooLarge("no"), 413, "request_too_large", anthropic.APIStatusError),
    (errors.TooFast("no", retry_after_s=2), 429, "rate_limit_error", anthropic.RateLimitError),
    (errors.UpstreamBusy("no"), 429, "rate_limit_error", anthropic.RateLimitError),
    (errors.UpstreamDenied("no"), 502, "api_error", anthropic.InternalServerError),
    (errors.UpstreamQuota("no"), 502, "api_error", anthropic.InternalServerError),
    (errors.UpstreamBroken("no"), 502, "api_error", anthropic.InternalServerError),
    (errors.UpstreamFailed("no"), 502, "api_error", anthropic.InternalServerError),
    (errors.NoTarget("no", retry_after_s=1), 503, "api_error", anthropic.InternalServerError),
    (errors.UpstreamSlow("no"), 504, "timeout_error", anthropic.InternalServerError),
    (errors.DeadlinePassed("no"), 504, "timeout_error", anthropic.InternalServerError),
    (errors.UpstreamOverloaded("no"), 529, "overloaded_error", anthropic.InternalServerError),
    (errors.ContextTooLong("no"), 400, "invalid_request_error", anthropic.BadRequestError),
    (errors.StoreFailed("no"), 503, "api_error", anthropic.InternalServerError),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: type(c[0]).__name__)
def test_errors_are_what_the_package_expects(
    case: tuple[errors.GatewayError, int, str, type[anthropic.APIStatusError]],
) -> None:
    error, status, type_, kind = case
    assert FACE.status(error) == status
    body = FACE.encode_error(error, "req-1")
    with pytest.raises(kind) as caught:
        saying(body, status).messages.create(**ASK)
    assert caught.value.status_code == status
    assert (caught.value.type, caught.value.error_code) == (type_, error.code)
    assert json.loads(body)["request_id"] == "req-1"


def test_a_providers_status_never_looks_like_the_callers_key() -> None:
    for status in (401, 402, 403):
        error = errors.UpstreamRejected("no")
        error.status = status
        assert FACE.status(error) == 502
        assert b"api_error" in FACE.encode_error(error, "r")


def test_a_secret_in_a_message_is_masked() -> None:
    error = errors.UpstreamRejected("the key sk-ant-api03-abcdefghijklmnop is odd")
    assert b"abcdefghijklmnop" not in FACE.encode_error(error, "req-1")


def test_counting_tokens() -> None:
    counted = saying(FACE.encode_count(17)).messages.count_tokens(model="m", messages=HELLO)  # type: ignore[arg-type]
    assert counted.input_tokens == 17


def test_what_the_package_sends_is_understood() -> None:
    sent: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.read())
        return httpx2.Response(200, content=FACE.encode_reply(REPLY))

    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    client(answer).messages.create(**ASK, tools=tools, system="Be brief.")
    chat = call(**json.loads(sent[0])).chat()
    assert [m.role for m in chat.messages] == ["system", "user"]
    assert chat.tools[0].name == "f"
