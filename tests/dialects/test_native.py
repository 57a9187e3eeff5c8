"""What only the caller's dialect has, deep in a request: kept for its own, never lost in silence.

Elsewhere it is refused where it changes the answer, or dropped and named. The shapes are those
of https://platform.claude.com/docs/en/api/messages,
https://ai.google.dev/api/caching#Part and
https://platform.openai.com/docs/api-reference/chat/create; `prefix` is DeepSeek's
(https://api-docs.deepseek.com/guides/chat_prefix_completion).
"""

from typing import Any

import msgspec
import pytest

from octoplex.dialects.accepted import accepted
from octoplex.dialects.anthropic import Anthropic, AnthropicFace
from octoplex.dialects.bedrock_converse import BedrockConverse
from octoplex.dialects.dialect import Dialect, Face, Traits
from octoplex.dialects.expression import Omissions
from octoplex.dialects.gemini import Gemini, GeminiFace
from octoplex.dialects.openai_chat import OpenAIChat, OpenAIChatFace
from octoplex.dialects.openai_responses import OpenAIResponses, OpenAIResponsesFace
from octoplex.wire.error import InvalidCall, Unsupported
from tests.dialects.test_transcripts import call_of

FACES: dict[str, Face] = {
    "openai-chat": OpenAIChatFace(),
    "anthropic": AnthropicFace(),
    "gemini": GeminiFace(),
    "openai-responses": OpenAIResponsesFace(),
}
OWN: dict[str, Dialect] = {
    "openai-chat": OpenAIChat(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "openai-responses": OpenAIResponses(),
}
OTHERS = {**OWN, "bedrock-converse": BedrockConverse()}
MODEL = "claude-sonnet-4-5"


def of_anthropic(*content: Any, role: str = "user", **more: Any) -> dict[str, Any]:
    messages = [{"role": role, "content": [*content, {"type": "text", "text": "q"}], **more}]
    return {"model": MODEL, "max_tokens": 100, "messages": messages}


def of_gemini(*parts: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [*parts, {"text": "q"}]}]}


def of_chat(**message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "a", **message}
    return {"model": "m", "messages": [{"role": "user", "content": "q"}, said]}


def of_responses(*items: Any) -> dict[str, Any]:
    return {"model": "m", "input": [*items, {"role": "user", "content": "q"}]}


def with_tool(body: dict[str, Any], **tool: Any) -> dict[str, Any]:
    return {**body, "tools": [tool]}


