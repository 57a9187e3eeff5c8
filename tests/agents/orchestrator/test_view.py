"""How a task looks, and what time it took."""

import asyncio
from contextlib import ExitStack
from typing import Any

from octoplex.agents.clock import Clock
from octoplex.agents.task import Event, EventKind
from octoplex.agents.view import View, view_of
from tests.agents.scripted import plan, step

PLAN = {"plan": plan(step("a", "text"), step("b", "text", after=["a"])), "after": {"b": ["a"]}}


def folded(*events: tuple[EventKind, int, str, dict[str, Any]]) -> View:
    return view_of(Event(i, k, at, s, body) for i, (k, at, s, body) in enumerate(events, 1))


def test_only_time_in_which_somebody_works_counts() -> None:
    """2 s of planning, 3 s of work; not the hour for a person, nor the night between two lives."""
    view = folded(
        ("task.queued", 0, "", {}),
        ("task.planning", 60_000, "", {"goal": "g"}),
        ("plan.made", 62_000, "", {**PLAN, "nanos": 7, "tokens": 2}),
        ("approval.asked", 62_000, "a", {"topic": "approval/a", "why": "w"}),
        ("approval.given", 3_662_000, "a", {"topic": "approval/a", "approved": True}),
        ("step.started", 3_662_000, "a", {"attempt": 1}),
        ("step.progress", 3_664_000, "a", {"text": "half"}),
        ("task.resumed", 90_000_000, "", {}),
        ("step.retried", 90_001_000, "a", {"nanos": 5, "tokens": 1, "seconds": 2.0}),
    )
    assert (view.seconds, view.nanos, view.tokens, view.last) == (5.0, 12, 3, 9)
    assert (view.status, view.goal) == ("running", "g")
    assert [(s.id, s.state, s.after, s.nanos) for s in view.steps] == [
        ("a", "running", (), 5),
        ("b", "waiting", ("a",), 0),
    ]


def test_who_is_asked_for_what() -> None:
    asked = {"topic": "approval/a", "why": "w", "action": "small.send", "inputs": {"to": "x"}}
    view = folded(("plan.made", 0, "", PLAN), ("approval.asked", 1, "a", asked))
    assert view.status == "waiting"
    assert [(a.step, a.topic, a.inputs) for a in view.approvals] == [
        ("a", "approval/a", {"to": "x"})
    ]
    assert view.steps[0].state == "asking"


def test_an_end_is_an_end_until_somebody_resumes() -> None:
    failed = [("task.failed", 1, "", {"failure": "budget", "why": "spent"})]
    view = folded(("plan.made", 0, "", PLAN), *failed)  # type: ignore[arg-type]
    assert (view.status, view.failure, view.why, view.is_over) == (
        "failed",
        "budget",
        "spent",
        True,
    )
    resumed = ("task.resumed", 2, "", {})
    view = folded(("plan.made", 0, "", PLAN), *failed, resumed)  # type: ignore[arg-type]
    assert (view.status, view.failure, view.why, view.is_over) == ("running", "", "", False)
    done = [("task.done", 1, "", {"answer": 3, "text": "3"})]
    assert folded(*done, resumed).status == "done"  # type: ignore[arg-type]


def test_a_map_is_as_its_elements_are() -> None:
    def started(i: int) -> Any:
        return ("step.started", 0, f"a.{i}", {"attempt": 1, "of": 2})

    def ended(i: int, how: str) -> Any:
        return (f"step.{how}", 0, f"a.{i}", {"of": 2})

    made = ("plan.made", 0, "", PLAN)
    some = [started(0), started(1), ended(0, "done")]
    assert folded(made, *some).steps[0].state == "running"  # type: ignore[arg-type]
    assert folded(made, *some, ended(1, "done")).steps[0].state == "done"  # type: ignore[arg-type]
    bad = folded(made, *some, ended(1, "failed"))  # type: ignore[arg-type]
    assert bad.steps[0].state == "failed"


def test_the_clock_stands_while_all_wait() -> None:
    """Twice the time goes by for a person, and it is not over; once more, with one at work."""

    async def waited(workers: int) -> bool:
        clock = Clock(0.02)
        over = asyncio.create_task(clock.over())
        with ExitStack() as others:
            for _ in range(workers):
                others.enter_context(clock.working())
            with clock.waiting():
                await asyncio.wait({over}, timeout=0.05)
                stood = not over.done()
            await over
        clock.close()
        return stood

    assert asyncio.run(waited(1))
    assert not asyncio.run(waited(2))
    assert asyncio.run(used_up())


async def used_up() -> bool:
    clock = Clock(5.0, used_s=9.0)
    await clock.over()
    return clock.left_s == 0
