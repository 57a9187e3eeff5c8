"""`[agents.NAME]` of the configuration file, and budgets as people write them.

    budget_of("$1, 10 min, 60 steps, 200k tokens")  ->  Budget

What the text does not name stays as it is in `among`; of a file that is what `Budget` says.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from octoplex.agents.agent import Approve, Swarm
from octoplex.agents.capability import checked, is_covered
from octoplex.agents.task import Budget
from octoplex.wire.error import BadConfig, InvalidCall

EXAMPLE = '"$1, 10 min, 60 steps, 200k tokens"'
USUAL_NAME = "usual"
USUAL_ARMS = ("executor", "retriever", "coder", "model")
USUAL_ALLOW = ("write:workspace", "run:command", "run:python", "memory:read", "memory:write")
"""The workspace and programs in the sandbox: nothing beyond, and no network."""
_ARM = re.compile(r"[a-z][a-z0-9_-]*|mcp\.[0-9A-Za-z_-]+|[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_UNITS = MappingProxyType(
    {"s": ("seconds", 1), "sec": ("seconds", 1), "min": ("seconds", 60), "h": ("seconds", 3600)}
    | dict.fromkeys(("token", "tokens", "tok"), ("tokens", 1))
    | dict.fromkeys(("step", "steps"), ("steps", 1))
)
_PART = re.compile(r"(\$?) *(\d{1,12}(?:\.\d{1,9})?)([kKM]?) *([a-z]*)")
_TIMES = MappingProxyType({"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000})


class AgentTable(Struct, frozen=True, kw_only=True):
    """`[agents.NAME]`: who plans, works and judges, with what, and how far it may go."""

    planner: str = ""
    worker: str = ""
    judge: str = ""
    arms: tuple[str, ...] = USUAL_ARMS
    """Ours by name, "mcp.SERVER", a function as "module:function", or an entry point's name."""
    allow: tuple[str, ...] = USUAL_ALLOW
    limits: str = "$1, 10 min, 60 steps"
    approve: Approve = "side-effects"
    repairs: Annotated[int, Meta(ge=0, le=5)] = 2
    at_once: Annotated[int, Meta(ge=1, le=64)] = 8
    swarm: Swarm = Swarm()
    workspaces: str = ""

    def __post_init__(self) -> None:
        """Raises `BadConfig`: the limits, a capability or an arm cannot be read."""
        budget_of(self.limits)
        for one in self.allow:
            checked(one)
        for arm in self.arms:
            if not _ARM.fullmatch(arm):
                raise BadConfig(
                    f'arms: "{arm[:60]}" is no arm; name one, "mcp.SERVER" or "module:function".'
                )


def budget_of(text: str, among: Budget | None = None) -> Budget:
    """Read a budget.

    Raises:
        BadConfig: a part is not understood, stands twice, or is out of bounds.
    """
    found: dict[str, float] = {}
    for part in text.split(",") if text.strip() else ():
        name, amount = _read(part.strip())
        if name in found:
            raise BadConfig(f'limits: {name} stand twice in "{text[:80]}".')
        found[name] = amount
    said = {**msgspec.structs.asdict(among or Budget()), **found}
    try:
        return msgspec.convert(said, Budget)
    except msgspec.ValidationError as error:
        raise BadConfig(f"limits: {str(error).replace(' - at `$.', ' (').rstrip('`')}).") from None


def _read(part: str) -> tuple[str, float]:
    match = _PART.fullmatch(part)
    dollar, number, times, unit = match.groups() if match else ("", "", "", "")
    if match and dollar and not unit:
        return "dollars", float(number) * _TIMES[times]
    if match and not dollar and unit in _UNITS:
        name, factor = _UNITS[unit]
        amount = float(number) * _TIMES[times] * factor
        if name == "seconds" or amount == int(amount):
            return name, amount if name == "seconds" else int(amount)
    raise BadConfig(f'limits: "{part[:40]}" is not understood; write them like {EXAMPLE}.')


USUAL = AgentTable()
"""The agent that is there without any in the file."""


def with_usual(tables: Mapping[str, AgentTable]) -> dict[str, AgentTable]:
    """The agents of a file, and the one that is always there."""
    return {USUAL_NAME: AgentTable(), **tables}


def within(asked: Budget | None, limits: Budget) -> Budget:
    """What a task may use: what it asks for, and never more than its agent's limits."""
    if asked is None:
        return limits
    pairs = {
        name: min(getattr(asked, name), getattr(limits, name)) for name in Budget.__struct_fields__
    }
    return Budget(**pairs)


def narrowed(asked: tuple[str, ...] | None, allow: tuple[str, ...]) -> tuple[str, ...]:
    """The capabilities of a task.

    Raises:
        InvalidCall: it asks for one that its agent does not have, or for what is none.
    """
    own = tuple(checked(one) for one in allow)
    if asked is None:
        return own
    try:
        wanted = tuple(checked(one) for one in asked)
    except BadConfig as error:
        raise InvalidCall(str(error), param="allow") from None
    for one in wanted:
        if not any(is_covered(one, by) for by in own):
            raise InvalidCall(
                f'allow: this agent is not allowed "{one[:80]}"; it may {", ".join(own)}.',
                param="allow",
            )
    return wanted
