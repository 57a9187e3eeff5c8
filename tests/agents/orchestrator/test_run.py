"""Whole tasks, driven by scripted models and small real arms."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octoplex.agents.orchestrator import run
from octoplex.agents.plan import Criterion, Plan
from octoplex.agents.scroll import MemoryJournal
from octoplex.agents.task import Budget, Task
from octoplex.agents.view import View
from octoplex.agents.words import Outcome
from octoplex.wire.event import Refusal
from tests.agents.scripted import Models, Small, assignment_of, nested, plan, ref, step


def kinds(journal: MemoryJournal) -> list[str]:
    return [event.kind for event in journal.events]


async def ran(
    folder: Path, planner: list[Any], arm: Small | None = None, **more: Any
) -> tuple[View, MemoryJournal]:
    models = more.pop("models", None) or Models(planner=planner, worker=["w"], judge=["no"])
    journal = more.pop("journal", None) or MemoryJournal()
    async with asyncio.timeout(10):
        view = await run(assignment_of(models, arm or Small(), folder, **more), journal)
    return view, journal


ADD = plan(
    step("one", "add", {"a": 1, "b": 2}),
    step("two", "add", {"a": ref("one", "/sum"), "b": 10}),
    answer=ref("two", "/sum"),
)


def test_a_goal_becomes_an_answer(tmp_path: Path) -> None:
    view, journal = asyncio.run(ran(tmp_path, [ADD]))
    assert (view.status, view.answer, view.text) == ("done", 13, "13")
    assert [(s.id, s.state) for s in view.steps] == [("one", "done"), ("two", "done")]
    assert [c.step for c in view.cites] == ["two"]
    assert view.nanos == 1_000_000
    assert kinds(journal)[:3] == ["task.queued", "task.planning", "plan.made"]
    assert kinds(journal)[-1] == "task.done"


def test_a_task_needs_no_budget(tmp_path: Path) -> None:
    """Defect 2 of agents.md: no budget given was a server's error."""
    task = msgspec.json.decode(b'{"goal": "do it"}', type=Task)
    view, _ = asyncio.run(ran(tmp_path, [ADD], task=task))
    assert view.status == "done"


def test_independent_steps_run_at_once(tmp_path: Path) -> None:
    """Four of six steps do not depend on each other: the graph is three steps long."""
    wide = plan(
        step("first", "add", {"a": 0, "b": 1}),
        *(step(f"w{i}", "add", {"a": ref("first", "/sum"), "b": i}) for i in range(4)),
        step("last", "any", {f"w{i}": ref(f"w{i}", "/sum") for i in range(4)}),
        answer=ref("last"),
    )
    arm = Small()
    view, _ = asyncio.run(ran(tmp_path, [wide], arm))
    assert view.answer == {"w0": 1, "w1": 2, "w2": 3, "w3": 4}
    assert arm.most == 4
    arm = Small()
    asyncio.run(ran(tmp_path, [wide], arm, agent={"at_once": 3}))
    assert arm.most == 3


def test_an_action_has_no_more_at_once_than_its_arm_takes(tmp_path: Path) -> None:
    arm = Small()
    steps = [step(f"s{i}", "two", criteria=[{"kind": "equals", "value": {}}]) for i in range(6)]
    view, _ = asyncio.run(ran(tmp_path, [plan(*steps)], arm))
    assert view.status == "done"
    assert (arm.most, arm.done["small.two"]) == (2, 6)


def test_a_rejected_plan_goes_back_with_the_reasons(tmp_path: Path) -> None:
    bad = plan(step("one", "nothing"))
    worse = plan(step("one", "add", {"a": "x", "b": 2}))
    models = Models(planner=[bad, worse, "no JSON", ADD])
    view, journal = asyncio.run(ran(tmp_path, [], models=models))
    assert (view.status, view.rejected) == ("done", 3)
    said = [models.shown(i)["rejected"]["reasons"] for i in (1, 2, 3)]
    assert 'there is no arm "small.nothing"' in said[0][0]
    assert 'input/a: "x" is not of type "number"' in said[1][0]
    assert "no plan" in said[2][0]
    assert view.nanos == 4_000_000
    assert kinds(journal).count("plan.rejected") == 3


