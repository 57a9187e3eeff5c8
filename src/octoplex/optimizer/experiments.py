"""A/B/n tests that may be looked at whenever, stop by themselves, and bring in the winner.

    test = Trial(Design("shorter-prompt", {"today": 1, "short": 1}, Metric("quality")))
    test.assign("user-7")                              -> "short", always
    test.told("short", {"quality": 0.8})               once per unit and round
    test.state()                                       phase, reason, what is shown of each variant

The first variant is what serves today. A variant wins when it is shown better than the first by
more than `least`, and on every guardrail no worse than allowed. It is dropped when it is shown
not to be so, or worse than allowed on a guardrail. The winner then goes to everybody in steps
(`canary.py`), and back on an alarm. Results that do not come in the shares of assignment end
the test (`Mismatch`).

With confidence 1 - alpha, whenever and how often one looks:

- P(one that is not better by `least`, or worse than allowed on a guardrail, ever wins) <= alpha
- P(all that is shown of a metric against the first is ever wrong of any variant) <= alpha; what is
  decided by a metric is what its bounds show
- P(one that keeps a guardrail is ever dropped by it) <= alpha, over all guardrails and variants
- P(a mismatch is seen where there is none) <= `MISMATCH`

One unit counts once in a round: answers to the same user are alike, and a hundred of them are
not a hundred users. Whoever tells the results sees to that, and gives the round in which the
unit was assigned. What a mean is of, where things drift: of the units so far, by the variant
they got. No clock, no chance, no I/O: who is told the same in the same order is in the same
state.
"""

from collections.abc import Mapping
from math import log

import msgspec

from octoplex.optimizer.assignment import Mismatch
from octoplex.optimizer.canary import STEPS, Canary
from octoplex.optimizer.metric import Metric
from octoplex.optimizer.sequences import Comparison, Interval, Mean
from octoplex.optimizer.standing import Phase, Standing

MISMATCH = 0.001
LOOKED = 20
"""The next look is after so many parts of the results there are: looking costs a millisecond."""


