"""Where no pair has a verdict for long, the reference takes over; what people judge is kept."""

import asyncio
import json

import pytest
from msgspec.structs import replace

from octoplex.optimizer import pairs as making
from octoplex.optimizer.notes import Order
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask
from octoplex.wire.chat import Chat
from octoplex.wire.error import NoTarget, OverBudget
from octoplex.wire.event import Reply
from tests.optimizer.classroom import Doubles, Verdict, answered, certified, run


async def taught(at: Doubles) -> None:
    at.memory.published["main"] = 9, certified(at.course.variants)
    await at.learned.renew()


def voids(at: Doubles) -> list[Order]:
    return [note for note in at.memory.notes if isinstance(note, Order)]


def judged_by(at: Doubles, verdict: Verdict | None) -> None:
    async def judge(chat: Chat, reference: Reply, rival: Reply) -> Verdict | None:
        return verdict

    at.answer._judges["main"] = judge  # type: ignore[index]


async def pairs(at: Doubles, count: int) -> None:
    """Ask until so many more pairs were made."""
    end = len(at.rivals) + count
    while len(at.rivals) < end:
        await at.ask()


def test_where_no_pair_has_a_verdict_the_reference_takes_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        judged_by(at, None)
        await pairs(at, making.SILENT)
        at.school.pairs.look()
        assert not voids(at), "not for long yet"
        monkeypatch.setattr(making, "SILENT_S", 0.0)
        judged_by(at, Verdict(1.0, 1.0))
        await pairs(at, 1)
        judged_by(at, None)
        await pairs(at, making.SILENT - 1)
        at.school.pairs.look()
        assert not voids(at), "one had a verdict"
        await pairs(at, 1)
        at.school.pairs.look()
        (void,) = voids(at)
        assert (void.kind, f"of {making.SILENT} pairs" in void.why) == ("void", True)
        for _ in range(20):
            assert answered(await at.ask()) == "top/ref"
        at.school.pairs.look()
        assert len(voids(at)) == 1
        at.memory.published["main"] = 10, certified(at.course.variants, version=10)
        await at.learned.renew()
        assert "mid/good" in {answered(await at.ask()) for _ in range(40)}, "a newer one serves"

    run(main)


@pytest.mark.parametrize(
    ("error", "is_silence"), [(OverBudget("spent"), False), (NoTarget("resting"), True)]
)
def test_what_there_is_no_money_for_is_no_silence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, is_silence: bool
) -> None:
    async def main(at: Doubles) -> None:
        monkeypatch.setattr(making, "SILENT_S", 0.0)
        await taught(at)

        async def refused(ask: Ask) -> Answer:
            at.rivals.append(ask)
            raise error

        at.answer._rival = lambda course, variant: refused  # type: ignore[method-assign]
        await pairs(at, making.SILENT + 5)
        at.school.pairs.look()
        assert bool(voids(at)) == is_silence

    run(main)


@pytest.mark.parametrize(
    ("apart_s", "count", "is_silence"),
    [
        (1.0, making.SILENT, False),  # a minute in which the judge is down
        (50.0, making.SILENT, True),
        (3_600.0, making.SILENT, True),  # a pair an hour
        (3_600.0, making.SILENT - 1, False),
        (10.0, 91, True),
        (10.0, 90, False),
    ],
)
def test_time_without_traffic_is_no_silence(apart_s: float, count: int, is_silence: bool) -> None:
    async def main(at: Doubles) -> None:
        silence = making.Silence(at.study, pairs=3, lasts_s=800.0)
        silence.pairs = 0  # one had a verdict
        for number in range(count):
            silence.begin(1_000 + number * apart_s)
        assert silence.is_broken == is_silence
        if not is_silence:
            silence.begin(1_000 + count * apart_s + 8 * 3_600)  # the first one after a night
            assert silence.is_broken == (count + 1 >= making.SILENT and count * apart_s > 850)

    run(main)


def test_where_nobody_learns_for_long_the_reference_answers_until_somebody_does() -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        at.school.follow(at.learned)

        async def until(served: set[str]) -> None:
            async with asyncio.timeout(20):
                while {answered(await at.ask()) for _ in range(20)} != served:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        both = {"top/ref", "mid/good"}
        await until(both)
        at.memory.is_deaf = True
        await until({"top/ref"})
        at.memory.is_deaf = False
        await until(both)

    run(main)


def test_where_nothing_is_certified_there_is_nothing_to_take_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(at: Doubles) -> None:
        monkeypatch.setattr(making, "SILENT_S", 0.0)
        judged_by(at, None)
        await pairs(at, making.SILENT)
        at.school.pairs.look()
        assert not voids(at)

    run(main, shadow=0.5)


@pytest.mark.parametrize(("labels", "judge"), [(0.5, "models.judge"), (0.5, "a"), (0.0, "b/m")])
def test_of_what_a_model_judges_a_lot_says_whether_people_are_asked(
    labels: float, judge: str
) -> None:
    async def main(at: Doubles) -> None:
        verdict = Verdict(1.0, 0.5)
        verdict.judge = judge
        judged_by(at, verdict)
        table = at.course.table
        table = replace(table, learn=replace(table.learn, labels=labels))
        at.study.course = replace(at.course, table=table)
        await pairs(at, 60)
        found, kept = at.memory.pairs, at.memory.kept
        people = labels and judge == "models.judge"
        assert {one.labels for one in found} == {labels if people else 0.0}
        asked = [one.request_id for one in found if one.is_asked]
        assert (15 < len(asked) < 45) if people else not asked
        assert len(kept) == len(asked)
        at.memory.has_room = lambda route: False  # type: ignore[method-assign]
        await pairs(at, 5)
        assert {one.labels for one in at.memory.pairs[60:]} == {-1.0 if labels else 0.0}
        assert len(at.memory.kept) == len(asked)
        for texts in kept:
            told = json.loads(texts)
            assert told["conversation"] == [{"role": "user", "text": "How many pools are there?"}]
            assert told["reference"] == {"text": "right"}
            assert "ref" not in texts.decode().replace("reference", "")

    run(main, shadow=0.5)