def test_three_rejections_are_enough(tmp_path: Path) -> None:
    models = Models(planner=[plan(step("one", "nothing"))])
    view, _ = asyncio.run(ran(tmp_path, [], models=models))
    assert (view.status, view.failure, len(models.asked)) == ("failed", "failed", 4)
    assert 'there is no arm "small.nothing"' in view.why


@pytest.mark.parametrize(
    "no",
    [Refusal("I will not"), {"steps": [], "why": "I will not"}],
    ids=["refusal", "no steps"],
)
def test_a_planner_may_refuse(tmp_path: Path, no: Any) -> None:
    arm = Small()
    view, _ = asyncio.run(ran(tmp_path, [no], arm))
    assert (view.status, view.failure, arm.orders) == ("failed", "refused", [])
    assert "I will not" in view.why


def test_only_what_failed_is_planned_anew(tmp_path: Path) -> None:
    first = plan(
        step("good", "text", {"text": "kept"}),
        step("bad", "fails", {"why": "no such thing"}),
        step("after", "text", {"text": ref("bad", "/x")}),
        answer=[ref("good", "/text"), ref("after", "/text")],
    )
    second = plan(
        step("bad", "text", {"text": "mended"}), answer=[ref("good", "/text"), ref("bad", "/text")]
    )
    models, arm = Models(planner=[first, second]), Small()
    view, journal = asyncio.run(ran(tmp_path, [], arm, models=models))
    assert (view.status, view.answer, view.repairs) == ("done", ["kept", "mended"], 1)
    assert arm.done == {"small.text": 2}
    assert models.shown(1)["done"] == {"good": {"text": "kept"}}
    assert "no such thing" in models.shown(1)["failed"][0]
    states = {s.id: s.state for s in view.steps}
    assert states == {"good": "done", "bad": "replaced", "after": "replaced", "bad-2": "done"}
    assert "step.retried" in kinds(journal)


def test_a_task_is_not_repaired_for_ever(tmp_path: Path) -> None:
    plans = [plan(step(f"s{i}", "fails", {"why": f"why {i}"})) for i in range(9)]
    view, _ = asyncio.run(ran(tmp_path, plans))
    assert (view.status, view.failure, view.repairs) == ("failed", "failed", 2)
    assert "why 2" in view.why


def test_a_repair_that_brings_nothing_new_is_the_last(tmp_path: Path) -> None:
    plans = [plan(step("s", "fails", {"why": "stuck"}, share=i / 10)) for i in range(9)]
    view, _ = asyncio.run(ran(tmp_path, plans))
    assert view.status == "failed"
    assert "does just what failed before" in view.why
    plans = [plan(step(f"s{i}", "any", {"try": i}, criteria=[NEVER])) for i in range(9)]
    view, _ = asyncio.run(ran(tmp_path, plans, agent={"repairs": 5}))
    assert (view.status, view.failure, view.repairs) == ("failed", "loop", 1)


NEVER = {"kind": "exit", "text": "it was run"}


def test_the_same_failure_again_and_again_is_a_loop(tmp_path: Path) -> None:
    one = plan(step("s", "fails", {"why": "stuck"}, attempts=5))
    view, journal = asyncio.run(ran(tmp_path, [one]))
    assert (view.status, view.failure) == ("failed", "loop")
    assert kinds(journal).count("step.retried") == 2


def test_a_step_that_takes_too_long_is_ended_and_tried_again(tmp_path: Path) -> None:
    arm = Small()
    slow = plan(step("s", "wait", timeout_s=0.01))
    view, journal = asyncio.run(ran(tmp_path, [slow, ADD], arm))
    assert (view.status, view.answer) == ("done", 13)
    assert kinds(journal).count("step.retried") == 1
    assert arm.now == 0


