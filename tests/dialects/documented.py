"""One request per face, and what its vendor documents beside: a change of it for each member.

Typed from https://developers.openai.com/api/reference/resources/chat,
https://developers.openai.com/api/reference/resources/responses/methods/create,
https://platform.claude.com/docs/en/api/messages and https://ai.google.dev/api/generate-content.

A change is a path and what is put there: members into an object, an item onto a list. "of"
names the change that it is made on top of, so that what is in a part is told from the part.
"""

from typing import Any

from msgspec import Struct

Json = dict[str, Any]
PNG, S = "iVBORw0KGgo=", {"type": "object", "properties": {"a": {"type": "string"}}}
DATA = f"data:image/png;base64,{PNG}"
CACHE, HIDDEN = {"type": "ephemeral"}, {"type": "x"}


class Change(Struct, frozen=True):
    """What is put at a path; after the change `of` that name, if there is one."""

    path: tuple[str | int, ...]
    put: Any
    of: str = ""


def members(*path: str | int, of: str = "", **values: Any) -> dict[str, Change]:
    """A change for each member of the object at a path."""
    where = ".".join(map(str, path))
    return {f"{where}.{k}".strip("."): Change(path, {k: v}, of) for k, v in values.items()}


CHAT: Json = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "q"}]},
        {"role": "assistant", "content": "a", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "r"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": S}}],
}  # fmt: skip
_SAID = ("messages", 1, "content")
_IMAGE = {"type": "image_url", "image_url": {"url": DATA}}
_CALL = ("messages", 2, "tool_calls", 0)
OF_CHAT = {
    **members(
        frequency_penalty=0.5, presence_penalty=0.5, logit_bias={"1": 5}, logprobs=True,
        max_completion_tokens=77, metadata={"a": "b"}, modalities=["audio"],
        moderation={"model": "x"}, n=3, parallel_tool_calls=False,
        prediction={"type": "content", "content": "x"}, prompt_cache_key="k",
        prompt_cache_options={"a": 1}, prompt_cache_retention="24h", reasoning_effort="low",
        response_format={"type": "json_object"}, safety_identifier="u", seed=7,
        service_tier="flex", stop=["x"], store=True, temperature=0.3, tool_choice="required",
        top_p=0.4, user="u", verbosity="low", web_search_options={}, top_k=3,
        audio={"format": "wav", "voice": "alloy"}, chat_template_kwargs={"a": 1},
    ),
    **members(of="logprobs", top_logprobs=2),
    **members(of="reasoning_effort", reasoning={"effort": "low", "exclude": True}),
    "custom tool": Change(("tools",), {"type": "custom", "custom": {"name": "x"}}),
    **members("tools", 0, cache_control=CACHE),
    **members("tools", 0, "function", strict=True),
    **members("messages", 1, name="bob"),
    **members("messages", 2, audio={"id": "x"}, refusal="no", reasoning_content="hm"),
    **members(*_CALL, extra_content={"google": {"thought_signature": "c2ln"}}),
    **members(*_SAID, 0, prompt_cache_breakpoint={"mode": "explicit"}, cache_control=CACHE),
    "image": Change(_SAID, _IMAGE),
    **members(*_SAID, 1, "image_url", of="image", detail="high", odd=1),
    "audio part": Change(
        _SAID, {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    ),
    **members(*_SAID, 1, "input_audio", of="audio part", odd=1),
    "image by URL": Change(_SAID, {"type": "image_url", "image_url": {"url": "https://x.test/a"}}),
    "file": Change(_SAID, {"type": "file", "file": {"file_id": "file-1"}}),
    "bytes of a file": Change(_SAID, {"type": "file", "file": {
        "file_data": "data:application/pdf;base64,JVBERi0x", "filename": "x.pdf"}}),
    **members(*_SAID, 1, "file", of="file", odd=1),
    "choice": Change((), {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
    **members("tool_choice", of="choice", odd=1),
    **members("tool_choice", "function", of="choice", odd=1),
    "form": Change((), {"response_format": {
        "type": "json_schema", "json_schema": {"name": "n", "schema": S}}}),
    **members("response_format", of="form", odd=1),
    **members("response_format", "json_schema", of="form", odd=1),
    "form of some servers": Change((), {"response_format": {"type": "json_object"}}),
    **members("response_format", of="form of some servers", schema=S),
    **members(stream_options={"include_obfuscation": False}),
    "switch": Change((), {"thinking": {"type": "enabled"}}),
    **members("thinking", of="switch", clear_thinking=True),
}  # fmt: skip

ANTHROPIC: Json = {
    "model": "m",
    "max_tokens": 5_000,
    "system": [{"type": "text", "text": "s"}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "q"}]},
        {"role": "assistant", "content": [
            {"type": "text", "text": "a"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": [
                {"type": "text", "text": "r"}]},
            {"type": "text", "text": "q2"}]},
    ],
    "tools": [{"name": "f", "input_schema": S}],
}  # fmt: skip
_SAYS, _ASKS = ("messages", 1, "content"), ("messages", 2, "content")
_SHOWN = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
_PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
OF_ANTHROPIC = {
    **members(
        billing_policy={"a": 1}, cache_control=CACHE, compaction={"a": 1}, container="c",
        context_management={"edits": []}, diagnostics={"a": 1}, fallback_credit_token="x",
        fallbacks=[{"model": "x"}], inference_geo="us", mcp_servers=[{"name": "n"}],
        metadata={"user_id": "u"}, service_tier="standard_only", speed="fast",
        stop_sequences=["x"], thread={"id": "x"}, tool_choice={"type": "any"},
        user_profile_id="x", workspace_id="x", temperature=0.3, top_p=0.3, top_k=3,
        thinking={"type": "enabled", "budget_tokens": 2_000}, output_config={"effort": "low"},
    ),
    **members("output_config", of="output_config", task_budget={"type": "tokens", "total": 9}),
    **members(
        "tools", 0, allowed_callers=["x"], cache_control=CACHE, defer_loading=True,
        eager_input_streaming=True, input_examples=[{"a": "b"}], strict=True,
    ),
    "server tool": Change(("tools",), {"type": "web_search_20250305", "name": "web_search"}),
    **members("system", 0, cache_control=CACHE),
    **members(*_SAYS, 0, citations=[{"type": "char_location"}]),
    **members(*_SAYS, 1, cache_control=CACHE, toolset_name="x", caller=HIDDEN),
    **members(*_ASKS, 0, cache_control=CACHE, toolset_name="x", is_error=True),
    **members(*_ASKS, 0, "content", 0, cache_control=CACHE),
    "image of a result": Change((*_ASKS, 0, "content"), _SHOWN),
    "image": Change(_ASKS, _SHOWN),
    **members(*_ASKS, 2, of="image", transformations={"x": 1}, cache_control=CACHE),
    **members(*_ASKS, 2, "source", of="image", odd=1),
    **{f"{kind} by {source['type']}": Change(_ASKS, {"type": kind, "source": source})
       for kind in ("image", "document")
       for source in ({"type": "url", "url": "https://a.test"}, {"type": "file", "file_id": "f"})},
    "least": Change((), {"max_tokens": 1}),
    "one call": Change((), {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}}),
    "choice": Change((), {"tool_choice": {"type": "tool", "name": "f"}}),
    **members("tool_choice", of="choice", odd=1),
    "form": Change((), {"output_config": {"format": {"type": "json_schema", "schema": S}}}),
    **members("output_config", "format", of="form", odd=1),
    "document": Change(_ASKS, {"type": "document", "source": _PDF}),
    **members(*_ASKS, 2, "source", of="document", odd=1),
    **members(
        *_ASKS, 2, of="document", title="T.pdf", context="c", citations={"enabled": True},
    ),
    "made of": Change(_ASKS, {"type": "document", "source": {
        "type": "content", "content": [{"type": "text", "text": "x"}, _SHOWN]}}),
    "search": Change(_ASKS, {
        "type": "search_result", "source": "https://a", "title": "T",
        "content": [{"type": "text", "text": "x"}]}),
    **{f"search {k}": v for k, v in members(*_ASKS, 2, of="search", cache_control=CACHE).items()},
    "upload": Change(_ASKS, {"type": "container_upload", "file_id": "f"}),
    "tools added": Change(_ASKS, {"type": "tool_addition", "tool": {"name": "g"}}),
    "thinking turn": Change(_SAYS, {"type": "thinking", "thinking": "h", "signature": "s"}),
    "server use": Change(
        _SAYS, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    ),
    "summary": Change(_SAYS, {"type": "compaction", "content": "c"}),
    "cipher": Change(_SAYS, {"type": "compaction", "content": None, "encrypted_content": "z"}),
}  # fmt: skip

