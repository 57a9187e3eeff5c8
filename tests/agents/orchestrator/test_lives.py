"""Killed anywhere and taken over: what is done stays done, and nothing is told twice."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from octoplex.agents.orchestrator import run
from octoplex.agents.plan import Criterion
from octoplex.agents.scroll import MemoryJournal, Record
from octoplex.agents.task import Task
from octoplex.agents.view import View, view_of
from octoplex.agents.words import Order, Outcome
from tests.agents.scripted import Models, Small, assignment_of, plan, ref, step

NICE = {"verdicts": [{"passed": True, "why": "seen"}]}
OK = [{"kind": "model", "text": "ok"}]
FIRST = plan(
    step("l", "list", {"count": 2}),
    step("m", "add", {"a": {"$item": ""}, "b": 1}, each=ref("l", "/items")),
    step("mail", "send", {"to": "ann", "text": "x"}, criteria=OK),
    step("never", "text", {"text": "x"}, when={"step": "l", "at": "/items/7"}, criteria=OK),
    step("bad", "fails", {"why": "no"}, after=["m", "mail"]),
    answer=ref("bad"),
)
SECOND = plan(step("good", "any", {"m": ref("m"), "s": ref("mail", "/sent")}), answer=ref("good"))
ANSWER = {"m": [{"sum": 1}, {"sum": 2}], "s": True}


def whole(folder: Path, arm: Small, models: Models | None = None) -> Any:
    models = models or Models(planner=[by_what_failed], judge=[NICE])
    return assignment_of(
        models,
        arm,
        folder,
        task=Task(goal="g", acceptance_criteria=(Criterion("equals", value=ANSWER),)),
        agent={"approve": "side-effects"},
    )


def by_what_failed(call: dict[str, Any]) -> Any:
    """A planner that a kill does not confuse: what it says depends on what it is shown only."""
    return SECOND if '"failed"' in call["messages"][-1]["content"] else FIRST


async def lived(one: Any, journal: MemoryJournal) -> View:
    """Run to the end; whatever is asked is allowed."""
    work = asyncio.create_task(run(one, journal))
    async with asyncio.timeout(10):
        while not work.done():
            for approval in view_of(journal.events).approvals:
                journal.say(approval.topic, {"approved": True, "by": "bob"})
            await asyncio.sleep(0)
    return work.result()


def words(records: list[Record]) -> Counter[str]:
    """What was told, without number and time; lives are told by the journal itself."""
    told = (view for view in MemoryJournal(records).events[:-1])
    return Counter(
        f"{e.kind} {e.step} {e.body.get('attempt', e.body.get('round'))}"
        for e in told
        if e.kind != "task.resumed"
    )


def test_a_kill_after_every_write_changes_nothing(tmp_path: Path) -> None:
    """The journal is cut off after each record; the next life ends alike, and what has an effect
    has happened once: counted over both lives, where what the first had kept is not done again."""
    first = MemoryJournal()
    arm = Small()
    view = asyncio.run(lived(whole(tmp_path, arm), first))
    assert (view.status, view.answer, view.repairs) == ("done", ANSWER, 1)
    assert arm.done["small.send"] == 1
    told = words(first.records)
    assert max(told.values()) == 1
    for cut in range(1, len(first.records) + 1):
        before = first.records[:cut]
        sent = [r for r in before if r.key.startswith("step/mail/") and r.kind == "once"]
        begun = [r for r in before if r.key.startswith("step/mail/") and r.kind == "begin"]
        arm, journal = Small(), MemoryJournal(before)
        view = asyncio.run(lived(whole(tmp_path, arm), journal))
        assert (view.status, view.answer) == ("done", ANSWER), cut
        assert arm.done["small.send"] == (0 if sent else 1), cut
        kept = {r.key for r in before if r.kind == "once"}
        done = {f"step/{o.step_id}/{o.attempt}" for o in arm.orders}
        assert not kept & done, cut
        new = words(journal.records)
        again = {name for name in new if name.split()[1] == "mail"}
        if begun and not sent:  # cut off in the middle: it is asked about, and a second try
            assert "step.retried mail 1" in new
            new = Counter({n: c for n, c in new.items() if n not in again})
        else:
            assert new == told, (cut, new - told, told - new)
        assert max(new.values()) == 1, (cut, new.most_common(1))


def test_what_may_have_happened_is_not_done_again(tmp_path: Path) -> None:
    """Cut off between mark and outcome: without a person it is the end, with one it goes on."""
    journal = MemoryJournal()
    one = plan(step("mail", "send", {"to": "ann", "text": "x"}))

    def half(agent: dict[str, Any], arm: Small) -> Any:
        return assignment_of(Models(planner=[one]), arm, tmp_path, agent=agent)

    never = {"approve": "never"}
    asyncio.run(lived(half(never, Small()), journal))
    at = next(i for i, r in enumerate(journal.records) if r.kind == "begin")
    cut = journal.records[: at + 1]
    arm = Small()
    view = asyncio.run(lived(half(never, arm), MemoryJournal(cut)))
    assert (view.status, view.failure, arm.orders) == ("failed", "interrupted", [])
    assert "may have happened" in view.why
    asked = MemoryJournal(cut)
    view = asyncio.run(lived(half({"approve": "side-effects"}, arm), asked))
    assert (view.status, arm.done["small.send"]) == ("done", 1)
    assert {o.key for o in arm.orders} == {"task-1/mail"}


def test_a_life_that_is_shut_down_can_be_gone_on_with(tmp_path: Path) -> None:
    async def shut() -> None:
        journal, arm = MemoryJournal(), Small()
        arm.begun = asyncio.Event()
        slow = plan(step("a", "add", {"a": 1, "b": 1}), step("w", "wait"))
        one = assignment_of(Models(planner=[slow]), arm, tmp_path)
        before = asyncio.all_tasks()
        work = asyncio.create_task(run(one, journal))
        await arm.begun.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert work.cancelled()
        assert arm.now == 0
        assert asyncio.all_tasks() == before
        assert journal.events[-1].kind in ("step.started", "step.done")
        arm.hooks["small.wait"] = lambda order: Outcome(output={})
        view = await lived(one, MemoryJournal(journal.records))
        assert (view.status, arm.done["small.add"]) == ("done", 1)

    asyncio.run(shut())


def test_a_task_is_cancelled_from_outside(tmp_path: Path) -> None:
    async def cancelled() -> None:
        journal, arm = MemoryJournal(), Small()
        arm.begun = asyncio.Event()
        slow = plan(*(step(f"w{i}", "wait") for i in range(3)))
        before = asyncio.all_tasks()
        one = assignment_of(Models(planner=[slow]), arm, tmp_path)
        work = asyncio.create_task(run(one, journal))
        await arm.begun.wait()
        journal.say("cancel", {"by": "bob", "why": "enough"})
        view = await work
        assert (view.status, view.why, arm.now) == ("cancelled", "enough", 0)
        assert asyncio.all_tasks() == before
        again = await run(one, journal)
        assert again.status == "cancelled"
        assert len(arm.orders) == 3

    asyncio.run(cancelled())


def test_a_person_has_a_failed_task_tried_again(tmp_path: Path) -> None:
    """Resumed after it failed: what is done stays, what failed has another turn."""
    arm = Small()
    broken = True

    def sometimes(order: Order) -> Outcome | None:
        return None if broken else Outcome(output={"text": "now"})

    arm.hooks["small.fails"] = sometimes
    one = plan(
        step("mail", "send", {"to": "ann", "text": "x"}),
        step("s", "fails", {"why": "away"}, after=["mail"]),
        answer=ref("s", "/text"),
    )
    agent = {"approve": "never", "repairs": 0}
    journal = MemoryJournal()
    task = assignment_of(Models(planner=[one]), arm, tmp_path, agent=agent)
    view = asyncio.run(lived(task, journal))
    assert (view.status, view.failure) == ("failed", "failed")
    broken = False
    view = asyncio.run(lived(task, MemoryJournal(journal.records)))
    assert (view.status, view.answer, view.why) == ("done", "now", "")
    assert arm.done["small.send"] == 1
    broken = True
    third = MemoryJournal(journal.records)
    view = asyncio.run(lived(task, third))
    assert view.status == "failed"
    broken = False
    view = asyncio.run(lived(task, MemoryJournal(third.records)))
    assert (view.status, arm.done["small.send"]) == ("done", 1)


def test_what_may_have_happened_is_asked_about_in_another_turn(tmp_path: Path) -> None:
    """It failed, a person has the task tried again: that does not say that it may be sent again."""
    arm = Small()
    away = True

    def half(order: Order) -> Outcome | None:
        return Outcome(failure="timeout", why="no answer") if away else None

    arm.hooks["small.send"] = half
    one = plan(step("mail", "send", {"to": "ann", "text": "x"}, attempts=3))

    def task(approve: str) -> Any:
        agent = {"approve": approve, "repairs": 0}
        return assignment_of(Models(planner=[one]), arm, tmp_path, agent=agent)

    journal = MemoryJournal()
    view = asyncio.run(lived(task("never"), journal))
    assert (view.failure, len(arm.orders)) == ("timeout", 1)
    away = False
    view = asyncio.run(lived(task("never"), MemoryJournal(journal.records)))
    assert (view.failure, len(arm.orders)) == ("interrupted", 1)
    asked = MemoryJournal(journal.records)
    view = asyncio.run(lived(task("side-effects"), asked))
    assert (view.status, len(arm.orders)) == ("done", 2)
    assert [e.step for e in asked.events if e.kind == "approval.asked"] == ["mail"]


def test_another_turn_does_only_the_elements_that_failed(tmp_path: Path) -> None:
    """Of three mails one was refused: no repair may send the others again, nor does a resume."""
    arm = Small()
    away = True

    def half(order: Order) -> Outcome | None:
        if away and order.step_id == "mail.1":
            return Outcome(failure="failed", why="refused")
        return None

    arm.hooks["small.send"] = half
    one = plan(
        step("l", "list", {"count": 3}),
        step("mail", "send", {"to": "ann", "text": "x"}, each=ref("l", "/items")),
        answer=ref("mail"),
    )
    agent = {"approve": "side-effects", "repairs": 2}
    task = assignment_of(Models(planner=[one]), arm, tmp_path, agent=agent)
    journal = MemoryJournal()
    view = asyncio.run(lived(task, journal))
    assert (view.failure, view.repairs) == ("failed", 0)
    away = False
    resumed = MemoryJournal(journal.records)
    view = asyncio.run(lived(task, resumed))
    assert (view.status, view.answer) == ("done", [{"sent": True}] * 3)
    sent = [o.step_id for o in arm.orders if o.action == "small.send"]
    assert sorted(sent) == ["mail.0", "mail.1", "mail.1", "mail.2"]


def test_who_said_no_is_asked_again_when_the_task_is_resumed(tmp_path: Path) -> None:
    arm = Small()
    one = plan(step("mail", "send", {"to": "ann", "text": "x"}))
    task = assignment_of(Models(planner=[one]), arm, tmp_path)
    journal = MemoryJournal()
    journal.say("approval/mail", {"approved": False})
    assert asyncio.run(lived(task, journal)).failure == "denied"
    view = asyncio.run(lived(task, MemoryJournal(journal.records)))
    assert (view.status, len(arm.orders)) == ("done", 1)
