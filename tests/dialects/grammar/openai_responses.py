"""The grammar of a Responses stream, as its reference has it.

    stream    = created in_progress item* (completed | incomplete)
              | (created in_progress item*)? error failed      and nothing after it
    item      = output_item.added piece* output_item.done
    message   : (content_part.added delta* (text | refusal).done content_part.done)*
    reasoning : (reasoning_summary_part.added delta+ text.done reasoning_summary_part.done)?
    call      : function_call_arguments.delta* function_call_arguments.done

`sequence_number` counts from 0 one by one, `output_index` too in the order of items. Items
may be open side by side. What is said in pieces is repeated whole, in each `done` and at
the end. Every event and every response must be what the `openai` package describes. It
shares no code with what it judges.

Reference: https://developers.openai.com/api/reference/resources/responses/streaming-events
"""

import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TEXTS = {
    "output_text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
}


def check(wire: bytes, *, arguments_valid: bool = True, verbatim: bool = False) -> None:
    """Raise AssertionError with the offending event.

    `arguments_valid`: tool arguments must add up to JSON; False where the model's own do not.
    `verbatim`: the stream passed as it came, so a failure at its end only has higher numbers,
    and a response of its own.
    """
    assert wire.endswith(b"\n\n"), "the last event is not closed"
    stream = _Stream(arguments_valid, verbatim)
    for event in wire.decode().removesuffix("\n\n").split("\n\n"):
        try:
            stream.take(event)
        except (AssertionError, KeyError, ValueError, IndexError) as error:
            raise AssertionError(f"{type(error).__name__}: {error} in {event!r}") from None
    assert stream.ended, "a stream ends with completed, incomplete or failed"


class _Stream:
    def __init__(self, arguments_valid: bool, verbatim: bool) -> None:
        self.number, self.verbatim = 0, verbatim
        self.ended = self.failed = False
        self.head: dict[str, Any] | None = None
        self.items: list[dict[str, Any]] = []
        self.open: dict[int, _Item] = {}
        self.call_ids: set[str] = set()
        self.arguments_valid = arguments_valid

    def take(self, event: str) -> None:
        assert not self.ended, "an event after the end"
        if event.startswith(":"):
            return
        first, _, second = event.partition("\n")
        assert first.startswith("event: "), "no event line"
        assert second.startswith("data: "), "no data line"
        assert "\n" not in second, "more than one data line"
        data = json.loads(second.removeprefix("data: "), parse_constant=_no_constant)
        name = first.removeprefix("event: ")
        assert data["type"] == name, "the data is of another type than the event"
        EVENT.validate_python(data, strict=True)
        if self.verbatim and name in ("error", "response.failed"):
            assert data["sequence_number"] >= self.number, f"number is below {self.number}"
            self.number = data["sequence_number"]
        assert data["sequence_number"] == self.number, f"number should be {self.number}"
        self.number += 1
        assert not self.failed or name == "response.failed", "after the error"
        if name == "error":
            self.error(data)
        elif "response" in data:
            self.lifecycle(name.removeprefix("response."), data["response"])
        else:
            self.item(name, data)

    def error(self, data: dict[str, Any]) -> None:
        self.failed = True
        assert data["error"]["message"] == data["message"]
        assert {"message", "type", "param", "code"} <= data["error"].keys()

    def lifecycle(self, name: str, response: dict[str, Any]) -> None:
        Response.model_validate(response, strict=True)
        same = {k: v for k, v in response.items() if k not in CHANGING}
        if not (self.verbatim and name == "failed"):
            assert self.head in (None, same), "the response changed"
        if name in ("created", "in_progress"):
            assert self.number == (1 if name == "created" else 2)
            assert (response["status"], response["output"]) == ("in_progress", [])
            self.head = same
            return
        assert response["status"] == name
        self.ended = True
        if name == "failed":
            assert self.failed, "failed without an error"
            assert response["error"]
            return
        assert self.head is not None, "not yet created"
        assert not self.open, "an item is still open"
        assert response["output"] == self.items, "the output is not what was said"
        assert (response["incomplete_details"] is None) == (name == "completed")
        usage = response["usage"]
        assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]
        assert 0 <= usage["input_tokens_details"]["cached_tokens"] <= usage["input_tokens"]

    def item(self, name: str, data: dict[str, Any]) -> None:
        assert self.number > 2, "not yet in progress"
        index = data["output_index"]
        if name == "response.output_item.added":
            assert index == len(self.items), "output indices ascend one by one"
            item = data["item"]
            assert item["id"] not in [i["id"] for i in self.items], "two items with one id"
            if item["type"] == "function_call":
                assert item["call_id"] not in self.call_ids, "two calls with one id"
                assert item["call_id"]
                self.call_ids.add(item["call_id"])
            self.items.append(item)
            self.open[index] = KINDS[item["type"]](item)
            return
        item = self.open[index]
        if name == "response.output_item.done":
            whole = data["item"]
            assert whole["id"] == item.item["id"], "the id changed"
            item.done(whole)
            if whole["type"] == "function_call" and self.arguments_valid:
                json.loads(whole["arguments"])
            self.items[index] = whole
            del self.open[index]
            return
        assert data["item_id"] == item.item["id"], "the id of another item"
        item.take(name, data)


