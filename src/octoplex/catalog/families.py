"""What a model can do, by the family its name belongs to.

A family is a row of `families.toml`: globs over bare model names, first match wins.
Names come in many dresses (`anthropic/claude-sonnet-4.5:beta`,
`accounts/fireworks/models/deepseek-v4-pro`, `qwen3:8b`, `claude-opus-4@20250514`);
`bare` undresses them, and dates at the end are what the globs' stars are for.

A model nobody knows gets `UNKNOWN`: no caps, no claims, ordinary limits, and it works.
Where hosts differ (open weights) or the vendor does not say, a figure is left out: a
guess that is too high is a 400, one that is too low cuts answers short in silence.

Not promised: speed. A look-up walks the rows (under 50 us); whoever needs it per call
keeps the result with the target.
"""

import tomllib
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from octoplex.catalog.provider import Provider
from octoplex.catalog.quirk import Parameter, Quirk
from octoplex.wire.chat import Effort
from octoplex.wire.error import BadConfig

Thinking = Literal["none", "switch", "effort", "budget", "adaptive", "always"]
"""How thinking is asked for: not at all; on or off; by effort; by a budget in tokens; by
effort while the model decides how much (Anthropic's adaptive); it cannot be turned off."""

FILE = Path(__file__).parent / "families.toml"


class Family(Struct, frozen=True, kw_only=True):
    """What is known of a model; None where nothing is. Figures are tokens.

    `reasons_silently`: it may think for minutes without a content event, so the first
    event may take 300 s and the first content 120 s (contracts.md, Attempts).
    """

    name: str = ""
    output_cap: int | None = None
    context: int | None = None
    reasons_silently: bool = False
    thinking: Thinking | None = None
    efforts: tuple[Effort, ...] = ()
    """The words it takes for how much to think; "none": it can be asked not to."""
    tools: bool | None = None
    vision: bool | None = None
    prefill: bool = False
    """It goes on from an assistant's turn that ends the request, unless it is to think."""
    quirks: frozenset[Quirk] = frozenset()
    refuses: frozenset[Parameter] = frozenset()
    refuses_thinking: frozenset[Parameter] = frozenset()
    """The same where thinking is asked for."""


UNKNOWN = Family()


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[family]]` of the file, as written."""

    name: str
    match: tuple[str, ...]
    only: tuple[str, ...] = ()
    cap: int | None = None
    context: int | None = None
    silent: bool = False
    thinking: Thinking | None = None
    efforts: tuple[Effort, ...] = ()
    tools: bool | None = None
    vision: bool | None = None
    prefill: bool = False
    quirks: frozenset[Quirk] = frozenset()
    refuses: frozenset[Parameter] = frozenset()
    refuses_thinking: frozenset[Parameter] = frozenset()

    def holds(self, provider_id: str, name: str) -> bool:
        """Whether the row is about this bare name at this provider."""
        if self.only and provider_id not in self.only:
            return False
        return any(fnmatchcase(name, glob) for glob in self.match)

    def family(self) -> Family:
        """The row as its readers want it."""
        return Family(
            name=self.name,
            output_cap=self.cap,
            context=self.context,
            reasons_silently=self.silent,
            thinking=self.thinking,
            efforts=self.efforts,
            tools=self.tools,
            vision=self.vision,
            prefill=self.prefill,
            quirks=self.quirks,
            refuses=self.refuses,
            refuses_thinking=self.refuses_thinking,
        )


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    family: tuple[Row, ...]


def family(provider_id: str, model_id: str) -> Family:
    """Find what is known of a model at a provider; `UNKNOWN` when nothing is."""
    name = bare(model_id)
    row = next((r for r in rows() if r.holds(provider_id, name)), None)
    return row.family() if row else UNKNOWN


def quirks_for(provider: Provider, of: Family) -> frozenset[Quirk]:
    """Join what the provider and the model's family ask of an openai-chat request."""
    return provider.quirks | of.quirks


def bare(model_id: str) -> str:
    """Undress a model id: lower case, no vendor, no variant, "." read as "-"."""
    name = model_id.lower().removeprefix("ft:").rsplit("/", 1)[-1]
    name = name.split(":", 1)[0].split("@", 1)[0]
    # Bedrock's us.anthropic.claude-...; elsewhere a dot stands in a version number.
    name = name.rsplit("anthropic.", 1)[-1]
    return name.replace(".", "-")


@cache
def rows() -> tuple[Row, ...]:
    """Every row of the file in its order, read once per process.

    Raises:
        BadConfig: a row is wrong; names the key.
    """
    try:
        file = msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8")), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadConfig(f"{FILE.name}: {error}.") from None
    return file.family
