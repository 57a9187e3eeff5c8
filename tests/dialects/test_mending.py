"""Callers that pass verbatim, at targets that call a few members otherwise or refuse them.

What each target takes is typed from its vendor's page, as in `test_thinking.py`; a crossing
writes the same members (`test_a_verbatim_wish_is_what_a_crossing_writes`).
"""

import json
from typing import Any

import pytest

from octoplex.catalog.families import family, quirks_for
from octoplex.catalog.provider import catalogue
from octoplex.dialects.accepted import accepted
from octoplex.dialects.anthropic.face import AnthropicFace
from octoplex.dialects.dialect import Face, Traits
from octoplex.dialects.expression import Omissions
from octoplex.dialects.gemini.face import GeminiFace
from octoplex.dialects.mending import menders_of
from octoplex.dialects.openai_chat.face import OpenAIChatFace
from octoplex.dialects.openai_chat.messages import short_id
from octoplex.dialects.openai_responses.face import OpenAIResponsesFace
from octoplex.dialects.verbatim import join, split
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Message, TextPart, ThinkingAsk
from tests.dialects.test_thinking import ASKS, SPOKEN, TABLE

Json = dict[str, Any]
FACES: dict[str, Face] = {
    "openai-chat": OpenAIChatFace(),
    "anthropic": AnthropicFace(),
    "openai-responses": OpenAIResponsesFace(),
    "gemini": GeminiFace(),
}
USER: Json = {"role": "user", "content": "Hi"}
USUAL: dict[str, Json] = {
    "openai-chat": {"messages": [USER]},
    "anthropic": {"messages": [USER], "max_tokens": 9_000},
    "openai-responses": {"input": "Hi"},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}
OFF, ON = {"thinking": {"type": "disabled"}}, {"thinking": {"type": "enabled"}}
WORDS = ["none", "minimal", "low", "medium", "high", "max"]


def traits_of(target: str, *, drop: bool = False) -> Traits:
    provider, _, model = target.partition("/")
    row, kind = catalogue().get(provider), family(provider, model)
    return Traits(
        model=model,
        output_cap=kind.output_cap,
        thinking=kind.thinking,
        efforts=kind.efforts,
        quirks=quirks_for(row, kind) if row else kind.quirks,
        drop_unsupported=drop,
        listed=row is not None,
        refuses=(row.refuses if row else frozenset()) | kind.refuses,
        refuses_thinking=kind.refuses_thinking,
        tools=kind.tools,
        vision=kind.vision,
    )


def call_of(face: str, body: bytes) -> Call:
    fields = split(body)
    head = FACES[face].read_head(fields)
    return Call(
        "r",
        face,
        head.model,
        body,
        deadline_at=1.0,
        fields=fields,
        understand=FACES[face].decode_chat,
        max_tokens=head.max_tokens,
    )


def sent(
    target: str, members: Json, face: str = "openai-chat", *, drop: bool = False
) -> tuple[Json, list[str]]:
    """The members that a target is sent, without `model`, and what was left out."""
    usual = USUAL[face]
    body = {"model": "m", **usual, **members}
    call = call_of(face, json.dumps(body).encode())
    fields = dict(call.fields)
    mender = menders_of([face], traits_of(target, drop=drop)).get(face)
    dropped = list(mender.mend(call, fields)) if mender else []
    found: Json = json.loads(join(fields))
    del found["model"]
    for name, value in usual.items():
        if name not in members and found.get(name) == value:
            del found[name]
    return found, dropped


