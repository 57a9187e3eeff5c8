"""What a request must look like, for dialects that no face here can read back.

Typed from the vendors' references; it shares no code with what it judges.

    bedrock-converse   https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    cohere-v2          https://docs.cohere.com/reference/chat
    ollama             https://docs.ollama.com/api/chat
"""

import base64
import itertools
import json
import re
from typing import Any

ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
NAME = re.compile(r"[A-Za-z0-9()\[\]-]+( [A-Za-z0-9()\[\]-]+)*")
BLOCKS = {
    "text",
    "image",
    "document",
    "audio",
    "toolUse",
    "toolResult",
    "reasoningContent",
    "cachePoint",
}


def bedrock_converse(body: bytes) -> None:
    request = json.loads(body)
    assert set(request) <= {
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "outputConfig",
        "serviceTier",
    }
    roles = [turn["role"] for turn in request["messages"]]
    assert set(roles) <= {"user", "assistant"}
    assert all(a != b for a, b in itertools.pairwise(roles))
    names: list[str] = []
    for turn in request["messages"]:
        assert turn["content"]
        for block in turn["content"]:
            converse_block(block, names)
    assert len(names) == len(set(names))
    assert all(set(block) <= {"text", "cachePoint"} for block in request.get("system", []))
    for tool in request.get("toolConfig", {}).get("tools", []):
        assert set(tool) <= {"toolSpec", "cachePoint"}
        assert "toolSpec" not in tool or isinstance(tool["toolSpec"]["inputSchema"]["json"], dict)


def converse_block(block: dict[str, Any], names: list[str]) -> None:
    (kind,) = block
    assert kind in BLOCKS
    value = block[kind]
    match kind:
        case "text":
            assert value.strip()
        case "image" | "document" | "audio":
            (source,) = value["source"].items()
            assert source[0] == "s3Location" or base64.b64decode(source[1], validate=True)
            if kind == "document":
                assert NAME.fullmatch(value["name"])
                names.append(value["name"])
        case "toolUse":
            assert ID.fullmatch(value["toolUseId"])
            assert isinstance(value["input"], dict)
        case "toolResult":
            assert ID.fullmatch(value["toolUseId"])
            for inner in value["content"]:
                converse_block(inner, names)
        case "reasoningContent":
            assert len(value) == 1


def cohere_v2(body: bytes) -> None:
    request = json.loads(body)
    assert request["model"]
    calls: set[str] = set()
    for message in request["messages"]:
        assert message["role"] in {"system", "user", "assistant", "tool"}
        content = message.get("content", [])
        assert isinstance(content, str) or all("type" in block for block in content)
        assert "content" in message or message["role"] == "assistant"
        for call in message.get("tool_calls", []):
            assert isinstance(call["function"]["arguments"], str)
            calls.add(call["id"])
        assert message["role"] != "tool" or message["tool_call_id"]
    assert request.get("tool_choice", "NONE") in {"NONE", "REQUIRED"}


def ollama(body: bytes) -> None:
    request = json.loads(body)
    assert request["model"]
    assert request["stream"] in (True, False)
    for message in request["messages"]:
        assert message["role"] in {"system", "user", "assistant", "tool"}
        assert isinstance(message["content"], str)
        assert all(base64.b64decode(image, validate=True) for image in message.get("images", []))
        for call in message.get("tool_calls", []):
            assert isinstance(call["function"]["arguments"], dict)
