"""How much to think: our `ThinkingAsk` as `thinkingConfig`, in the family's own way.

A caller of this dialect is taken at its word. For everybody else an effort or a budget
becomes a budget within the family's bounds, or a level; thoughts are asked for, because a
caller that asks to think wants to see them. A model that cannot stop thinking thinks as
little as it can, and the wish is named as dropped.

Reference: https://ai.google.dev/gemini-api/docs/thinking

Not promised: that the model thinks as much as it may.
"""

from octoplex.dialects.effort import effort_of, is_off
from octoplex.dialects.expression import Omissions
from octoplex.dialects.gemini.families import Family
from octoplex.dialects.gemini.shapes import Body
from octoplex.dialects.gemini.signatures import NAME
from octoplex.wire.chat import Chat, Effort, ThinkingAsk

DYNAMIC = -1
_BUDGETS: dict[Effort, int] = {
    "minimal": 128,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 32_768,
}


def write_thinking(chat: Chat, family: Family, omissions: Omissions) -> Body | None:
    """The `thinkingConfig`, or None: then the model does as it does."""
    ask = chat.thinking
    if ask is None:
        return None
    if family.style == "none":
        if not is_off(ask):
            omissions.leave_out("thinking")
        return None
    config: Body = {}
    if is_off(ask):
        if not family.can_disable:
            omissions.leave_out("thinking")
        if family.style == "level":
            config["thinkingLevel"] = family.levels["none"]
        else:
            config["thinkingBudget"] = 0 if family.can_disable else family.least
        return config
    if family.style == "level":
        _put_level(config, ask, family)
    else:
        config["thinkingBudget"] = _budget(ask, chat, family)
    if ask.enabled or chat.dialect != NAME:
        config["includeThoughts"] = True
    return config


def _put_level(config: Body, ask: ThinkingAsk, family: Family) -> None:
    if ask.effort is not None:
        config["thinkingLevel"] = family.levels[ask.effort]
    elif ask.budget_tokens is not None:
        config["thinkingLevel"] = family.levels[effort_of(ask.budget_tokens)]


def _budget(ask: ThinkingAsk, chat: Chat, family: Family) -> int:
    budget, most = ask.budget_tokens, family.most
    if budget is not None and chat.dialect == NAME:
        return budget
    if budget is None and ask.effort is not None:
        budget = _BUDGETS[ask.effort]
        if chat.max_tokens is not None:  # it counts towards the limit: leave an answer room
            most = min(most, chat.max_tokens // 2)
    if budget is None:
        return DYNAMIC
    return max(min(budget, most), family.least)
