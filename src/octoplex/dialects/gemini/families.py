"""What Gemini's generations differ in, as far as a request must know.

    generation     asked for thinking by     can be off    its bounds
    2.5 Pro        thinkingBudget            no            128 to 32,768
    2.5 Flash      thinkingBudget            yes           1 to 24,576
    2.5 Flash-Lite thinkingBudget            yes           512 to 24,576
    3 and later    thinkingLevel             no            minimal (some), low, medium, high
    others         nothing

Both ways in one request are a 400. From the third generation on, tool calls in a history
must be signed, tools may return media, and JSON may be asked for beside tools: before, it is a
400 ("Function calling with a response mime type ... is unsupported").

Reference: https://ai.google.dev/gemini-api/docs/thinking and
https://ai.google.dev/gemini-api/docs/structured-output#structured_outputs_with_tools

Not promised: that a new model takes `minimal`; where that is not known `low` is sent.
"""

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from octoplex.wire.chat import Effort

Style = Literal["level", "budget", "none"]

_VERSION = re.compile(r"gemini-(\d+)(?:[.-](\d+))?")
_HAS_MINIMAL = re.compile(r"gemini-3-flash|flash-lite")
_LACKS_MEDIUM = re.compile(r"gemini-3-pro")

_LEVELS: dict[Effort, str] = {
    "none": "low",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


class Family(Struct, frozen=True):
    """How a model is asked to think; budgets in tokens, `levels` by effort."""

    style: Style
    levels: Mapping[Effort, str]
    least: int = 1
    most: int = 24_576
    can_disable: bool = True

    @property
    def signs_calls(self) -> bool:
        """Whether tool calls without a signature are refused, and tools may return media."""
        return self.style == "level"

    @property
    def forms_beside_tools(self) -> bool:
        """Whether a form of text may be asked for where tools are offered."""
        return self.style == "level"


def family_of(model: str, thinking: str | None = None) -> Family:
    """What is known of a model. `thinking` is the catalogue's word, which outranks the name."""
    name = model.lower()
    style = _style(name, thinking)
    if style == "budget" and "flash" in name:
        return Family(style, _LEVELS, least=512 if "lite" in name else 1)
    if style == "budget":
        return Family(style, _LEVELS, least=128, most=32_768, can_disable=False)
    levels = dict(_LEVELS)
    if _HAS_MINIMAL.search(name):
        levels |= {"none": "minimal", "minimal": "minimal"}
    if _LACKS_MEDIUM.search(name):
        levels["medium"] = "high"
    return Family(style, levels, can_disable=False)


def _style(name: str, thinking: str | None) -> Style:
    if thinking is not None:
        return "none" if thinking == "none" else "budget" if thinking == "budget" else "level"
    found = _VERSION.search(name)
    version = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
    if version >= (3, 0):
        return "level"
    return "budget" if version >= (2, 5) else "none"
