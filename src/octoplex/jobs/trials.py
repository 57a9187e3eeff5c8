"""Experiments, counted: by the one process that owns the data folder, beside all requests.

    async with TrialWatch(lambda: app.gateway, control.audit):

Every few seconds the results that have come since are counted in their order (`Trial`), and where
that brings an experiment is written where all workers read it (`Tries`). Each change is noted in
the log and in the audit log.

What is usual (a percentile, a cost) is what the first `USUAL` units of all variants together had;
they are not counted, so that nothing is measured by what it was chosen by.

Not promised: that several hosts on one database count together.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from octoplex.gateway import Gateway
from octoplex.jobs.looking import looking
from octoplex.ledger.audit import Audit
from octoplex.ledger.trials import Counted, TrialsFile
from octoplex.optimizer.config import Experiment
from octoplex.optimizer.standing import Standing
from octoplex.optimizer.trying import Test, read_standing
from octoplex.wire.error import StoreFailed

log = logging.getLogger("octoplex.experiments")
LOOK_S = 2.0
AT_ONCE = 2_000
USUAL = 100
_encode = msgspec.msgpack.Encoder().encode


class Count:
    """One experiment: its trial, once it is known what is usual."""

    def __init__(self, test: Test, table: Experiment, file: TrialsFile) -> None:
        """Count again what was counted before."""
        self.test, self.table, self._file = test, table, file
        self.trial: Any = None
        self._metrics = (table.metric, *table.guardrails)
        found = file.standings().get(test.key)
        self.standing: Standing = test.begin if found is None else read_standing(found[1])
        if found is not None:
            self.trial = trial_of(found[2])
            for _, one in all_counted(file, test.key):
                self._tell(one)

    def look(self) -> Standing | None:
        """Count what has come; where the experiment is now, if that has changed."""
        file, key = self._file, self.test.key
        before = self.standing
        if self.trial is None and not self._begin():
            return None
        while not self.trial.standing().is_over:
            some = file.waiting(key, AT_ONCE, scored="quality" in self._metrics)
            if not some:
                break
            for one in some:
                self._tell(one)
            file.count(key, some)
        now: Standing = self.trial.standing()
        if now == before:
            return None
        self.standing = now
        file.stand(key, time.time_ns() // 1_000_000, _encode(now), _encode(self.trial.design))
        return now

    def _begin(self) -> bool:
        """Whether it is known what is usual: then those that said so are put aside."""
        some = self._file.waiting(self.test.key, USUAL)
        if len(some) < USUAL:
            return False
        self.trial = begun(self.test, self.table, some)
        aside = [msgspec.structs.replace(one, quality=None) for one in some]
        # Under another name: counted, so nobody waits for them, and told to no trial.
        self._file.count(f"{self.test.key}!", aside)
        return True

    def _tell(self, one: Counted) -> None:
        self.trial.told(one.result.variant, values_of(one, self._metrics), one.result.round)


class TrialWatch:
    """Counts the experiments of the configuration in force, which `gateway` gives."""

    def __init__(self, gateway: Callable[[], Gateway], audit: Audit) -> None:
        self._gateway, self._audit = gateway, audit
        self._counts: dict[str, Count] = {}
        self._file: TrialsFile | None = None
        self._running = looking(self._look, LOOK_S, "experiments cannot be counted now")

    async def __aenter__(self) -> "TrialWatch":
        await self._running.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.__aexit__(None, None, None)
        if self._file is not None:
            self._file.close()

    async def _look(self) -> None:
        gateway = self._gateway()
        tests, tables = gateway.plan.tests, gateway.settings.experiments
        if not tests:
            return
        for test in tests.values():
            counting = asyncio.to_thread(self._counted, test, tables[test.name], gateway.works.data)
            now = await asyncio.shield(counting)
            if now is not None:
                await self._say(test, now)

    def _counted(self, test: Test, table: Experiment, data: Path) -> Standing | None:
        if self._file is None:
            self._file = TrialsFile.open(data)
        if test.key not in self._counts:
            self._counts[test.key] = Count(test, table, self._file)
        return self._counts[test.key].look()

    async def _say(self, test: Test, now: Standing) -> None:
        log.warning("the experiment %s: %s %s", test.name, now.phase, now.reason)
        after = {"phase": now.phase, "reason": now.reason, "winner": now.winner}
        after |= {"round": str(now.round), "share": f"{now.share:g}"}
        what = f"experiments.{now.phase.replace(' ', '_')}"
        try:
            await asyncio.to_thread(self._audit.note, "experiment", what, test.name, after=after)
        except StoreFailed as error:
            log.error("where %s is was not noted: %s", test.name, error)


def values_of(one: Counted, metrics: Sequence[str]) -> dict[str, float]:
    """What a result says of these metrics; the time of what failed says nothing."""
    result = one.result
    known: dict[str, float | None] = {
        "cost_per_call": result.nano / 1e9,
        "error_rate": float(result.failed),
        "quality": one.quality,
    }
    latency = None if result.failed else result.latency_s
    told = {name: known.get(name, latency) for name in metrics}
    return {name: value for name, value in told.items() if value is not None}


def begun(test: Test, table: Experiment, some: Sequence[Counted]) -> Any:
    """A trial whose metrics are set by what was usual in these results."""
    from octoplex.optimizer.experiments import Design, Trial
    from octoplex.optimizer.metric import metric_of

    def usual(name: str) -> float:
        values = sorted(v for one in some for v in values_of(one, (name,)).values())
        if not values:
            return 0.0
        if name.startswith("p"):
            return values[min(len(values) - 1, int(int(name[1:3]) / 100 * len(values)))]
        return sum(values) / len(values)

    metric, *rails = (metric_of(name, usual(name)) for name in (table.metric, *table.guardrails))
    weights = dict.fromkeys(table.variants, 1.0)
    return Trial(Design(test.name, weights, metric, tuple(rails), table.confidence))


def trial_of(design: bytes) -> Any:
    """The trial of a design that was kept."""
    from octoplex.optimizer.experiments import Design, Trial

    return Trial(msgspec.msgpack.decode(design, type=Design))


def all_counted(file: TrialsFile, key: str) -> list[tuple[int, Counted]]:
    """What was counted, in its order."""
    found: list[tuple[int, Counted]] = []
    while some := file.counted(key, found[-1][0] if found else 0, AT_ONCE):
        found += some
    return found