SCHEMA = {"type": "object"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
FOUND = {
    "type": "search_result", "source": "https://a.test", "title": "T",
    "content": [{"type": "text", "text": "body"}],
}  # fmt: skip
URL = {"type": "url_citation", "url": "https://a.test", "title": "A", "start_index": 0,
       "end_index": 1}  # fmt: skip
CITED = {"type": "char_location", "cited_text": "c", "document_index": 0}

HINTS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "search that the provider ran": (
        "anthropic",
        of_anthropic(
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
            {"type": "text", "text": "A", "citations": [CITED]},
            role="assistant",
        ),
        ("server_tool_use", "web_search_tool_result", "text.citations"),
    ),
    "a document's context": (
        "anthropic",
        of_anthropic({"type": "document", "source": PDF, "context": "c", "citations": {}}),
        ("document.context",),
    ),
    "a search result": ("anthropic", of_anthropic(FOUND), ()),
    "a search result of a tool": (
        "anthropic",
        of_anthropic({"type": "tool_result", "tool_use_id": "t", "content": [FOUND]}),
        (),
    ),
    "a tool found by a search": (
        "anthropic",
        of_anthropic(
            {"type": "tool_result", "tool_use_id": "t",
             "content": [{"type": "tool_reference", "tool_name": "f"}]},
        ),
        ("tool_reference",),
    ),
    "a summary": (
        "anthropic",
        of_anthropic({"type": "compaction", "content": "They met."}, role="assistant"),
        (),
    ),
    "a call from code": (
        "anthropic",
        of_anthropic(
            {"type": "tool_use", "id": "t", "name": "f", "input": {},
             "caller": {"type": "code_execution_20250825", "tool_id": "s"}},
            role="assistant",
        ),
        ("tool_call.caller",),
    ),
    "a tool that is looked for": (
        "anthropic",
        with_tool(of_anthropic(), name="f", input_schema=SCHEMA, defer_loading=True,
                  allowed_callers=["code_execution_20250825"]),
        ("tool.defer_loading", "tool.allowed_callers"),
    ),
    "code that the provider ran": (
        "gemini",
        of_gemini(
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        ),
        ("executableCode", "codeExecutionResult"),
    ),
    "a result that goes on": (
        "gemini",
        of_gemini(
            {"functionResponse": {"id": "c", "name": "c", "response": {"output": "x"},
                                  "willContinue": True, "scheduling": "SILENT"}},
        ),
        ("tool_result.willContinue", "tool_result.scheduling"),
    ),
    "how closely to look": (
        "gemini",
        of_gemini({"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"},
                   "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}),
        ("image.mediaResolution",),
    ),
    "a function that is not waited for": (
        "gemini",
        with_tool(of_gemini(), functionDeclarations=[{"name": "f", "behavior": "NON_BLOCKING"}]),
        ("tool.behavior",),
    ),
    "annotations": (
        "openai-chat",
        of_chat(annotations=[{"type": "url_citation", "url_citation": {"url": "https://a.test"}}]),
        ("message.annotations",),
    ),
    "how many frames": (
        "openai-chat",
        of_chat(content=[{"type": "text", "text": "a", "min_pixels": 5}]),
        ("text.min_pixels",),
    ),
    "a function that is looked for": (
        "openai-responses",
        with_tool({"model": "m", "input": "q"}, type="function", name="f", parameters=SCHEMA,
                  strict=False, defer_loading=True),
        ("tool.defer_loading",),
    ),
    "beside a call": (
        "gemini",
        of_gemini({"functionCall": {"id": "c", "name": "f", "args": {}},
                   "partMetadata": {"a": "b"}}),
        ("tool_call.part.partMetadata",),
    ),
    "beside a result": (
        "gemini",
        of_gemini({"functionResponse": {"id": "c", "name": "c", "response": {"output": "x"}},
                   "partMetadata": {"a": "b"}}),
        ("tool_result.part.partMetadata",),
    ),
    "beside a thought": (
        "gemini",
        of_gemini({"text": "t", "thought": True, "partMetadata": {"a": "b"}}),
        ("contents[0].parts[0]",),
    ),
    "beside a proof": (
        "gemini",
        of_gemini({"text": "", "thoughtSignature": "c2ln", "partMetadata": {"a": "b"}}),
        ("contents[0].parts[0]",),
    ),
    "beside a function, and in it": (
        "openai-chat",
        with_tool(of_chat(), type="function", defer_loading=True,
                  function={"name": "f", "parameters": SCHEMA, "returns": SCHEMA}),
        ("tool.defer_loading", "tool.function.returns"),
    ),
    "where an earlier text had its words from": (
        "openai-responses",
        of_responses({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                      "phase": "final_answer",
                      "content": [{"type": "output_text", "text": "a", "annotations": [URL]}]}),
        ("text.annotations", "text.message.phase"),
    ),
    "beside items": (
        "openai-responses",
        of_responses({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}",
                      "odd": 1},
                     {"type": "function_call_output", "call_id": "c", "output": "x", "odder": 1},
                     {"role": "user", "content": [{"type": "input_text", "text": "a", "oddest": 1}],
                      "phase": "p"}),
        ("tool_call.odd", "tool_result.odder", "text.oddest", "text.message.phase"),
    ),
}  # fmt: skip
ANSWERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a file in a container": (
        "anthropic",
        of_anthropic({"type": "container_upload", "file_id": "f"}),
        "messages.0.content.0",
    ),
    "a block not yet invented": (
        "anthropic", of_anthropic({"type": "never_heard_of", "x": 1}), "messages.0.content.0",
    ),
    "to have it cite": (
        "anthropic",
        of_anthropic({"type": "document", "source": PDF, "citations": {"enabled": True}}),
        "document.citations",
    ),
    "to have it cite what was found": (
        "anthropic",
        of_anthropic({**FOUND, "citations": {"enabled": True}}),
        "search_result.citations",
    ),
    "a container": ("anthropic", {**of_anthropic(), "container": "c_1"}, "container"),
    "where it is made": (
        "anthropic", {**of_anthropic(), "inference_geo": "us"}, "inference_geo",
    ),
    "servers of tools": (
        "anthropic",
        {**of_anthropic(), "mcp_servers": [{"type": "url", "url": "https://a.test", "name": "n"}]},
        "mcp_servers",
    ),
    "a part not yet invented": (
        "gemini", of_gemini({"newThing": {"a": 1}}), "contents[0].parts[0]",
    ),
    "a system part not yet invented": (
        "gemini",
        {**of_gemini(), "systemInstruction": {"parts": [{"newThing": 1}, {"text": "s"}]}},
        "systemInstruction.parts[0]",
    ),
    "sound of an earlier reply": ("openai-chat", of_chat(audio={"id": "a1"}), "message.audio"),
    "a prefix": ("openai-chat", of_chat(prefix=True), "message.prefix"),
    "to search the web": (
        "openai-chat",
        {**of_chat(), "web_search_options": {"search_context_size": "low"}},
        "web_search_options",
    ),
}  # fmt: skip
KEPT = {**HINTS, **ANSWERS}


