"""Row 18: the gateway breaks the prompt cache.

A provider's cache is a prefix of bytes. Within a dialect what a turn sent is what the next one
begins with, to the byte; across dialects marks come through wherever there is a word for them,
and are named where there is none. Odd spellings of values: `tests/server/test_verbatim.py`.
"""

import hashlib
import itertools
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from tests.sdk import vendors as v
from tests.sdk.conftest import Tee
from tests.sdk.faces import Caller, Sdks
from tests.sdk.house import PRICED, Vendor
from tests.sdk.sides import TOOL, answer, every_face, streamed_or_not

OWN = {"openai-chat": "oai", "openai-responses": "resp", "anthropic": "claude", "gemini": "gem"}
TURNS = {"openai-chat": "messages", "openai-responses": "input", "gemini": "contents"}
PARIS = v.use("toolu_01A", "weather", city="Paris")
MARK = {"type": "ephemeral", "ttl": "1h"}


def members(body: bytes) -> dict[str, bytes]:
    """Each top-level value as it is written."""
    split = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return {name: bytes(raw) for name, raw in split.items()}


def hashed(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


@every_face
@streamed_or_not
def test_row18_a_turn_begins_with_the_bytes_of_the_one_before(
    call: Mapping[str, Caller], behind: Mapping[str, Vendor], tee: Tee, face: str, stream: bool
) -> None:
    target = OWN[face]
    up = behind[target].plays(
        answer(target, v.text("Looking."), PARIS, stop="tool_use", stream=stream),
        answer(target, v.text("18 degrees, café."), stream=stream),
        answer(target, v.text("Mild."), stream=stream),
    )
    talk = call[face](model=PRICED[target], stream=stream, tools=True)
    said = talk.turn("Weather in Paris? 東京")
    talk.give({use.id: "18" for use in said.calls})
    talk.turn("And tomorrow?")
    sent = [members(request.content) for request in tee.sent]
    came = [members(entry.body) for entry in up.book]
    for ours, theirs in zip(sent, came, strict=True):
        ours.pop("model", None), theirs.pop("model", None)
        assert {n: hashed(b) for n, b in theirs.items()} == {n: hashed(b) for n, b in ours.items()}
    turns = TURNS.get(face, "messages")
    for before, after in itertools.pairwise(came):
        prefix = before[turns].removesuffix(b"]")
        assert hashed(after[turns][: len(prefix)]) == hashed(prefix)
        rest = before.keys() - {turns}
        assert {n: hashed(after[n]) for n in rest} == {n: hashed(before[n]) for n in rest}


def marked(sdks: Sdks, face: str, model: str) -> None:
    """Marks on a tool, on the system prompt and on a block of the conversation."""
    match face:
        case "anthropic":
            sdks.claude.messages.create(
                model=model,
                max_tokens=99,
                system=[{"type": "text", "text": "Be brief.", "cache_control": MARK}],  # type: ignore[typeddict-item]
                tools=[{"name": "weather", "input_schema": TOOL, "cache_control": MARK}],  # type: ignore[typeddict-item]
                messages=[
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "A long text.", "cache_control": MARK},  # type: ignore[typeddict-item]
                            {"type": "text", "text": "Hi"},
                        ],
                    }
                ],
            )
        case _:
            tool = {"name": "weather", "parameters": TOOL}
            long: Any = {"type": "text", "text": "A long text.", "cache_control": MARK}
            brief: Any = {"type": "text", "text": "Be brief.", "cache_control": MARK}
            tools: Any = [{"type": "function", "function": tool, "cache_control": MARK}]
            sdks.gpt.chat.completions.create(
                model=model,
                tools=tools,
                messages=[
                    {"role": "system", "content": [brief]},
                    {"role": "user", "content": [long, {"type": "text", "text": "Hi"}]},
                ],
            )


def marks(target: str, body: Any) -> tuple[Any, Any, Any]:
    """What a provider was given: the mark on the tool, on the system prompt, on the block."""
    match target:
        case "claude":
            blocks = body["messages"][0]["content"]
            assert "cache_control" not in blocks[1]
            system = body["system"][0].get("cache_control")
            return body["tools"][0].get("cache_control"), system, blocks[0].get("cache_control")
        case "rock":
            blocks = body["messages"][0]["content"]
            assert "cachePoint" not in blocks[-1]
            tools, system = body["toolConfig"]["tools"][-1], body["system"][-1]
            return tools.get("cachePoint"), system.get("cachePoint"), blocks[1].get("cachePoint")
        case _:
            system, user = body["messages"]
            assert "cache_control" not in user["content"][1]
            return (
                body["tools"][0].get("cache_control"),
                system["content"][0].get("cache_control"),
                user["content"][0].get("cache_control"),
            )


POINT = {"type": "default", "ttl": "1h"}
SAYERS = {
    "claude": ("claude/claude-sonnet-4-5", MARK),
    "rock": (PRICED["rock"], POINT),
    "cached": ("cached/claude-behind-a-router", MARK),
}
"""Those with a word for it: a model of each, and the word."""


@pytest.mark.parametrize("face", ["anthropic", "openai-chat"])
@pytest.mark.parametrize("target", SAYERS)
def test_row18_marks_survive_on_tools_system_and_blocks(
    clients: Sdks, behind: Mapping[str, Vendor], tee: Tee, face: str, target: str
) -> None:
    vendor = "oai" if target == "cached" else target
    model, word = SAYERS[target]
    up = behind[vendor].plays(answer(vendor, v.text("Hello")))
    marked(clients, face, model)
    assert marks(target, up.asked[0]) == (word, word, word)
    assert "cache_control" not in tee.got[-1].headers.get("x-octoplex-dropped", "")


@pytest.mark.parametrize("face", ["anthropic", "openai-chat"])
@pytest.mark.parametrize("target", ["oai", "resp", "gem", "coh", "oll"])
def test_row18_marks_that_have_no_word_are_named(
    clients: Sdks, behind: Mapping[str, Vendor], tee: Tee, face: str, target: str
) -> None:
    """Within Chat everything passes as it is."""
    up = behind[target].plays(answer(target, v.text("Hello")))
    marked(clients, face, PRICED[target])
    dropped = tee.got[-1].headers.get("x-octoplex-dropped", "")
    sent = up.book[0].body
    if (face, target) == ("openai-chat", "oai"):
        assert marks("oai", up.asked[0]) == (MARK, MARK, MARK)
        return
    assert "cache_control" in dropped
    assert b"cache_control" not in sent


@pytest.mark.parametrize("target", ["claude", "rock", "resp"])
def test_row18_marks_of_a_responses_call_survive(
    clients: Sdks, behind: Mapping[str, Vendor], target: str
) -> None:
    up = behind[target].plays(answer(target, v.text("Hello")))
    long: Any = {"type": "input_text", "text": "A long text."}
    long["prompt_cache_breakpoint"] = {"mode": "explicit"}
    asked: Any = [{"role": "user", "content": [long, {"type": "input_text", "text": "Hi"}]}]
    clients.gpt.responses.create(model=PRICED[target], input=asked, store=False)
    body = up.asked[0]
    if target == "resp":
        assert body["input"] == asked
    elif target == "claude":
        assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    else:
        assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}
