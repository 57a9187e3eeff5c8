"""Streams and calls for the tests of this folder, built from short words."""

import json
from typing import Any

import httpx2 as httpx
import openai

from octoplex.dialects.openai_responses import OpenAIResponses, OpenAIResponsesFace
from octoplex.dialects.verbatim import split
from octoplex.wire.ask import Call
from octoplex.wire.event import Event
from tests.dialects.grammar.openai_responses import check
from tests.dialects.test_transcripts import call_of as call_with

NOW = 1_741_569_952.0
FACE = OpenAIResponsesFace(now=lambda: NOW)
DIALECT = OpenAIResponses(now=lambda: NOW)


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join([f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events])


def start(**members: Any) -> dict[str, Any]:
    response = {"id": "resp_1", "model": "gpt-5", "status": "in_progress", "output": []}
    return {"type": "response.created", "response": {**response, **members}}


def delta(text: str, kind: str = "output_text", output_index: int = 0) -> dict[str, Any]:
    at = {"item_id": "i", "output_index": output_index, "content_index": 0, "summary_index": 0}
    return {"type": f"response.{kind}.delta", **at, "delta": text}


def added(item: dict[str, Any], output_index: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": output_index, "item": item}


def done(item: dict[str, Any], output_index: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": output_index, "item": item}


def end(status: str = "completed", **members: Any) -> dict[str, Any]:
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    response = {"id": "resp_1", "model": "gpt-5", "status": status, "output": [], "usage": usage}
    return {"type": f"response.{status}", "response": {**response, **members}}


def call(**members: Any) -> Call:
    """A call of this face, as a door would make it."""
    return call_of(json.dumps({"model": "m", "input": "x", **members}).encode())


def call_of(raw: bytes) -> Call:
    return call_with(FACE, raw)


def fields(**members: Any) -> Any:
    return split(json.dumps(members).encode())


def written(events: list[Event], **members: Any) -> bytes:
    """The stream for these events, fed one by one and checked."""
    encoder = FACE.encoder(call(stream=True, **members))
    wire = b"".join([encoder.feed([event]) for event in events])
    check(wire)
    return wire


def saying(body: bytes, status: int = 200, kind: str = "application/json") -> openai.OpenAI:
    """The real client, against a server that says this."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers={"content-type": kind})

    return openai.OpenAI(
        api_key="none",
        base_url="http://octoplex.test/v1",
        max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    )


def streaming(wire: bytes) -> openai.OpenAI:
    return saying(wire, kind="text/event-stream")
