"""One setting for how much to think, and what each family is sent for it.

The rows are typed from the vendors' pages that stand beside them. A target goes through its
row of the catalogue and its family, in the dialect in which other callers reach it.
"""

from typing import Any

import msgspec
import pytest

from octoplex.assembly.dialects import dialects
from octoplex.catalog.families import family, quirks_for
from octoplex.catalog.provider import catalogue
from octoplex.dialects.accepted import accepted
from octoplex.dialects.dialect import Traits
from octoplex.dialects.effort import LADDER, nearest
from octoplex.dialects.expression import Omissions
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat, Effort, Message, TextPart, ThinkingAsk, ToolCall, ToolResult
from octoplex.wire.event import Thinking, ToolUse

SPOKEN = dialects()
HI = (Message("user", (TextPart("Hi"),)),)
BUDGET = 5_000
ASKS: dict[str, ThinkingAsk] = {
    "none": ThinkingAsk(enabled=False, effort="none"),
    "minimal": ThinkingAsk(effort="minimal"),
    "low": ThinkingAsk(effort="low"),
    "medium": ThinkingAsk(effort="medium"),
    "high": ThinkingAsk(effort="high"),
    "max": ThinkingAsk(effort="max"),
    "budget": ThinkingAsk(enabled=True, budget_tokens=BUDGET),
}
"""As the faces read `reasoning_effort` of OpenAI's, and Anthropic's budget."""


def traits_of(target: str) -> tuple[Traits, str]:
    """What is known of a target, and the dialect that callers of others meet it in."""
    provider, _, model = target.partition("/")
    row, kind = catalogue()[provider], family(provider, model)
    dialect = next(name for name in row.dialects if name in SPOKEN)
    traits = Traits(
        model=model,
        output_cap=kind.output_cap,
        thinking=kind.thinking,
        efforts=kind.efforts,
        quirks=quirks_for(row, kind),
    )
    return traits, dialect


def asked(
    target: str, ask: ThinkingAsk | None, messages: tuple[Message, ...] = HI
) -> tuple[dict[str, Any], list[str]]:
    """The body for an ask, and what was dropped."""
    traits, dialect = traits_of(target)
    chat = Chat(model="m", messages=messages, thinking=ask, max_tokens=60_000)
    omissions = Omissions(dialect, words_of(chat), drop_unsupported=False)
    sent = SPOKEN[dialect].encode_chat(accepted(chat, traits, omissions), traits)
    return msgspec.json.decode(sent.body), [*omissions.names(), *sent.dropped]


def members(target: str, ask: ThinkingAsk) -> Any:
    """What the ask adds to the body; None in it: nothing, and the wish is named as dropped."""
    plain, _ = asked(target, None)
    body, dropped = asked(target, ask)
    said = _difference(body, plain)
    assert dropped in ([], ["reasoning_effort"])
    return (said, "dropped") if dropped else said


def _difference(body: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in body.items() if plain.get(name) != value}
    nested = found.get("generationConfig")
    return (nested and {"thinkingConfig": nested["thinkingConfig"]}) or found


def effort(word: str) -> dict[str, Any]:
    return {"reasoning_effort": word}


def thought(*, on: bool, word: str = "") -> dict[str, Any]:
    return {"thinking": {"type": "enabled" if on else "disabled"}} | (effort(word) if word else {})


def level(word: str) -> dict[str, Any]:
    return {"thinkingConfig": {"thinkingLevel": word, "includeThoughts": True}}


def budget(tokens: int) -> dict[str, Any]:
    return {"thinkingConfig": {"thinkingBudget": tokens, "includeThoughts": True}}


def claude(tokens: int) -> dict[str, Any]:
    return {"thinking": {"type": "enabled", "budget_tokens": tokens}}


def adaptive(word: str) -> dict[str, Any]:
    return {"thinking": {"type": "adaptive"}, "output_config": {"effort": word}}


def qwen(tokens: int | None = None) -> dict[str, Any]:
    return {"enable_thinking": True} | ({} if tokens is None else {"thinking_budget": tokens})


def cohere(tokens: int | None = None) -> dict[str, Any]:
    return {"thinking": {"type": "enabled"} | ({} if tokens is None else {"token_budget": tokens})}


