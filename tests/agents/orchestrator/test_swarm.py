"""Several attempts at one step: who has a say, what agreement is, what it costs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from octoplex.agents.agent import Swarm
from octoplex.agents.orchestrator import run
from octoplex.agents.scroll import MemoryJournal
from octoplex.agents.task import Budget, Task
from octoplex.agents.view import View
from octoplex.wire.error import UpstreamFailed
from tests.agents.scripted import Models, Small, assignment_of, plan, ref, step

HIGH = Task(goal="g", priority="critical")


def ran(folder: Path, said: list[Any], **more: Any) -> tuple[View, Models, MemoryJournal, Small]:
    criteria = more.pop("criteria", [])
    one = plan(step("s", more.pop("arm", "ask"), {"text": "x"}, criteria=criteria), answer=ref("s"))
    models = Models(planner=[one], worker=said, judge=more.pop("judge", ["no JSON"]))
    arm, journal = Small(), MemoryJournal()
    assignment = assignment_of(models, arm, folder, task=more.pop("task", HIGH), **more)
    return asyncio.run(run(assignment, journal)), models, journal, arm


def votes(journal: MemoryJournal) -> Any:
    return next(e.body for e in journal.events if e.kind == "step.done").get("votes")


def test_more_than_half_agree_and_the_rest_is_ended(tmp_path: Path) -> None:
    swarm = Swarm(attempts=5)
    said = ["Four.", "five", "four", "FOUR", "six"]
    view, models, journal, _ = ran(tmp_path, said, agent={"swarm": swarm})
    assert view.answer["text"].casefold().startswith("four")
    assert votes(journal)["by"] == "vote"
    assert votes(journal)["agree"] == 3
    heads = [str(body["messages"][0]) for model, body in models.asked if model == "worker"]
    assert len(set(heads)) == len(heads) == 5


def test_what_the_measured_criteria_refuse_has_no_say(tmp_path: Path) -> None:
    right = [{"kind": "contains", "at": "/text", "value": "ok"}]
    view, _, journal, _ = ran(tmp_path, ["bad", "bad", "ok"], criteria=right)
    assert view.answer == {"text": "ok"}
    assert votes(journal) == {"attempts": 3, "valid": 1, "agree": 1, "by": "vote"}


@pytest.mark.parametrize(("said", "best"), [({"best": 2}, "c"), ("what?", "a"), ({"best": 9}, "a")])
def test_without_agreement_a_judge_picks(tmp_path: Path, said: Any, best: str) -> None:
    view, models, journal, _ = ran(tmp_path, ["a", "b", "c"], judge=[said])
    assert view.answer == {"text": best}
    assert votes(journal)["by"] == "judge"
    shown = models.shown(-1)["candidates"]
    assert shown == {"0": '{"text":"a"}', "1": '{"text":"b"}', "2": '{"text":"c"}'}


def test_only_what_leaves_nothing_is_tried_several_times(tmp_path: Path) -> None:
    _, models, _, arm = ran(tmp_path, ["a"], task=Task(goal="g"))
    assert len(arm.orders) == 1
    _, models, _, arm = ran(
        tmp_path, ["a"], task=Task(goal="g"), agent={"swarm": Swarm(is_forced=True)}
    )
    assert len(arm.orders) == 3
    _, models, _, arm = ran(tmp_path, ["a"], arm="text")
    assert len(arm.orders) == 1
    assert [m for m, _ in models.asked] == ["planner"]


def test_a_swarm_spends_no_more_than_it_may(tmp_path: Path) -> None:
    """Each attempt costs a tenth of a cent: the first shows that two more are paid for."""
    swarm = Swarm(attempts=10, dollars=0.003)
    view, models, journal, _ = ran(tmp_path, list("abcdefghij"), agent={"swarm": swarm})
    assert [m for m, _ in models.asked].count("worker") == 3
    assert votes(journal)["attempts"] == 3
    view, models, _, _ = ran(tmp_path, ["a"], agent={"limits": Budget(dollars=0.002)})
    assert (view.status, view.nanos) == ("done", 2_000_000)


def test_attempts_that_fail_are_left_out(tmp_path: Path) -> None:
    view, _, journal, _ = ran(tmp_path, [UpstreamFailed("away"), "a", "a"])
    assert (view.answer, votes(journal)["valid"]) == ({"text": "a"}, 2)
    view, _, _, _ = ran(tmp_path, [UpstreamFailed("away")], agent={"repairs": 0})
    assert (view.status, view.failure) == ("failed", "failed")
    assert "away" in view.why
