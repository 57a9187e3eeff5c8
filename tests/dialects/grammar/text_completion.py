"""The grammar of a stream of completions, as its reference has it.

    stream = chunk+ usage? [DONE]
           | chunk* error                        and nothing after it

A chunk has the form of a whole reply: the texts of one or more choices, each of which says once
why it ended and then nothing more. It shares no code with what it judges.

Reference: https://developers.openai.com/api/reference/resources/completions/methods/create
"""

import json
from typing import Any

from openai.types import Completion


def check(wire: bytes) -> None:
    """Raise AssertionError with the offending event."""
    assert wire.endswith(b"\n\n"), "the last event is not closed"
    stream = _Stream()
    for event in wire.decode().removesuffix("\n\n").split("\n\n"):
        try:
            stream.take(event)
        except (AssertionError, KeyError, ValueError) as error:
            raise AssertionError(f"{type(error).__name__}: {error} in {event!r}") from None
    assert stream.done != stream.failed, "a stream ends with [DONE] or with an error"


class _Stream:
    def __init__(self) -> None:
        self.head: dict[str, Any] | None = None
        self.done = self.failed = self.billed = False
        self.running: dict[int, bool] = {}

    def take(self, event: str) -> None:
        assert not self.done, "an event after [DONE]"
        assert not self.failed, "an event after the error"
        if event.startswith(":"):
            return
        assert event.startswith("data: "), "not a data line"
        assert "\n" not in event, "more than one line"
        if event == "data: [DONE]":
            assert self.running, "[DONE] before a chunk"
            assert not any(self.running.values()), "a choice has not ended"
            self.done = True
            return
        chunk = json.loads(event.removeprefix("data: "))
        if "error" in chunk:
            assert {"message", "type", "param", "code"} <= chunk["error"].keys()
            self.failed = True
        else:
            self.chunk(chunk)

    def chunk(self, chunk: dict[str, Any]) -> None:
        # The package's type is that of a whole reply, in which every choice has ended.
        ended = [{**c, "finish_reason": c["finish_reason"] or "stop"} for c in chunk["choices"]]
        Completion.model_validate({**chunk, "choices": ended}, strict=True)
        assert chunk["object"] == "text_completion"
        assert not self.billed, "a chunk after the usage"
        head = {name: chunk[name] for name in ("id", "created", "model")}
        assert self.head in (None, head), f"head changed from {self.head}"
        self.head = head
        for choice in chunk["choices"]:
            assert self.running.get(choice["index"], True), "a text after its end"
            reason = choice["finish_reason"]
            assert reason in (None, "stop", "length", "content_filter")
            self.running[choice["index"]] = reason is None
        usage = chunk.get("usage")
        if not chunk["choices"] or usage is not None:
            assert not any(self.running.values()), "usage before the end"
            counts = [usage[n] for n in ("prompt_tokens", "completion_tokens", "total_tokens")]
            assert counts[0] + counts[1] == counts[2]
            self.billed = True
