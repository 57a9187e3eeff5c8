"""The rules of routes, looked at and acted on (`[[models.NAME.rules]]`, `optimizer/rules.py`).

    async with RuleWatch(lambda: app.gateway, control.audit, tell):

Hears of every request that ends, in whichever worker; once a second it looks which rules hold. What
they have a route do goes to the routing of this process (`Health.bends`) and, by `tell`, to that
of all workers. That a rule fired, or is over, is noted in the log and in the audit log, with the
figures that caused it.

Calls that a cache answered or whose caller left say nothing of targets, so they are no
measurements; failed are those that ended with a status of 500 or more, or broke off. `quality`
is what callers say of answers (`POST /v1/feedback`), nobody's voice above its share; `drift` is how
far the lengths of inputs are from those of the first 500 requests.

Not promised: that windows outlive the process, or a change of the route's rules; that several
hosts on one database measure together.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from octoplex.gateway import Gateway
from octoplex.jobs.looking import looking
from octoplex.ledger.allowance import Cap
from octoplex.ledger.audit import Audit
from octoplex.ledger.learning import LearningFile, Said, open_learning
from octoplex.ledger.period import span
from octoplex.ledger.rows import Record
from octoplex.optimizer.config import RuleTable, dollars_of
from octoplex.optimizer.rules import Firing, Outcome, Rule, Rules, rule_of
from octoplex.routing.bend import Bend
from octoplex.telemetry.metrics import Gauge, Labels
from octoplex.wire.error import StoreFailed

log = logging.getLogger("octoplex.rules")
LOOK_S = 1.0
Tell = Callable[[dict[str, Bend]], Awaitable[object]]
LABELS = ("route", "rule")


class Watched:
    """The rules of one route: what they are told, and what they have it do."""

    def __init__(self, route: str, tables: tuple[RuleTable, ...], reference: str) -> None:
        """`reference` answers what a `cap` keeps from candidates."""
        where = f"[models.{route}] rules"
        self.tables, self.reference = tables, reference
        self.rules = tuple(rule_of(table, where) for table in tables)
        self._rules = Rules(self.rules)
        self._caps = {
            cap: dollars_of(cap, where, "a share")
            for cap in {table.then.cap for table in tables}
            if isinstance(cap, str)
        }
        self._spent: dict[Cap, tuple[int, int]] = {}
        """By a cap: the window in which candidates spent something, and how much."""
        self._drifts = None
        if any("drift" in table.when for table in tables):
            from octoplex.optimizer.drift import Drifts  # it needs numpy

            self._drifts = Drifts(("length",))

    @property
    def active(self) -> tuple[Rule, ...]:
        """The rules that hold."""
        return self._rules.active

    def see(self, record: Record, now_s: float) -> None:
        """A request ended."""
        if record.cache in ("hit", "semantic") or record.outcome in ("left", "stopped"):
            return
        failed = record.status >= 500 or record.outcome == "cut"
        who = record.tenant or record.key_id
        self._rules.see(now_s, Outcome(record.total_s, record.nano, failed), who)
        if self._drifts is not None:
            self._drifts.see("length", record.input_tokens)
        if record.target != self.reference:
            for cap in self._caps.values():
                begun = span(cap.window, record.at_ms // 60_000)[0]
                at, spent = self._spent.get(cap, (begun, 0))
                self._spent[cap] = (begun, record.nano + (spent if at == begun else 0))

    def score(self, quality: float, now_s: float, who: str) -> None:
        """This tenant said what an answer was worth, 0..1."""
        self._rules.score(now_s, quality, who)

    def check(self, now_s: float) -> list[Firing]:
        """What began to hold or is over by now."""
        if self._drifts is not None:
            self._rules.shift(now_s, self._drifts.psi)
        return self._rules.check(now_s)

    def bend(self, at_ms: int) -> Bend | None:
        """What the route does as long as nothing changes; the first rule of the file counts."""
        found = (self._bend(rule, at_ms) for rule in self.active)
        return next((bend for bend in found if bend is not None), None)

    def _bend(self, rule: Rule, at_ms: int) -> Bend | None:
        then = rule.then
        if target := then.switch or then.escalate:
            return Bend(target, 1.0, rule.text)
        if isinstance(then.cap, str):
            cap = self._caps[then.cap]
            at, spent = self._spent.get(cap, (0, 0))
            full = at == span(cap.window, at_ms // 60_000)[0] and spent >= cap.nano
            return Bend(self.reference, 1.0, rule.text) if full else None
        return None if then.cap is None else Bend(self.reference, 1 - then.cap, rule.text)


class RuleWatch:
    """Looks at the rules of the configuration in force, which `gateway` gives."""

    def __init__(
        self, gateway: Callable[[], Gateway], audit: Audit, tell: Tell | None = None
    ) -> None:
        self._gateway, self._audit, self._tell = gateway, audit, tell
        self._routes: dict[str, Watched] = {}
        self._running = looking(self._look, LOOK_S, "rules cannot be looked at now")
        self._file: LearningFile | None = None
        self._said: int | None = None
        """Up to where the file of what callers say was read; None: not yet."""

    async def __aenter__(self) -> "RuleWatch":
        works = self._gateway().works
        self._follow()
        text = "Whether a rule of a route holds now (1)."
        works.metrics.gauges.append(Gauge("octoplex_rule_active", text, LABELS, self._held))
        await self._running.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.__aexit__(None, None, None)
        if self._file is not None:
            self._file.close()

    def _held(self) -> list[tuple[Labels, float]]:
        return [
            ((route, rule.text), float(rule in watched.active))
            for route, watched in self._routes.items()
            for rule in watched.rules
        ]

    def _see(self, record: Record) -> None:
        watched = self._routes.get(record.route)
        if watched is not None:
            watched.see(record, time.monotonic())

    def _follow(self) -> None:
        """Those of the file: what has not changed goes on with its windows."""
        models = self._gateway().settings.models
        self._routes = {
            name: self._same(name, table.rules, table.reference)
            for name, table in models.items()
            if table.rules
        }
        self._gateway().works.store.hear(self._see if self._routes else None)

    def _same(self, name: str, tables: tuple[RuleTable, ...], reference: str) -> Watched:
        old = self._routes.get(name)
        if old is not None and (old.tables, old.reference) == (tables, reference):
            return old
        return Watched(name, tables, reference)

    async def _look(self) -> None:
        self._follow()
        if any("quality" in rule.text for one in self._routes.values() for rule in one.rules):
            for said in await asyncio.to_thread(self._listened):
                watched = self._routes.get(said.route)
                if watched is not None and said.score is not None:
                    who = said.tenant or said.key_id
                    watched.score(said.score, time.monotonic(), who)
        now_s, at_ms = time.monotonic(), time.time_ns() // 1_000_000
        told = [(name, f) for name, watched in self._routes.items() for f in watched.check(now_s)]
        bends = {name: bend for name, one in self._routes.items() if (bend := one.bend(at_ms))}
        health = self._gateway().works.health
        before, health.bends = health.bends, bends
        # Again each second while there are any: a worker may have just begun.
        if self._tell is not None and (bends or before):
            await self._tell(bends)
        for name, firing in told:
            await self._say(name, firing)

    def _listened(self) -> list[Said]:
        """What callers have said since the last look; what is older than this process is not it."""
        if self._file is None:
            self._file = open_learning(self._gateway().works.data)
        begun = self._said is not None
        found: list[Said] = []
        while some := self._file.said(self._said or 0):
            self._said = some[-1].seq
            found += some if begun else []
        self._said = self._said or 0
        return found

    async def _say(self, route: str, firing: Firing) -> None:
        figures = figures_of(firing)
        what = "fired" if firing.fired else "is over"
        told = ", ".join(f"{name}: {value}" for name, value in figures.items())
        name = firing.rule.then.alert
        called = f' "{name}"' if isinstance(name, str) else ""
        log.warning("the rule%s of %s %s: %s", called, route, what, told)
        about = f"{route}: {firing.rule.text}"
        kind = "rules.fired" if firing.fired else "rules.over"
        try:
            await asyncio.to_thread(self._audit.note, "rule", kind, about, after=figures)
        except StoreFailed as error:
            log.error("that a rule %s was not noted: %s", what, error)


def figures_of(firing: Firing) -> Mapping[str, float | None]:
    """What was found for each condition of a rule."""
    return {
        str(figure.condition): None if figure.value is None else round(figure.value, 6)
        for figure in firing.figures
    }