def template(on: bool) -> dict[str, Any]:
    return {"chat_template_kwargs": {"enable_thinking": on, "thinking": on}}


def gone(left: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The wish cannot be met and is named; what is sent all the same."""
    return left, "dropped"


L, M, H, X = "low", "medium", "high", "max"
NOTHING: dict[str, Any] = {}
ALWAYS = [gone(NOTHING)] * 7
"""It always thinks, as much as it likes."""
OFF_ADAPTIVE = {"thinking": {"type": "disabled"}}
CANNOT = [NOTHING, *[gone(NOTHING)] * 6]
"""It never thinks: who wants none has it."""


def switched(off: dict[str, Any], on: dict[str, Any]) -> list[Any]:
    """It can be turned on and off, and how much is lost and named."""
    return [off, *[gone(on)] * 6]


OPENAI = "https://developers.openai.com/api/docs/guides/reasoning"
CLAUDE = "https://platform.claude.com/docs/en/build-with-claude/extended-thinking"
GOOGLE = "https://ai.google.dev/gemini-api/docs/thinking"
DEEPSEEK = "https://api-docs.deepseek.com/guides/thinking_mode"
XAI = "https://docs.x.ai/developers/model-capabilities/text/reasoning"
KIMI = "https://platform.kimi.ai/docs/guide/use-thinking-effort"
ZAI = "https://docs.z.ai/guides/capabilities/thinking-mode"
QWEN = "https://www.alibabacloud.com/help/en/model-studio/deep-thinking"
MISTRAL = "https://docs.mistral.ai/capabilities/reasoning/adjustable"
MINIMAX = "https://platform.minimax.io/docs/api-reference/text-anthropic-api"
TOGETHER = "https://docs.together.ai/docs/inference/chat/reasoning"
VLLM = "https://docs.vllm.ai/en/stable/features/reasoning_outputs/"

TABLE: list[tuple[str, str, list[Any]]] = [
    # target, page, what is sent for: none, minimal, low, medium, high, max, a budget of 5,000
    ("openai/gpt-4.1", OPENAI, CANNOT),
    ("openai/gpt-5", OPENAI,
     [gone(effort("minimal")), *map(effort, ["minimal", L, M, H, H, M])]),
    ("openai/gpt-5.1", OPENAI, [*map(effort, ["none", L, L, M, H, H, M])]),
    ("openai/gpt-5.4", OPENAI, [*map(effort, ["none", L, L, M, H, "xhigh", M])]),
    ("openai/gpt-5.6", OPENAI, [*map(effort, ["none", L, L, M, H, X, M])]),
    ("openai/o3", OPENAI, [gone(effort(L)), *map(effort, [L, L, M, H, H, M])]),
    ("openai/o1-mini", OPENAI, ALWAYS),
    ("openai/gpt-5-pro", OPENAI, [gone(effort(H)), *map(effort, [H] * 6)]),
    ("anthropic/claude-sonnet-4-5", CLAUDE,
     [NOTHING, *map(claude, [1_024, 2_048, 8_192, 24_576, 30_000, BUDGET])]),
    ("anthropic/claude-opus-5", CLAUDE,
     [OFF_ADAPTIVE, *map(adaptive, [L, L, M, H, X, M])]),
    ("anthropic/claude-opus-5-5", CLAUDE,
     [gone(NOTHING), *map(adaptive, [L, L, M, H, X, M])]),
    ("gemini/gemini-2.5-flash", GOOGLE,
     [{"thinkingConfig": {"thinkingBudget": 0}},
      *map(budget, [128, 1_024, 8_192, 24_576, 24_576, BUDGET])]),
    ("gemini/gemini-2.5-flash-lite", GOOGLE,
     [{"thinkingConfig": {"thinkingBudget": 0}},
      *map(budget, [512, 1_024, 8_192, 24_576, 24_576, BUDGET])]),
    ("gemini/gemini-2.5-pro", GOOGLE,
     [gone({"thinkingConfig": {"thinkingBudget": 128}}),
      *map(budget, [128, 1_024, 8_192, 24_576, 30_000, BUDGET])]),
    ("gemini/gemini-3-pro-preview", GOOGLE,
     [gone({"thinkingConfig": {"thinkingLevel": L}}), *map(level, [L, L, H, H, H, H])]),
    ("gemini/gemini-3-flash-preview", GOOGLE,
     [gone({"thinkingConfig": {"thinkingLevel": "minimal"}}),
      *map(level, ["minimal", L, M, H, H, M])]),
    ("deepseek/deepseek-v4-pro", DEEPSEEK,
     [thought(on=False), *(thought(on=True, word=w) for w in [L, L, H, H, X, H])]),
    # Who wishes otherwise is led to the other name: tests/server/test_by_model.py.
    ("deepseek/deepseek-chat", DEEPSEEK, [NOTHING, *[gone(NOTHING)] * 6]),
    ("deepseek/deepseek-reasoner", DEEPSEEK, ALWAYS),
    ("xai/grok-4", XAI, ALWAYS),
    ("xai/grok-4.3", XAI, [*map(effort, ["none", L, L, M, H, H, M])]),
    ("xai/grok-4.5", XAI, [gone(effort(L)), *map(effort, [L, L, M, H, H, M])]),
    ("xai/grok-3-mini", XAI, [gone(effort(L)), *map(effort, [L, L, H, H, H, H])]),
    ("xai/grok-3", XAI, CANNOT),
    ("moonshot/kimi-k3", KIMI, [gone(effort(L)), *map(effort, [L, L, H, H, X, H])]),
    ("moonshot/kimi-k2.6", KIMI, switched(thought(on=False), thought(on=True))),
    ("moonshot/kimi-k2-thinking", KIMI, ALWAYS),
    ("zai/glm-4.7", ZAI, switched(thought(on=False), thought(on=True))),
    ("zai/glm-5.2", ZAI,
     [thought(on=False), *(thought(on=True, word=w) for w in ["minimal", L, M, H, X, M])]),
    ("zai/glm-5.3", ZAI, [gone(effort(L)), *map(effort, [L, L, H, H, X, H])]),
    ("alibaba/qwen3.7-max", QWEN,
     [{"enable_thinking": False}, *map(qwen, [512, 1_024, 8_192, 24_576, None, BUDGET])]),
    ("alibaba/qwen3-235b-a22b-thinking-2507", QWEN,
     [gone(NOTHING), *({"thinking_budget": n} for n in [512, 1_024, 8_192, 24_576]), NOTHING,
      {"thinking_budget": BUDGET}]),
    ("mistral/mistral-small-2603", MISTRAL, [*map(effort, ["none", H, H, H, H, H, H])]),
    ("mistral/magistral-medium-latest", MISTRAL, ALWAYS),
    ("mistral/mistral-large-latest", MISTRAL, CANNOT),
    ("cohere/command-a-reasoning-08-2025", "https://docs.cohere.com/docs/reasoning",
     [{"thinking": {"type": "disabled"}},
      *map(cohere, [512, 1_024, 8_192, 24_576, None, BUDGET])]),
    ("minimax/MiniMax-M3", MINIMAX, [OFF_ADAPTIVE, *map(adaptive, [L, L, M, H, X, M])]),
    ("groq/openai/gpt-oss-120b", "https://console.groq.com/docs/reasoning",
     [gone(effort(L)), *map(effort, [L, L, M, H, H, M])]),
    ("groq/qwen/qwen3-32b", "https://console.groq.com/docs/reasoning",
     switched(effort("none"), NOTHING)),
    ("together/zai-org/GLM-5", TOGETHER,
     switched({"reasoning": {"enabled": False}}, {"reasoning": {"enabled": True}})),
    ("together/openai/gpt-oss-20b", TOGETHER,
     [gone(effort(L)), *map(effort, [L, L, M, H, H, M])]),
    ("fireworks/accounts/fireworks/models/deepseek-v4-pro",
     "https://docs.fireworks.ai/guides/reasoning",
     [*map(effort, ["none", "minimal", L, M, H, X, M])]),
    ("openrouter/anthropic/claude-sonnet-4.5",
     "https://openrouter.ai/docs/use-cases/reasoning-tokens",
     [{"reasoning": {"enabled": False}},
      *({"reasoning": {"effort": w}} for w in ["minimal", L, M, H, X]),
      {"reasoning": {"max_tokens": BUDGET}}]),
    ("vllm/Qwen/Qwen3-8B", VLLM, switched(template(False), template(True))),
    ("vllm/openai/gpt-oss-20b", VLLM, [gone(effort(L)), *map(effort, [L, L, M, H, H, M])]),
    ("ollama/qwen3:8b", "https://docs.ollama.com/capabilities/thinking",
     switched({"think": False}, {"think": True})),
    ("ollama/gpt-oss:20b", "https://docs.ollama.com/capabilities/thinking",
     [gone({"think": L}), *({"think": w} for w in [L, L, M, H, H, M])]),
]  # fmt: skip


@pytest.mark.parametrize(("target", "page", "row"), TABLE, ids=[row[0] for row in TABLE])
def test_a_setting_is_sent_in_the_familys_own_words(target: str, page: str, row: list[Any]) -> None:
    assert page.startswith("https://")
    assert {name: members(target, ask) for name, ask in ASKS.items()} == dict(
        zip(ASKS, row, strict=True)
    )


@pytest.mark.parametrize("taken", [("low",), ("none", "low", "high", "max"), ("minimal", "xhigh")])
@pytest.mark.parametrize("wish", LADDER)
def test_a_missing_effort_becomes_the_nearest_towards_high(
    wish: Effort, taken: tuple[Effort, ...]
) -> None:
    got = nearest(wish, taken)
    assert got in taken
    assert got != "none"
    ladder = [e for e in LADDER if e in taken]
    if wish in taken:
        assert got == wish
    elif LADDER.index(wish) <= LADDER.index("high"):
        above = [e for e in ladder if LADDER.index(e) > LADDER.index(wish)]
        assert got == (above[0] if above else ladder[-1])
    assert nearest(wish, ()) == wish
    assert nearest("xhigh", ("low", "high", "max")) == "high"
    assert nearest("max", ("low", "xhigh")) == "xhigh"


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("openai/gpt-5.1", effort(M)),
        ("openai/gpt-5", NOTHING),  # it thinks unless told not to
        ("deepseek/deepseek-v4-pro", thought(on=True)),
        ("alibaba/qwen3.7-max", qwen()),
        ("mistral/mistral-small-2603", effort(H)),
        ("gemini/gemini-2.5-flash", budget(-1)),
        ("xai/grok-4", NOTHING),
    ],
)
def test_thinking_is_turned_on_without_saying_how_much(target: str, sent: dict[str, Any]) -> None:
    assert members(target, ThinkingAsk(enabled=True)) == sent


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("anthropic/claude-sonnet-4-5", claude(2_000)),
        ("gemini/gemini-2.5-flash", budget(2_000)),
        ("gemini/gemini-2.5-pro", budget(2_000)),
        ("cohere/command-a-reasoning-08-2025", cohere(2_000)),
    ],
)
def test_what_an_effort_stands_for_leaves_an_answer_room(target: str, sent: dict[str, Any]) -> None:
    """Thinking counts towards the output limit; a budget that was named is the caller's own."""
    traits, dialect = traits_of(target)
    for ask, same in ((ThinkingAsk(effort="high"), True), (ASKS["budget"], False)):
        chat = Chat(model="m", messages=HI, thinking=ask, max_tokens=4_000)
        body = msgspec.json.decode(SPOKEN[dialect].encode_chat(chat, traits).body)
        said = body.get("generationConfig", body)
        assert (sent.items() <= said.items()) == same


def test_responses_are_asked_with_the_same_words() -> None:
    dialect = SPOKEN["openai-responses"]
    for target, wish, sent in (
        ("openai/gpt-5.1", "minimal", {"effort": "low"}),
        ("openai/gpt-5", "none", {"effort": "minimal"}),
        ("xai/grok-4.5", "max", {"effort": "high"}),
    ):
        traits, _ = traits_of(target)
        chat = Chat(model="m", messages=HI, thinking=ASKS[wish])
        body = msgspec.json.decode(dialect.encode_chat(chat, traits).body)
        assert body["reasoning"] == sent


# -- thinking of earlier turns ----------------------------------------------------------------


def turns(*thoughts: str, tools: bool) -> tuple[Message, ...]:
    """A question and its answers, each after its thought ("": none of this provider)."""
    said: list[Message] = list(HI)
    for number, thought_ in enumerate(thoughts):
        parts: list[Any] = [Thinking(thought_)] if thought_ else []
        if tools and number < len(thoughts) - 1:
            parts.append(ToolCall(ToolUse(f"c{number}", "weather", "{}")))
            said.append(Message("assistant", tuple(parts)))
            said.append(Message("user", (ToolResult(f"c{number}", (TextPart("18"),)),)))
        else:
            said.append(Message("assistant", (*parts, TextPart("Mild."))))
            said.append(Message("user", (TextPart("And now?"),)))
    return tuple(said)


def echoed(body: dict[str, Any]) -> list[str | None]:
    said = [m for m in body["messages"] if m["role"] == "assistant"]
    return [m.get("reasoning_content") for m in said]


def test_deepseek_gets_its_thinking_back_once_tools_were_called() -> None:
    """https://api-docs.deepseek.com/guides/thinking_mode#tool-calls"""
    target = "deepseek/deepseek-v4-pro"
    body, dropped = asked(target, None, turns("Paris.", "Done.", tools=True))
    assert (echoed(body), dropped) == (["Paris.", "Done."], [])
    body, dropped = asked(target, None, turns("Paris.", "Done.", tools=False))
    assert (echoed(body), dropped) == ([None, None], ["reasoning_content"])


def test_deepseek_is_not_to_think_where_another_provider_thought_before() -> None:
    """It would answer 400: `reasoning_content` must be passed back in thinking mode."""
    foreign = turns("", "Done.", tools=True)
    for ask in (None, ThinkingAsk(effort="high")):
        body, dropped = asked("deepseek/deepseek-v4-pro", ask, foreign)
        assert body["thinking"] == {"type": "disabled"}
        assert "reasoning_effort" not in body
        assert dropped == ["reasoning_effort"]
    off = ThinkingAsk(enabled=False)
    assert asked("deepseek/deepseek-v4-pro", off, foreign)[1] == []
    body, dropped = asked("moonshot/kimi-k3", None, foreign)
    assert ("thinking" in body, dropped) == (False, [])  # it cannot stop; the verdict is its own


@pytest.mark.parametrize("target", ["zai/glm-4.7", "moonshot/kimi-k2.6"])
def test_others_get_it_back_too(target: str) -> None:
    body, _ = asked(target, None, turns("Paris.", "Done.", tools=True))
    assert echoed(body) == ["Paris.", "Done."]


def test_minimax_gets_its_details_back() -> None:
    traits, _ = traits_of("minimax/MiniMax-M2")
    chat = Chat(model="m", messages=turns("Paris.", "Done.", tools=True))
    body = msgspec.json.decode(SPOKEN["openai-chat"].encode_chat(chat, traits).body)
    said = [m for m in body["messages"] if m["role"] == "assistant"]
    assert [m["reasoning_details"][0]["text"] for m in said] == ["Paris.", "Done."]
    assert body["reasoning_split"] is True


def test_the_anthropic_side_of_deepseek_gets_it_back_too() -> None:
    """Unsigned, as it signs nothing; where a turn lacks it, it is not to think."""
    traits, _ = traits_of("deepseek/deepseek-v4-pro")
    for said, thoughts, wish in (
        (turns("Paris.", "Done.", tools=True), ["Paris.", "Done."], None),
        (turns("", "Done.", tools=True), ["Done."], {"type": "disabled"}),
    ):
        chat = Chat(model="m", messages=said)
        written = SPOKEN["anthropic"].encode_chat(chat, traits)
        body = msgspec.json.decode(written.body)
        blocks = [b for m in body["messages"] for b in m["content"] if isinstance(b, dict)]
        assert [b["thinking"] for b in blocks if b["type"] == "thinking"] == thoughts
        assert body.get("thinking") == wish
        assert written.dropped == (("reasoning_effort",) if wish else ())
