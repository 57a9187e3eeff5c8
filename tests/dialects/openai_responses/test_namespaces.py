"""Tools in a namespace reach every provider, and their calls come back in it.

The shape is that of `NamespaceTool` and `ResponseFunctionToolCall.namespace` of the `openai`
package; Codex gives the tools of MCP servers so.
"""

import json
from typing import Any

import pytest

from octoplex.dialects.dialect import Traits
from octoplex.dialects.openai_responses import OpenAIResponsesFace
from octoplex.wire.error import Unsupported
from octoplex.wire.event import (
    Event,
    Finished,
    Reply,
    Started,
    ToolDelta,
    ToolStart,
    ToolUse,
    Usage,
)
from tests.dialects.grammar.openai_responses import check
from tests.dialects.test_crossings import DIALECTS
from tests.dialects.test_transcripts import call_of

FACE = OpenAIResponsesFace(lambda: 1.0)
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
LOOKUP = {"type": "function", "name": "lookup", "description": "d", "parameters": SCHEMA}
SPACE = {"type": "namespace", "name": "mcp__x", "description": "X.", "tools": [LOOKUP]}
CALLED = {"call_id": "c1", "name": "lookup", "namespace": "mcp__x", "arguments": '{"q":"a"}'}
ASKED: dict[str, Any] = {
    "model": "m",
    "tools": [{**LOOKUP, "name": "plain"}, SPACE],
    "input": [
        {"role": "user", "content": "Hi"},
        {"type": "function_call", **CALLED},
        {"type": "function_call_output", "call_id": "c1", "output": "b"},
    ],
}


def asked(**members: Any) -> Any:
    return call_of(FACE, json.dumps(ASKED | members).encode())


@pytest.mark.parametrize("name", DIALECTS)
def test_every_provider_gets_them_under_one_name(name: str) -> None:
    body = DIALECTS[name].encode_chat(FACE.decode_chat(asked()), Traits(model="m")).body
    assert body.count(b'"mcp__x__lookup"') >= 2, "the tool and its call"
    assert b'"plain"' in body
    assert b'"lookup"' not in body


def test_a_call_comes_back_in_its_namespace() -> None:
    use = ToolUse("c2", "mcp__x__lookup", '{"q":"a"}')
    reply = Reply(id="r", model="m", blocks=(use,), stop="tool", usage=Usage(1, 1))
    (whole,) = json.loads(FACE.encode_reply_to(asked(), reply))["output"]
    events: list[Event] = [
        Started("r", "m"),
        ToolStart("c2", "mcp__x__lookup", 0),
        ToolDelta('{"q":"a"}', 0),
        Finished(stop="tool", usage=Usage(1, 1)),
    ]
    encoder = FACE.encoder(asked(stream=True))
    wire = b"".join(encoder.feed([event]) for event in events)
    check(wire)
    last = json.loads(wire.decode().strip().rpartition("data: ")[2])["response"]["output"]
    for item in (whole, *last):
        assert (item["namespace"], item["name"]) == ("mcp__x", "lookup")
    other = Reply(
        id="r", model="m", blocks=(ToolUse("c3", "plain", "{}"),), stop="tool", usage=Usage(1, 1)
    )
    (item,) = json.loads(FACE.encode_reply_to(asked(), other))["output"]
    assert item["name"] == "plain"
    assert "namespace" not in item


def test_a_namespace_with_a_tool_of_its_own_is_refused_elsewhere() -> None:
    tools = [{**SPACE, "tools": [LOOKUP, {"type": "custom", "name": "patch"}]}]
    chat = FACE.decode_chat(asked(tools=tools))
    with pytest.raises(Unsupported, match="`tools`"):
        DIALECTS["openai-chat"].encode_chat(chat, Traits(model="m"))
