"""How a task looks: folded from its events, for `GET`, a terminal and Python alike.

    view_of(events)  ->  View

What the events hold besides their step (all of it JSON):

    task.planning       goal
    plan.rejected       attempt, reasons, nanos, tokens
    plan.made           plan, round (0: the first), nanos, tokens
    step.started        action, attempt, of (elements, in a map)
    step.progress       what the arm says: text, ...
    step.done           attempt, seconds, nanos, tokens, text, artifacts, votes (in a swarm)
    step.retried        attempt, seconds, nanos, tokens, failure, why
    step.failed         the same
    step.skipped        why
    approval.asked      topic, why, action, inputs, effect, files (that the inputs name)
    approval.given      topic, approved, by, note
    repair.begun        round, reasons
    criterion.checked   what, passed, why, by, nanos, tokens; without a step: of the whole task
    task.done           answer, text, cites, artifacts, is_tainted
    task.failed         failure, why; task.cancelled: by, why

Not promised: a sum to the nano-dollar of what a killed process had asked models. The ledger has it.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from octoplex.agents.named import Named
from octoplex.agents.task import Event, Status
from octoplex.agents.words import Artifact

StepState = Literal["waiting", "running", "asking", "done", "failed", "skipped", "replaced"]
OVER: frozenset[Status] = frozenset({"done", "failed", "cancelled"})


class Checked(Struct):
    """How a criterion was checked."""

    what: str
    passed: bool
    why: str = ""
    by: str = ""
    step: str = ""


class Cite(Struct):
    """What the answer rests on."""

    step: str
    action: str
    artifacts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Approval(Struct):
    """What a person is asked."""

    topic: str
    step: str
    why: str
    action: str = ""
    inputs: Any = None
    effect: str = ""
    files: tuple[Named, ...] = ()
    """What lies where the inputs say, as it was then."""


class StepView(Struct):
    """A step, or an element of a map ("STEP.INDEX")."""

    id: str
    action: str = ""
    why: str = ""
    """What the planner wants of it; of a failure, what was wrong."""
    after: tuple[str, ...] = ()
    state: StepState = "waiting"
    attempt: int = 0
    begun_ms: int = 0
    seconds: float = 0.0
    nanos: int = 0
    tokens: int = 0
    text: str = ""
    artifacts: tuple[Artifact, ...] = ()


class View(Struct):
    """A task."""

    status: Status = "queued"
    goal: str = ""
    plan: dict[str, Any] | None = None
    steps: list[StepView] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    """Those that wait for an answer."""
    criteria: list[Checked] = field(default_factory=list)
    answer: Any = None
    text: str = ""
    cites: list[Cite] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    failure: str = ""
    why: str = ""
    rejected: int = 0
    repairs: int = 0
    nanos: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """In which it was worked on: not those when nobody had it, or when it waited for a person."""
    is_tainted: bool = False
    """Whether text of strangers had entered it before its answer was made."""
    last: int = 0
    """The number of its last event."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self.status in OVER


def view_of(events: Iterable[Event]) -> View:
    """Fold events."""
    fold = _Fold()
    for event in events:
        fold.add(event)
    return fold.view


class _Fold:
    def __init__(self) -> None:
        self.view = View()
        self._steps: dict[str, StepView] = {}
        self._sizes: dict[str, int] = {}
        self._at_ms = 0

    def add(self, event: Event) -> None:
        view, body = self.view, event.body
        stood = view.status in ("waiting", "queued") or event.kind == "task.resumed"
        if self._at_ms and not stood and view.status not in OVER:
            view.seconds += max(0, event.at_ms - self._at_ms) / 1000
        self._at_ms, view.last = event.at_ms, event.number
        view.nanos += body.get("nanos", 0)
        view.tokens += body.get("tokens", 0)
        subject, _, what = event.kind.partition(".")
        match subject:
            case "task":
                self._task(what, body)
            case "plan":
                self._plan(what, body)
            case "step":
                self._step(what, event)
            case "approval":
                self._approval(what, event)
            case "repair":
                view.repairs += 1
            case _:
                view.criteria.append(msgspec.convert(body | {"step": event.step}, Checked))
        if view.status in ("running", "waiting"):
            running = any(step.state == "running" for step in self._steps.values())
            view.status = "waiting" if view.approvals and not running else "running"

    def _task(self, what: str, body: dict[str, Any]) -> None:
        view = self.view
        match what:
            case "planning":
                view.status, view.goal = "planning", body.get("goal", "")
            case "resumed" if view.status != "done":
                view.status = "running" if view.plan else "planning"
                view.failure = view.why = ""
            case "done":
                view.status, view.answer = "done", body.get("answer")
                view.text = body.get("text", "")
                view.is_tainted = body.get("is_tainted", False)
                view.cites = msgspec.convert(body.get("cites", []), list[Cite])
                view.artifacts = msgspec.convert(body.get("artifacts", []), list[Artifact])
            case "failed" | "cancelled":
                view.status = "failed" if what == "failed" else "cancelled"
                view.failure, view.why = body.get("failure", what), body.get("why", "")
                view.approvals = []
                for step in self._steps.values():
                    if step.state in ("running", "asking"):
                        step.state = "failed"
            case _:
                pass

    def _plan(self, what: str, body: dict[str, Any]) -> None:
        view = self.view
        if what == "rejected":
            view.rejected += 1
            return
        view.plan, view.status = body["plan"], "running"
        for step in self._steps.values():
            if body.get("round") and step.state in ("failed", "waiting"):
                step.state = "replaced"
        for step in body["plan"]["steps"]:
            found = self._of(step["id"])
            found.action, found.why = step["arm"], step.get("why", "")
            found.after = tuple(body.get("after", {}).get(step["id"], ()))

    def _step(self, what: str, event: Event) -> None:
        step, body = self._of(event.step), event.body
        step.nanos += body.get("nanos", 0)
        step.tokens += body.get("tokens", 0)
        step.seconds += body.get("seconds", 0.0)
        step.text = body.get("text", step.text)
        match what:
            case "started":
                self._of_map(event)
                step.state, step.attempt = "running", body.get("attempt", 1)
                step.action, step.begun_ms = body.get("action", step.action), event.at_ms
            case "done":
                step.state = "done"
                step.artifacts = msgspec.convert(body.get("artifacts", []), tuple[Artifact, ...])
            case "failed":
                step.state, step.why = "failed", body.get("why", "")
            case "skipped":
                step.state, step.why = "skipped", body.get("why", "")
            case _:
                pass
        if what in ("done", "failed"):
            self._of_map(event)

    def _of_map(self, event: Event) -> None:
        """A step with elements is as they are."""
        name, dot, _ = event.step.partition(".")
        if not dot:
            return
        step = self._of(name)
        self._sizes[name] = event.body.get("of", self._sizes.get(name, 0))
        states = [s.state for n, s in self._steps.items() if n.startswith(f"{name}.")]
        ended = sum(state in ("done", "failed") for state in states)
        step.state = "running"
        if ended == self._sizes[name]:
            step.state = "failed" if "failed" in states else "done"

    def _approval(self, what: str, event: Event) -> None:
        view, topic, step = self.view, event.body["topic"], self._of(event.step)
        if what == "asked":
            step.state = "asking"
            asked = {**event.body, "step": event.step}
            view.approvals.append(msgspec.convert(asked, Approval))
        else:
            step.state = "waiting"
            view.approvals = [one for one in view.approvals if one.topic != topic]

    def _of(self, name: str) -> StepView:
        if name not in self._steps:
            self._steps[name] = StepView(name)
            self.view.steps.append(self._steps[name])
        return self._steps[name]
