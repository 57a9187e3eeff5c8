"""Money of teams and organisations: every level's windows hold, at once and through restarts."""

import asyncio
import random
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.ledger import Balance, Book, Cap, Hold, Minute, Order, Settlement, SpendQuery
from octoplex.ledger.period import DAY, DAY_MS, HOUR, MINUTE_MS, day_number, instant, levels, span
from octoplex.ledger.rows import SETTLED
from octoplex.ledger.sqlite import open_store
from octoplex.wire.error import OverBudget, StoreFailed
from octoplex.wire.event import NO_USAGE, Usage
from tests.ledger.test_book import Paper, must, run

NOON = day_number("2026-02-11") * DAY_MS + DAY_MS // 2
TEAM_OF = {"app": "acme.web", "job": "acme.data", "own": "acme", "guest": ""}


def order(nano: int, key: str = "app", at_ms: int = NOON, number: int = 0) -> Order:
    tenant = TEAM_OF[key]
    return Order(f"req_{number}", 1, at_ms, key, key, "", "openai", "gpt", "v", nano, tenant)


def book_of(paper: Paper, caps: dict[str, list[Cap]], restarted: bool = False) -> Book:
    rows = ledger_of(paper) if restarted else []
    balances = [Balance(k, days, sum(days.values()), t) for k, t, days in by_day(rows)]
    book = Book(paper, balances, lambda: minutes_of(rows))
    for key, tenant in TEAM_OF.items():
        book.limit(key, caps.get(f"key {key}", []), tenant)
    for name in ("acme", "acme.web", "acme.data"):
        book.limit_tenant(name, caps.get(name, []))
    return book


Rows = list[tuple[Order, int]]


def ledger_of(paper: Paper) -> Rows:
    """What a start finds: what was settled, and what was open at its reservation."""
    ended = {id(s.order) for s in paper.settlements}
    rows = [(s.order, s.nano) for s in paper.settlements if s.state == SETTLED]
    return rows + [(o, o.nano) for o in paper.orders if id(o) not in ended]


