"""Tools over all four crossings: a conversation, parallel calls, a forced choice."""

import json
from typing import Any

import anthropic
import openai
import pytest

from tests.sdk import vendors as v
from tests.sdk.house import Vendor
from tests.sdk.sides import (
    CLAUDE_TOOLS,
    GPT_TOOLS,
    MODELS,
    TOOL,
    answer,
    both_targets,
    streamed_or_not,
    vendor,
)
from tests.sdk.test_words import claude_says, gpt_says

PARIS, TOKYO = v.use("toolu_01A", "weather", city="Paris"), v.use("toolu_02B", "time", city="東京")


@both_targets
@streamed_or_not
def test_an_openai_conversation_with_parallel_tools(
    gpt: openai.OpenAI, oai: Vendor, claude: Vendor, target: str, stream: bool
) -> None:
    behind = vendor(target, oai, claude).plays(
        answer(target, v.text("Looking."), PARIS, TOKYO, stop="tool_use", stream=stream),
        answer(target, v.use("toolu_03C", "weather", city="Lyon"), stop="tool_use", stream=stream),
        answer(target, v.text("Mild."), stream=stream),
    )
    messages: list[Any] = [{"role": "user", "content": "Weather in Paris, time in Tokyo?"}]
    turns = 0
    while True:
        said = gpt_says(gpt, stream, model=MODELS[target], messages=messages, tools=GPT_TOOLS)
        choice = said.choices[0]
        turns += 1
        if choice.finish_reason != "tool_calls":
            break
        messages.append(choice.message.model_dump(exclude_none=True))
        for call in choice.message.tool_calls:
            given = json.loads(call.function.arguments)
            result = f"{call.function.name} of {given['city']}: 18"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert (turns, choice.message.content) == (3, "Mild.")
    names = [c["function"]["name"] for m in messages for c in m.get("tool_calls", ())]
    assert names == ["weather", "time", "weather"]
    last = behind.asked[2]
    if target == "claude":
        told_claude(last)
    else:
        told_openai(last)


def told_claude(body: dict[str, Any]) -> None:
    """What Anthropic must have been told in the third turn, whoever asked."""
    assert [t["name"] for t in body["tools"]] == ["weather", "time"]
    assert body["tools"][0]["input_schema"] == TOOL
    roles = [m["role"] for m in body["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    uses = [b for b in body["messages"][1]["content"] if b["type"] == "tool_use"]
    assert [(b["id"], b["name"], b["input"]) for b in uses] == [
        ("toolu_01A", "weather", {"city": "Paris"}),
        ("toolu_02B", "time", {"city": "東京"}),
    ]
    results = body["messages"][2]["content"]
    assert [(r["type"], r["tool_use_id"]) for r in results] == [
        ("tool_result", "toolu_01A"),
        ("tool_result", "toolu_02B"),
    ]
    said = results[0]["content"]
    assert (said if isinstance(said, str) else said[0]["text"]) == "weather of Paris: 18"


def told_openai(body: dict[str, Any]) -> None:
    assert [t["function"]["name"] for t in body["tools"]] == ["weather", "time"]
    assert body["tools"][0]["function"]["parameters"] == TOOL
    roles = [m["role"] for m in body["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "assistant", "tool"]
    calls = body["messages"][1]["tool_calls"]
    assert [(c["id"], c["function"]["name"]) for c in calls] == [
        ("toolu_01A", "weather"),
        ("toolu_02B", "time"),
    ]
    assert json.loads(calls[1]["function"]["arguments"]) == {"city": "東京"}
    assert body["messages"][2]["tool_call_id"] == "toolu_01A"
    assert body["messages"][2]["content"] == "weather of Paris: 18"


@both_targets
@streamed_or_not
def test_an_anthropic_conversation_with_parallel_tools(
    sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor, target: str, stream: bool
) -> None:
    behind = vendor(target, oai, claude).plays(
        answer(target, v.text("Looking."), PARIS, TOKYO, stop="tool_use", stream=stream),
        answer(target, v.use("toolu_03C", "weather", city="Lyon"), stop="tool_use", stream=stream),
        answer(target, v.text("Mild."), stream=stream),
    )
    messages: list[Any] = [{"role": "user", "content": "Weather in Paris, time in Tokyo?"}]
    turns = 0
    while True:
        said = claude_says(
            sonnet, stream, model=MODELS[target], messages=messages, tools=CLAUDE_TOOLS
        )
        turns += 1
        if said.stop_reason != "tool_use":
            break
        messages.append({"role": "assistant", "content": said.content})
        results = [
            {
                "type": "tool_result",
                "tool_use_id": block.id,
                "content": f"{block.name} of {block.input['city']}: 18",
            }
            for block in said.content
            if block.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results})
    assert (turns, said.content[0].text) == (3, "Mild.")
    last = behind.asked[2]
    if target == "claude":
        told_claude(last)
    else:
        told_openai(last)


FORCED = {
    "any": ("required", {"type": "any"}),
    "named": (
        {"type": "function", "function": {"name": "weather"}},
        {"type": "tool", "name": "weather"},
    ),
    "none": ("none", {"type": "none"}),
    "auto": ("auto", {"type": "auto"}),
}


@both_targets
@pytest.mark.parametrize("choice", FORCED)
def test_a_forced_choice(
    gpt: openai.OpenAI,
    sonnet: anthropic.Anthropic,
    oai: Vendor,
    claude: Vendor,
    target: str,
    choice: str,
) -> None:
    behind = vendor(target, oai, claude).plays(answer(target, PARIS, stop="tool_use"))
    for_gpt, for_claude = FORCED[choice]
    hi: Any = [{"role": "user", "content": "Hi"}]
    said = gpt.chat.completions.create(
        model=MODELS[target],
        messages=hi,
        tools=GPT_TOOLS,
        tool_choice=for_gpt,  # type: ignore[arg-type]
        parallel_tool_calls=False,
    )
    assert said.choices[0].message.tool_calls[0].function.name == "weather"  # type: ignore[index,union-attr]
    one = {**for_claude} if choice == "none" else {**for_claude, "disable_parallel_tool_use": True}
    replied = sonnet.messages.create(
        model=MODELS[target], messages=hi, max_tokens=9, tools=CLAUDE_TOOLS, tool_choice=one  # type: ignore[arg-type]
    )  # fmt: skip
    assert replied.content[0].type == "tool_use"
    for body in behind.asked:
        assert body["tool_choice"] == (for_gpt if target == "oai" else one)
        if target == "oai" and choice != "none":
            assert body["parallel_tool_calls"] is False


@streamed_or_not
def test_a_failed_tool_is_told_to_either_vendor(
    sonnet: anthropic.Anthropic, oai: Vendor, claude: Vendor, stream: bool
) -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_01A",
        "is_error": True,
        "content": "no such city",
    }
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [PARIS]},
        {"role": "user", "content": [result, {"type": "text", "text": "Go on."}]},
    ]
    for target, behind in (("oai", oai), ("claude", claude)):
        behind.plays(answer(target, v.text("Sorry."), stream=stream))
        claude_says(sonnet, stream, model=MODELS[target], messages=messages, tools=CLAUDE_TOOLS)
    assert claude.asked[0]["messages"] == messages
    told = oai.asked[0]["messages"]
    assert [m["role"] for m in told] == ["user", "assistant", "tool", "user"]
    assert "no such city" in told[2]["content"]
    assert "failed" in told[2]["content"]