GEMINI: Json = {
    "systemInstruction": {"parts": [{"text": "s"}]},
    "contents": [
        {"role": "user", "parts": [{"text": "q"}]},
        {"role": "model", "parts": [
            {"text": "a"}, {"functionCall": {"id": "c1", "name": "f", "args": {}}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "r"}}},
            {"text": "q2"}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": S}]}],
    "generationConfig": {"maxOutputTokens": 500},
}  # fmt: skip
_PARTS = ("contents", 2, "parts")
_CALLING = {"mode": "ANY"}
OF_GEMINI = {
    **members(
        safetySettings=[{"category": "x"}], cachedContent="cachedContents/x", labels={"a": "b"},
        store=True, serviceTier="flex", toolConfig={"retrievalConfig": {"latLng": {}}},
    ),
    **members(
        "generationConfig", audioTimestamp=True, candidateCount=3, enableAffectiveDialog=True,
        frequencyPenalty=0.5, presencePenalty=0.5, responseLogprobs=True, logprobs=3,
        mediaResolution="MEDIA_RESOLUTION_LOW", responseModalities=["AUDIO"], seed=4,
        routingConfig={"a": 1}, speechConfig={"a": 1}, imageConfig={"a": 1}, topP=0.3,
        stopSequences=["x"], temperature=0.3, topK=3, responseMimeType="application/json",
        thinkingConfig={"thinkingBudget": 2_000}, responseFormat={"a": 1},
    ),
    **{k: Change(("tools",), {k: {}}) for k in (
        "codeExecution", "computerUse", "fileSearch", "googleMaps", "googleSearch", "urlContext")},
    **members("tools", 0, "functionDeclarations", 0, behavior="NON_BLOCKING", response={"a": 1}),
    "calling": Change((), {"toolConfig": {"functionCallingConfig": _CALLING}}),
    **members(
        "toolConfig", "functionCallingConfig", of="calling", streamFunctionCallArguments=True,
    ),
    **members(
        "contents", 0, "parts", 0, mediaResolution={"a": 1}, partMetadata={"a": 1},
        videoMetadata={"a": 1}, mediaProcessing={"a": 1},
    ),
    **members("contents", 1, "parts", 1, partMetadata={"a": 1}),
    **members("contents", 1, "parts", 1, "functionCall", willContinue=True, partialArgs=[{"a": 1}]),
    **members("contents", 2, "parts", 0, partMetadata={"a": 1}),
    **members("contents", 2, "parts", 0, "functionResponse", scheduling="SILENT"),
    **members("contents", 0, odd=1),
    **members("systemInstruction", odd=1),
    "image": Change(_PARTS, {"inlineData": {"mimeType": "image/png", "data": PNG}}),
    "document": Change(
        _PARTS, {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x"}}
    ),
    **members(*_PARTS, 2, "inlineData", of="document", displayName="n.pdf", odd=1),
    **members(*_PARTS, 2, "inlineData", of="image", displayName="n.png"),
    "stored": Change(_PARTS, {"fileData": {
        "mimeType": "image/png", "fileUri": "https://x.test/a.png"}}),
    **members(*_PARTS, 2, "fileData", of="stored", displayName="n.png", odd=1),
    **{f"{kind} at {uri}": Change(_PARTS, {"fileData": {"mimeType": kind, "fileUri": uri}})
       for kind in ("image/png", "application/pdf", "audio/wav")
       for uri in ("https://x.test/b", "https://generativelanguage.googleapis.com/v1beta/files/f")},
    "audio": Change(_PARTS, {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}),
    "least": Change((), {"generationConfig": {"maxOutputTokens": 1}}),
    "thinking": Change(("generationConfig",), {"thinkingConfig": {"thinkingBudget": 2_000}}),
    **members("generationConfig", "thinkingConfig", of="thinking", odd=1),
    "video": Change(_PARTS, {"inlineData": {"mimeType": "video/mp4", "data": PNG}}),
    "thought": Change(("contents", 1, "parts"), {"text": "hm", "thought": True}),
    "code": Change(("contents", 1, "parts"), {"executableCode": {"code": "1"}}),
}  # fmt: skip

RESPONSES: Json = {
    "model": "m",
    "instructions": "s",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "q"}]},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
         "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "r"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": S, "strict": False}],
}  # fmt: skip
_INPUT = ("input", 0, "content")
_SPACE = {"type": "namespace", "name": "ns", "tools": [
    {"type": "function", "name": "g", "parameters": S}]}  # fmt: skip
