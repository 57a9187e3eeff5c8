"""Money in memory: caps hold, holds end once, the book is the ledger's sum."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.ledger import Book, Cap, Hold, Order, Settlement, dollars
from octoplex.ledger.period import DAY, DAY_MS, bounds, day_number, instant
from octoplex.ledger.rows import RELEASED, Balance
from octoplex.wire.error import OverBudget, StoreFailed
from octoplex.wire.event import NO_USAGE, Usage
from tests.clock import HandLoop

NOON = day_number("2026-02-11") * DAY_MS + DAY_MS // 2  # a Wednesday


class Paper:
    """A journal in a list."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.settlements: list[Settlement] = []
        self.failing = False

    def reserve(self, order: Order) -> None:
        if self.failing:
            raise StoreFailed("no")
        self.orders.append(order)

    def settle(self, settlement: Settlement) -> None:
        self.settlements.append(settlement)

    def settled_nano(self) -> int:
        return sum(s.nano for s in self.settlements)

    def balances(self) -> list[Balance]:
        """What a restart finds: what was settled, and what was open at its reservation."""
        ended = {id(s.order) for s in self.settlements}
        rows = [(s.order, s.nano) for s in self.settlements]
        rows += [(o, o.nano) for o in self.orders if id(o) not in ended]
        keys: dict[str, dict[int, int]] = {}
        for order, nano in rows:
            days = keys.setdefault(order.key_id, {})
            day = order.at_ms // DAY_MS
            days[day] = days.get(day, 0) + nano
        return [Balance(key, days, sum(days.values())) for key, days in keys.items()]


def order(nano: int, at_ms: int = NOON, key: str = "app", number: int = 0) -> Order:
    return Order(f"req_{number}", 1, at_ms, key, key, "", "openai", "gpt", "v", nano)


def run(play: Coroutine[Any, Any, None]) -> None:
    loop = HandLoop()
    try:
        loop.run_until_complete(play)
    finally:
        loop.close()


def must(hold: Hold | None) -> Hold:
    assert hold is not None
    return hold


def test_a_cap_counts_what_is_held_and_what_is_spent() -> None:
    book = Book(Paper())
    book.limit("app", [Cap("month", 100)])
    first = must(book.hold(order(60)))
    assert book.hold(order(41)) is None
    second = must(book.hold(order(40)))
    first.settle(10, NO_USAGE, "done")
    assert must(book.hold(order(50)))
    assert book.hold(order(1)) is None
    second.release("failed")
    assert must(book.hold(order(40)))
    (left,) = book.left("app", NOON)
    assert (left.spent_nano, left.held_nano, left.left_nano) == (10, 90, 0)
    assert left.ends_at == "2026-03-01T00:00:00Z"


def test_what_costs_nothing_passes_a_spent_budget() -> None:
    book = Book(Paper())
    book.limit("app", [Cap("total", 10)])
    must(book.hold(order(10))).settle(15, NO_USAGE, "done")
    assert must(book.hold(order(0)))
    assert book.hold(order(1)) is None


def test_a_hold_ends_once_and_later_ends_are_counted() -> None:
    paper = Paper()
    book = Book(paper)
    hold = must(book.hold(order(100)))
    hold.settle(30, Usage(1, 2), "done")
    hold.settle(40, Usage(1, 2), "done")
    hold.release("failed")
    assert paper.settled_nano() == 30 == book.settled_nano
    assert (book.open_nano, book.resettled) == (0, 2)


def test_a_bill_above_its_reservation_is_settled_in_full_and_flagged() -> None:
    book = Book(Paper())
    book.limit("app", [Cap("day", 100)])
    must(book.hold(order(100))).settle(130, NO_USAGE, "done")
    assert book.exceeded == 1
    assert book.left("app", NOON)[0].spent_nano == 130
    assert book.hold(order(1)) is None


@pytest.mark.parametrize("bill", [-1, 10**15 + 1, 10**40])
def test_an_absurd_bill_is_clamped_and_flagged(bill: int) -> None:
    paper = Paper()
    book = Book(paper)
    must(book.hold(order(5))).settle(bill, NO_USAGE, "done")
    assert 0 <= paper.settlements[0].nano <= 10**15
    assert paper.settlements[0].estimated
    assert book.settled_nano == paper.settled_nano()


def test_usage_that_is_estimated_flags_the_settlement() -> None:
    paper = Paper()
    must(Book(paper).hold(order(5))).settle(5, Usage(1, estimated=True), "left")
    assert paper.settlements[0].estimated


def test_nothing_is_held_when_the_ledger_cannot_be_written() -> None:
    paper = Paper()
    paper.failing = True
    book = Book(paper)
    with pytest.raises(StoreFailed):
        book.hold(order(5))
    assert book.open_nano == 0