class Design(msgspec.Struct, frozen=True):
    """What is compared, and by what.

    Raises:
        ValueError: fewer than two variants, a metric twice, or a number out of its range.
    """

    name: str
    variants: dict[str, float]
    """Their weights; the first is today's."""
    metric: Metric
    guardrails: tuple[Metric, ...] = ()
    confidence: float = 0.95
    least: float = 0.0
    """By how much a winner must be better: in the metric's unit, or as a share with `ratio`."""
    steps: tuple[float, ...] = STEPS

    def __post_init__(self) -> None:
        names = [metric.name for metric in self.metrics]
        if len(self.variants) < 2 or not all(w > 0 for w in self.variants.values()):
            raise ValueError(f"{self.name}: two variants or more, with weights above 0")
        if not 0.5 <= self.confidence < 1:
            raise ValueError(f"{self.name}: confidence = {self.confidence} is not from 0.5 to 1")
        if not all(0 < step < 1 for step in self.steps) or not self.steps:
            raise ValueError(f"{self.name}: steps are shares above 0 and below 1")
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError(f"{self.name}: steps must rise")
        if len(set(names)) < len(names):
            raise ValueError(f"{self.name}: the same metric twice in {names}")
        if self.least < 0:
            raise ValueError(f"{self.name}: least = {self.least} is below 0")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metric and the guardrails."""
        return (self.metric, *self.guardrails)

    @property
    def first(self) -> str:
        """What serves today."""
        return next(iter(self.variants))


class Shown(msgspec.Struct, frozen=True):
    """What is known of one metric of one variant."""

    metric: str
    mean: Interval
    versus: Interval | None
    """Against the first: how many times as great with `ratio`, else how much greater."""


class Row(msgspec.Struct, frozen=True):
    """One variant."""

    variant: str
    share: float
    """Of the units it gets now."""
    units: int
    """Told of while the test ran."""
    dropped: str
    """Why it no longer takes part; empty while it does."""
    shown: tuple[Shown, ...]


class State(msgspec.Struct, frozen=True):
    """Where an experiment is."""

    phase: Phase
    reason: str
    winner: str
    round: int
    """Begins anew whenever other units get a variant."""
    rows: tuple[Row, ...]
    canary: tuple[float, ...] = ()
    """Log of the evidence on each metric of the winner in its steps; log(1/alpha) is enough."""


class Trial:
    """One experiment from its first unit to its end."""

    def __init__(self, design: Design) -> None:
        self.design = design
        self._running = dict(design.variants)
        self._dropped: dict[str, str] = {}
        self._seen = {v: {m.name: Mean() for m in design.metrics} for v in design.variants}
        self._units = dict.fromkeys(design.variants, 0)
        self._mismatch = Mismatch(design.variants)
        self._alpha = (1 - design.confidence) / (len(design.variants) - 1)
        self._needed = log(2 / self._alpha)
        self._canary = Canary(design.metrics, design.steps, 1 - design.confidence)
        self._told, self._look_at = 0, 1
        self.phase: Phase = "running"
        self.round, self.winner, self.reason = 1, "", ""

    def assign(self, unit: str) -> str:
        """The variant of a unit; stays the same while the round does, and mostly beyond it."""
        return self.standing().of(self.design.name, unit)

    def standing(self) -> Standing:
        """Who gets what now."""
        return Standing(
            self.phase,
            self.round,
            self.design.first,
            dict(self._running),
            self.winner,
            self._canary.share if self.phase == "canary" else 0.0,
            self.reason,
        )

    def told(self, variant: str, values: Mapping[str, float], of_round: int | None = None) -> None:
        """What was measured on one unit that got this variant; what is unknown is left out.

        Of an earlier round, or of a variant that no longer takes part, it is not counted.

        Raises:
            ValueError: no such variant or metric, or a number below 0.
        """
        scaled = self._scaled(variant, values)
        if of_round not in (None, self.round):
            return
        if self.phase == "canary" and variant in (self.winner, self.design.first):
            self._on_the_way(variant, values)
        elif self.phase == "running" and variant in self._running:
            self._units[variant] += 1
            for name, value in scaled.items():
                self._seen[variant][name].see(value)
            if self.design.metric.name in values:
                self._mismatch.see(variant)
            self._told += 1
            if self._told >= self._look_at:
                self._look_at = self._told + max(1, self._told // LOOKED)
                self._look()

    def state(self) -> State:
        """Where it is now; takes some milliseconds per variant."""
        on_the_way = self.phase in ("canary", "promoted", "rolled back")
        evidence = self._canary.evidence().tolist() if on_the_way else ()
        rows = tuple(self._row(variant) for variant in self.design.variants)
        return State(self.phase, self.reason, self.winner, self.round, rows, tuple(evidence))

    def _scaled(self, variant: str, values: Mapping[str, float]) -> dict[str, float]:
        metrics = {metric.name: metric for metric in self.design.metrics}
        if variant not in self.design.variants or not values.keys() <= metrics.keys():
            raise ValueError(f"{self.design.name}: no variant {variant!r}, or no {sorted(values)}")
        return {name: metrics[name].scaled(value) for name, value in values.items()}

    def _pair(self, variant: str, metric: Metric) -> Comparison:
        return Comparison(
            self._seen[self.design.first][metric.name], self._seen[variant][metric.name]
        )

    def _look(self) -> None:
        if self._mismatch.log() >= -log(MISMATCH):
            return self._end("mismatch", "results do not come in the shares of assignment")
        for variant, why in [(other, self._lost(other)) for other in self._others()]:
            if why:
                self._drop(variant, why)
        won = [other for other in self._others() if self._has_won(other)]
        metric = self.design.metric
        if won:
            best = max(won, key=lambda v: metric.sign * self._seen[v][metric.name].estimate)
            self.winner = best
            self._end("canary", f"{best} is better on {metric.name}")
            self._mismatch.weigh(self._shares())
        elif len(self._running) == 1:
            self._end("no winner", "; ".join(f"{v} {why}" for v, why in self._dropped.items()))

    def _others(self) -> list[str]:
        return [variant for variant in self._running if variant != self.design.first]

    def _has_won(self, variant: str) -> bool:
        metric, least = self.design.metric, self.design.least
        return metric.good(self._pair(variant, metric), -least) >= self._needed and all(
            rail.good(self._pair(variant, rail), rail.allowed) >= self._needed
            for rail in self.design.guardrails
        )

    def _lost(self, variant: str) -> str:
        rails, metric = self.design.guardrails, self.design.metric
        if metric.bad(self._pair(variant, metric), -self.design.least) >= self._needed:
            return f"is no better on {metric.name}"
        for rail in rails:
            enough = self._needed + log(len(rails))
            if rail.bad(self._pair(variant, rail), rail.allowed) >= enough:
                return f"is worse on {rail.name} than allowed"
        return ""

    def _drop(self, variant: str, why: str) -> None:
        del self._running[variant]
        self._dropped[variant] = why
        self._mismatch.weigh(self._running)
        self.round += 1

    def _on_the_way(self, variant: str, values: Mapping[str, float]) -> None:
        step = self._canary.step
        self._canary.told(variant == self.winner, values)
        if self.design.metric.name in values:
            self._mismatch.see(variant)
        if self._mismatch.log() >= -log(MISMATCH):
            self._end("mismatch", "results do not come in the shares of assignment")
        elif self._canary.alarm:
            self._end("rolled back", f"{self.winner} has become worse on {self._canary.alarm}")
        elif self._canary.step == len(self.design.steps):
            self._end("promoted", f"{self.winner} has kept what is allowed in each step")
        elif self._canary.step != step:
            self._mismatch.weigh(self._shares())
            self.round += 1

    def _shares(self) -> dict[str, float]:
        """Of the units, by those variants that get any."""
        if self.phase == "running":
            whole = sum(self._running.values())
            return {variant: weight / whole for variant, weight in self._running.items()}
        share = {"canary": self._canary.share, "promoted": 1.0}.get(self.phase, 0.0)
        parts = {self.design.first: 1 - share, self.winner: share}
        return {variant: part for variant, part in parts.items() if part}

    def _row(self, variant: str) -> Row:
        seen, alpha = self._seen[variant], 1 - self.design.confidence
        other = variant != self.design.first
        shown = tuple(
            Shown(
                metric.title,
                Interval(*(metric.most * x for x in seen[metric.name].interval(alpha))),
                metric.versus(self._pair(variant, metric), self._alpha) if other else None,
            )
            for metric in self.design.metrics
        )
        dropped, share = self._dropped.get(variant, ""), self._shares().get(variant, 0.0)
        return Row(variant, share, self._units[variant], dropped, shown)

    def _end(self, phase: Phase, reason: str) -> None:
        self.phase, self.reason = phase, reason
        self.round += 1


def table(state: State) -> str:
    """For a shell: a line per variant, each metric with its bounds, and against the first."""
    heads = ["variant", "share", "units"]
    for shown in state.rows[0].shown:
        heads += [shown.metric, "against the first"]
    lines = [[*heads, ""]]
    for row in state.rows:
        line = [row.variant, f"{row.share:.3g}", str(row.units)]
        for shown in row.shown:
            line += [_said(shown.mean), _said(shown.versus) if shown.versus else "-"]
        lines.append([*line, row.dropped])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [map(str.ljust, line, widths) for line in lines]
    said = f"{state.phase}: {state.reason}" if state.reason else state.phase
    return "\n".join([said, *("  ".join(cells).rstrip() for cells in padded)])


def _said(told: Interval) -> str:
    return f"{told.estimate:.4g} ({told.lower:.4g} to {told.upper:.4g})"