@streamed_or_not
def test_a_name_that_openai_does_not_take_comes_back_as_it_was(
    sonnet: anthropic.Anthropic, oai: Vendor, stream: bool
) -> None:
    """OpenAI takes 64 letters, Anthropic 128: servers of MCP make long ones."""
    name = "mcp__warehouse__" + "list_directory_with_sizes_" * 3
    tool: Any = {**CLAUDE_TOOLS[0], "name": name}
    asked: dict[str, Any] = {"model": MODELS["oai"], "tools": [tool]}
    asked["tool_choice"] = {"type": "tool", "name": name}
    messages: list[Any] = [{"role": "user", "content": "Weather in Paris?"}]
    sent: set[str] = set()
    for _ in range(2):
        # The vendor calls the tool by the name that it was told.
        oai.plays(v.chat({"content": "?"}))
        claude_says(sonnet, False, messages=messages, **asked)
        (short,) = {t["function"]["name"] for t in oai.asked[0]["tools"]}
        assert oai.asked[0]["tool_choice"]["function"]["name"] == short
        calls = [c for m in oai.asked[0]["messages"] for c in m.get("tool_calls") or ()]
        assert {c["function"]["name"] for c in calls} <= {short}
        sent.add(short)
        use = v.use("call_1", short, city="Paris")
        oai.plays(answer("oai", use, stop="tool_use", stream=stream))
        said = claude_says(sonnet, stream, messages=messages, **asked)
        (block,) = said.content
        assert (block.name, block.input) == (name, {"city": "Paris"})
        messages.append({"role": "assistant", "content": said.content})
        result = {"type": "tool_result", "tool_use_id": block.id, "content": "18"}
        messages.append({"role": "user", "content": [result]})
    (short,) = sent
    assert len(short) <= 64


def test_calls_without_ids_or_arguments_can_be_gone_on_from(
    gpt: openai.OpenAI, oai: Vendor
) -> None:
    """As open servers send them, within the vendor's own dialect."""
    calls = [{"function": {"name": "time", "arguments": None}}] * 2
    oai.plays(v.chat({"content": None, "tool_calls": calls}), v.chat({"content": "ok"}))
    messages: list[Any] = [{"role": "user", "content": "Time?"}]
    said = gpt.chat.completions.create(model=MODELS["oai"], messages=messages, tools=GPT_TOOLS)
    (choice,) = said.choices
    made: Any = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert [(c.type, c.function.arguments) for c in made] == [("function", "{}")] * 2
    assert len({c.id for c in made}) == 2
    messages.append(choice.message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": c.id, "content": "9:41"} for c in made]
    gpt.chat.completions.create(model=MODELS["oai"], messages=messages, tools=GPT_TOOLS)
    assert oai.asked[1]["messages"] == messages
