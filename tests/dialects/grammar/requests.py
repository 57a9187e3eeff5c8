"""What a request must look like, for dialects that no face here can read back.

Typed from the vendors' references; it shares no code with what it judges.

    bedrock-converse   https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    cohere-v2          https://docs.cohere.com/reference/chat
    ollama             https://docs.ollama.com/api/chat
    oci                https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/ChatDetails
    replicate          https://replicate.com/docs/reference/http#models.predictions.create
    sagemaker          https://docs.djl.ai/master/docs/serving/serving/docs/lmi/user_guides/chat_input_output_schema.html
    watsonx            https://cloud.ibm.com/apidocs/watsonx-ai#text-chat
    gigachat           https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-chat
    ernie-v1           https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Fm3e8i4zy
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


def watsonx(body: bytes) -> None:
    request = json.loads(body)
    assert request["model_id"]
    assert not {"model", "stream"} & set(request)
    assert isinstance(request.get("tool_choice", {}), dict)
    assert request.get("tool_choice_option", "none") in {"none", "auto", "required"}
    assert request.get("reasoning_effort", "low") in {"low", "medium", "high"}
    for message in request["messages"]:
        assert message["role"] in {"system", "user", "assistant", "tool"}
        for part in message.get("content") or ():
            if isinstance(part, dict) and part["type"] == "image_url":
                assert part["image_url"]["url"].startswith("data:image/")
        for call in message.get("tool_calls", []):
            assert isinstance(call["function"]["arguments"], str)


def gigachat(body: bytes) -> None:
    request = json.loads(body)
    assert request["model"]
    assert request.get("temperature", 1) > 0
    assert isinstance(request.get("function_call", {}), dict) or request["function_call"] in {
        "auto",
        "none",
    }
    names = {function["name"] for function in request.get("functions", ())}
    for at, message in enumerate(request["messages"]):
        assert message["role"] in {"system", "user", "assistant", "function"}
        assert message["role"] != "system" or at == 0
        assert isinstance(message["content"], str)
        assert len(message.get("attachments", ())) == len(set(message.get("attachments", ())))
        if message["role"] == "function":
            assert isinstance(json.loads(message["content"]), dict)
        if "function_call" in message:
            assert isinstance(message["function_call"]["arguments"], dict)
    assert not isinstance(request.get("function_call"), dict) or (
        request["function_call"]["name"] in names
    )


def ernie_v1(body: bytes) -> None:
    request = json.loads(body)
    assert not {"model", "model_id"} & set(request)
    assert 0 < request.get("temperature", 1) <= 1
    assert request.get("max_output_tokens", 2) >= 2
    assert not ("system" in request and "functions" in request)
    sides = [message["role"] == "assistant" for message in request["messages"]]
    for message, (ours, theirs) in zip(
        request["messages"], itertools.pairwise([*sides, not sides[-1]]), strict=True
    ):
        assert message["role"] in {"user", "assistant", "function"}
        assert isinstance(message["content"], str)
        assert ours != theirs or message["role"] == "function" or "function_call" in message
        assert isinstance(message.get("function_call", {}).get("arguments", ""), str)


def oci(body: bytes) -> None:
    request = json.loads(body)
    assert set(request) <= {"compartmentId", "servingMode", "chatRequest"}
    serving, asked = request["servingMode"], request["chatRequest"]
    kind = {"ON_DEMAND": "modelId", "DEDICATED": "endpointId"}[serving["servingType"]]
    assert set(serving) == {"servingType", kind}
    assert ("isStream" in asked) == ("streamOptions" in asked)
    assert all(name[0].islower() and "_" not in name for name in asked)
    if asked["apiFormat"] == "COHERE":
        assert isinstance(asked["message"], str)
        turns = asked.get("chatHistory", [])
        assert all(turn["role"] in {"USER", "CHATBOT"} for turn in turns)
        return
    assert asked["apiFormat"] == "GENERIC"
    for message in asked["messages"]:
        assert message["role"] in {"SYSTEM", "USER", "ASSISTANT", "TOOL"}
        assert "content" in message or message["role"] == "ASSISTANT"
        assert (message["role"] == "TOOL") == ("toolCallId" in message)
        for part in message.get("content", []):
            name = {"TEXT": "text", "IMAGE": "imageUrl", "AUDIO": "audioUrl"}[part["type"]]
            assert set(part) == {"type", name}
        for call in message.get("toolCalls", []):
            assert set(call) == {"type", "id", "name", "arguments"}
            assert isinstance(call["arguments"], str)
    for tool in asked.get("tools", []):
        assert tool["type"] == "FUNCTION"
        assert tool["name"]
    choice = asked.get("toolChoice", {"type": "AUTO"})
    assert choice["type"] in {"AUTO", "REQUIRED", "NONE", "FUNCTION"}
    assert (choice["type"] == "FUNCTION") == ("name" in choice)


def replicate(body: bytes) -> None:
    request = json.loads(body)
    assert set(request) <= {"input", "stream", "version"}
    given = request["input"]
    assert ("prompt" in given) != ("messages" in given)
    assert isinstance(given.get("prompt", ""), str)
    for message in given.get("messages", []):
        assert message["role"] in {"system", "user", "assistant"}
        assert isinstance(message["content"], str)
    assert all(isinstance(image, str) for image in given.get("image_input", []))
    assert not {"tools", "tool_choice", "response_format", "max_tokens"} & given.keys()


def sagemaker(body: bytes) -> None:
    request = json.loads(body)
    assert "model" not in request
    assert isinstance(request["messages"], list)
    for message in request["messages"]:
        assert message["role"] in {"system", "user", "assistant", "tool"}
        assert message["role"] != "tool" or message["tool_call_id"]
