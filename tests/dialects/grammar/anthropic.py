"""The grammar of an Anthropic stream, as its reference has it.

    stream  = message_start block* message_delta message_stop
            | (message_start block*)? error             and nothing after it
    block   = content_block_start content_block_delta* content_block_stop

Indices ascend from 0 one by one, `ping` may stand anywhere before the end, every event's
data is JSON whose `type` is the event's name. Every stream that a test sees goes
through `check`. It shares no code with what it judges.

Reference: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

import json
import re
from typing import Any

DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set[str](),
    "tool_use": {"input_json_delta"},
}
CONTENT = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
STOPS = {
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
}
ERRORS = {
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "timeout_error",
    "overloaded_error",
}
TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")


def check(wire: bytes, *, arguments_valid: bool = True) -> None:
    """Raise AssertionError with the offending event.

    `arguments_valid`: tool arguments must add up to JSON; False where the model's own do not.
    """
    assert wire.endswith(b"\n\n"), "the last event is not closed"
    stream = _Stream(arguments_valid)
    for event in wire.decode().removesuffix("\n\n").split("\n\n"):
        try:
            stream.take(event)
        except (AssertionError, KeyError, ValueError) as error:
            raise AssertionError(f"{type(error).__name__}: {error} in {event!r}") from None
    assert stream.stopped != stream.failed, "a stream ends with message_stop or with an error"


class _Stream:
    def __init__(self, arguments_valid: bool) -> None:
        self.started = self.ended = self.stopped = self.failed = self.has_tools = False
        self.open: dict[str, Any] | None = None
        self.index = 0
        self.arguments = ""
        self.signed = False
        self.ids: set[str] = set()
        self.arguments_valid = arguments_valid

    def take(self, event: str) -> None:
        assert not self.stopped, "an event after message_stop"
        assert not self.failed, "an event after the error"
        if event.startswith(":"):
            return
        first, _, second = event.partition("\n")
        assert first.startswith("event: "), "no event line"
        assert second.startswith("data: "), "no data line"
        assert "\n" not in second, "more than one data line"
        data = json.loads(second.removeprefix("data: "), parse_constant=_no_constant)
        name = first.removeprefix("event: ")
        assert data["type"] == name, "the data is of another type than the event"
        if name == "ping":
            return
        assert self.started or name in ("message_start", "error"), "not yet started"
        assert not self.ended or name in ("message_stop", "error"), "after message_delta"
        getattr(self, name)(data)

    def message_start(self, data: dict[str, Any]) -> None:
        assert not self.started, "started twice"
        self.started = True
        message = data["message"]
        assert (message["type"], message["role"]) == ("message", "assistant")
        assert message["content"] == []
        assert message["stop_reason"] is None
        assert message["stop_sequence"] is None
        assert isinstance(message["id"], str)
        assert message["id"], "no id"
        assert isinstance(message["model"], str)
        self.usage(message["usage"])
        assert isinstance(message["usage"]["input_tokens"], int)

    def usage(self, usage: dict[str, Any]) -> None:
        counts = [v for v in usage.values() if isinstance(v, int)]
        assert min(counts) >= 0
        assert isinstance(usage["output_tokens"], int)
        written = usage.get("cache_creation")
        if written is not None:
            assert sum(written.values()) == usage["cache_creation_input_tokens"]

    def content_block_start(self, data: dict[str, Any]) -> None:
        assert self.open is None, "a block is still open"
        assert data["index"] == self.index, f"index should be {self.index}"
        block = data["content_block"]
        self.open, self.arguments, self.signed = block, "", False
        match block["type"]:
            case "text":
                assert block["text"] == ""
            case "thinking":
                assert block["thinking"] == ""
                assert block["signature"] == ""
            case "redacted_thinking":
                assert isinstance(block["data"], str)
            case "tool_use":
                self.tool(block)
            case other:
                raise AssertionError(f"unknown block {other}")

    def tool(self, block: dict[str, Any]) -> None:
        self.has_tools = True
        assert TOOL_ID.fullmatch(block["id"]), "a tool id that clients refuse"
        assert block["id"] not in self.ids, "two tool calls with one id"
        self.ids.add(block["id"])
        assert isinstance(block["name"], str)
        assert block["input"] == {}

    def content_block_delta(self, data: dict[str, Any]) -> None:
        assert self.open is not None, "no block is open"
        assert data["index"] == self.index, f"index should be {self.index}"
        delta = data["delta"]
        assert delta["type"] in DELTAS[self.open["type"]], "this delta is for another kind of block"
        assert not self.signed, "thinking after its signature"
        if delta["type"] in CONTENT:
            assert isinstance(delta[CONTENT[delta["type"]]], str)
        self.signed = delta["type"] == "signature_delta"
        self.arguments += delta.get("partial_json", "")

    def content_block_stop(self, data: dict[str, Any]) -> None:
        assert self.open is not None, "no block is open"
        assert data["index"] == self.index, f"index should be {self.index}"
        if self.open["type"] == "tool_use" and self.arguments_valid:
            assert isinstance(json.loads(self.arguments), dict), "arguments are no JSON object"
        self.open = None
        self.index += 1

    def message_delta(self, data: dict[str, Any]) -> None:
        assert self.open is None, "a block is still open"
        assert not self.ended, "ended twice"
        self.ended = True
        assert data["delta"]["stop_reason"] in STOPS
        sequence = data["delta"]["stop_sequence"]
        assert sequence is None or isinstance(sequence, str)
        self.usage(data["usage"])

    def message_stop(self, data: dict[str, Any]) -> None:
        assert self.ended, "message_stop without a stop reason"
        self.stopped = True

    def error(self, data: dict[str, Any]) -> None:
        self.failed = True
        assert data["error"]["type"] in ERRORS
        assert isinstance(data["error"]["message"], str)
        assert isinstance(data["request_id"], str)


def _no_constant(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