def by_day(rows: Rows) -> Iterable[tuple[str, str, dict[int, int]]]:
    for key, tenant in TEAM_OF.items():
        days: dict[int, int] = {}
        for made, nano in rows:
            if made.key_id == key:
                days[made.at_ms // DAY_MS] = days.get(made.at_ms // DAY_MS, 0) + nano
        yield key, tenant, days


def minutes_of(rows: Rows) -> list[Minute]:
    return [Minute(o.key_id, o.tenant, o.at_ms // MINUTE_MS, nano) for o, nano in rows]


@pytest.mark.parametrize(
    ("kind", "first", "after"),
    [
        ("minute", "2026-02-11T12:34:00Z", "2026-02-11T12:35:00Z"),
        ("hour", "2026-02-11T12:00:00Z", "2026-02-11T13:00:00Z"),
        ("day", "2026-02-11T00:00:00Z", "2026-02-12T00:00:00Z"),
        ("week", "2026-02-09T00:00:00Z", "2026-02-16T00:00:00Z"),
        ("month", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
    ],
)
def test_windows_begin_and_end_in_utc(kind: str, first: str, after: str) -> None:
    minute = NOON // MINUTE_MS + 34
    begins, ends = span(kind, minute)  # type: ignore[arg-type]
    assert (instant(begins), instant(ends)) == (first, after)
    assert instant(span("total", minute)[1]) == "never"


def test_a_tenant_is_part_of_those_above_it() -> None:
    assert levels("acme.web") == ("acme.web", "acme")
    assert levels("acme") == ("acme",)
    assert levels("") == ()


def test_a_hold_counts_at_every_level_or_at_none() -> None:
    book = book_of(Paper(), {"acme": [Cap("month", 100)], "key app": [Cap("day", 1_000)]})
    first = must(book.hold(order(70)))
    assert book.hold(order(31, "job")) is None  # of another team of the same organisation
    assert [left.held_nano for left in book.left("job", NOON)] == [70]
    other = must(book.hold(order(30, "own")))
    assert must(book.hold(order(10**9, "guest")))
    first.settle(20, NO_USAGE, "done")
    other.release("failed")
    assert must(book.hold(order(80, "job")))
    shown = [(b.tenant, b.window, b.spent_nano, b.held_nano) for b in book.left("app", NOON)]
    assert shown == [("", "day", 20, 0), ("acme", "month", 20, 80)]
    spent = [book._tenants[name].spent() for name in ("acme.web", "acme.data")]
    assert (book.spent("app"), *spent) == (20, 20, 0)
    assert book.settled_nano == 20  # once, not once for each level


def test_a_ledger_that_refuses_leaves_no_level_held() -> None:
    paper = Paper()
    book = book_of(paper, {"acme": [Cap("month", 100)]})
    paper.failing = True
    with pytest.raises(StoreFailed):
        book.hold(order(70))
    assert book.open_nano == 0
    assert book.left("app", NOON)[0].held_nano == 0


def test_the_tightest_budget_is_named_and_whose_it_is() -> None:
    async def play() -> None:
        caps = {"acme.web": [Cap("hour", 10**9)], "acme": [Cap("total", 3 * 10**9)]}
        book = book_of(Paper(), caps)
        with pytest.raises(OverBudget) as team:
            await book.wait(order(2 * 10**9))
        assert str(team.value) == (
            "The budget of $1.00 per hour of the team acme.web has $1.00 left, and this call may "
            "cost up to $2.00; it renews at 2026-02-11T13:00:00Z"
        )
        assert team.value.facts["tenant"] == "acme.web"
        must(book.hold(order(2 * 10**9, "job"))).settle(2 * 10**9, NO_USAGE, "done")
        must(book.hold(order(9 * 10**8))).settle(9 * 10**8, NO_USAGE, "done")
        with pytest.raises(OverBudget, match=r"\$3.00 in total of the organisation acme has"):
            await book.wait(order(5 * 10**8, "own"))

    run(play())


def test_a_call_waits_for_what_another_key_of_its_team_gives_back() -> None:
    async def play() -> None:
        book = book_of(Paper(), {"acme": [Cap("month", 100)]})
        first = must(book.hold(order(80)))
        loop = asyncio.get_running_loop()
        loop.call_later(0.5, first.release, "failed")
        started_at = loop.time()
        assert (await book.wait(order(80, "job"))).order.key_id == "job"
        assert loop.time() - started_at == pytest.approx(0.5)

    run(play())


def test_a_minute_renews_while_a_longer_call_of_the_last_one_runs() -> None:
    book = book_of(Paper(), {"key app": [Cap("minute", 100), Cap("hour", 250)]})
    long = must(book.hold(order(100)))
    assert book.hold(order(1)) is None
    assert must(book.hold(order(100, at_ms=NOON + MINUTE_MS)))
    later = NOON + 2 * MINUTE_MS
    assert book.hold(order(60, at_ms=later)) is None  # the hour
    long.settle(90, NO_USAGE, "done")
    assert must(book.hold(order(60, at_ms=later)))
    shown = [(b.spent_nano, b.held_nano) for b in book.left("app", later)]
    assert shown == [(0, 60), (90, 160)]


def test_money_set_aside_counts_for_the_team_too() -> None:
    paper = Paper()
    book = book_of(paper, {"acme.web": [Cap("day", 100)]})
    aside = book.set_aside("app", 70, NOON)
    assert aside is not None
    assert book.set_aside("app", 31, NOON) is None
    assert book.hold(order(31)) is None
    untold = Order("req_9", 1, NOON, "app", "app", "", "p", "m", "v", 50)
    aside.settle(untold, 20, Usage(1, 1), "done")
    assert paper.settlements[0].order.tenant == "acme.web"
    (left,) = book.left("app", NOON)
    assert (left.spent_nano, left.held_nano) == (20, 20)
    aside.give_back()
    assert must(book.hold(order(80)))


def test_what_a_key_spent_stays_where_it_was_spent() -> None:
    """Moved to another team, it does not take its past along."""
    book = book_of(Paper(), {"acme.web": [Cap("total", 100)], "acme.data": [Cap("total", 100)]})
    before = must(book.hold(order(40)))
    book.limit("app", [], "acme.data")
    before.settle(40, NO_USAGE, "done")
    must(book.hold(order(25))).settle(25, NO_USAGE, "done")
    assert book.left_of_tenant("acme.web", NOON)[0].spent_nano == 40
    assert book.left_of_tenant("acme.data", NOON)[0].spent_nano == 25


def test_a_bill_that_comes_hours_late_is_not_forgotten() -> None:
    paper = Paper()
    book = book_of(paper, {"acme": [Cap("day", 10**9)]})
    late = [must(book.hold(order(0, at_ms=NOON - MINUTE_MS)))]
    late += [must(book.hold(order(5, at_ms=NOON + n * MINUTE_MS))) for n in range(300)]
    for hold in late:
        hold.settle(7, NO_USAGE, "done")
    assert book.settled_nano == paper.settled_nano() == 7 * 301
    assert book.left_of_tenant("acme", NOON + 300 * MINUTE_MS)[0].spent_nano == 7 * 301


@pytest.mark.parametrize("whose", ["key app", "acme.web", "acme"])
def test_a_bill_of_a_folded_minute_counts_at_its_level(whose: str) -> None:
    """Of a key, a team and an organisation: what came hours late leaves so much less."""
    book = book_of(Paper(), {whose: [Cap("day", 1_000)]})
    late = must(book.hold(order(0, at_ms=NOON)))
    for n in range(1, 200):  # by now the minute is one of its day's
        must(book.hold(order(0, at_ms=NOON + n * MINUTE_MS))).settle(0, NO_USAGE, "done")
    now = NOON + 200 * MINUTE_MS
    late.settle(400, NO_USAGE, "done")
    assert book.hold(order(601, at_ms=now)) is None
    must(book.hold(order(600, at_ms=now)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_every_window_of_every_level_is_the_ledgers_sum(seed: int) -> None:
    """Random holds, ends, restarts and a clock that goes back a little."""
    dice = random.Random(seed)
    caps = {
        "key app": [Cap("minute", 600), Cap("total", 40_000)],
        "acme.web": [Cap("hour", 3_000)],
        "acme": [Cap("hour", 5_000), Cap("day", 20_000), Cap("week", 50_000)],
    }
    paper = Paper()
    book = book_of(paper, caps)
    holds: list[Hold] = []
    at_ms = NOON
    for number in range(250):
        at_ms += dice.choice([0, 1, 20_000, MINUTE_MS, 40 * MINUTE_MS, -MINUTE_MS])
        roll = dice.random()
        if roll < 0.6:
            made = order(dice.randint(0, 400), dice.choice([*TEAM_OF]), at_ms, number)
            budgets = book.left(made.key_id, at_ms)
            fits = all(b.spent_nano + b.held_nano + made.nano <= b.cap_nano for b in budgets)
            hold = book.hold(made)
            assert (hold is not None) == (fits or not made.nano)
            if hold:
                holds.append(hold)
        elif roll < 0.93 and holds:
            hold = holds.pop(dice.randrange(len(holds)))
            hold.settle(dice.randint(0, hold.order.nano), NO_USAGE, "done")
        elif roll > 0.97:
            lost = [(o, nano) for o, nano in ledger_of(paper)]
            book = book_of(paper, caps, restarted=True)
            ended = {id(s.order) for s in paper.settlements}
            paper.settlements += [
                Settlement(o, o.nano, NO_USAGE, "lost", True) for o, _ in lost if id(o) not in ended
            ]
            holds.clear()
        check(book, paper, holds, at_ms)


def check(book: Book, paper: Paper, holds: list[Hold], at_ms: int) -> None:
    spent = [(s.order, s.nano) for s in paper.settlements]
    held = [(h.order, h.order.nano) for h in holds]
    for key in TEAM_OF:
        for left in book.left(key, at_ms):
            first, after = span(left.window, at_ms // MINUTE_MS)

            def counts(made: Order, left=left, first=first, after=after, key=key) -> bool:  # type: ignore[no-untyped-def]
                mine = left.tenant in levels(made.tenant) if left.tenant else made.key_id == key
                return mine and first <= made.at_ms // MINUTE_MS < after

            assert left.spent_nano == sum(nano for made, nano in spent if counts(made))
            assert left.held_nano == sum(nano for made, nano in held if counts(made))
            assert left.spent_nano + left.held_nano <= left.cap_nano
    assert book.settled_nano == paper.settled_nano()


def test_a_restart_knows_the_minutes_of_this_hour(tmp_path: Path) -> None:
    """Out of the real ledger: what is older than an hour is in the day only."""
    now_ms = time.time_ns() // 1_000_000
    store = open_store(tmp_path)
    for number, (age_min, nano) in enumerate([(0, 5), (1, 7), (90, 100)]):
        at_ms = now_ms - age_min * MINUTE_MS
        made = Order(f"req_{at_ms:011x}{number:016x}", 1, at_ms, "app", "app", "", "p", "m", "v",
                     nano, "acme.web")  # fmt: skip
        store.reserve(made)
        if nano != 7:  # which a kill leaves open
            store.settle(Settlement(made, nano))
    asyncio.run(store.drain())
    store.close()
    store = open_store(tmp_path)
    book = Book(store, store.balances_now(), store.minutes_now)
    made = Order("req_9", 1, now_ms, "app", "app", "", "p", "m", "v", 1_000, "acme.web")
    store.reserve(made)  # of this process: not one that a start finds
    store.settle(Settlement(made, 1_000))
    asyncio.run(store.drain())
    book.limit("app", [], "acme.web")
    book.limit_tenant("acme", [Cap("total", 10**6)])
    book.limit_tenant("acme.web", [Cap("minute", 10**6), Cap("hour", 10**6)])
    minute, hour, total = book.left("app", now_ms)
    in_hour = 7 if now_ms // MINUTE_MS % HOUR else 0
    assert (minute.spent_nano, hour.spent_nano, total.spent_nano) == (5, 5 + in_hour, 112)
    days = [book.left("app", now_ms - DAY * MINUTE_MS)[2].spent_nano, book.spent("app")]
    assert days == [112, 112]
    spend = asyncio.run(store.spend(SpendQuery(tenant="acme")))
    assert (spend.total_nano, {row.tenant for row in spend.rows}) == (1_112, {"acme.web"})
    assert asyncio.run(store.spend(SpendQuery(tenant="acm"))).rows == []
    store.close()
