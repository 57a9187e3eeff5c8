"""What one model costs, and the exact sum for one attempt.

Figures are integer pico-dollars per token: a dollar per million tokens is 1,000,000
of them, so every published price is a whole number and no float ever touches money.
The sum of an attempt is exact until its one rounding, half up, to nano-dollars;
reservations round up and take the dearest figure that could apply, so that

    price.reserve_nano(i, o) >= price.cost_nano(any usage of at most i in and o out)

Cached and cache-written tokens are parts of the input and reasoning tokens part of the
output (wire/event.py), so they replace the ordinary figure for their part; where a
figure is None the ordinary one holds. A tier replaces all figures once the *whole*
input exceeds its threshold: a cliff, not a staircase, as Anthropic, Google and OpenAI
bill it. Nonsense from a provider (negative counts, parts larger than the whole) is
clamped, never raised: the call was made and must be settled.

Rerankers that are sold by the search (`Usage.searches`) have `search_nano` beside figures of 0.

Not promised: what a provider bills beside tokens (searches of the web, minutes of audio), and
audio or image tokens that it counts among the others but prices apart.
"""

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from octoplex.wire.event import Usage

FIGURES = (
    "input_pico",
    "output_pico",
    "cache_read_pico",
    "cache_write_pico",
    "cache_write_1h_pico",
    "reasoning_pico",
)


class Tier(Struct, frozen=True, kw_only=True, gc=False):
    """The figures for calls whose input exceeds `above_tokens`."""

    above_tokens: int
    input_pico: int
    output_pico: int
    cache_read_pico: int | None = None
    cache_write_pico: int | None = None
    cache_write_1h_pico: int | None = None
    reasoning_pico: int | None = None


class Price(Struct, frozen=True, kw_only=True, gc=False):
    """A model's figures at one provider, from one snapshot (`version`).

    `tiers` ascend by `above_tokens`. `request_nano` is charged once per attempt, `search_nano` for
    each search of a reranker.
    """

    input_pico: int
    output_pico: int
    cache_read_pico: int | None = None
    cache_write_pico: int | None = None
    cache_write_1h_pico: int | None = None
    reasoning_pico: int | None = None
    request_nano: int = 0
    tiers: tuple[Tier, ...] = ()
    search_nano: int = 0
    version: str = ""
    dearest_pico: tuple[int, int] = (0, 0)
    """The most that a token in and a token out can cost below every tier; worked out here."""

    def __post_init__(self) -> None:
        force_setattr(self, "dearest_pico", (_most(self, 1, 0), _most(self, 0, 1)))

    def cost_nano(self, usage: Usage) -> int:
        """Return the cost of an attempt in nano-dollars, rounded half up, once."""
        tokens, output = usage.input_tokens, usage.output_tokens
        if (
            usage.cached_tokens
            or usage.cache_write_tokens
            or usage.reasoning_tokens
            or self.tiers
            or tokens < 0
            or output < 0
        ):
            pico = _sum(self._figures(tokens), usage)
        else:
            pico = tokens * self.input_pico + output * self.output_pico
        nano = (pico + 500) // 1000 + self.request_nano
        return nano + max(usage.searches, 0) * self.search_nano if self.search_nano else nano

    def reserve_nano(self, input_tokens: int, output_tokens: int, searches: int = 0) -> int:
        """Return the most an attempt within these bounds can cost, in nano-dollars."""
        dearest_in, dearest_out = self.dearest_pico
        if input_tokens < 0:
            input_tokens = 0
        if output_tokens < 0:
            output_tokens = 0
        pico = input_tokens * dearest_in + output_tokens * dearest_out
        if self.tiers:
            for tier in self.tiers:
                if tier.above_tokens < input_tokens:
                    pico = max(pico, _most(tier, input_tokens, output_tokens))
        return (pico + 999) // 1000 + self.request_nano + max(searches, 0) * self.search_nano

    def scaled(self, percent: int) -> "Price":
        """Return the price at `percent` of the listed one, each figure rounded half up."""
        if percent == 100:
            return self
        tiers = tuple(replace(t, **_scaled(t, percent)) for t in self.tiers)
        return replace(
            self,
            request_nano=(self.request_nano * percent + 50) // 100,
            search_nano=(self.search_nano * percent + 50) // 100,
            tiers=tiers,
            **_scaled(self, percent),
        )

    def _figures(self, input_tokens: int) -> "Price | Tier":
        """Return the figures for an input of this size."""
        for tier in reversed(self.tiers):
            if input_tokens > tier.above_tokens:
                return tier
        return self


def _sum(f: Price | Tier, usage: Usage) -> int:
    """Add up the parts of a usage, clamped to their whole, in pico-dollars.

    Everything at the ordinary figure, then what each part costs more or less: most
    usages have one part, and this way (1.0 us) is half the cost of naming them all.
    """
    tokens = max(usage.input_tokens, 0)
    output = max(usage.output_tokens, 0)
    pico = tokens * f.input_pico + output * f.output_pico

    read = _within(usage.cached_tokens, tokens)
    if read and f.cache_read_pico is not None:
        pico += read * (f.cache_read_pico - f.input_pico)
    written = _within(usage.cache_write_tokens, tokens - read)
    if written:
        pico += _extra_for_writes(f, written, _within(usage.cache_write_1h_tokens, written))
    if f.reasoning_pico is not None:
        pico += _within(usage.reasoning_tokens, output) * (f.reasoning_pico - f.output_pico)
    return pico


def _extra_for_writes(f: Price | Tier, written: int, hour: int) -> int:
    """Return what cache writes cost beyond ordinary input; may be negative."""
    write_pico = f.input_pico if f.cache_write_pico is None else f.cache_write_pico
    hour_pico = write_pico if f.cache_write_1h_pico is None else f.cache_write_1h_pico
    return written * (write_pico - f.input_pico) + hour * (hour_pico - write_pico)


def _within(tokens: int, whole: int) -> int:
    """Clamp a part to its whole."""
    return 0 if tokens < 0 else whole if tokens > whole else tokens


def _most(f: Price | Tier, input_tokens: int, output_tokens: int) -> int:
    """Return the dearest sum with these figures, in pico-dollars."""
    dearest = f.input_pico
    for figure in (f.cache_read_pico, f.cache_write_pico, f.cache_write_1h_pico):
        if figure is not None and figure > dearest:
            dearest = figure
    output = max(f.output_pico, f.reasoning_pico or 0)
    return max(input_tokens, 0) * dearest + max(output_tokens, 0) * output


def _scaled(f: Price | Tier, percent: int) -> dict[str, int]:
    """Scale the figures that are there."""
    found = {name: getattr(f, name) for name in FIGURES}
    return {n: (x * percent + 50) // 100 for n, x in found.items() if x is not None}


FREE = Price(input_pico=0, output_pico=0, version="free")
"""For what runs on the operator's own machine."""
