"""A gateway before two providers of one dialect, of which the first one breaks."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.routing.rescue.telling import BILL
from tests.server import caller
from tests.server.caller import Reply, canonical, events
from tests.server.check import GRAMMARS
from tests.server.gate import PATHS, QUICK, file, route
from tests.server.inside import Inside, inside
from tests.upstream_server import Play, Upstream, streams

FACES = ("openai-chat", "anthropic", "openai-responses", "gemini")
NAMES = {"openai-chat": "a", "anthropic": "claude", "openai-responses": "resp", "gemini": "gem"}
"""Dialect -> how a provider's name begins that speaks it."""
RESCUE = "x-octoplex-rescue: "


def whole(told: Sequence[bytes]) -> Play:
    return streams(told, billed=BILL)


def broken(told: Sequence[bytes], end: str = "reset", billed: tuple[int, int] = (20, 4)) -> Play:
    """These events, then a break."""
    return streams([b"".join(told)], end=end, billed=billed)


@contextlib.asynccontextmanager
async def at_two(
    folder: Path, first: tuple[str, Sequence[Play]], second: tuple[str, Sequence[Play]], more: str
) -> AsyncIterator[tuple[Inside, Upstream, Upstream]]:
    """A route `main` over two providers, each with its dialect and its plays."""
    one, two = NAMES[first[0]] + "1", NAMES[second[0]] + "2"
    async with Upstream(*first[1]) as up, Upstream(*second[1]) as beside:
        main = route("main", f"{one}/m", f"{two}/m", more=more)
        text = file(main, each=QUICK, **{one: up, two: beside})
        async with inside(folder, text) as gate:
            yield gate, up, beside


@contextlib.asynccontextmanager
async def at_one(
    folder: Path, dialect: str, plays: Sequence[Play], more: str = "", besides: int = 0
) -> AsyncIterator[tuple[Inside, Upstream]]:
    """A route `main` to one provider, and routes `main0`, ... to targets with their own health."""
    name = NAMES[dialect]
    async with Upstream(*plays) as up:
        routes = route("main", f"{name}/m", more=more)
        routes += "".join(route(f"main{i}", f"{name}/m{i}", more=more) for i in range(besides))
        text = file(routes, each=QUICK, **{name: up})
        async with inside(folder, text) as gate:
            yield gate, up


def body_of(face: str, model: str, **members: Any) -> tuple[str, bytes]:
    """Path and body of one question for a stream."""
    if face == "gemini":
        body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
        path = f"/v1beta/models/{model}:streamGenerateContent?alt=sse"
    elif face == "openai-responses":
        body, path = {"model": model, "input": "Hello", "stream": True}, PATHS[face]
    else:
        messages = [{"role": "user", "content": "Hello"}]
        body = {"model": model, "messages": messages, "stream": True, "max_tokens": 90}
        path = PATHS[face]
    return path, json.dumps(body | members).encode()


async def ask(gate: Inside, face: str, model: str = "main", **members: Any) -> Reply:
    """Ask one question."""
    reply = await caller.ask(gate.port, "POST", *body_of(face, model, **members))
    assert reply.status == 200, reply.body
    assert reply.complete
    return reply


def heard(reply: Reply, face: str, *, failed: bool = False) -> dict[str, Any]:
    """What a caller understands of a stream that fits the grammar: by kind, joined.

    With `error` where the stream failed, which it must or must not have.
    """
    if face == "openai-responses" and failed:
        GRAMMARS[face](canonical(reply.body), verbatim=True)  # type: ignore[call-arg]
    else:
        GRAMMARS[face](canonical(reply.body))
    found: dict[str, Any] = {"think": "", "text": "", "tools": {}, "ids": [], "proofs": []}
    for _, data in events(reply.body):
        if data != "[DONE]":
            READERS[face](json.loads(data), found)
    assert ("error" in found) is failed, reply.body
    return found


def _chat(chunk: dict[str, Any], found: dict[str, Any]) -> None:
    if "error" in chunk:
        found["error"] = chunk["error"]
    if chunk.get("usage"):
        found["usage"] = (chunk["usage"]["prompt_tokens"], chunk["usage"]["completion_tokens"])
    for choice in chunk.get("choices", ()):
        delta = choice["delta"]
        found["text"] += delta.get("content") or ""
        found["think"] += delta.get("reasoning_content") or ""
        for call in delta.get("tool_calls", ()):
            _tool(found, call["index"], call.get("id"), call["function"])


def _tool(found: dict[str, Any], index: int, id_: str | None, function: dict[str, Any]) -> None:
    if id_:
        found["ids"].append(id_)
    tool = found["tools"].setdefault(index, [function.get("name"), ""])
    tool[1] += function.get("arguments", "")


def _anthropic(event: dict[str, Any], found: dict[str, Any]) -> None:
    kind = event["type"]
    if kind == "error":
        found["error"] = event["error"]
    elif kind == "message_delta":
        found["usage"] = event["usage"]["output_tokens"]
    elif kind == "content_block_start" and event["content_block"]["type"] == "tool_use":
        block = event["content_block"]
        _tool(found, event["index"], block["id"], {"name": block["name"]})
    elif kind == "content_block_delta":
        delta = event["delta"]
        found["text"] += delta.get("text", "")
        found["think"] += delta.get("thinking", "")
        if "signature" in delta:
            found["proofs"].append(delta["signature"])
        if "partial_json" in delta:
            _tool(found, event["index"], None, {"arguments": delta["partial_json"]})


def _responses(event: dict[str, Any], found: dict[str, Any]) -> None:
    kind = event["type"]
    if kind == "error":
        found["error"] = event["error"]
    elif kind == "response.output_text.delta":
        found["text"] += event["delta"]
    elif kind == "response.reasoning_summary_text.delta":
        found["think"] += event["delta"]
    elif kind == "response.output_item.added" and event["item"]["type"] == "function_call":
        item = event["item"]
        _tool(found, event["output_index"], item["call_id"], {"name": item["name"]})
    elif kind == "response.function_call_arguments.delta":
        _tool(found, event["output_index"], None, {"arguments": event["delta"]})
    elif kind == "response.output_item.done" and event["item"].get("encrypted_content"):
        found["proofs"].append(event["item"]["encrypted_content"])
    elif kind == "response.completed":
        usage = event["response"]["usage"]
        found["usage"] = (usage["input_tokens"], usage["output_tokens"])


def _gemini(reply: dict[str, Any], found: dict[str, Any]) -> None:
    if "error" in reply:
        found["error"] = reply["error"]
    if "usageMetadata" in reply:
        usage = reply["usageMetadata"]
        found["usage"] = (usage["promptTokenCount"], usage["candidatesTokenCount"])
    for candidate in reply.get("candidates", ()):
        for part in candidate["content"]["parts"]:
            if "functionCall" in part:
                call = part["functionCall"]
                said = {"name": call["name"], "arguments": json.dumps(call["args"])}
                _tool(found, len(found["tools"]), call["id"], said)
            else:
                found["think" if part.get("thought") else "text"] += part["text"]


READERS = {
    "openai-chat": _chat,
    "anthropic": _anthropic,
    "openai-responses": _responses,
    "gemini": _gemini,
}
