"""How much to think, in the words that a family takes.

Callers name an effort, or a budget in tokens. A family takes some of the efforts
(`efforts` in `catalog/families.toml`), any of them when nobody knows. One that it lacks
becomes the nearest towards "high", which is how vendors read such words themselves:
DeepSeek takes minimal as low, medium and xhigh as high. "none" stands for nothing but
itself: a family that takes it can be asked not to think at all. Where thinking is only on or
off, or always on, how much of it is wished is lost, and named: `thinking.amount`.

Reference: https://developers.openai.com/api/docs/guides/reasoning and
https://api-docs.deepseek.com/guides/thinking_mode

Not promised: that a model thinks as much as it may.
"""

from collections.abc import Collection

from octoplex.dialects.dialect import Traits
from octoplex.dialects.expression import Omissions
from octoplex.wire.chat import Effort, ThinkingAsk

LADDER: tuple[Effort, ...] = ("minimal", "low", "medium", "high", "xhigh", "max")
_HIGH = LADDER.index("high")
_LOW_BELOW, _MEDIUM_UP_TO = 2_048, 6_144
"""Budgets in tokens below and up to which an effort is called low and medium."""


def is_off(ask: ThinkingAsk) -> bool:
    """Whether the caller wants no thinking."""
    return ask.enabled is False or ask.effort == "none"


def says_amount(ask: ThinkingAsk) -> bool:
    """Whether the caller said how much."""
    return not is_off(ask) and (ask.effort is not None or ask.budget_tokens is not None)


def effort_of(budget_tokens: int | None) -> Effort:
    """The effort that a thinking budget stands for; none given is medium."""
    if budget_tokens is None:
        return "medium"
    if budget_tokens < _LOW_BELOW:
        return "low"
    return "medium" if budget_tokens <= _MEDIUM_UP_TO else "high"


def nearest(effort: Effort, taken: Collection[Effort]) -> Effort:
    """The effort to send in place of one; `taken` empty: any is."""
    if not taken or effort in taken:
        return effort
    at = LADDER.index(effort)
    towards = LADDER[at : _HIGH - 1 : -1] if at > _HIGH else LADDER[at:]
    return next(e for e in (*towards, *reversed(LADDER)) if e in taken)


def can_stop(traits: Traits) -> bool:
    """Whether the model may be asked not to think, as far as is known."""
    return traits.thinking != "always" and (not traits.efforts or "none" in traits.efforts)


def effort_word(ask: ThinkingAsk, traits: Traits, omissions: Omissions) -> Effort | None:
    """The effort to ask for, None for none; a wish that the model cannot meet is named.

    One that cannot stop thinking is asked for the least. Who only turned thinking on asks
    for medium where thinking is off unless asked for, and for nothing elsewhere.
    """
    efforts = traits.efforts
    if is_off(ask):
        if not can_stop(traits):
            omissions.leave_out("thinking")
            return next((e for e in LADDER if e in efforts), None)
        known = bool(efforts) or traits.thinking == "switch"
        return "none" if known or ask.effort == "none" else None
    named = says_amount(ask)
    if traits.thinking in ("always", "switch"):
        if named:
            omissions.leave_out("thinking.amount")
        return None
    if not named and (ask.enabled is None or (efforts and "none" not in efforts)):
        return None
    return nearest(ask.effort or effort_of(ask.budget_tokens), efforts)
