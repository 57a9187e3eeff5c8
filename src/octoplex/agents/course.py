"""Which step of a plan is next: a machine without I/O, clock or tasks.

    course = Course(plan, limits)
    for run in course.ready(): ...          begin it
    course.done(run.id, output)             or course.failed(run.id)
    course.replace(plan, rejected ids)      another plan for what failed

A `Run` is a step, or one element of a step with `each`. A step waits until the steps that it refers
to have ended. It is skipped where its condition is false, or where the output of a skipped step
would be its input; it is stranded where a step before it failed or is stranded. Of runs that
could begin, the one with the longest way to the end of the plan comes first; no action has more
runs at once than its arm takes.

Invariants (tested for any plan): every run begins once, after all that it waits for, and when
nothing runs and nothing is ready, every step has ended or is stranded.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from octoplex.agents.faults import before
from octoplex.agents.plan import Condition, Plan, Step
from octoplex.agents.references import NOWHERE, at, renamed, resolved, sources
from octoplex.agents.words import Failed

State = Literal["waiting", "running", "done", "failed", "skipped", "stranded"]
MOST_ELEMENTS = 1_000
"""Of one map."""


class Run(Struct, frozen=True):
    """One thing to do: a step, or a step with one element of its list."""

    id: str
    step: Step
    inputs: dict[str, Any]
    index: int | None = None


class Room(Struct, frozen=True):
    """What may run at once, and what things take. `parallel`: of each action."""

    parallel: Callable[[str], int]
    takes: Callable[[Step], float] = lambda step: 1.0
    at_once: int = 8


class _Place(Struct):
    """Where a step stands."""

    step: Step
    before: frozenset[str] = frozenset()
    state: State = "waiting"
    output: Any = None
    why: str = ""
    runs: dict[str, Any] = field(default_factory=dict)
    """Outputs of the elements that are done, by the ids of their runs."""
    queue: list[Run] = field(default_factory=list)
    """Runs that could begin."""
    going: set[str] = field(default_factory=set)
    elements: list[Run] = field(default_factory=list)
    """All its runs: one, or one for each element."""
    failures: dict[str, str] = field(default_factory=dict)


class Course:
    """A plan while it is carried out."""

    def __init__(self, plan: Plan, room: Room) -> None:
        self._room = room
        self._places = {s.id: _Place(s, frozenset(before(s))) for s in plan.steps}
        self._running: Counter[str] = Counter()
        self._way: dict[str, float] = {}
        self.answer = plan.answer
        self.used: set[str] = set(self._places)
        """All ids there ever were, so that none is given twice."""
        self.ended: list[str] = []
        """Steps that ended without an arm (skipped, an empty map) and nobody was told of yet."""
        self._measure()

    def ready(self) -> list[Run]:
        """Begin what can begin now, the most urgent first."""
        self._open()
        waiting = [run for place in self._places.values() for run in place.queue]
        waiting.sort(key=lambda run: (-self._way[run.step.id], run.index or 0))
        begun = []
        for run in waiting:
            action = run.step.arm
            if self._running.total() >= self._room.at_once:
                break
            if self._running[action] >= self._room.parallel(action):
                continue
            place = self._places[run.step.id]
            place.queue.remove(run)
            place.going.add(run.id)
            place.state = "running"
            self._running[action] += 1
            begun.append(run)
        return begun

    def done(self, run: Run, output: Any) -> None:
        """A run has ended well."""
        place = self._end(run)
        place.runs[run.id] = output
        self._settle(place)

    def failed(self, run: Run, why: str) -> None:
        """A run has ended and gave nothing."""
        place = self._end(run)
        place.failures[run.id] = why
        self._settle(place)

    def _end(self, run: Run) -> _Place:
        place = self._places[run.step.id]
        place.going.remove(run.id)
        self._running[run.step.arm] -= 1
        return place

    def _settle(self, place: _Place) -> None:
        """End a step when its last run has ended."""
        if place.going or place.queue:
            return
        if place.failures:
            place.state, place.why = "failed", "; ".join(dict.fromkeys(place.failures.values()))
            if place.runs:
                names = ", ".join(list(place.failures)[:20])
                place.why = f"of {len(place.elements)} elements these failed: {names}: {place.why}"
            return
        outputs = [place.runs[run.id] for run in place.elements]
        place.state = "done"
        place.output = outputs if place.step.each is not None else outputs[0]

    def _open(self) -> None:
        """Look which waiting steps wait no more, until nothing changes."""
        changed = True
        while changed:
            changed = False
            for place in self._places.values():
                if place.state == "waiting" and not place.queue:
                    changed |= self._look(place)

    def _look(self, place: _Place) -> bool:
        step = place.step
        states = {self._places[name].state for name in place.before}
        if states & {"failed", "stranded"}:
            place.state = "stranded"
            return True
        if states - {"done", "skipped"}:
            return False
        why = self._unneeded(step)
        if why:
            place.state, place.why = "skipped", why
            self.ended.append(step.id)
            return True
        self._unfold(place)
        return True

    def _unneeded(self, step: Step) -> str:
        """Why a step whose turn it is is not done, "" where it is."""
        if step.when is not None and not self._holds(step.when):
            return f'its condition on "{step.when.step}" does not hold'
        for name in sorted(sources(step.inputs) | sources(step.each)):
            if self._places[name].state == "skipped":
                return f'"{name}", whose output it needs, was skipped'
        return ""

    def _holds(self, when: Condition) -> bool:
        place = self._places[when.step]
        value = at(place.output, when.at) if place.state == "done" else NOWHERE
        match when.is_:
            case "there":
                return value is not NOWHERE and value is not None
            case "missing":
                return value is NOWHERE or value is None
            case "equal":
                return _same(value, when.value)
            case "unequal":
                return value is not NOWHERE and not _same(value, when.value)
            case "above":
                return _is_number(value, when.value) and value > when.value
            case "below":
                return _is_number(value, when.value) and value < when.value

    def _unfold(self, place: _Place) -> None:
        """Make the runs of a step."""
        step = place.step
        try:
            if step.each is None:
                place.queue = [Run(step.id, step, resolved(step.inputs, self.output))]
            else:
                place.queue = self._elements(step)
        except Failed as failure:
            place.state, place.why = "failed", str(failure)
            self.ended.append(step.id)
            return
        place.elements = list(place.queue)
        if not place.queue:
            place.state, place.output = "done", []
            self.ended.append(step.id)

    def _elements(self, step: Step) -> list[Run]:
        elements = resolved(step.each, self.output)
        if not isinstance(elements, list):
            raise Failed("failed", f'"each" must be a list, not {type(elements).__name__}')
        if len(elements) > MOST_ELEMENTS:
            raise Failed("failed", f'"each" has {len(elements)} elements, at most {MOST_ELEMENTS}')
        return [
            Run(f"{step.id}.{i}", step, resolved(step.inputs, self.output, item), i)
            for i, item in enumerate(elements)
        ]

    def _measure(self) -> None:
        """How long the longest way from each step to the end is."""
        after: dict[str, list[str]] = {name: [] for name in self._places}
        for name, place in self._places.items():
            for other in place.before:
                after[other].append(name)
        self._way = {}

        def way(name: str) -> float:
            if name not in self._way:
                longest = max((way(other) for other in after[name]), default=0.0)
                self._way[name] = self._room.takes(self._places[name].step) + longest
            return self._way[name]

        for name in self._places:
            way(name)

    def output(self, name: str) -> Any:
        """The output of a step that is done; null of one that was skipped."""
        return self._places[name].output

    def elements(self, name: str) -> int:
        """How many runs a step has."""
        return len(self._places[name].elements)

    def is_begun(self, name: str) -> bool:
        """Whether some elements of a step that failed are done."""
        return bool(self._places[name].runs)

    def state(self, name: str) -> State:
        """Where a step stands."""
        return self._places[name].state

    def why(self, name: str) -> str:
        """Why it failed or was skipped."""
        return self._places[name].why

    def steps(self, *states: State) -> list[Step]:
        """The steps in these states, in the order of their plans."""
        return [p.step for p in self._places.values() if p.state in states]

    def share(self, run: Run) -> float:
        """The share of one run: its step's, evenly among its elements."""
        return run.step.share / max(1, len(self._places[run.step.id].elements))

    @property
    def shares(self) -> list[float]:
        """Of all runs that have not begun; a map that has not been unfolded counts as one."""
        places = self._places.values()
        folded = [p.step.share for p in places if p.state == "waiting" and not p.queue]
        return folded + [self.share(run) for place in places for run in place.queue]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing runs."""
        return not self._running.total()

    def again(self) -> None:
        """Let what failed, and what is stranded by that, have another turn; of a map only the
        elements that failed."""
        for place in self._places.values():
            if place.state in ("failed", "stranded"):
                place.state, place.why = "waiting", ""
                place.queue = [run for run in place.elements if run.id in place.failures]
                place.failures = {}

    def replace(self, plan: Plan) -> Plan:
        """Put the steps of another plan in the place of all that failed or is stranded. The plan,
        whose steps have other names where these were taken.

        What is done stays, and may be referred to.
        """
        for step in self.steps("failed", "stranded"):
            del self._places[step.id]
        taken, names = self.used | {s.id for s in plan.steps}, {}
        for name in (s.id for s in plan.steps if s.id in self.used):
            new = (f"{name[:36]}-{n}" for n in range(2, 1_000))
            names[name] = next(one for one in new if one not in taken)
            taken.add(names[name])
        plan = rechristened(plan, names)
        self._places |= {s.id: _Place(s, frozenset(before(s))) for s in plan.steps}
        self.used |= set(self._places)
        if plan.answer is not None or sources(self.answer) - set(self._places):
            self.answer = plan.answer
        self._measure()
        return plan


def rechristened(plan: Plan, names: dict[str, str]) -> Plan:
    """A plan with other names for some of its steps."""

    def new(step: Step) -> Step:
        when = step.when
        return msgspec.structs.replace(
            step,
            id=names.get(step.id, step.id),
            inputs=renamed(step.inputs, names),
            each=renamed(step.each, names),
            after=tuple(names.get(name, name) for name in step.after),
            when=when and msgspec.structs.replace(when, step=names.get(when.step, when.step)),
        )

    if not names:
        return plan
    answer = renamed(plan.answer, names)
    return msgspec.structs.replace(plan, steps=tuple(map(new, plan.steps)), answer=answer)


def _same(value: Any, other: Any) -> bool:
    """JSON's equality: 1 is 1.0, but true is not 1."""
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other
    return bool(value == other)


def _is_number(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