CHANGING = {"status", "output", "usage", "incomplete_details", "error", "completed_at"}


class _Item:
    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item

    def take(self, name: str, data: dict[str, Any]) -> None:
        raise AssertionError(f"{name} in a {self.item['type']}")

    def done(self, whole: dict[str, Any]) -> None:
        raise NotImplementedError


class _Message(_Item):
    def __init__(self, item: dict[str, Any]) -> None:
        super().__init__(item)
        assert (item["role"], item["content"]) == ("assistant", [])
        self.parts: list[dict[str, Any]] = []
        self.part: dict[str, Any] | None = None
        self.text = ""
        self.closed = True

    def take(self, name: str, data: dict[str, Any]) -> None:
        assert data["content_index"] == len(self.parts)
        if name == "response.content_part.added":
            assert self.part is None, "a part is still open"
            self.part, self.text, self.closed = data["part"], "", False
            assert self.part[TEXTS[self.part["type"]][1]] == ""
            return
        assert self.part is not None, "no part is open"
        prefix, member = TEXTS[self.part["type"]]
        if name == f"{prefix}.delta":
            assert not self.closed, "a delta after its done"
            self.text += data["delta"]
        elif name == f"{prefix}.done":
            assert data[member] == self.text
            self.closed = True
        else:
            assert name == "response.content_part.done"
            assert self.closed, "the text is not done"
            assert data["part"][member] == self.text
            self.parts.append(data["part"])
            self.part = None

    def done(self, whole: dict[str, Any]) -> None:
        assert self.part is None, "a part is still open"
        assert whole["content"] == self.parts
        assert self.parts, "a message without parts"


class _Thought(_Item):
    def __init__(self, item: dict[str, Any]) -> None:
        super().__init__(item)
        assert item["summary"] == []
        self.text = ""
        self.last = "nothing"

    def take(self, name: str, data: dict[str, Any]) -> None:
        assert data["summary_index"] == 0
        name = name.removeprefix("response.reasoning_summary_")
        assert self.last in BEFORE[name], f"{name} after {self.last}"
        self.last = name
        if name == "text.delta":
            self.text += data["delta"]
        elif name != "part.added":
            assert (data.get("text") or data["part"]["text"]) == self.text

    def done(self, whole: dict[str, Any]) -> None:
        assert self.last in ("nothing", "part.done"), f"done after {self.last}"
        summary = [{"type": "summary_text", "text": self.text}] if self.text else []
        assert whole["summary"] == summary


BEFORE = {
    "part.added": {"nothing"},
    "text.delta": {"part.added", "text.delta"},
    "text.done": {"text.delta"},
    "part.done": {"text.done"},
}


class _Call(_Item):
    def __init__(self, item: dict[str, Any]) -> None:
        super().__init__(item)
        assert item["name"], "a call without a name"
        assert item["arguments"] == ""
        self.arguments = ""
        self.closed = False

    def take(self, name: str, data: dict[str, Any]) -> None:
        assert not self.closed, "after its done"
        if name == "response.function_call_arguments.delta":
            self.arguments += data["delta"]
        else:
            assert name == "response.function_call_arguments.done"
            assert data["arguments"] == self.arguments
            self.closed = True

    def done(self, whole: dict[str, Any]) -> None:
        assert self.closed, "the arguments are not done"
        assert whole["arguments"] == self.arguments
        assert whole["call_id"] == self.item["call_id"]


KINDS = {"message": _Message, "reasoning": _Thought, "function_call": _Call}


def _no_constant(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
