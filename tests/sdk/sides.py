"""One answer as each vendor would give it, and the crossings: the first two, and all of them."""

from typing import Any

import pytest

from tests.sdk import vendors as v
from tests.sdk.house import PRICED, SPEAKERS, Vendor
from tests.sdk.others import OTHERS
from tests.sdk.vendors import Json
from tests.upstream_server import Play, says, streams

STOPS = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
MODELS = {"oai": "oai/gpt-5-mini", "claude": "claude/claude-haiku-4-5"}

FACES = ("openai-chat", "openai-responses", "anthropic", "gemini")
TARGETS = list(PRICED)

every_face = pytest.mark.parametrize("face", FACES)
every_target = pytest.mark.parametrize("target", TARGETS)
both_targets = pytest.mark.parametrize("target", list(MODELS))
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

TOOL: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
GPT_TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": n, "description": f"The {n}.", "parameters": TOOL, "strict": True},
    }
    for n in ("weather", "time")
]
CLAUDE_TOOLS: Any = [
    {"name": n, "description": f"The {n}.", "input_schema": TOOL} for n in ("weather", "time")
]


def answer(target: str, *blocks: Json, stop: str = "end_turn", stream: bool = False) -> Play:
    """What `target` answers: text and tool_use blocks in Anthropic's shape."""
    if target == "claude":
        return (v.message_stream if stream else v.message)(list(blocks), stop)
    if target != "oai":
        whole, events, kind = OTHERS[SPEAKERS[target][0]]
        return (
            streams(events(blocks, stop), content_type=kind)
            if stream
            else says(whole(blocks, stop))
        )
    calls = [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
    words = "".join(b["text"] for b in blocks if b["type"] == "text")
    if stream:
        deltas: list[Json] = [{"content": piece} for piece in (words[:3], words[3:]) if piece]
        return v.chat_stream(deltas + v.called_deltas(*calls), STOPS[stop])
    message: Json = {"content": words or None}
    if calls:
        message["tool_calls"] = v.called(*calls)
    return v.chat(message, STOPS[stop])


def vendor(target: str, oai: Vendor, claude: Vendor) -> Vendor:
    """The scripted upstream behind a target."""
    return oai if target == "oai" else claude