def chat_of(face: str, body: dict[str, Any]) -> Any:
    return call_of(FACES[face], msgspec.json.encode(body)).chat()


@pytest.mark.parametrize("name", KEPT)
def test_its_own_dialect_gets_it_as_it_came(name: str) -> None:
    face, body, _ = KEPT[name]
    sent = OWN[face].encode_chat(chat_of(face, body), Traits(model=MODEL))
    assert sent.dropped == ()
    again = chat_of(face, {"model": MODEL, **msgspec.json.decode(sent.body)})
    resent = OWN[face].encode_chat(again, Traits(model=MODEL))
    assert msgspec.json.decode(resent.body) == msgspec.json.decode(sent.body)
    assert all(found in sent.body for found in odd_values(body))


def odd_values(body: dict[str, Any]) -> list[bytes]:
    """The names that stand in the body, which a rewritten one must have again."""
    found = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.update(value)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk({k: v for k, v in body.items() if k not in ("systemInstruction", "input")})
    renamed = {"parameters", "max_tokens", "text", "type"}  # a lone text goes out as a string
    silent = {"citations"} if b'"citations":{}' in msgspec.json.encode(body) else set()
    return [f'"{name}"'.encode() for name in found - renamed - silent]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", HINTS)
def test_a_hint_is_dropped_and_named(name: str, other: str) -> None:
    face, body, dropped = HINTS[name]
    if face == other:
        return
    sent = OTHERS[other].encode_chat(chat_of(face, body), Traits(model=MODEL))
    assert set(dropped) <= set(sent.dropped)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", ANSWERS)
def test_what_changes_the_answer_is_refused_by_name(name: str, other: str) -> None:
    face, body, param = ANSWERS[name]
    if face == other:
        return
    chat = chat_of(face, body)
    with pytest.raises(Unsupported) as caught:
        OTHERS[other].encode_chat(chat, Traits(model=MODEL))
    assert caught.value.facts["param"] == param
    sent = OTHERS[other].encode_chat(chat, Traits(model=MODEL, drop_unsupported=True))
    assert param in sent.dropped


@pytest.mark.parametrize(("name", "words"), [
    ("a search result", "https://a.test"),
    ("a search result of a tool", "body"),
    ("a summary", "They met."),
])  # fmt: skip
def test_what_is_text_goes_on_as_text(name: str, words: str) -> None:
    face, body, _ = HINTS[name]
    for other in ("openai-chat", "gemini", "openai-responses"):
        sent = OTHERS[other].encode_chat(chat_of(face, body), Traits(model=MODEL))
        assert words.encode() in sent.body


def test_what_says_nothing_is_not_named() -> None:
    """What SDKs repeat of a reply: members that are empty, and a tool that was called directly."""
    body = of_chat(annotations=[], audio=None, function_call=None)
    assert OTHERS["anthropic"].encode_chat(chat_of("openai-chat", body), Traits(model=MODEL)) == (
        OTHERS["anthropic"].encode_chat(chat_of("openai-chat", of_chat()), Traits(model=MODEL))
    )
    called = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    said = of_anthropic({**called, "caller": {"type": "direct"}}, role="assistant")
    plain = of_anthropic(called, role="assistant")
    both = [
        OTHERS["openai-chat"].encode_chat(chat_of("anthropic", body), Traits(model="m"))
        for body in (said, plain)
    ]
    assert both[0] == both[1]
    off = {"type": "document", "source": PDF, "citations": {"enabled": False}}
    chat = chat_of("anthropic", of_anthropic(off))
    assert OTHERS["openai-chat"].encode_chat(chat, Traits(model="m")).dropped == ()


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "user", "content": ["x"], "odd": 1}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": 1, "odd": 1}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": "x", "odd": 1}, 5], "messages[1]"),
    ],
)
def test_a_mistake_beside_the_unknown_is_told_where_it_stands(messages: Any, param: str) -> None:
    with pytest.raises(InvalidCall) as caught:
        chat_of("openai-chat", {"model": "m", "messages": messages})
    assert caught.value.facts["param"] == param


