"""What a client said, read out of the request that its upstream received.

    read("gemini", path, body) -> Asked

The script of a task decides by it what to answer. Only what the scripts and the tests look
at is here; the bodies themselves are judged in `tests/dialects`.
"""

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Asked:
    """One request in no provider's words; `results` in order, by the call's id."""

    model: str
    stream: bool
    tools: dict[str, Json] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    calls: dict[str, tuple[str, Json]] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    signatures: list[str] = field(default_factory=list)
    form: Json | None = None
    body: Json = field(default_factory=dict)


def read(dialect: str, path: str, body: bytes) -> Asked:
    """Raise where the request is not one of the dialect."""
    return READERS[dialect](path, json.loads(body))


def openai_chat(path: str, body: Json) -> Asked:
    assert path == "/v1/chat/completions", path
    asked = Asked(body["model"], body.get("stream", False), body=body)
    for tool in body.get("tools", ()):
        asked.tools[tool["function"]["name"]] = tool["function"].get("parameters", {})
    for message in body["messages"]:
        if message["role"] == "tool":
            asked.results[message["tool_call_id"]] = _text(message["content"])
            continue
        asked.texts.append(_text(message.get("content")))
        for call in message.get("tool_calls") or ():
            given = json.loads(call["function"]["arguments"])
            asked.calls[call["id"]] = (call["function"]["name"], given)
    asked.form = body.get("response_format", {}).get("json_schema", {}).get("schema")
    return asked


def anthropic(path: str, body: Json) -> Asked:
    assert path.partition("?")[0] == "/v1/messages", path
    asked = Asked(body["model"], body.get("stream", False), body=body)
    asked.texts.append(_text(body.get("system")))
    for tool in body.get("tools", ()):
        asked.tools[tool["name"]] = tool.get("input_schema", {})
    for message in body["messages"]:
        asked.texts.append(_text(message["content"]))
        for block in () if isinstance(message["content"], str) else message["content"]:
            if block["type"] == "tool_use":
                asked.calls[block["id"]] = (block["name"], block["input"])
            elif block["type"] == "tool_result":
                asked.results[block["tool_use_id"]] = _text(block.get("content"))
            elif block["type"] == "thinking":
                asked.signatures.append(block["signature"])
    asked.form = body.get("output_config", {}).get("format", {}).get("schema")
    return asked


def gemini(path: str, body: Json) -> Asked:
    """A call has no id there that must come back: the name and the place stand for it."""
    model, _, verb = path.removeprefix("/v1beta/models/").partition("?")[0].partition(":")
    assert path.startswith("/v1beta/models/"), path
    asked = Asked(model, verb == "streamGenerateContent", body=body)
    contents = [body.get("systemInstruction", {"parts": []}), *body["contents"]]
    for tool in body.get("tools", ()):
        for made in tool.get("functionDeclarations", ()):
            schema = made.get("parametersJsonSchema") or made.get("parameters") or {}
            asked.tools[made["name"]] = schema
    for part in [part for content in contents for part in content["parts"]]:
        if "thoughtSignature" in part:
            asked.signatures.append(part["thoughtSignature"])
        if "functionCall" in part:
            call = part["functionCall"]
            asked.calls[f"c{len(asked.calls)}"] = (call["name"], call.get("args", {}))
        elif "functionResponse" in part:
            said = part["functionResponse"]["response"]
            asked.results[f"c{len(asked.results)}"] = json.dumps(said, ensure_ascii=False)
        else:
            asked.texts.append(part.get("text", ""))
    config = body.get("generationConfig", {})
    asked.form = config.get("responseJsonSchema") or config.get("responseSchema")
    return asked


def openai_responses(path: str, body: Json) -> Asked:
    assert path == "/v1/responses", path
    asked = Asked(body["model"], body.get("stream", False), body=body)
    asked.texts.append(body.get("instructions") or "")
    for tool in body.get("tools", ()):
        if tool["type"] == "function":
            asked.tools[tool["name"]] = tool.get("parameters") or {}
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        match item.get("type", "message"):
            case "function_call":
                asked.calls[item["call_id"]] = (item["name"], json.loads(item["arguments"]))
            case "function_call_output":
                asked.results[item["call_id"]] = _text(item["output"])
            case "message":
                asked.texts.append(_text(item["content"]))
    asked.form = body.get("text", {}).get("format", {}).get("schema")
    return asked


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part["text"] for part in content if part.get("text"))


READERS = {
    "openai-chat": openai_chat,
    "anthropic": anthropic,
    "gemini": gemini,
    "openai-responses": openai_responses,
}
