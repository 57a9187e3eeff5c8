"""A plan: a typed graph of steps, as planners write it and the orchestrator runs it.

    {"steps": [
        {"id": "read", "arm": "retriever.read", "inputs": {"path": "sales.csv"}},
        {"id": "plot", "arm": "executor.python", "inputs": {"code": "...", "rows": {"$from": "read",
         "at": "/rows"}}, "criteria": [{"kind": "file", "path": "plot.png"}]}],
     "answer": {"$from": "plot", "at": "/text"}}

A value {"$from": STEP, "at": POINTER} stands for a part of an earlier step's output (RFC 6901; ""
is all of it), and makes this step wait for that one; in a step with `each` a value {"$item":
POINTER} stands for a part of the element at hand. Nothing runs before `faults` finds nothing.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from octoplex.agents.words import Effect

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
MOST_STEPS = 200
CriterionKind = Literal["schema", "exit", "file", "contains", "matches", "equals", "model"]


class Criterion(Struct, frozen=True, omit_defaults=True):
    """What must be true of a step's outcome, or of the task's.

    `schema`: the output at `at` is valid against `value`. `exit`: every "exit" or "tests" evidence
    is 0 (or `value`). `file`: there is a file `path`, of at least `value` bytes. `contains`,
    `matches`, `equals`: of the output at `at`, as text or as JSON. `model`: a model judge agrees
    with `text`, shown the evidence.
    """

    kind: CriterionKind
    text: str = ""
    at: str = ""
    path: str = ""
    value: Any = None


class Condition(Struct, frozen=True, omit_defaults=True):
    """Whether a step runs at all: the value at `at` of `step`'s output, compared with `value`."""

    step: Name
    at: str = ""
    is_: Literal["equal", "unequal", "above", "below", "there", "missing"] = "there"
    value: Any = None


class Step(Struct, frozen=True, omit_defaults=True):
    """One step. `share` is its part of what the task may spend; 0: what is left, evenly."""

    id: Name
    arm: str
    inputs: dict[str, Any] = {}
    after: tuple[Name, ...] = ()
    when: Condition | None = None
    each: Any = None
    """A reference to a list (or a list): the step runs once for each element; its output is the
    list of outputs."""
    criteria: tuple[Criterion, ...] = ()
    share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    effect: Effect | None = None
    """As the arm says, where it is left out; it may be said to be graver, never lighter."""
    timeout_s: Annotated[float, Meta(gt=0)] | None = None
    attempts: Annotated[int, Meta(ge=1, le=5)] = 2
    why: str = ""


class Plan(Struct, frozen=True, omit_defaults=True):
    """Steps and what of them is the answer: a value with references, usually one."""

    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=MOST_STEPS)]
    answer: Any = None
    why: str = ""