IMAGE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}
EPHEMERAL = {"type": "ephemeral"}


def made_of(*blocks: Any, **about: Any) -> dict[str, Any]:
    """A document that is made of blocks
    (https://platform.claude.com/docs/en/build-with-claude/citations#custom-content-documents)."""
    return of_anthropic(
        {
            "type": "document",
            "title": "T",
            "source": {"type": "content", "content": blocks},
            **about,
        }
    )


@pytest.mark.parametrize("other", ["openai-chat", "gemini", "openai-responses", "bedrock-converse"])
def test_the_images_of_a_document_go_on_in_their_places(other: str) -> None:
    text, image = {"type": "text", "text": "before"}, {"type": "image", "source": IMAGE}
    chat = chat_of("anthropic", made_of(text, image, {**text, "text": "after"}))
    sent = OTHERS[other].encode_chat(chat, Traits(model="m"))
    places = [sent.body.index(word) for word in (b"before", b"iVBORw0K", b"after")]
    assert places == sorted(places)
    assert sent.dropped == ()
    own = OWN["anthropic"].encode_chat(chat, Traits(model=MODEL))
    assert b'"source":{"type":"content","content":[' in own.body


def test_what_a_document_of_blocks_loses_is_named() -> None:
    text = {"type": "text", "text": "t", "cache_control": EPHEMERAL}
    chat = chat_of("anthropic", made_of(text, context="c", cache_control=EPHEMERAL))
    sent = OTHERS["openai-chat"].encode_chat(chat, Traits(model="m"))
    assert sent.dropped == ("document.context", "cache_control")
    kept = OTHERS["bedrock-converse"].encode_chat(chat, Traits(model=MODEL))
    assert b"cachePoint" in kept.body

    odd = chat_of("anthropic", made_of({"type": "never_heard_of"}))
    cited = chat_of("anthropic", made_of(text, citations={"enabled": True}))
    for chat, param in (
        (odd, "messages.0.content.0.source.content.0"),
        (cited, "document.citations"),
    ):
        with pytest.raises(Unsupported) as caught:
            OTHERS["openai-chat"].encode_chat(chat, Traits(model="m"))
        assert caught.value.facts["param"] == param


def test_a_blind_model_is_not_shown_the_images_of_a_document() -> None:
    chat = chat_of("anthropic", made_of({"type": "image", "source": IMAGE}))
    blind, omissions = Traits(model="m", vision=False), Omissions("m", {}, drop_unsupported=True)
    seen = accepted(chat, blind, omissions)
    assert omissions.names() == ("image.data",)
    assert b"iVBORw0K" not in OTHERS["openai-chat"].encode_chat(seen, blind).body


@pytest.mark.parametrize("other", ["openai-chat", "openai-responses", "gemini"])
def test_a_file_that_lies_elsewhere_is_not_asked_for_by_its_id(other: str) -> None:
    file = {"type": "document", "source": {"type": "file", "file_id": "file_011"}}
    with pytest.raises(Unsupported) as caught:
        OTHERS[other].encode_chat(chat_of("anthropic", of_anthropic(file)), Traits(model="m"))
    assert caught.value.facts["param"] == "document.source.file_id"


def test_an_answer_that_may_be_made_anywhere_is_asked_for_everywhere() -> None:
    chat = chat_of("anthropic", {**of_anthropic(), "inference_geo": "global"})
    assert OTHERS["openai-chat"].encode_chat(chat, Traits(model="m")).dropped == ()


def test_a_text_that_is_no_thought_keeps_its_words() -> None:
    chat = chat_of(
        "gemini", of_gemini({"text": "said", "thought": False, "partMetadata": {"a": 1}})
    )
    sent = OTHERS["openai-chat"].encode_chat(chat, Traits(model="m"))
    assert b"said" in sent.body
    assert sent.dropped == ("text.partMetadata",)
