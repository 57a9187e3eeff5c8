"""Thinking in the replies of every family, in each face's own form: text, count and price.

What the families send is typed from their documentation: DeepSeek's `reasoning_content`,
Groq's and vLLM's `reasoning`, Mistral's content parts, MiniMax's and OpenRouter's
`reasoning_details`, the tags of open models, and the dialects of `others.py`.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import Caller
from tests.sdk.house import PRICED, Vendor
from tests.sdk.others import OTHERS
from tests.sdk.sides import FACES, streamed_or_not
from tests.sdk.test_enforced import COST, cost
from tests.upstream_server import Play, says, streams

THOUGHT, SAID, COUNT = "Hm, ü.\nSo 18.", "It is 18.", 7
USAGE: v.Json = {**v.CHAT_USAGE, "completion_tokens_details": {"reasoning_tokens": COUNT}}
TAGGED = f"<think>\n{THOUGHT}\n</think>\n\n{SAID}"
DETAIL = {"type": "reasoning.text", "text": THOUGHT, "format": None, "index": 0}

Messages = list[v.Json]
CHATS: dict[str, tuple[str, Messages]] = {
    # way: the model, the deltas of a stream, which make up the message of a whole reply
    "reasoning_content": ("oai/deepseek-v4-pro",
        [{"reasoning_content": THOUGHT[:4]}, {"reasoning_content": THOUGHT[4:]}]),
    "reasoning": ("oai/gpt-oss-120b", [{"reasoning": THOUGHT[:4]}, {"reasoning": THOUGHT[4:]}]),
    "reasoning_details": ("oai/some-model", [{"reasoning_details": [DETAIL]}]),
    "parts": ("oai/magistral-medium-latest",
        [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}]}]),
    "tags": ("oai/qwen3-8b", [{"content": TAGGED[i : i + 3]} for i in range(0, len(TAGGED), 3)]),
    "tag unopened": ("oai/deepseek-r1",
        [{"content": TAGGED[7:20]}, {"content": TAGGED[20:]}]),
}  # fmt: skip


def message(deltas: Messages) -> v.Json:
    """The whole message that the deltas add up to."""
    whole: v.Json = {}
    for delta in deltas:
        for name, value in delta.items():
            old = whole.get(name, value[:0])
            same = type(old) is type(value)
            whole[name] = old + value if same else [*old, {"type": "text", "text": value}]
    return whole


def plays(way: str, stream: bool) -> tuple[str, str, Play]:
    """The vendor, the model that is asked, and what it answers."""
    if way in CHATS:
        model, deltas = CHATS[way]
        if "tag" not in way:
            deltas = [*deltas, {"content": SAID}]
        if stream:
            return "oai", model, v.chat_stream(deltas, usage=USAGE)
        return "oai", model, v.chat(message(deltas), usage=USAGE)
    blocks = [v.thinking(THOUGHT, "c2ln"), v.text(SAID)]
    if way == "claude":
        say = v.message_stream if stream else v.message
        return "claude", PRICED["claude"], say(blocks)
    dialect = {"resp": "openai-responses", "gem": "gemini", "rock": "bedrock-converse",
               "coh": "cohere-v2", "oll": "ollama"}[way]  # fmt: skip
    whole, events, kind = OTHERS[dialect]
    if stream:
        return way, PRICED[way], streams(events(blocks, "end_turn"), content_type=kind)
    return way, PRICED[way], says(whole(blocks, "end_turn"))


OWN = {"claude": "anthropic", "resp": "openai-responses", "gem": "gemini"}
CROSSED = [
    (face, way)
    for way in [*CHATS, "claude", "resp", "gem", "rock", "coh", "oll"]
    for face in FACES
    if face != ("openai-chat" if way in CHATS else OWN.get(way))
]
"""All but what passes verbatim."""


def counted(face: str, raw: Any) -> int | None:
    """The reasoning tokens, where the face's usage has a member for them."""
    match face:
        case "openai-chat":
            return raw.usage.completion_tokens_details.reasoning_tokens  # type: ignore[no-any-return]
        case "openai-responses":
            return raw.usage.output_tokens_details.reasoning_tokens  # type: ignore[no-any-return]
        case "gemini":
            return raw[-1].usage_metadata.thoughts_token_count or 0
        case _:
            return None


@pytest.mark.parametrize(("face", "way"), CROSSED)
@streamed_or_not
def test_thinking_comes_back_in_the_faces_own_form(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], tee: Tee,
    face: str, way: str, stream: bool,
) -> None:  # fmt: skip
    target, model, play = plays(way, stream)
    behind[target].plays(play)
    said = call[face](model=model, stream=stream).turn("How warm?")
    assert (said.thoughts, said.text, said.stop) == (THOUGHT, SAID, "end")
    assert said.usage == (19, 10)
    if way in CHATS:
        assert counted(face, said.raw) in (COUNT, None)
    elif not (stream and face == "gemini"):  # its streams have no place for a cost
        assert cost(tee) == (COST, 1)
