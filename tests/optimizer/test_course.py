"""What a request will cost, and what may be spent to learn."""

from typing import Any

import pytest
from msgspec.structs import replace

from octoplex.optimizer.cascade import JUDGED, Cascade
from octoplex.optimizer.config import spend_of
from octoplex.optimizer.course import (
    FEW,
    OTHERS,
    START,
    USUAL_INPUT,
    USUAL_OUTPUT,
    Course,
    Expected,
    Fund,
    Name,
)
from octoplex.routing import Target
from octoplex.wire.ask import Attempt, Call, Worst
from octoplex.wire.event import Usage
from tests.optimizer.classroom import Doubles, call, run


def target(name: str, per_in: int, per_out: int, request: int = 0) -> Target:
    def cost(worst: Worst) -> int:
        return worst.input_tokens * per_in + (worst.output_tokens or 0) * per_out + request

    provider, _, model = name.partition("/")
    return Target(
        name=name, provider=provider, model=model, cost=cost,
        reads=lambda tokens, cached: tokens * per_in + request,
    )  # fmt: skip


def course(at: Doubles, *targets: Target, **more: Any) -> Course:
    return replace(at.course, targets=targets, able=(True,) * len(targets), **more)


def test_costs_are_prices_of_now_times_what_replies_lately_had() -> None:
    async def main(at: Doubles) -> None:
        asked = call("x" * 300)
        most = asked.worst_case().input_tokens
        expected = Expected(2)
        two = course(at, target("a/m", 10, 100), target("b/m", 1, 2, request=7_000))
        first = int(most * 0.75)
        assert expected.costs(two, asked) == pytest.approx(
            ((first * 10 + USUAL_OUTPUT * 100) / 1e9, (first + USUAL_OUTPUT * 2 + 7_000) / 1e9)
        )
        expected.saw(0, asked, Usage(input_tokens=most // 2, output_tokens=40))
        told = most // 2
        assert expected.costs(two, asked) == pytest.approx(
            ((told * 10 + 4_000) / 1e9, (told + 80 + 7_000) / 1e9), rel=0.02
        )
        expected.saw(1, asked, Usage(input_tokens=most // 2, output_tokens=4_000))
        assert expected.costs(two, asked)[1] > 8_000 / 1e9
        assert expected.costs(two, call("x" * 300, max_tokens=5))[1] < 7_200 / 1e9

    run(main)


def test_what_was_estimated_or_reported_as_nothing_is_no_figure() -> None:
    async def main(at: Doubles) -> None:
        asked, expected = call(), Expected(1)
        one = course(at, target("a/m", 1, 1))
        before = expected.costs(one, asked)
        expected.saw(0, asked, Usage(input_tokens=9, output_tokens=9_999, estimated=True))
        expected.saw(0, asked, Usage())
        assert expected.costs(one, asked) == before

    run(main)


def test_who_has_no_price_or_cannot_be_asked_saves_nothing() -> None:
    async def main(at: Doubles) -> None:
        unpriced = Target(name="c/m", provider="c", model="m")
        three = course(at, target("a/m", 10, 10), target("b/m", 1, 1), unpriced)
        costs = Expected(3).costs(replace(three, able=(True, False, True)), call())
        assert costs[0] == costs[1] == costs[2] > 0

    run(main)


def test_a_share_of_savings_is_earned_and_overdrawn_by_one() -> None:
    fund = Fund(spend_of("20% of savings", ""))
    assert fund.is_open
    fund.pay(1_000)
    assert not fund.is_open
    fund.earn(0, 40_000)
    assert fund.nano == pytest.approx(START * 40_000 - 1_000)
    fund.earn(1_000, 0)
    assert fund.is_open


def test_dollars_are_the_books_to_refuse_and_none_is_none() -> None:
    fund = Fund(spend_of("$5 total", ""))
    fund.pay(10**12)
    assert fund.is_open
    assert not Fund(spend_of("0% of savings", "")).is_open


class Changed:
    """A variant of "b/m" with a prompt of 300 tokens, whose answers may go on to "a/m"."""

    target, targets, prompt, added_tokens = "b/m", ("b/m", "a/m"), "x" * 900, 300

    def __init__(self, *, escalates: bool) -> None:
        self.cascade = Cascade("main", "b/m", (), "a/m") if escalates else None

    def __call__(self, call: Call) -> Call:
        return call


def test_a_prompt_costs_and_a_cascade_what_it_did_of_late() -> None:
    async def main(at: Doubles) -> None:
        two = course(at, target("a/m", 100, 100), target("b/m", 1, 1))
        targets = (*two.targets, two.targets[1], two.targets[1])
        changes = (None, None, Changed(escalates=False), Changed(escalates=True))
        four = replace(two, targets=targets, changes=changes, able=(True,) * 4)
        asked, expected = call(), Expected(4)
        most = asked.worst_case().input_tokens
        dear, plain, told, cascade = expected.costs(four, asked)
        more = int((most + 300) * USUAL_INPUT) - int(most * USUAL_INPUT)
        assert told - plain == pytest.approx(more / 1e9)
        assert cascade == pytest.approx(told + dear / 2)
        rows = [Attempt("b/m", nano=10), Attempt("a/m", nano=90)]
        expected.cascaded(3, "b/m", rows)
        assert expected.costs(four, asked)[3] == cascade  # one says nothing
        asked_itself = Attempt("b/m", nano=5, outcome=JUDGED)  # the small one is its own judge
        for _ in range(FEW):
            expected.cascaded(3, "b/m", [rows[0], asked_itself])
        known = (0.99**FEW * 100 + 15 * (1 - 0.99**FEW) / 0.01) / (
            10 * (1 - 0.99 ** (FEW + 1)) / 0.01
        )
        assert expected.costs(four, asked)[3] == pytest.approx(known * told)
        for _ in range(1_000):
            expected.cascaded(3, "b/m", rows[1:])  # unverifiable
        assert expected.costs(four, asked)[3] == pytest.approx(9 * told, rel=0.01)
        expected.saw(2, asked, Usage(input_tokens=most + 300, output_tokens=USUAL_OUTPUT), 300)
        assert expected.costs(four, asked)[2] * 1e9 == pytest.approx(most + 300 + USUAL_OUTPUT)

    run(main)


@pytest.mark.parametrize("workers", [1, 4])
def test_dollars_in_a_window_are_paced(workers: int) -> None:
    """What a window's time has brought, and a tenth; of several processes each has its part."""
    at_s = 0.0
    fund = Fund(spend_of("$24/day", ""), now=lambda: at_s, among=lambda: workers)
    pair, spent = 10_000_000, list[int]()
    for minute in range(2 * 1_440):
        at_s = minute * 60.0
        while minute >= 600 and fund.is_open:  # until ten nobody asks anything
            fund.pay(pair)
            spent.append(minute)
    share = 24_000_000_000 // workers
    by_hour = [sum(minute // 60 == hour for minute in spent) * pair for hour in range(48)]
    assert spent.count(600) * pair == pytest.approx(share * (0.1 + 10 / 24), abs=pair)
    assert spent.count(1_440) * pair == pytest.approx(share / 10, abs=pair)
    assert by_hour[12] == by_hour[15] == pytest.approx(share / 24, abs=pair)
    for day in (by_hour[:24], by_hour[24:]):
        assert share <= sum(day) <= share + pair


def test_another_name_counts_once_it_stays() -> None:
    name = Name()
    assert [name.heard("m-1") for _ in range(5)] == [""] * 5
    assert [name.heard(n) for n in ("m-2", "m-1") * OTHERS] == [""] * 2 * OTHERS
    assert [name.heard("m-2") for _ in range(OTHERS)] == [*[""] * (OTHERS - 1), "m-1"]
    assert [name.heard("m-2") for _ in range(OTHERS)] == [""] * OTHERS
