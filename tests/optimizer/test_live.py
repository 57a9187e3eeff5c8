"""`pick = "learned"` on the path: who answers, and who does when something is wrong."""

import asyncio
import functools
import math
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from octoplex.optimizer import pairs
from octoplex.optimizer.config import Promise
from octoplex.optimizer.course import START
from octoplex.optimizer.live import Choice, Study
from octoplex.optimizer.notes import Noticed, Order
from octoplex.optimizer.pairs import MOST, SILENT, SILENT_S
from octoplex.optimizer.policy import Decision
from octoplex.wire.ask import Caller
from octoplex.wire.error import DeadlinePassed, UpstreamFailed, UpstreamRejected, UpstreamSlow
from tests.optimizer.classroom import PRICE, Doubles, answered, call, decision, run
from tests.scripted import silent

Published = tuple[tuple[int, bytes], Counter[str], list[tuple[str, Decision]]]


@functools.cache
def lesson() -> Published:
    """What was published once the good cheap one served, and who had answered since."""
    made: list[Published] = []

    async def main(at: Doubles) -> None:
        for _ in range(12):
            found = await at.rounds(250)
            if found["mid/good"] > 150:
                break
        else:
            raise AssertionError(f"never learned: {at.memory.loop.events[-3:]}")
        found = await at.rounds(300)
        made.append((at.memory.published["main"], found, list(at.memory.decisions)))

    run(main)
    return made[0]


async def taught(at: Doubles) -> None:
    at.memory.published["main"] = lesson()[0]
    await at.learned.renew()


def test_traffic_moves_to_the_good_cheap_one_and_never_to_the_bad_one() -> None:
    _, found, decisions = lesson()
    assert found["mid/good"] > 150
    assert found["low/bad"] == 0
    assert {d.variant for _, d in decisions} == {0, 1}


def test_the_reason_names_target_and_policy() -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        at.study.fund.nano = -1.0
        asked = await at.ask("how many pools does london have")
        made = decision(asked)
        assert asked.trail.why == (
            f"learned: mid/good, p {made.propensity:.3g}, rung {made.rung}, policy {made.version}"
        )

    run(main)


def test_a_new_price_counts_with_the_next_request() -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        at.out["mid/good"] = 20_000
        assert (await at.rounds(40, each=1_000))["mid/good"] == 0
        at.out["mid/good"] = 1_000
        assert (await at.rounds(40, each=1_000))["mid/good"] > 15

    run(main)


@pytest.mark.parametrize("garbage", [b"", b"octoplex policy 2\n", b"\x00" * 5_000])
def test_a_policy_that_cannot_be_read_leaves_the_reference(garbage: bytes) -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        at.memory.published["main"] = (10**6, garbage)
        await at.learned.renew()
        for _ in range(30):
            assert answered(await at.ask()) == "top/ref"
        await taught(at)
        assert (await at.rounds(40, each=1_000))["mid/good"] > 15

    run(main)


def test_a_policy_for_other_targets_leaves_the_reference() -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        at.study.compiled = at.study.blind
        at.study.read = None
        at.learned.studies["main"].course = _other(at)
        await at.learned.renew()
        assert at.study.compiled is at.study.blind

    run(main)


def _other(at: Doubles) -> Any:
    return replace(at.course, variants=("top/ref", "low/bad", "mid/good"))


def test_another_promise_ends_what_was_certified_by_the_one_before() -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        strict = replace(at.course.table, promise=Promise(quality_loss=0.01))
        before = at.study
        study = Study(replace(at.course, table=strict), before)
        at.learned.studies = {"main": study}
        assert study.compiled is study.blind
        await at.learned.renew()
        assert study.compiled is study.blind
        version, data = lesson()[0]
        at.memory.published["main"] = version + 1, data
        await at.learned.renew()
        assert study.compiled is not study.blind
        assert Study(at.course, before).compiled is before.compiled

    run(main)


def test_a_defect_in_a_decision_leaves_the_reference(caplog: pytest.LogCaptureFixture) -> None:
    async def main(at: Doubles) -> None:
        class Broken:
            def decide(self, *_: Any) -> Any:
                raise ZeroDivisionError("nothing adds up")

        at.study.compiled = at.study.compiled._replace(policy=Broken())
        for _ in range(3):
            asked = await at.ask()
            assert answered(asked) == "top/ref"
            assert asked.trail.why == "learned: no decision came about"
        assert caplog.text.count("nothing adds up") == 1

    run(main)


def test_paused_means_the_reference_and_no_pairs() -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        at.memory.pauses.add("main")
        before = len(at.memory.pairs)
        found = await at.rounds(60, each=1_000)
        assert found == Counter({"top/ref": 60})
        assert len(at.memory.pairs) == before
        at.memory.pauses.clear()
        assert (await at.rounds(40, each=1_000))["mid/good"] > 15

    run(main)


def test_where_the_reference_is_down_a_candidate_answers() -> None:
    async def main(at: Doubles) -> None:
        at.doubles["top/ref"].error = UpstreamSlow("nothing came")
        asked = await at.ask()
        assert answered(asked) == "mid/good"
        assert asked.trail.attempts[0].target == "top/ref"
        assert not at.memory.pairs

    run(main)


