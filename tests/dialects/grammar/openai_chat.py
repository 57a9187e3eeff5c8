"""The grammar of a Chat stream, as OpenAI's reference has it.

    stream  = role-chunk delta-chunk* finish-chunk usage-chunk? "[DONE]"
            | (role-chunk delta-chunk*)? error-chunk                 and nothing after it

Every stream that a test sees goes through `check`.

Reference: https://platform.openai.com/docs/api-reference/chat-streaming
"""

import json
from typing import Any


def check(wire: bytes, *, arguments_valid: bool = True) -> None:
    """Raise AssertionError with the offending event.

    `arguments_valid`: tool arguments must add up to JSON; False where the model's own do not.
    """
    assert wire.endswith(b"\n\n"), "the last event is not closed"
    stream = _Stream()
    for event in wire.decode().removesuffix("\n\n").split("\n\n"):
        try:
            stream.take(event)
        except AssertionError as error:
            raise AssertionError(f"{error} in {event!r}") from None
    stream.close(arguments_valid)


class _Stream:
    def __init__(self) -> None:
        self.head: dict[str, Any] | None = None
        self.done = self.failed = self.finished = False
        self.usages = 0
        self.calls: list[str] = []
        self.ids: set[str] = set()

    def take(self, event: str) -> None:
        assert not self.failed, "an event after the error"
        assert not self.done, "an event after [DONE]"
        if event.startswith(":"):
            return
        assert "\n" not in event, "more than one line"
        assert event.startswith("data: "), "not a data line"
        data = event.removeprefix("data: ")
        if data == "[DONE]":
            assert self.finished, "[DONE] without a finish reason"
            self.done = True
            return
        chunk = json.loads(data, parse_constant=_no_constant)
        if "error" in chunk:
            self.error(chunk)
        else:
            self.chunk(chunk)

    def error(self, chunk: dict[str, Any]) -> None:
        self.failed = True
        assert not self.finished, "an error after the finish reason"
        assert isinstance(chunk["error"]["message"], str)
        assert {"message", "type", "param", "code"} <= chunk["error"].keys()

    def chunk(self, chunk: dict[str, Any]) -> None:
        assert chunk["object"] == "chat.completion.chunk"
        head = {name: chunk[name] for name in ("id", "created", "model")}
        assert head["id"], "no id"
        assert isinstance(head["created"], int)
        assert self.head in (None, head), f"head changed from {self.head}"
        first, self.head = self.head is None, head
        if chunk.get("usage") is not None:
            assert self.finished, "usage before the end"
            assert chunk["choices"] == [], "usage beside choices"
            self.usages += 1
            assert self.usages == 1, "usage twice"
            self.usage(chunk["usage"])
            return
        assert len(chunk["choices"]) == 1
        self.choice(chunk["choices"][0], first)

    def usage(self, usage: dict[str, Any]) -> None:
        counts = [usage[n] for n in ("prompt_tokens", "completion_tokens", "total_tokens")]
        assert min(counts) >= 0
        assert counts[0] + counts[1] == counts[2]
        assert 0 <= usage["prompt_tokens_details"]["cached_tokens"] <= counts[0]

    def choice(self, choice: dict[str, Any], first: bool) -> None:
        assert not self.finished, "a delta after the finish reason"
        assert choice["index"] == 0
        assert ("role" in choice["delta"]) == first, "the role comes once, in the first chunk"
        for call in choice["delta"].get("tool_calls", ()):
            self.call(call)
        reason = choice["finish_reason"]
        assert reason in (None, "stop", "length", "tool_calls", "content_filter")
        if reason is not None:
            self.finished = True
            assert choice["delta"] == {}, "the last chunk carries a delta"

    def call(self, call: dict[str, Any]) -> None:
        index = call["index"]
        assert index <= len(self.calls), "tool indices ascend one by one"
        if index == len(self.calls):
            assert call["type"] == "function"
            assert call["id"], "a tool call without an id"
            assert call["id"] not in self.ids, "two tool calls with one id"
            assert call["function"]["name"], "a tool call without a name"
            self.ids.add(call["id"])
            self.calls.append("")
        else:
            assert call.keys() == {"index", "function"}, "id and name come once"
        self.calls[index] += call["function"].get("arguments", "")

    def close(self, arguments_valid: bool) -> None:
        assert self.done != self.failed, "a stream ends with [DONE] or with an error"
        if self.done and arguments_valid:
            for arguments in self.calls:
                json.loads(arguments)


def _no_constant(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
