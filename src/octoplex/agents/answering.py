"""The answer of a task, and what it rests on."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.agents.course import Course
from octoplex.agents.faults import before
from octoplex.agents.judge import described
from octoplex.agents.plan import Criterion, Step
from octoplex.agents.references import resolved, sources, without
from octoplex.agents.task import Task
from octoplex.agents.view import Cite
from octoplex.agents.words import Artifact, Outcome


class Ended(Struct, frozen=True):
    """A run that is done: its id, its step, and what came of it."""

    id: str
    step: Step
    outcome: Outcome


def wanted(task: Task) -> list[tuple[Criterion, str]]:
    """A task's criteria, with their words; those that are texts are for a model."""
    told = task.acceptance_criteria
    found = [Criterion("model", one) if isinstance(one, str) else one for one in told]
    return [(one, described(one)) for one in found]


def answer_of(course: Course) -> Any:
    """What the plan says is the answer; else what its last steps gave, of one step bare.

    Raises:
        Failed: a reference in it leads nowhere.
    """
    if course.answer is None:
        last = [course.output(step.id) for step in _last(course)]
        return last[0] if len(last) == 1 else last
    skipped = {step.id for step in course.steps("skipped")}
    return resolved(without(course.answer, skipped), course.output)


def _last(course: Course) -> list[Step]:
    done = course.steps("done")
    used = set().union(*(before(step) for step in done))
    return [step for step in done if step.id not in used]


def text_of(answer: Any, course: Course, ended: Sequence[Ended]) -> str:
    """The answer, for people."""
    if course.answer is None:
        last = {step.id for step in _last(course)}
        return "\n\n".join(e.outcome.text for e in ended if e.step.id in last and e.outcome.text)
    if isinstance(answer, dict) and isinstance(answer.get("text"), str):
        return str(answer["text"])
    return answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()


def cites_of(course: Course, ended: Sequence[Ended]) -> list[Cite]:
    """The steps that the answer is taken from, and those that left files or sources."""
    named = sources(course.answer) or {step.id for step in _last(course)}
    found = []
    for one in ended:
        files = tuple(artifact.path for artifact in one.outcome.artifacts)
        told = tuple(e.name for e in one.outcome.evidence if e.kind == "source")
        if one.step.id in named or files or told:
            found.append(Cite(one.id, one.step.arm, files, told))
    return found


def artifacts_of(ended: Sequence[Ended]) -> list[Artifact]:
    """The files there are now: of those that were written twice, the last."""
    return list({a.path: a for one in ended for a in one.outcome.artifacts}.values())