def test_criteria_of_the_whole_are_checked_and_repaired(tmp_path: Path) -> None:
    goal = Task(goal="g", acceptance_criteria=(Criterion("equals", value=14), "it is nice"))
    better = plan(
        step("more", "add", {"a": ref("two", "/sum"), "b": 1}), answer=ref("more", "/sum")
    )
    nice = {"verdicts": [{"passed": True, "why": "I see it"}]}
    models = Models(planner=[ADD, better], judge=[nice])
    view, _ = asyncio.run(ran(tmp_path, [], models=models, task=goal))
    assert (view.status, view.answer) == ("done", 14)
    said = [(c.what, c.passed, c.by) for c in view.criteria]
    assert said == [
        ("equals 14", False, "measured"),
        ("equals 14", True, "measured"),
        ("it is nice", True, "judge"),
    ]
    assert [model for model, _ in models.asked] == ["planner", "planner", "judge"]


def test_criteria_that_cannot_be_checked_are_refused_at_once(tmp_path: Path) -> None:
    models = Models(planner=[ADD])
    goal = Task(goal="g", acceptance_criteria=(Criterion("matches", value="("),))
    view, _ = asyncio.run(ran(tmp_path, [], models=models, task=goal))
    assert (view.failure, models.asked) == ("refused", [])
    assert "regular expression" in view.why


def test_a_repair_may_say_no_answer(tmp_path: Path) -> None:
    """The first plan's answer was taken from what failed and is gone."""
    first = plan(step("bad", "fails", {"why": "no"}), answer=ref("bad"))
    second = plan(step("good", "text", {"text": "x"}))
    view, _ = asyncio.run(ran(tmp_path, [first, second]))
    assert (view.status, view.answer, view.text) == ("done", {"text": "x"}, "x")


def test_what_may_have_happened_is_not_planned_anew(tmp_path: Path) -> None:
    """A message that timed out may have gone out: another plan could send it twice."""
    arm = Small()
    arm.hooks["small.send"] = lambda order: Outcome(failure="timeout", why="no answer")
    one = plan(step("mail", "send", {"to": "ann", "text": "x"}))
    view, _ = asyncio.run(ran(tmp_path, [one], arm, agent={"approve": "never"}))
    assert (view.failure, view.repairs, len(arm.orders)) == ("timeout", 0, 1)


def test_no_repair_without_steps(tmp_path: Path) -> None:
    one = plan(step("bad", "fails", {"why": "no"}))
    view, _ = asyncio.run(ran(tmp_path, [one], agent={"limits": Budget(steps=2)}))
    assert (view.failure, view.repairs) == ("budget", 0)


def test_a_judge_that_cannot_be_read_says_no(tmp_path: Path) -> None:
    goal = Task(goal="g", acceptance_criteria=("it is nice",))
    view, _ = asyncio.run(ran(tmp_path, [ADD], task=goal, agent={"repairs": 0}))
    assert view.status == "failed"
    assert "no verdict" in view.why


def test_maps_conditions_and_what_is_skipped(tmp_path: Path) -> None:
    mapped = plan(
        step("l", "list", {"count": 3}),
        step("m", "add", {"a": {"$item": ""}, "b": 10}, each=ref("l", "/items")),
        step("many", "any", {"m": ref("m")}, when={"step": "l", "at": "/items/2"}),
        step("few", "any", {"x": 1}, when={"step": "l", "at": "/items/9", "is_": "there"}),
        step("then", "any", {"x": ref("few")}),
        answer=[ref("many", "/m"), ref("few"), ref("then", "/x")],
    )
    view, journal = asyncio.run(ran(tmp_path, [mapped]))
    assert view.answer == [[{"sum": 10}, {"sum": 11}, {"sum": 12}], None, None]
    states = {s.id: s.state for s in view.steps}
    assert states["m"] == states["m.0"] == states["m.2"] == states["many"] == "done"
    assert states["few"] == states["then"] == "skipped"
    assert kinds(journal).count("step.skipped") == 2


def test_only_a_plan_is_wanted(tmp_path: Path) -> None:
    arm = Small()
    view, _ = asyncio.run(ran(tmp_path, [ADD], arm, task=Task(goal="g", plan_only=True)))
    assert (view.status, arm.orders) == ("done", [])
    assert view.plan is not None
    assert len(view.plan["steps"]) == 2