def test_where_the_chosen_one_is_down_the_reference_answers() -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        at.route = replace(at.route, candidates=at.route.candidates[::-1])
        at.doubles["mid/good"].error = UpstreamSlow("nothing came")
        found = await at.rounds(30, each=1_000)
        assert found == Counter({"top/ref": 30})

    run(main)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"n": 2}, "cannot be compared"),
        ({"messages": [{"role": "user", "content": 7}]}, "the request cannot be read"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "file", "file": {"file_id": "file-1"}}],
                    }
                ]
            },
            "cannot be compared",
        ),
    ],
)
def test_what_cannot_be_judged_is_not_moved(members: dict[str, Any], why: str) -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        notes = len(at.memory.notes)
        for _ in range(20):
            asked = await at.ask(**members)
            assert answered(asked) == "top/ref"
            assert asked.trail.why == f"learned: {why}"
        assert len(at.memory.notes) == notes

    run(main)


def test_a_caller_whose_region_bars_a_target_is_not_moved() -> None:
    async def main(at: Doubles) -> None:
        await taught(at)
        for _ in range(20):
            asked = await at.ask(caller=Caller("k1", "app", region="eu"))
            assert asked.trail.why == "learned: not all targets are in its region"
            assert answered(asked) == "top/ref"

    run(main)


def test_turns_of_a_conversation_draw_alike() -> None:
    async def main(at: Doubles) -> None:
        def draws(**members: Any) -> tuple[float, float]:
            found = at.learned._draws(call(**members), "main")
            return found.serve, found.floor

        first = [{"role": "user", "content": "How many pools?"}]
        later = [*first, {"role": "assistant", "content": "Two."}, {"role": "user", "content": "?"}]
        assert draws(messages=first) == draws(messages=later)
        assert draws(messages=first) == pytest.approx((0.505741, 0.561277), abs=1e-6)
        assert draws(messages=first) != draws(messages=[{"role": "user", "content": "Else?"}])
        assert draws(messages=first, user="ann") == draws(text="Else?", user="ann")

    run(main)


def test_one_decision_is_made_for_a_request() -> None:
    async def main(at: Doubles) -> None:
        asked = call()
        first = at.learned.order(asked, at.route, at.health)
        choice = asked.trail.decided
        assert at.learned.order(asked, at.route, at.health) == first
        assert asked.trail.decided is choice
        assert len(at.memory.decisions) == 1

    run(main)


def test_a_sample_is_noticed() -> None:
    async def main(at: Doubles) -> None:
        await at.rounds(400, each=1_000)
        noticed = [n for n in at.memory.notes if isinstance(n, Noticed)]
        assert 150 < len(noticed) < 250
        assert all(len(n.costs) == 3 and n.costs[0] > n.costs[1] > 0 for n in noticed)

        at.study.noticed = 10**6
        now = 1_000.0
        at.learned._now = lambda: now
        before = len(at.memory.notes)
        for _ in range(400):
            now += 0.25
            await at.ask()
        later = [n for n in at.memory.notes[before:] if isinstance(n, Noticed)]
        assert 8 < len(later) < 40

    run(main, shadow=0.0)


def test_segments_and_form_are_features() -> None:
    async def main(at: Doubles) -> None:
        asked = await at.ask(caller=Caller("k7", "web"), metadata={"task": "sums"})
        choice = asked.trail.decided
        assert isinstance(choice, Choice)
        assert choice.features is not None
        assert (choice.features.segment, choice.features.key) == ("k7", "k7")

    run(main)


def test_another_model_behind_a_name_voids_what_was_learned() -> None:
    async def main(at: Doubles) -> None:
        await at.rounds(5)
        at.doubles["top/ref"].name = "ref-2"
        await at.rounds(19)
        at.doubles["top/ref"].name = "top/ref"
        await at.rounds(1)
        at.doubles["top/ref"].name = "ref-2"
        await at.rounds(19)
        assert not [n for n in at.memory.notes if isinstance(n, Order)]
        await at.rounds(30)
        (said,) = [n for n in at.memory.notes if isinstance(n, Order)]
        assert (said.kind, said.why) == ("void", "top/ref answers as ref-2, no longer as top/ref")

    run(main, shadow=0.0)


# -- pairs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_the_rival_is_asked_beside_the_path_on_nobodys_account(stream: bool) -> None:
    async def main(at: Doubles) -> None:
        asked = await at.ask(stream=stream)
        assert answered(asked) == "top/ref"
        (pair,) = at.memory.pairs
        (rival,) = at.rivals
        assert decision(asked).is_judged
        assert pair.request_id == asked.id != rival.id
        assert (rival.caller.id, rival.raw, rival.stream) == ("shadow:main", asked.raw, stream)
        assert rival.trail.why == f"beside {asked.id}"
        assert asked.trail.nano == PRICE
        assert (pair.reference, pair.judge, pair.nano) == (1.0, "exact-match", 1_000)
        good = at.course.variants[pair.decision.rival] == "mid/good"
        assert pair.rival == float(good)
        assert at.study.fund.nano == pytest.approx(START * PRICE - 1_000)

    run(main, shadow=0.5)


