"""Checks that every fault's test makes: errors and streams in the caller's own dialect."""

import json
from collections.abc import Callable
from typing import Any

from tests.dialects.grammar import anthropic, gemini, openai_chat, openai_responses
from tests.server.caller import Reply, canonical, events

FACES = ("openai-chat", "anthropic")
GRAMMARS: dict[str, Callable[[bytes], None]] = {
    "openai-chat": openai_chat.check,
    "openai-responses": openai_responses.check,
    "anthropic": anthropic.check,
    "gemini": gemini.check,
}


def error_of(reply: Reply, face: str) -> dict[str, Any]:
    """The error of a plain reply, checked for its shape; `code` is our stable word."""
    assert reply.complete, "the error reply was cut"
    assert reply.headers["content-type"].startswith("application/json")
    return _shape(reply.json, face)


def _shape(body: dict[str, Any], face: str) -> dict[str, Any]:
    error: dict[str, Any] = body["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    if face == "gemini":
        gemini.check_error(body)
        reason = error["details"][0]["reason"].lower()
        return {**error, "type": error["status"], "code": reason}
    assert isinstance(error["type"], str)
    if face == "anthropic":
        assert body["type"] == "error"
        assert isinstance(body["request_id"], str)
        return {**error, "code": error["details"]["error_code"]}
    assert error.keys() >= {"message", "type", "param", "code"}
    return {**error, "shown": error["code"], "code": error["octoplex"]["code"]}


def stream_of(reply: Reply, face: str) -> list[dict[str, Any]]:
    """A stream's events, checked by the grammar of its dialect."""
    assert reply.status == 200, reply.body
    assert reply.complete, "the stream was cut off"
    assert reply.headers["content-type"].startswith("text/event-stream")
    GRAMMARS[face](canonical(reply.body))
    return [json.loads(data) for _, data in events(reply.body) if data != "[DONE]"]


def finished(reply: Reply, face: str) -> list[dict[str, Any]]:
    """A stream that ended properly."""
    found = stream_of(reply, face)
    if face == "anthropic":
        assert found[-1]["type"] == "message_stop"
    else:
        assert events(reply.body)[-1][1] == "[DONE]"
    return found


def failed(reply: Reply, face: str) -> dict[str, Any]:
    """A stream that failed in-band: its error, and nothing that looks like an end."""
    found = stream_of(reply, face)
    said = json.dumps(found)
    if face == "anthropic":
        assert events(reply.body)[-1][0] == "error"
        assert '"message_stop"' not in said
        assert '"end_turn"' not in said
    else:
        assert b"[DONE]" not in reply.body
        assert '"finish_reason": "' not in said
    return _shape(found[-1], face)


def text_of(reply: Reply, face: str) -> str:
    """All text that a stream delivered."""
    said = ""
    for _, data in events(reply.body):
        if data == "[DONE]":
            continue
        event = json.loads(data)
        if face == "anthropic":
            said += event.get("delta", {}).get("text", "") if event["type"] != "error" else ""
        else:
            for choice in event.get("choices", ()):
                said += choice["delta"].get("content") or ""
    return said


def plain_text(reply: Reply, face: str) -> str:
    """The text of a whole reply."""
    if face == "anthropic":
        return "".join(part["text"] for part in reply.json["content"] if part["type"] == "text")
    text: str = reply.json["choices"][0]["message"]["content"]
    return text