def test_a_given_plan_is_looked_at_like_any_other(tmp_path: Path) -> None:
    given = msgspec.convert(ADD, Plan)
    view, _ = asyncio.run(ran(tmp_path, [], plan=given))
    assert (view.status, view.answer, view.nanos) == ("done", 13, 0)
    bad = msgspec.convert(plan(step("s", "nothing")), Plan)
    view, _ = asyncio.run(ran(tmp_path, [], plan=bad))
    assert (view.status, view.failure) == ("failed", "refused")


# Money


def asking(*names: str, share: float = 0.0) -> dict[str, Any]:
    return plan(
        *(step(n, "ask", {"text": n}, share=share) for n in names), answer=ref(names[-1], "/text")
    )


def test_a_step_that_has_used_up_its_part_ends(tmp_path: Path) -> None:
    """The arm would ask for ever; its part pays for two asks, and the third is not made."""
    arm = Small()

    async def for_ever(order: Any, world: Any, text: str) -> Any:
        while True:
            await world.ask("worker", b"{}")

    arm.ask = for_ever  # type: ignore[method-assign]
    models = Models(planner=[asking("s", share=0.5)], worker=["w"])
    limits = Budget(dollars=0.004)
    view, _ = asyncio.run(
        ran(tmp_path, [], arm, models=models, agent={"limits": limits, "repairs": 0})
    )
    assert (view.status, view.failure) == ("failed", "budget")
    assert [m for m, _ in models.asked].count("worker") == 2
    assert view.nanos == 3_000_000
    assert view.steps[0].nanos == 2_000_000


def test_what_a_step_leaves_is_there_for_the_next(tmp_path: Path) -> None:
    arm, models = Small(), Models(planner=[asking("a", "b", "c")], worker=["w"])
    chain = asking("a", "b", "c")
    chain["steps"][1]["after"], chain["steps"][2]["after"] = ["a"], ["b"]
    models = Models(planner=[chain], worker=["w"])
    limits = Budget(dollars=0.010, tokens=1_000)
    asyncio.run(ran(tmp_path, [], arm, models=models, agent={"limits": limits}))
    assert [o.nanos for o in arm.orders] == [3_000_000, 4_000_000, 7_000_000]
    capped = [body["max_completion_tokens"] for model, body in models.asked if model == "worker"]
    assert capped == [230, 330, 630], "what a call reads is paid, too"


def test_no_budget_no_step(tmp_path: Path) -> None:
    limits = Budget(dollars=0.001)
    view, _ = asyncio.run(ran(tmp_path, [asking("s")], agent={"limits": limits}))
    assert (view.status, view.failure) == ("failed", "budget")
    assert "$0.0010 of $0.001" in view.why
    view, _ = asyncio.run(ran(tmp_path, [ADD], agent={"limits": Budget(steps=1)}))
    assert "at most 1" in view.why


@pytest.mark.parametrize("nanos", [0, 1])
def test_who_may_spend_nothing_asks_what_costs_nothing(tmp_path: Path, nanos: int) -> None:
    models = Models(nanos, planner=[asking("s")], worker=["w"])
    agent = {"limits": Budget(dollars=0), "repairs": 0}
    view, _ = asyncio.run(ran(tmp_path, [], models=models, agent=agent))
    assert (view.status, view.failure) == (("failed", "budget") if nanos else ("done", ""))
    assert len(models.asked) == (0 if nanos else 2)


def test_an_output_that_nothing_could_follow_is_a_failure_of_its_step(tmp_path: Path) -> None:
    arm = Small()
    arm.hooks["small.any"] = lambda order: Outcome(output=nested(700))
    one = [plan(step("a", "any"))]
    view, _ = asyncio.run(ran(tmp_path, one, arm, agent={"repairs": 0}))
    assert (view.status, view.failure) == ("failed", "failed")
    assert "nested more than 100 times" in view.why


def test_time_is_a_budget(tmp_path: Path) -> None:
    arm = Small()
    slow = plan(step("s", "wait"))
    view, _ = asyncio.run(ran(tmp_path, [slow], arm, agent={"limits": Budget(seconds=0.05)}))
    assert (view.status, view.failure, arm.now) == ("failed", "budget", 0)
    assert view.steps[0].state == "failed"
