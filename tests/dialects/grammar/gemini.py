"""The grammar of a Gemini stream, as its reference has it.

    stream  = reply* last | reply* error              and nothing after it
    reply   = data: {candidates: [{content: {parts, role: "model"}, index: 0}], ...}
    last    = a reply with `finishReason` and `usageMetadata`

Every event is one `data:` line of JSON and the blank line after it; there are no names, no
comments (Google's Python package takes them for JSON) and no end marker. A part holds one
thing, a tool call is whole, and the first call of a reply is signed. Every stream that a
test sees goes through `check`. It shares no code with what it judges.

Reference: https://ai.google.dev/api/generate-content and
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

import base64
import json
from typing import Any

FINISHES = {"STOP", "MAX_TOKENS", "SAFETY"}
STATUSES = {
    400: {"INVALID_ARGUMENT", "FAILED_PRECONDITION"},
    401: {"UNAUTHENTICATED"},
    402: {"RESOURCE_EXHAUSTED"},
    403: {"PERMISSION_DENIED"},
    404: {"NOT_FOUND"},
    405: {"UNIMPLEMENTED"},
    408: {"DEADLINE_EXCEEDED"},
    409: {"ABORTED"},
    413: {"INVALID_ARGUMENT"},
    429: {"RESOURCE_EXHAUSTED"},
    499: {"CANCELLED"},
    500: {"INTERNAL"},
    502: {"UNAVAILABLE"},
    503: {"UNAVAILABLE"},
    504: {"DEADLINE_EXCEEDED"},
}


def check(wire: bytes, *, arguments_valid: bool = True) -> None:
    """Raise AssertionError with the offending event.

    `arguments_valid`: arguments are what the model meant; False where its own were no JSON.
    """
    assert wire.endswith(b"\n\n"), "the last event is not closed"
    stream = _Stream(arguments_valid)
    for event in wire.decode().removesuffix("\n\n").split("\n\n"):
        try:
            stream.take(event)
        except (AssertionError, KeyError, ValueError) as error:
            raise AssertionError(f"{type(error).__name__}: {error} in {event!r}") from None
    assert stream.finished != stream.failed, "a stream ends with a finish reason or an error"


def check_error(body: dict[str, Any]) -> None:
    """An error body: google.rpc.Status in its HTTP form."""
    error = body["error"]
    assert isinstance(error["message"], str)
    others = {"INTERNAL"} if error["code"] > 500 else {"INVALID_ARGUMENT"}
    assert 400 <= error["code"] <= 599
    assert error["status"] in STATUSES.get(error["code"], others), "status and code disagree"
    for detail in error["details"]:
        assert detail["@type"].startswith("type.googleapis.com/google.rpc.")
        if "metadata" in detail:
            assert all(isinstance(value, str) for value in detail["metadata"].values())
        if "retryDelay" in detail:
            assert float(detail["retryDelay"].removesuffix("s")) >= 0


class _Stream:
    def __init__(self, arguments_valid: bool) -> None:
        self.finished = self.failed = self.called = False
        self.head: tuple[str, str] | None = None
        self.ids: set[str] = set()
        self.arguments_valid = arguments_valid

    def take(self, event: str) -> None:
        assert not self.finished, "an event after the finish reason"
        assert not self.failed, "an event after the error"
        assert event.startswith("data: "), "not a data line"
        assert "\n" not in event, "more than one line"
        reply = json.loads(event.removeprefix("data: "), parse_constant=_no_constant)
        if "error" in reply:
            self.failed = True
            check_error(reply)
        else:
            self.reply(reply)

    def reply(self, reply: dict[str, Any]) -> None:
        head = (reply["responseId"], reply["modelVersion"])
        assert self.head in (None, head), f"head changed from {self.head}"
        assert head[0], "no id"
        self.head = head
        assert len(reply["candidates"]) == 1
        candidate = reply["candidates"][0]
        assert candidate["index"] == 0
        assert candidate["content"]["role"] == "model"
        for part in candidate["content"]["parts"]:
            self.part(part)
        self.finished = "finishReason" in candidate
        assert self.finished == ("usageMetadata" in reply), "usage comes with the finish reason"
        if self.finished:
            assert candidate["finishReason"] in FINISHES
            self.usage(reply["usageMetadata"])

    def part(self, part: dict[str, Any]) -> None:
        assert len(part.keys() & {"text", "functionCall"}) == 1, "a part holds one thing"
        if "thoughtSignature" in part:
            code = part["thoughtSignature"].translate(str.maketrans("-_", "+/"))
            base64.b64decode(code + "=" * (-len(code) % 4), validate=True)
        if "text" in part:
            assert isinstance(part["text"], str)
            assert part.get("thought", True) is True
            return
        call = part["functionCall"]
        assert call.keys() == {"id", "name", "args"}
        assert call["id"] not in self.ids, "two tool calls with one id"
        self.ids.add(call["id"])
        assert isinstance(call["args"], dict), "arguments are no JSON object"
        assert not (self.arguments_valid and "INVALID_JSON" in call["args"])
        assert self.called or part["thoughtSignature"], "the first call is not signed"
        self.called = True

    def usage(self, usage: dict[str, int]) -> None:
        assert min(usage.values()) >= 0
        wrote = usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)
        assert usage["promptTokenCount"] + wrote == usage["totalTokenCount"]
        assert usage.get("cachedContentTokenCount", 0) <= usage["promptTokenCount"]


def _no_constant(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