@pytest.mark.parametrize(
    ("kind", "first", "after"),
    [
        ("day", "2026-02-11", "2026-02-12"),
        ("week", "2026-02-09", "2026-02-16"),
        ("month", "2026-02-01", "2026-03-01"),
    ],
)
def test_windows_are_utc_calendar_periods(kind: Any, first: str, after: str) -> None:
    assert bounds(kind, NOON // DAY_MS) == (day_number(first), day_number(after))
    assert instant(bounds(kind, NOON // DAY_MS)[1] * DAY) == f"{after}T00:00:00Z"


def test_years_and_mondays_begin_windows() -> None:
    assert bounds("week", day_number("2026-02-09"))[0] == day_number("2026-02-09")
    assert bounds("month", day_number("2026-12-31"))[1] == day_number("2027-01-01")


@pytest.mark.parametrize("kind", ["day", "week", "month"])
def test_an_attempt_belongs_to_the_window_of_its_reservation(kind: Any) -> None:
    book = Book(Paper())
    book.limit("app", [Cap(kind, 100)])
    last_ms = bounds(kind, NOON // DAY_MS)[1] * DAY_MS - 1
    hold = must(book.hold(order(100, last_ms)))
    after = must(book.hold(order(100, last_ms + 1)))  # a new window: full again
    hold.settle(70, NO_USAGE, "done")
    assert book.left("app", last_ms + 1)[0].spent_nano == 0
    assert book.left("app", last_ms)[0].spent_nano == 70
    assert book.hold(order(31, last_ms)) is None  # the clock stepped back
    assert must(book.hold(order(30, last_ms)))
    assert book.left("app", last_ms + 1)[0].held_nano == 100
    after.release("failed")
    assert book.left("app", last_ms + 1)[0].left_nano == 100


def test_budgets_set_later_count_what_is_spent_and_held() -> None:
    book = Book(Paper(), [Balance("app", {NOON // DAY_MS: 5, NOON // DAY_MS - 60: 100}, 1_105)])
    hold = must(book.hold(order(20)))
    book.limit("app", [Cap("day", 30), Cap("total", 1_200)])
    day, total = book.left("app", NOON)
    assert (day.spent_nano, day.held_nano) == (5, 20)
    assert (total.spent_nano, total.held_nano, total.ends_at) == (1_105, 20, "never")
    hold.settle(7, NO_USAGE, "done")
    assert [left.spent_nano for left in book.left("app", NOON)] == [12, 1_112]
    assert [left.held_nano for left in book.left("app", NOON)] == [0, 0]


def test_old_days_are_forgotten_but_not_their_total() -> None:
    book = Book(Paper())
    book.limit("app", [Cap("total", 10**9)])
    for day in range(500):
        must(book.hold(order(3, NOON + day * DAY_MS))).settle(2, NO_USAGE, "done")
    assert book.spent("app") == 1_000
    assert book.left("app", NOON + 500 * DAY_MS)[0].spent_nano == 1_000


def test_a_clock_that_was_far_behind_loses_no_spending() -> None:
    """A machine without a battery starts in 1970, until it is told the time."""
    today = NOON // DAY_MS
    days = {today - n: 10 for n in range(71)}
    paper = Paper()
    book = Book(paper, [Balance("app", days, sum(days.values()))])
    book.limit("app", [Cap("total", 800)])
    for at_ms, nano in ((0, 50), (NOON, 20), (1, 15)):
        must(book.hold(order(nano, at_ms))).settle(nano, NO_USAGE, "done")
        assert book.settled_nano == 710 + paper.settled_nano()
    assert book.left("app", 0)[0].spent_nano == book.left("app", NOON)[0].spent_nano == 795
    assert book.hold(order(6)) is None


def test_a_call_waits_for_reservations_and_no_longer() -> None:
    async def play() -> None:
        book = Book(Paper())
        book.limit("app", [Cap("month", 100)])
        first = must(book.hold(order(80)))
        loop = asyncio.get_running_loop()
        loop.call_later(1.5, first.settle, 20, NO_USAGE, "done")
        started_at = loop.time()
        hold = await book.wait(order(80))
        assert loop.time() - started_at == pytest.approx(1.5)
        hold.settle(80, NO_USAGE, "done")
        with pytest.raises(OverBudget):  # hopeless: at once
            await book.wait(order(1))
        assert loop.time() - started_at == pytest.approx(1.5)

    run(play())


def test_a_call_that_waited_in_vain_is_refused_with_what_is_left() -> None:
    async def play() -> None:
        book = Book(Paper())
        book.limit("app", [Cap("month", 1_500_000_000), Cap("total", 10**12)])
        must(book.hold(order(10**9)))
        started_at = asyncio.get_running_loop().time()
        with pytest.raises(OverBudget) as refused:
            await book.wait(order(750_000_000))
        assert asyncio.get_running_loop().time() - started_at == pytest.approx(2.0)
        assert refused.value.facts == {
            "left_nano": 500_000_000,
            "window_ends_at": "2026-03-01T00:00:00Z",
        }
        assert str(refused.value) == (
            "The budget of $1.50 per month has $0.50 left ($1.00 is held by calls in flight), and "
            "this call may cost up to $0.75; it renews at 2026-03-01T00:00:00Z"
        )
        assert book.open_nano == 10**9

    run(play())


def test_waiting_calls_are_served_in_turn_and_small_ones_pass() -> None:
    async def play() -> None:
        book = Book(Paper())
        book.limit("app", [Cap("month", 100)])
        big, small = must(book.hold(order(60))), must(book.hold(order(40)))
        waits = [asyncio.ensure_future(book.wait(order(n))) for n in (90, 30, 10)]
        await asyncio.sleep(0)
        small.release("failed")
        await asyncio.sleep(0.1)
        assert [w.done() for w in waits] == [False, True, True]
        big.release("failed")
        for wait in waits[1:]:
            wait.result().release("failed")
        assert (await waits[0]).order.nano == 90

    run(play())


def test_a_caller_who_leaves_while_waiting_holds_nothing() -> None:
    async def play() -> None:
        book = Book(Paper())
        book.limit("app", [Cap("month", 100)])
        first = must(book.hold(order(100)))
        waiting = asyncio.ensure_future(book.wait(order(50)))
        late = asyncio.ensure_future(book.wait(order(50)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        first.release("failed")  # grants `late`, which is cancelled before it looks
        late.cancel()
        for wait in (waiting, late):
            with pytest.raises(asyncio.CancelledError):
                await wait
        assert book.open_nano == 0
        assert must(book.hold(order(100)))

    run(play())


def test_waiting_calls_learn_that_the_ledger_failed() -> None:
    async def play() -> None:
        paper = Paper()
        book = Book(paper)
        book.limit("app", [Cap("month", 100)])
        first = must(book.hold(order(100)))
        waiting = asyncio.ensure_future(book.wait(order(50)))
        await asyncio.sleep(0)
        paper.failing = True
        first.release("failed")
        with pytest.raises(StoreFailed):
            await waiting

    run(play())


def test_dollars_are_exact() -> None:
    shown = [dollars(n) for n in (0, 1, 10**9, 1_500_000_000, 1_234_567_890_123, -5 * 10**8)]
    assert shown == ["$0.00", "$0.000000001", "$1.00", "$1.50", "$1,234.567890123", "-$0.50"]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_the_book_is_the_sum_of_the_ledger_through_crashes(seed: int, kinds: int) -> None:
    """Random schedules of hold, settle, release, crash, clock steps and changed budgets."""
    dice = random.Random(seed)
    caps = [Cap("day", 1_000), Cap("week", 2_500), Cap("total", 20_000)][:kinds]
    paper = Paper()
    book = Book(paper)
    book.limit("app", caps)
    open_holds: list[Hold] = []
    at_ms, excess = NOON, 0
    for number in range(200):
        at_ms += dice.choice([0, 1, 60_000, DAY_MS // 3, -3_600_000])
        roll = dice.random()
        if roll < 0.55:
            hold = book.hold(order(dice.randint(0, 400), at_ms, dice.choice(["app", ""]), number))
            if hold:
                open_holds.append(hold)
        elif roll < 0.9 and open_holds:
            hold = open_holds.pop(dice.randrange(len(open_holds)))
            if dice.random() < 0.2:
                hold.release("failed")
            else:
                bill = dice.randint(0, hold.order.nano + (30 if dice.random() < 0.1 else 0))
                excess += max(0, bill - hold.order.nano)
                hold.settle(bill, NO_USAGE, "done")
        elif roll < 0.95:
            book.limit("app", caps)
        else:
            lost = [o for o in paper.orders if not any(s.order is o for s in paper.settlements)]
            book = Book(paper, paper.balances())
            paper.settlements += [Settlement(o, o.nano, NO_USAGE, "lost", True) for o in lost]
            book.limit("app", caps)
            open_holds.clear()
        for left in book.left("app", at_ms):
            assert left.spent_nano + left.held_nano <= left.cap_nano + excess
            assert left.held_nano >= 0
        assert book.settled_nano == paper.settled_nano()
    for hold in open_holds:
        hold.release("failed")
    assert book.open_nano == 0
    assert book.settled_nano == paper.settled_nano()
    assert all(s.state == RELEASED or s.nano >= 0 for s in paper.settlements)