@pytest.mark.parametrize(
    ("target", "came", "goes"),
    [
        # https://api-docs.deepseek.com/guides/thinking_mode
        ("deepseek/deepseek-v4-pro", {"reasoning_effort": "none"}, OFF),
        ("deepseek/deepseek-v4-pro", {"reasoning_effort": "max"},
         {**ON, "reasoning_effort": "max"}),
        # https://www.alibabacloud.com/help/en/model-studio/deep-thinking
        ("alibaba/qwen3-max", {"reasoning_effort": "none"}, {"enable_thinking": False}),
        ("alibaba/qwen3-max", OFF, {"enable_thinking": False}),
        # https://platform.kimi.ai/docs/guide/use-thinking-effort
        ("moonshot/kimi-k2.6", {"reasoning_effort": "none"}, OFF),
        # https://docs.z.ai/guides/capabilities/thinking-mode
        ("zai/glm-4.7", {"reasoning_effort": "none"}, OFF),
        # https://docs.x.ai/developers/model-capabilities/text/reasoning
        ("xai/grok-4.3", {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}),
        # https://docs.mistral.ai/capabilities/reasoning/adjustable
        ("mistral/mistral-small-2603", {"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
        ("mistral/mistral-small-2603", OFF, {"reasoning_effort": "none"}),
        # https://developers.openai.com/api/docs/guides/reasoning
        ("openai/gpt-5.1", {"reasoning": {"effort": "minimal"}}, {"reasoning_effort": "low"}),
        ("openai/gpt-5", {"max_tokens": 5}, {"max_completion_tokens": 5}),
        ("openai/gpt-5", {"max_tokens": 5, "max_completion_tokens": 6},
         {"max_completion_tokens": 6}),
        # https://docs.mistral.ai/api
        ("mistral/mistral-large-latest", {"max_completion_tokens": 5, "seed": 7, "stop": "x"},
         {"max_tokens": 5, "random_seed": 7, "stop": "x"}),
        ("mistral/mistral-large-latest", {"stream_options": {"include_usage": True}}, {}),
        # What cannot be read is the provider's to judge, alone.
        ("mistral/mistral-large-latest", {"max_completion_tokens": 5, "reasoning_effort": 3},
         {"max_tokens": 5, "reasoning_effort": 3}),
        # https://docs.vllm.ai/en/stable/features/reasoning_outputs/
        ("vllm/Qwen/Qwen3-8B", {"reasoning_effort": "none"},
         {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}),
    ],
)  # fmt: skip
def test_a_member_goes_out_as_the_target_takes_it(target: str, came: Json, goes: Json) -> None:
    assert sent(target, came) == (goes, [])


@pytest.mark.parametrize(
    ("target", "came", "left"),
    [
        ("mistral/magistral-medium-latest", {"reasoning_effort": "none"}, {}),
        ("openai/gpt-4.1", {"reasoning_effort": "high", "top_p": 0.5}, {"top_p": 0.5}),
        ("xai/grok-4", {"reasoning_effort": "high"}, {}),
        ("openai/gpt-5", {"reasoning_effort": "none"}, {"reasoning_effort": "minimal"}),
    ],
)
def test_a_wish_that_cannot_be_met_is_named(target: str, came: Json, left: Json) -> None:
    assert sent(target, came) == (left, ["reasoning_effort"])


CHATS = [row[0] for row in TABLE if "openai-chat" in catalogue()[row[0].partition("/")[0]].dialects]


@pytest.mark.parametrize("target", CHATS)
def test_a_verbatim_wish_is_what_a_crossing_writes(target: str) -> None:
    traits = traits_of(target)
    for word in WORDS:
        ask = ASKS[word] if word == "none" else ThinkingAsk(effort=word)  # type: ignore[arg-type]
        chat = Chat(model="m", messages=(Message("user", (TextPart("Hi"),)),), thinking=ask)
        omissions = Omissions("openai-chat", {}, drop_unsupported=False)
        crossed = SPOKEN["openai-chat"].encode_chat(accepted(chat, traits, omissions), traits)
        want = json.loads(crossed.body)
        for name in ("messages", "reasoning_split"):
            want.pop(name, None)
        got, dropped = sent(target, {"reasoning_effort": word})
        got.setdefault("model", traits.model)
        assert (got, dropped) == (want | {"model": got["model"]}, list(crossed.dropped)), word


@pytest.mark.parametrize(
    ("target", "members"),
    [
        # in the target's own words, with members that we have none for
        ("zai/glm-4.7", {"thinking": {"type": "enabled", "clear_thinking": False}}),
        ("moonshot/kimi-k2.6", {"thinking": {"type": "enabled", "keep": "all"}}),
        ("deepseek/deepseek-v4-pro", {**ON, "reasoning_effort": "medium"}),
        ("alibaba/qwen3-max", {"enable_thinking": True, "reasoning_effort": "low"}),
        ("openrouter/openai/gpt-5", {"reasoning": {"effort": "low", "exclude": True}}),
        # what it takes, as it was written
        ("openai/gpt-5", {"reasoning_effort": "low", "max_completion_tokens": 5}),
        ("mistral/mistral-large-latest", {"max_tokens": 5, "safe_prompt": True}),
        ("groq/qwen/qwen3-32b", {"reasoning_effort": "default"}),  # a word of its own
        ("openai/gpt-5", {"reasoning_effort": "odd"}),  # the provider's to judge
        ("openai/o1-mini", {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        ("moonshot/kimi-k2.6", {"tool_choice": {"type": "custom", "custom": {"name": "x"}}}),
        # nobody has said what it takes
        ("backup/qwen3-32b", {"reasoning_effort": "high", "max_completion_tokens": 5, "seed": 1}),
        ("backup/own", {"messages": [{"role": "developer", "content": "Be brief."}, USER]}),
    ],
)
def test_what_the_target_takes_stays_as_it_came(target: str, members: Json) -> None:
    assert sent(target, members) == (members, [])


def test_values_that_say_the_same_keep_their_bytes() -> None:
    body = (
        b'{"model":"m","messages":[ {"role":"user","content":"caf\\u00e9"} ],'
        b'"reasoning_effort":"l\\u006fw","max_tokens":50,"x":[1e1]}'
    )
    call = call_of("openai-chat", body)
    fields = dict(call.fields)
    menders_of(["openai-chat"], traits_of("openai/gpt-5"))["openai-chat"].mend(call, fields)
    assert {n: bytes(raw) for n, raw in fields.items()} == {
        "model": b'"m"',
        "messages": b'[ {"role":"user","content":"caf\\u00e9"} ]',
        "reasoning_effort": b'"l\\u006fw"',
        "x": b"[1e1]",
        "max_completion_tokens": b"50",
    }


def test_a_forced_tool_that_cannot_be_forced_is_the_providers_to_judge_or_dropped() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    forced = {"tools": tools, "tool_choice": "required"}
    assert sent("moonshot/kimi-k2.6", forced) == (forced, [])
    assert sent("moonshot/kimi-k2.6", forced, drop=True) == ({"tools": tools}, ["tool_choice"])
    auto = {"tools": tools, "tool_choice": "auto"}
    assert sent("moonshot/kimi-k2.6", auto) == (auto, [])


LOOP: list[Json] = [
    {"role": "developer", "content": [{"type": "text", "text": "a"}], "x": 1.50},
    USER,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_abcdefghij_1", "type": "function", "odd": 1,
             "function": {"name": "f", "arguments": "{}"}},
        ],
    },
    {"role": "tool", "tool_call_id": "call_abcdefghij_1", "content": "\"developer\""},
]  # fmt: skip


def test_what_a_target_refuses() -> None:
    """A hint is left out, what changes the answer only where the route drops such fields."""
    mistral = {"user": "u", "verbosity": "low", "logprobs": True, "metadata": {"a": "b"}}
    assert sent("mistral/mistral-large-latest", mistral) == (
        {"logprobs": True, "metadata": {"a": "b"}},
        ["user", "verbosity"],
    )
    cool = {"temperature": 0.2, "stop": ["x"], "seed": 1}
    assert sent("openai/gpt-5", cool) == (cool, [])
    assert sent("openai/gpt-5", cool, drop=True) == ({"seed": 1}, ["stop", "temperature"])
    assert sent("openai/gpt-5.1", cool, drop=True) == (cool, [])
    thoughtful = {"temperature": 0.2, "reasoning_effort": "low"}
    assert sent("openai/gpt-5.1", thoughtful, drop=True) == (
        {"reasoning_effort": "low"},
        ["temperature"],
    )
    assert sent("backup/gpt-5", cool, drop=True) == (cool, [])


def test_roles_and_ids_in_the_turns() -> None:
    """Nine letters and digits, and no `developer`: https://docs.mistral.ai/api."""
    body, dropped = sent("mistral/mistral-large-latest", {"messages": LOOP})
    first, user, called, result = body["messages"]
    assert (first, user, dropped) == ({**LOOP[0], "role": "system"}, USER, [])
    (call,) = called["tool_calls"]
    assert call.pop("id") == result["tool_call_id"] == short_id("call_abcdefghij_1")
    assert call == {k: v for k, v in LOOP[2]["tool_calls"][0].items() if k != "id"}
    assert sent("openai/gpt-5", {"messages": LOOP}) == ({"messages": LOOP}, [])
    assert sent("backup/m", {"messages": LOOP}) == ({"messages": LOOP}, [])


def test_turns_that_are_none_are_the_providers_to_judge() -> None:
    for odd in ([1, "developer"], [{"role": "developer", "tool_calls": [7]}, "tool_calls"]):
        got, _ = sent("mistral/mistral-large-latest", {"messages": odd})
        assert got["messages"] == odd


def test_text_in_parts_becomes_one_string_where_that_is_wanted() -> None:
    """https://docs.morphllm.com: content is a string."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    body, _ = sent("morph/morph-v3-large", {"messages": [{"role": "user", "content": parts}]})
    assert body["messages"] == [{"role": "user", "content": "a\nb"}]


def test_a_tool_loop_of_another_is_not_to_be_thought_about() -> None:
    """Without the thinking before, DeepSeek answers 400 unless it is not to think."""
    loop = LOOP[1:]
    assert sent("deepseek/deepseek-v4-pro", {"messages": loop}) == (
        {"messages": loop, **OFF},
        ["reasoning_effort"],
    )
    own = [USER, {**LOOP[2], "reasoning_content": "Hm."}, LOOP[3]]
    assert sent("deepseek/deepseek-v4-pro", {"messages": own}) == ({"messages": own}, [])
    asked = {"messages": loop, **ON}
    assert sent("deepseek/deepseek-v4-pro", asked) == (asked, [])


BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 5_000}}
ADAPTIVE = {"thinking": {"type": "adaptive"}}


def word(effort: str) -> Json:
    return {"output_config": {"effort": effort}}


@pytest.mark.parametrize(
    ("target", "came", "goes", "named"),
    [
        # https://platform.claude.com/docs/en/about-claude/models/migration-guide
        ("claude-opus-5", BUDGET, {**ADAPTIVE, "output_config": {"effort": "medium"}}, []),
        ("claude-opus-5",
         {"thinking": {**BUDGET["thinking"], "display": "summarized"}, "output_config": {"x": 1}},
         {"thinking": {"type": "adaptive", "display": "summarized"},
          "output_config": {"x": 1, "effort": "medium"}}, []),
        ("claude-opus-5", {**BUDGET, "output_config": {"effort": "low"}},
         {**ADAPTIVE, "output_config": {"effort": "low"}}, []),
        ("claude-opus-5", {"temperature": 1, "top_p": 1.0}, {}, []),
        ("claude-opus-5", OFF, OFF, []),
        ("claude-opus-5", ADAPTIVE, ADAPTIVE, []),
        ("claude-opus-5-5", OFF, {}, ["thinking"]),
        ("claude-sonnet-4-6", BUDGET, BUDGET, []),
        ("claude-sonnet-4-5", {**BUDGET, "temperature": 1}, {**BUDGET, "temperature": 1}, []),
        ("claude-sonnet-4-5", {**ADAPTIVE, "output_config": {"effort": "low"}},
         {"thinking": {"type": "enabled", "budget_tokens": 2_048}}, []),
        ("claude-3-5-haiku-20241022", BUDGET, {}, ["thinking"]),
        ("claude-sonnet-4-5", {"thinking": {"type": "later"}}, {"thinking": {"type": "later"}}, []),
        ("claude-opus-5", {"thinking": 3}, {"thinking": 3}, []),
        # https://platform.claude.com/docs/en/build-with-claude/effort
        ("claude-opus-4-6", word("xhigh"), word("high"), []),
        ("claude-opus-4-6", word("max"), word("max"), []),
        ("claude-sonnet-4-6", {"output_config": {"x": 1, "effort": "max"}},
         {"output_config": {"x": 1, "effort": "high"}}, []),
        ("claude-opus-4-5", word("xhigh"), word("high"), []),
        ("claude-opus-4-5", word("low"), word("low"), []),
        ("claude-opus-5", word("xhigh"), word("xhigh"), []),
        ("claude-opus-5", word("later"), word("later"), []),
        ("claude-sonnet-4-5", {**BUDGET, **word("xhigh")}, BUDGET, ["output_config.effort"]),
        ("claude-3-5-haiku-20241022", word("low"), {}, ["thinking"]),
    ],
)  # fmt: skip
def test_a_generation_of_claude(target: str, came: Json, goes: Json, named: list[str]) -> None:
    assert sent(f"anthropic/{target}", came, "anthropic") == (goes, named)


def test_an_effort_alone_is_a_budget_where_it_is_no_word() -> None:
    target, asked = "anthropic/claude-sonnet-4-5", {**word("xhigh"), "max_tokens": 64_000}
    thought = {"thinking": {"type": "enabled", "budget_tokens": 32_000}, "max_tokens": 64_000}
    assert sent(target, asked, "anthropic") == (thought, [])
    cool = {"temperature": 0.2, "max_tokens": 64_000}  # refused beside thinking
    assert sent(target, {**word("xhigh"), **cool}, "anthropic") == (cool, ["thinking"])


def test_sampling_that_a_generation_refuses() -> None:
    cool = {"temperature": 0.2}
    assert sent("anthropic/claude-opus-5", cool, "anthropic") == (cool, [])
    assert sent("anthropic/claude-opus-5", {"temperature": 0.2}, "anthropic", drop=True) == (
        {},
        ["temperature"],
    )
    kept = {"temperature": 0.2, **BUDGET}
    assert sent("deepseek/deepseek-v4-pro", kept, "anthropic") == (kept, [])


def effort(word: Any, **more: Any) -> Json:
    return {"reasoning": {"effort": word, **more}}


@pytest.mark.parametrize(
    ("target", "came", "goes", "named"),
    [
        # https://developers.openai.com/api/docs/guides/reasoning
        ("openai/gpt-5", effort("none", summary="auto"), effort("minimal", summary="auto"),
         ["reasoning.effort"]),
        ("azure-openai/gpt-5-mini", effort("none"), effort("minimal"), ["reasoning.effort"]),
        ("openai/gpt-5", effort("xhigh"), effort("high"), []),
        ("openai/gpt-5", effort("minimal"), effort("minimal"), []),
        ("openai/gpt-5.1", effort("minimal"), effort("low"), []),
        ("openai/gpt-5.1", effort("none"), effort("none"), []),
        ("openai/gpt-5-pro", effort("low"), effort("high"), []),
        ("openai/o3", effort("max"), effort("high"), []),
        ("openai/gpt-4.1", effort("high", summary="auto"), {}, ["reasoning.effort"]),
        # What cannot be read is the provider's to judge, alone.
        ("openai/gpt-5", effort("some"), effort("some"), []),
        ("openai/gpt-5", effort(3), effort(3), []),
        ("openai/gpt-5", effort(None), effort(None), []),
        ("openai/gpt-5", {"reasoning": None}, {"reasoning": None}, []),
        ("openai/gpt-5", {"temperature": 0.5}, {"temperature": 0.5}, []),
        ("own/gpt-5", effort("none"), effort("none"), []),
    ],
)  # fmt: skip
def test_an_effort_that_the_model_lacks(
    target: str, came: Json, goes: Json, named: list[str]
) -> None:
    assert sent(target, came, "openai-responses") == (goes, named)


def test_sampling_beside_effort() -> None:
    cool: Json = {"temperature": 0.2, "max_output_tokens": 50}
    left: Json = {"max_output_tokens": 50}
    for target, came, goes, named in (
        ("openai/gpt-5", cool, left, ["temperature"]),
        ("openai/gpt-5.1", cool, cool, []),
        ("openai/gpt-5.1", {**cool, **effort("none")}, {**cool, **effort("none")}, []),
        ("openai/gpt-5.1", {**cool, **effort("low")}, {**left, **effort("low")}, ["temperature"]),
    ):
        assert sent(target, came, "openai-responses", drop=True) == (goes, named)


def thinking(**members: Any) -> Json:
    return {"generationConfig": {"temperature": 1, "thinkingConfig": members}}


SNAKE: Json = {"generation_config": {"top_p": 1, "thinking_config": {"thinking_budget": 100}}}


@pytest.mark.parametrize(
    ("model", "came", "goes", "named"),
    [
        # https://ai.google.dev/gemini-api/docs/thinking
        ("gemini-2.5-flash", thinking(thinkingLevel="HIGH", includeThoughts=True),
         thinking(thinkingBudget=24_576, includeThoughts=True), []),
        ("gemini-2.5-flash-lite", thinking(thinkingLevel="minimal"), thinking(thinkingBudget=512),
         []),
        ("gemini-2.5-pro", thinking(thinkingBudget=500), thinking(thinkingBudget=500), []),
        ("gemini-3-pro-preview", thinking(thinkingBudget=500, includeThoughts=False),
         thinking(thinkingLevel="low", includeThoughts=False), []),
        ("gemini-3-pro-preview", thinking(thinkingBudget=0), thinking(thinkingLevel="low"),
         ["generationConfig.thinkingConfig"]),
        ("gemini-3-pro-preview", thinking(thinkingBudget=-1), thinking(thinkingBudget=-1), []),
        ("gemini-3-pro-preview", thinking(thinkingLevel="LATER"), thinking(thinkingLevel="LATER"),
         []),
        ("gemini-3-pro-preview", SNAKE,
         {"generation_config": {"topP": 1, "thinkingConfig": {"thinkingLevel": "low"}}}, []),
        ("gemini-3-pro-preview", thinking(thinkingLevel="low", thinkingBudget=9_000),
         thinking(thinkingLevel="low"), ["generationConfig.thinkingConfig.thinkingBudget"]),
        ("gemini-2.5-flash", thinking(thinkingLevel="low", thinkingBudget=9_000),
         thinking(thinkingBudget=9_000), ["generationConfig.thinkingConfig.thinkingLevel"]),
        ("gemini-2.5-flash", thinking(thinkingLevel="LATER"), thinking(thinkingLevel="LATER"), []),
        ("gemini-3-pro-preview", thinking(thinkingLevel="medium"), thinking(thinkingLevel="high"),
         []),
        ("gemini-3-pro-preview", thinking(thinkingLevel="MINIMAL", includeThoughts=True),
         thinking(thinkingLevel="low", includeThoughts=True), []),
        ("gemini-3-pro-preview", thinking(thinkingLevel="HIGH"), thinking(thinkingLevel="HIGH"),
         []),
        ("gemini-3-flash-preview", thinking(thinkingLevel="MINIMAL"),
         thinking(thinkingLevel="MINIMAL"), []),
        ("gemini-2.5-flash", {"generationConfig": {"thinkingConfig": 3}},
         {"generationConfig": {"thinkingConfig": 3}}, []),
        ("gemini-2.5-flash", {"generationConfig": None}, {"generationConfig": None}, []),
    ],
)  # fmt: skip
def test_a_generation_of_gemini(model: str, came: Json, goes: Json, named: list[str]) -> None:
    assert sent(f"gemini/{model}", came, "gemini") == (goes, named)


def test_what_no_thinking_is_about_keeps_its_bytes() -> None:
    body = b'{"contents":[{"parts":[{"text":"thinking"}]}],"generationConfig":{ "topK": 1 }}'
    call = call_of("gemini", body)
    fields = dict(call.fields)
    assert (
        menders_of(["gemini"], traits_of("gemini/gemini-3-flash"))["gemini"].mend(call, fields)
        == ()
    )
    assert fields == call.fields


def test_nothing_is_made_where_nothing_is_known() -> None:
    assert not menders_of(FACES, Traits(model="own"))


def test_a_request_without_such_members_is_not_touched() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true,"stop":"x"}'
    for target in CHATS:
        call = call_of("openai-chat", body)
        mender = menders_of(["openai-chat"], traits_of(target)).get("openai-chat")
        fields = dict(call.fields)
        assert mender is None or mender.mend(call, fields) == ()
        assert fields == call.fields
        assert all(fields[name] is raw for name, raw in call.fields.items())


def test_members_are_those_of_the_wire() -> None:
    """A null counts as absent, as at OpenAI."""
    assert sent("mistral/mistral-large-latest", {"seed": None, "top_p": None}) == (
        {"top_p": None},
        [],
    )
