"""What the generations of Claude differ in, as far as a request must know.

    generation                      thinking                 switched off by    sampling
    Fable, Mythos                   adaptive, always         nothing            refused
    Opus 4.7+, everything 5+        adaptive                 type "disabled"    refused
    Opus and Sonnet 4.6             adaptive or a budget     type "disabled"    taken
    3.7 to 4.5                      a budget                 leaving it out     taken
    before                          none                     leaving it out     taken
    any other name                  a budget                 leaving it out     taken

"Any other name" are models of other vendors behind this dialect: they took over its
older form. A refused field is a 400 at the provider, so it is settled here. A JSON Schema is
enforced from 4.5 on and by Opus 4.1; other vendors read over it.

Reference: https://platform.claude.com/docs/en/build-with-claude/thinking#configuring-thinking,
https://platform.claude.com/docs/en/build-with-claude/structured-outputs and
https://platform.claude.com/docs/en/about-claude/models/migration-guide

Not promised: that the next generation keeps to the last row it falls under.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from octoplex.wire.chat import Effort

_NAME = re.compile(
    r"claude-(?:(?P<line>[a-z]+)-(?P<major>\d)|(?P<old_major>\d))(?:[-.](?P<minor>\d{1,2}))?(?!\d)"
)
_ALWAYS = frozenset({"fable", "mythos"})


class Family(Struct, frozen=True):
    """What a model takes: adaptive thinking, a thinking budget, "disabled", sampling fields.

    `schemas`: it can be held to a JSON Schema.
    """

    adaptive: bool
    budget: bool
    can_disable: bool
    sampling: bool
    efforts: Mapping[Effort, str]
    schemas: bool = True


_ALL: dict[Effort, str] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_SONNET_46: dict[Effort, str] = {**_ALL, "xhigh": "high", "max": "high"}
_OPUS_46: dict[Effort, str] = {**_ALL, "xhigh": "high"}

ALWAYS_THINKING = Family(True, False, False, False, _ALL)
ADAPTIVE = Family(True, False, True, False, _ALL)
OPUS_46 = Family(True, True, True, True, _OPUS_46)
SONNET_46 = Family(True, True, True, True, _SONNET_46)
BUDGET = Family(False, True, False, True, _ALL)
NO_THINKING = Family(False, False, False, True, _ALL)


def family_of(model: str, thinking: str | None = None) -> Family:
    """The row of the table above that a model's name falls under.

    `thinking` is the catalogue's word for how the model is asked to think; it knows
    models by their family and outranks what the name alone says.
    """
    row = _named(model)
    if thinking is None:
        return row
    if "claude" not in model.lower():
        row = msgspec.structs.replace(row, schemas=False)
    adaptive = thinking in ("adaptive", "always")
    return msgspec.structs.replace(
        row,
        adaptive=adaptive,
        budget=thinking in ("budget", "effort", "switch")
        or (adaptive and row.adaptive and row.budget),
        can_disable=thinking in ("adaptive", "switch"),
    )


def _named(model: str) -> Family:
    found = _NAME.search(model)
    if found is None:
        return ALWAYS_THINKING if re.search(r"claude-(fable|mythos)", model) else BUDGET
    line = found["line"] or ""
    version = (int(found["major"] or found["old_major"]), int(found["minor"] or 0))
    if line in _ALWAYS:
        return ALWAYS_THINKING
    if version >= (5, 0) or version >= (4, 7):
        return ADAPTIVE
    if version == (4, 6):
        return OPUS_46 if line == "opus" else SONNET_46
    row = BUDGET if version >= (3, 7) else NO_THINKING
    schemas = version >= (4, 5) or (line, version) == ("opus", (4, 1))
    return msgspec.structs.replace(row, schemas=schemas)