def test_nothing_is_compared_where_the_caller_left_or_the_reference_broke() -> None:
    async def main(at: Doubles) -> None:
        for _ in range(10):
            answer = await at.answer(call(stream=True))
            await answer.__anext__()
            answer.close("left")
            await at.quiet()
        at.doubles["top/ref"].breaks = UpstreamFailed("cut")
        for _ in range(4):  # a fifth one would open its breaker
            with pytest.raises(UpstreamFailed):
                await at.ask(stream=True)
        assert not at.rivals

    run(main, shadow=0.5)


def test_a_stream_that_is_too_long_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "LONGEST", 100)

    async def main(at: Doubles) -> None:
        await at.ask(stream=True)
        assert not at.rivals
        await at.ask()
        assert len(at.rivals) == 1

    run(main, shadow=1.0)


def test_a_rival_that_fails_says_nothing_and_one_that_refuses_is_worth_nothing() -> None:
    async def main(at: Doubles) -> None:
        for name in ("mid/good", "low/bad"):
            at.doubles[name].error = UpstreamFailed("500")
        await at.ask()
        for name in ("mid/good", "low/bad"):
            at.doubles[name].error = UpstreamRejected("no such field")
        at.study.fund.nano = 0.0
        await at.ask()
        for name in ("mid/good", "low/bad"):
            at.doubles[name].error = DeadlinePassed("late")
        at.study.fund.nano = 0.0
        await at.ask()
        failed, refused, late = at.memory.pairs
        assert (late.reference, late.rival, late.judge) == (1.0, 0.0, "refused")
        assert math.isnan(failed.reference)
        assert math.isnan(failed.rival)
        assert (refused.reference, refused.rival, refused.judge) == (1.0, 0.0, "refused")

    run(main, shadow=1.0)


def test_what_is_spent_is_earned_first() -> None:
    async def main(at: Doubles) -> None:
        at.rival_nano = PRICE
        await at.rounds(100, each=1_000)
        assert len(at.rivals) == 2  # the first one is owed; then one for each 50
        unpaid = [d for _, d in at.memory.decisions if not d.is_judged]
        assert len(unpaid) == 98
        assert all(d.judged == 0 for d in unpaid)
        at.study.fund.earn(10.0 * PRICE / 0.2, 0)
        await at.rounds(10, each=1_000)
        assert len(at.rivals) > 10

    run(main, shadow=1.0, spend="20% of savings")


def test_nothing_is_spent_where_nothing_may_be() -> None:
    async def main(at: Doubles) -> None:
        await at.rounds(50)
        assert not at.rivals

    run(main, shadow=1.0, spend="0% of savings")


def test_only_so_many_pairs_are_under_way_and_a_stop_drops_them() -> None:
    async def main(at: Doubles) -> None:
        at.study.fund.nano = 1e12
        slow = silent()
        at.doubles["mid/good"] = at.doubles["low/bad"] = slow
        for _ in range(MOST + 20):
            answer = await at.answer(call())
            assert answer.body is not None
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(slow.asks) == MOST
        await at.school.close()
        assert slow.cancelled == MOST
        assert not at.memory.pairs
        await at.ask()
        assert len(slow.asks) == MOST

    run(main, shadow=1.0)


def test_without_room_for_texts_no_pair_is_evidence_whoever_judges() -> None:
    """Those of which a verifier speaks are not drawn by lot."""

    async def main(at: Doubles) -> None:
        table = at.course.table
        learn = replace(table.learn, labels=0.5)
        table = replace(table, learn=learn)
        at.study.course = replace(at.course, table=table)
        await at.ask()
        at.memory.has_room = lambda route: False  # type: ignore[method-assign]
        await at.ask()
        assert [(one.judge, one.labels) for one in at.memory.pairs] == [
            ("exact-match", 0.0),
            ("exact-match", -1.0),
        ]

    run(main, shadow=1.0)


def test_a_paused_route_is_not_silent() -> None:
    lesson()

    async def main(at: Doubles) -> None:
        await taught(at)
        silence = at.school.pairs._silences.setdefault("main", pairs.Silence(at.study))
        at.memory.pauses.add("main")
        for paused in (True, False):
            silence.pairs, silence.lasts_s = SILENT, SILENT_S
            at.school.pairs.look()
            found = [note for note in at.memory.notes if isinstance(note, Order)]
            assert bool(found) is not paused
            at.memory.pauses.clear()

    run(main, shadow=1.0)


def test_a_judge_without_a_verdict_is_noted_as_such() -> None:
    async def main(at: Doubles) -> None:
        async def silent_judge(*_: Any) -> None:
            return None

        at.answer._judges = {"main": silent_judge}
        await at.ask()
        (pair,) = at.memory.pairs
        assert math.isnan(pair.reference)
        assert pair.judge == ""

    run(main, shadow=1.0)