OF_RESPONSES = {
    **members(
        access_programs=["x"], context_management=[{"type": "compaction"}], conversation="c",
        include=["web_search_call.action.sources"], max_output_tokens=99, max_tool_calls=3,
        metadata={"a": "b"}, moderation={"model": "x"}, parallel_tool_calls=False,
        previous_response_id="r", prompt={"id": "p"}, prompt_cache_key="k",
        prompt_cache_options={"a": 1}, prompt_cache_retention="24h", safety_identifier="x",
        service_tier="flex", temperature=0.3, top_logprobs=3, top_p=0.3, truncation="auto",
        user="u", reasoning={"effort": "low"}, text={"format": {"type": "json_object"}},
        tool_choice="required",
    ),
    **members("reasoning", of="reasoning", summary="auto"),
    **members("text", of="text", verbosity="low"),
    "choice": Change((), {"tool_choice": {"type": "function", "name": "f"}}),
    **members("tool_choice", of="choice", odd=1),
    "form": Change((), {"text": {"format": {"type": "json_schema", "name": "n", "schema": S}}}),
    **members("text", "format", of="form", odd=1),
    "hosted choice": Change((), {"tool_choice": {"type": "web_search"}}),
    "web": Change(("tools",), {"type": "web_search"}),
    "custom": Change(("tools",), {"type": "custom", "name": "x"}),
    "namespace": Change(("tools",), _SPACE),
    **members("tools", 1, of="namespace", description="d"),
    **members("tools", 0, allowed_callers=["x"], defer_loading=True, output_schema=S),
    **members("input", 1, phase="commentary"),
    **members("input", 1, "content", 0, annotations=[{"type": "url_citation"}], logprobs=[{}]),
    **members("input", 2, caller={"a": 1}, namespace="ns"),
    **members("input", 3, caller={"a": 1}),
    **members(*_INPUT, 0, prompt_cache_breakpoint={"mode": "explicit"}),
    "image": Change(_INPUT, {"type": "input_image", "image_url": DATA}),
    **members(*_INPUT, 1, of="image", detail="low"),
    "file": Change(_INPUT, {
        "type": "input_file", "filename": "x.pdf",
        "file_data": "data:application/pdf;base64,JVBERi0x"}),
    **{f"file {k}": v for k, v in members(*_INPUT, 1, of="file", detail="low").items()},
    **{f"{kind} of {member}": Change(_INPUT, {"type": kind, member: value})
       for kind, member, value in (
           ("input_image", "image_url", "https://x.test/a"), ("input_image", "file_id", "f"),
           ("input_file", "file_url", "https://x.test/a"), ("input_file", "file_id", "f"),
           ("input_audio", "input_audio", {"data": "UklGRg==", "format": "wav"}))},
    "least": Change((), {"max_output_tokens": 1}),
    "approval": Change(("input",), {"type": "mcp_approval_response", "approve": True}),
    "searched": Change(("input",), {"type": "web_search_call", "id": "ws"}),
    "cipher": Change(
        ("input",), {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "z"}
    ),
    "clicked": Change(("input",), {"type": "computer_call", "call_id": "c8", "action": HIDDEN}),
    **members("input", 4, of="clicked", pending_safety_checks=[{"id": "1"}]),
}  # fmt: skip

REQUESTS: dict[str, tuple[Json, dict[str, Change]]] = {
    "openai-chat": (CHAT, OF_CHAT),
    "anthropic": (ANTHROPIC, OF_ANTHROPIC),
    "gemini": (GEMINI, OF_GEMINI),
    "openai-responses": (RESPONSES, OF_RESPONSES),
}
