"""How much to think: our `ThinkingAsk` in the form each provider of the dialect takes.

Who serves this dialect agrees on nothing but `reasoning_effort`, and not on its words. The
provider's quirk says how thinking is turned on and off, the family (`traits.thinking`,
`traits.efforts`) whether it can be, and which efforts there are:

    quirk                turned on and off by                   how much
    (none)               reasoning_effort "none"                reasoning_effort
    thinking_object      thinking {type: enabled | disabled}    reasoning_effort
    thinking_adaptive    thinking {type: adaptive | disabled}   -
    reasoning_switch     reasoning {enabled}                    reasoning_effort
    thinking_template    chat_template_kwargs                   reasoning_effort
    enable_thinking      enable_thinking                        thinking_budget
    reasoning_object     reasoning {enabled}                    in it: effort or max_tokens
    thinking_by_model    the model's name                       -

A switch is not sent to a family that cannot be switched, an effort only to one that is
known to take some, or where there is no switch. Thinking is a hint: what cannot be said is
dropped and named.

Reference: https://api-docs.deepseek.com/guides/thinking_mode,
https://docs.together.ai/docs/inference/chat/reasoning,
https://docs.vllm.ai/en/stable/features/reasoning_outputs/,
https://www.alibabacloud.com/help/en/model-studio/deep-thinking and
https://openrouter.ai/docs/use-cases/reasoning-tokens

Not promised: that a server which does not know a member reads over it.
"""

from collections.abc import Callable, Iterable

from octoplex.dialects.dialect import Traits
from octoplex.dialects.effort import can_stop, effort_word, is_off, says_amount
from octoplex.dialects.expression import Omissions
from octoplex.wire.chat import Chat, Effort, Message, ThinkingAsk, ToolCall
from octoplex.wire.event import Thinking

Body = dict[str, object]

_SWITCHES: dict[str, Callable[[bool], Body]] = {
    "thinking_object": lambda on: {"thinking": {"type": "enabled" if on else "disabled"}},
    "thinking_adaptive": lambda on: {"thinking": {"type": "adaptive" if on else "disabled"}},
    "reasoning_switch": lambda on: {"reasoning": {"enabled": on}},
    # Templates of Qwen and GLM know the first name, those of DeepSeek, Kimi and Granite the other.
    "thinking_template": lambda on: {
        "chat_template_kwargs": {"enable_thinking": on, "thinking": on}
    },
    "enable_thinking": lambda on: {"enable_thinking": on},
}
_BUDGETS: dict[Effort, int] = {"minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}
"""What an effort may think where there is a budget; above them as much as it likes."""
BY_MODEL = {True: "deepseek-reasoner", False: "deepseek-chat"}
"""DeepSeek's names before V4: the same model, thinking and not. Who asks has chosen between them
(`upstreams/by_model.py`)."""


def put_thinking(body: Body, chat: Chat, traits: Traits, omissions: Omissions) -> None:
    """Ask for thinking in the provider's way. Off means no field where no field means off."""
    ask = _wanted(chat, traits, omissions)
    if ask is None:
        return
    quirks, on = traits.quirks, not is_off(ask)
    if "thinking_by_model" in quirks:
        _name_by_model(ask, traits, omissions)
        return
    if "reasoning_object" in quirks:
        body["reasoning"] = _reasoning_object(ask, on)
        return
    switch = next((write for quirk, write in _SWITCHES.items() if quirk in quirks), None)
    if switch is not None and can_stop(traits):
        body |= switch(on)
    if "enable_thinking" in quirks:
        _put_budget(body, ask, traits, omissions)
    elif switch is None or not can_stop(traits) or _says_how_much(ask, traits):
        effort = effort_word(ask, traits, omissions)
        if effort is not None:
            body["reasoning_effort"] = effort
    elif says_amount(ask):
        omissions.leave_out("thinking.amount")


def _name_by_model(ask: ThinkingAsk, traits: Traits, omissions: Omissions) -> None:
    if traits.model != BY_MODEL[not is_off(ask)]:
        omissions.leave_out("thinking")
    elif says_amount(ask):
        omissions.leave_out("thinking.amount")


def _wanted(chat: Chat, traits: Traits, omissions: Omissions) -> ThinkingAsk | None:
    """What the caller wants, but none where the provider would miss the thinking before.

    Once tools were called, some demand every turn's thinking back and answer 400 without it,
    as long as they are to think (`echo_tool_reasoning`). Another provider's turns have none.
    """
    ask = chat.thinking
    strict = "echo_tool_reasoning" in traits.quirks and traits.thinking != "none"
    if not (strict and can_stop(traits) and lacks_thinking(chat.messages)):
        return ask
    if ask is None or not is_off(ask):
        omissions.leave_out("thinking")
    return ThinkingAsk(enabled=False)


def _says_how_much(ask: ThinkingAsk, traits: Traits) -> bool:
    """Whether an effort belongs beside a switch."""
    if not says_amount(ask):
        return False
    named = "thinking_object" in traits.quirks and traits.thinking is None
    return bool(traits.efforts) or named


def _put_budget(body: Body, ask: ThinkingAsk, traits: Traits, omissions: Omissions) -> None:
    if is_off(ask):
        if not can_stop(traits):
            omissions.leave_out("thinking")
        return
    budget = ask.budget_tokens
    if budget is None and ask.effort is not None:
        budget = _BUDGETS.get(ask.effort)
    if budget is not None:
        body["thinking_budget"] = budget


def _reasoning_object(ask: ThinkingAsk, on: bool) -> Body:
    if not on:
        return {"enabled": False}
    if ask.effort is not None:
        return {"effort": ask.effort}
    if ask.budget_tokens is not None:
        return {"max_tokens": ask.budget_tokens}
    return {"enabled": True}


def lacks_thinking(messages: Iterable[Message]) -> bool:
    """Whether tools were called, and a turn of the assistant comes without its thinking."""
    turns = [m.parts for m in messages if m.role == "assistant"]
    called = any(isinstance(p, ToolCall) for parts in turns for p in parts)
    thought = [any(isinstance(p, Thinking) and p.text for p in parts) for parts in turns]
    return called and not all(thought)
