"""How much to think: our `ThinkingAsk` in the form each generation of Claude takes.

A caller of this dialect is taken at its word. For everybody else an effort or a budget
becomes what the model's family knows (`families.py`): adaptive thinking with an effort,
or a budget. Thinking is a hint: where the API would refuse it beside something that
changes the answer (a forced tool, a temperature, a tool loop whose thinking another
provider did), it is thinking that is dropped, and named. Another vendor behind this dialect
may want every turn's thinking back once tools were called, unsigned: `lacks_echo`.

A budget counts towards `max_tokens`. One that we derive from an effort takes at most
half of it, so that an answer is left room; one that the caller named is kept, within
the API's bounds (at least 1,024 and less than `max_tokens`).

Reference: https://platform.claude.com/docs/en/build-with-claude/extended-thinking

Not promised: that the model thinks as much as it may.
"""

from collections.abc import Iterable

from msgspec import Struct

from octoplex.dialects.anthropic.families import Family
from octoplex.dialects.dialect import Traits
from octoplex.dialects.effort import can_stop, effort_of, is_off
from octoplex.dialects.expression import Omissions
from octoplex.dialects.foreign import made_by
from octoplex.wire.chat import Chat, Effort, Message, ThinkingAsk, ToolCall, ToolResult
from octoplex.wire.event import Thinking

Body = dict[str, object]

LEAST_BUDGET = 1_024
_BUDGETS: dict[Effort, int] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 32_768,
}
_LEAST_TOP_P = 0.95
"""Beside thinking the API takes no smaller one."""


class Wanted(Struct, frozen=True):
    """The `thinking` object and `output_config.effort`; None where there is none."""

    thinking: Body | None = None
    effort: str | None = None


NOTHING_WANTED = Wanted()


def write_thinking(chat: Chat, family: Family, max_tokens: int, omissions: Omissions) -> Wanted:
    """Say how much to think, or drop and name what cannot be said."""
    ask = chat.thinking
    if ask is None:
        return NOTHING_WANTED
    if chat.dialect == "anthropic":
        return _literally(ask)
    if is_off(ask):
        return _off(family, omissions)
    if _is_refused_beside(chat) or not (family.adaptive or family.budget):
        omissions.leave_out("thinking")
        return NOTHING_WANTED
    if family.adaptive and not (family.budget and ask.budget_tokens):
        return _adaptive(ask, family)
    return _budget(ask, chat, max_tokens, omissions)


def _literally(ask: ThinkingAsk) -> Wanted:
    if ask.enabled is None:
        return Wanted(effort=ask.effort)
    if not ask.enabled:
        return Wanted({"type": "disabled"}, ask.effort)
    if ask.budget_tokens is None:
        return Wanted({"type": "adaptive"}, ask.effort)
    return Wanted({"type": "enabled", "budget_tokens": ask.budget_tokens}, ask.effort)


def _off(family: Family, omissions: Omissions) -> Wanted:
    if family.adaptive and not family.can_disable:
        omissions.leave_out("thinking")
    return Wanted({"type": "disabled"}) if family.can_disable else NOTHING_WANTED


def _adaptive(ask: ThinkingAsk, family: Family) -> Wanted:
    effort = ask.effort
    if effort is None and ask.budget_tokens is not None:
        effort = effort_of(ask.budget_tokens)
    return Wanted({"type": "adaptive"}, family.efforts[effort] if effort else None)


def _budget(ask: ThinkingAsk, chat: Chat, max_tokens: int, omissions: Omissions) -> Wanted:
    if ask.budget_tokens is not None:
        budget = min(max(ask.budget_tokens, LEAST_BUDGET), max_tokens - 1)
    else:
        budget = min(_BUDGETS[ask.effort or "medium"], max_tokens // 2)
    if budget < LEAST_BUDGET or _loop_lacks_thinking(chat.messages):
        omissions.leave_out("thinking")
        return NOTHING_WANTED
    return Wanted({"type": "enabled", "budget_tokens": budget})


def _is_refused_beside(chat: Chat) -> bool:
    """Whether the API refuses thinking beside another field of this request."""
    forced = chat.tool_choice is not None and chat.tool_choice.mode in ("any", "named")
    narrow = chat.top_p is not None and chat.top_p < _LEAST_TOP_P
    return forced or narrow or chat.temperature not in (None, 1) or chat.top_k is not None


def _loop_lacks_thinking(messages: tuple[Message, ...]) -> bool:
    """Whether the turn that waits for its tool results began without signed thinking."""
    if not messages or not any(isinstance(p, ToolResult) for p in messages[-1].parts):
        return False
    for message in reversed(messages):
        if message.role == "assistant":
            thought = any(isinstance(p, Thinking) and is_signed(p) for p in message.parts)
            return any(isinstance(p, ToolCall) for p in message.parts) and not thought
    return False


def lacks_echo(messages: Iterable[Message], traits: Traits) -> bool:
    """Whether thinking is refused, since tools were called and not all of it comes back."""
    if not wants_echo(traits):
        return False
    said = [m.parts for m in messages if m.role == "assistant"]
    thought = [any(isinstance(p, Thinking) and is_echo(p) for p in parts) for parts in said]
    return any(isinstance(p, ToolCall) for parts in said for p in parts) and not all(thought)


def wants_echo(traits: Traits) -> bool:
    """Whether the vendor demands thinking back in a tool loop, and the model can do without."""
    strict = "echo_tool_reasoning" in traits.quirks and traits.thinking != "none"
    return strict and can_stop(traits)


def is_echo(thinking: Thinking) -> bool:
    """Whether a vendor that wants thinking back takes this: it has a text, and is not pinned."""
    return bool(thinking.text) and made_by(thinking) in ("", "anthropic")


def is_signed(thinking: Thinking) -> bool:
    """Whether Anthropic will take the thinking back."""
    return made_by(thinking) == "anthropic"
