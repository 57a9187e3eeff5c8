"""Thinking over three turns: signatures and redacted blocks survive byte for byte where
the upstream is Anthropic, also through the OpenAI SDK; they go cleanly when it is not."""

from typing import Any

import anthropic
import openai

from tests.sdk import vendors as v
from tests.sdk.house import Vendor
from tests.sdk.sides import CLAUDE_TOOLS, GPT_TOOLS, MODELS, both_targets, streamed_or_not
from tests.sdk.test_words import claude_says, gpt_says

SIGNATURES = ("EqQBCgIYAhIM1gbcDa9GJwZA2b3h+/A==", "Zm9yIHRoZSBzZWNvbmQgdHVybg/+==")
SECRET = "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpP"
PARIS = v.use("toolu_01A", "weather", city="Paris")
FIRST = [v.thinking("Paris first.\nThen ü.", SIGNATURES[0]), v.redacted(SECRET), PARIS]
SECOND = [v.thinking("Now Lyon.", SIGNATURES[1]), v.use("toolu_02B", "weather", city="Lyon")]
THIRD = [v.thinking("Done.", "dGhpcmQ="), v.text("Mild in both.")]


def thoughts(body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The thinking of each assistant turn, as the upstream received it."""
    kinds = ("thinking", "redacted_thinking")
    turns = [m["content"] for m in body["messages"] if m["role"] == "assistant"]
    return [[b for b in turn if b["type"] in kinds] for turn in turns]


def plays(claude: Vendor, stream: bool) -> None:
    say = v.message_stream if stream else v.message
    claude.plays(say(FIRST, "tool_use"), say(SECOND, "tool_use"), say(THIRD))


@streamed_or_not
def test_anthropic_sdk_three_turns(
    sonnet: anthropic.Anthropic, claude: Vendor, oai: Vendor, stream: bool
) -> None:
    plays(claude, stream)
    messages: list[Any] = [{"role": "user", "content": "Weather in Paris and Lyon?"}]
    asked: dict[str, Any] = {
        "max_tokens": 4096,
        "tools": CLAUDE_TOOLS,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
    }
    for turn in range(3):
        said = claude_says(sonnet, stream, model=MODELS["claude"], messages=messages, **asked)
        assert said.content[0].signature == (*SIGNATURES, "dGhpcmQ=")[turn]
        messages.append({"role": "assistant", "content": said.content})
        for block in said.content:
            if block.type == "tool_use":
                result = {"type": "tool_result", "tool_use_id": block.id, "content": "18"}
                messages.append({"role": "user", "content": [result]})
    assert thoughts(claude.asked[1]) == [FIRST[:2]]
    assert thoughts(claude.asked[2]) == [FIRST[:2], SECOND[:1]]
    # The same conversation moves to a provider that cannot read them.
    oai.plays(v.chat_stream([{"content": "ok"}]) if stream else v.chat({"content": "ok"}))
    messages.append({"role": "user", "content": "Thanks."})
    raw = sonnet.messages.with_raw_response.create(
        model=MODELS["oai"], messages=messages, **asked
    ) if not stream else None  # fmt: skip
    if raw is None:
        claude_says(sonnet, stream, model=MODELS["oai"], messages=messages, **asked)
    else:
        assert "thinking" in raw.headers["x-octoplex-dropped"]
    sent = oai.book[0].body
    assert not any(s.encode() in sent for s in (*SIGNATURES, SECRET, "Paris first"))
    assert [m["role"] for m in oai.asked[0]["messages"]] == [
        "user", "assistant", "tool", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip


@streamed_or_not
def test_openai_sdk_three_turns(
    gpt: openai.OpenAI, claude: Vendor, oai: Vendor, stream: bool
) -> None:
    plays(claude, stream)
    messages: list[Any] = [{"role": "user", "content": "Weather in Paris and Lyon?"}]
    asked: dict[str, Any] = {
        "tools": GPT_TOOLS,
        "reasoning_effort": "medium",
        "max_completion_tokens": 8192,
    }
    for _ in range(3):
        said = gpt_says(gpt, stream, model=MODELS["claude"], messages=messages, **asked)
        message = said.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        calls = message.tool_calls or ()
        messages += [{"role": "tool", "tool_call_id": c.id, "content": "18"} for c in calls]
    assert message.content == "Mild in both."
    assert messages[1]["reasoning_content"] == "Paris first.\nThen ü."
    assert claude.asked[0]["thinking"]["type"] == "enabled"
    assert thoughts(claude.asked[1]) == [FIRST[:2]]
    assert thoughts(claude.asked[2]) == [FIRST[:2], SECOND[:1]]
    # The same conversation moves to a provider that does not know what we wrote into it.
    oai.plays(v.chat({"content": "ok"}))
    raw = gpt.chat.completions.with_raw_response.create(model=MODELS["oai"], messages=messages)
    assert raw.headers["x-octoplex-dropped"] == "reasoning_details"
    ours = ("reasoning_content", "reasoning_details")
    plain = [{k: x for k, x in m.items() if k not in ours} for m in messages]
    assert plain != messages
    assert oai.asked[0]["messages"] == plain


def test_thinking_that_nobody_signed_does_not_reach_anthropic(
    sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor
) -> None:
    oai.plays(v.chat({"content": "ok", "reasoning_content": "Hm."}))
    messages: list[Any] = [{"role": "user", "content": "Hi"}]
    said = claude_says(sonnet, False, model=MODELS["oai"], messages=messages)
    assert [b.type for b in said.content] == ["thinking", "text"]
    messages += [{"role": "assistant", "content": said.content}, {"role": "user", "content": "?"}]
    claude.plays(v.message([v.text("ok")]))
    raw = sonnet.messages.with_raw_response.create(
        model=MODELS["claude"], messages=messages, max_tokens=9
    )
    assert raw.headers["x-octoplex-dropped"] == "thinking"
    (turn,) = [m["content"] for m in claude.asked[0]["messages"] if m["role"] == "assistant"]
    assert [b["type"] for b in turn] == ["text"]


@both_targets
def test_thinking_is_asked_for_in_each_vendors_words(
    sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor, target: str
) -> None:
    oai.plays(v.chat({"content": "ok", "reasoning_content": "Hm."}))
    claude.plays(v.message([v.thinking("Hm.", "c2ln"), v.text("ok")]))
    said = claude_says(
        sonnet,
        False,
        model=MODELS[target],
        max_tokens=9000,
        messages=[{"role": "user", "content": "Hi"}],
        thinking={"type": "enabled", "budget_tokens": 8000},
    )
    assert [b.type for b in said.content] == ["thinking", "text"]
    assert said.content[0].thinking == "Hm."
    if target == "oai":
        assert oai.asked[0]["reasoning_effort"] == "high"
        assert "thinking" not in oai.asked[0]
    else:
        assert claude.asked[0]["thinking"] == {"type": "enabled", "budget_tokens": 8000}
