"""Money set aside for long work: it counts in every window, and its parts end one by one."""

import asyncio

import pytest

from octoplex.ledger import Book, Cap, Order
from octoplex.ledger.period import DAY_MS
from octoplex.ledger.rows import Balance, Settlement
from octoplex.wire.error import OverBudget
from octoplex.wire.event import Usage

NOON = 20_000 * DAY_MS + DAY_MS // 2


class Paper:
    """A journal on paper."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.ends: list[Settlement] = []

    def reserve(self, order: Order) -> None:
        self.orders.append(order)

    def settle(self, settlement: Settlement) -> None:
        self.ends.append(settlement)


def order(number: int, nano: int, at_ms: int = NOON) -> Order:
    return Order(f"req_{number}", 1, at_ms, "k", "k", "", "p", "m", "v", nano)


def book_of(paper: Paper, *caps: Cap, balances: tuple[Balance, ...] = ()) -> Book:
    book = Book(paper, balances)
    book.limit("k", caps)
    return book


def test_it_is_held_and_what_does_not_fit_is_not() -> None:
    book = book_of(Paper(), Cap("day", 100), Cap("total", 1_000))
    aside = book.set_aside("k", 70, NOON)
    assert aside is not None
    assert [left.held_nano for left in book.left("k", NOON)] == [70, 70]
    assert book.set_aside("k", 31, NOON) is None
    assert book.hold(order(1, 31)) is None
    hold = book.hold(order(2, 30))
    assert hold is not None
    hold.release("x")
    aside.give_back()
    assert book.open_nano == 0
    assert book.set_aside("k", 100, NOON) is not None


def test_its_parts_are_settled_without_a_reservation() -> None:
    paper = Paper()
    book = book_of(paper, Cap("day", 100))
    aside = book.set_aside("k", 90, NOON)
    assert aside is not None
    aside.settle(order(1, 30), 10, Usage(1, 1), "done")
    aside.settle(order(2, 30), 40, Usage(1, 1, estimated=True), "done")
    assert (paper.orders, [s.nano for s in paper.ends]) == ([], [10, 40])
    assert [s.estimated for s in paper.ends] == [False, True]
    assert (book.spent("k"), aside.nano, book.exceeded) == (50, 30, 1)
    (left,) = book.left("k", NOON)
    assert (left.spent_nano, left.held_nano) == (50, 30)
    aside.give_back(1_000)
    assert (aside.nano, book.open_nano) == (0, 0)


def test_after_a_start_it_is_set_aside_whatever_is_left() -> None:
    book = book_of(Paper(), Cap("day", 100), balances=(Balance("k", {20_000: 80}, 80),))
    assert book.set_aside("k", 50, NOON) is None
    aside = book.set_aside("k", 50, NOON, anew=False)
    assert aside is not None
    assert book.hold(order(1, 1)) is None
    tomorrow = NOON + DAY_MS
    assert book.hold(order(2, 100, tomorrow)) is not None
    aside.settle(order(3, 50), 20, Usage(1, 1), "done")
    (left,) = book.left("k", NOON)
    assert (left.spent_nano, left.held_nano) == (100, 0)


def test_what_comes_free_is_given_to_who_waits() -> None:
    async def main() -> None:
        book = book_of(Paper(), Cap("day", 100))
        aside = book.set_aside("k", 100, NOON)
        assert aside is not None
        waiting = asyncio.create_task(book.wait(order(1, 40), 5))
        await asyncio.sleep(0)
        assert not waiting.done()
        aside.give_back(40)
        (await waiting).release("x")
        with pytest.raises(OverBudget):
            await book.wait(order(2, 41), 0.01)

    asyncio.run(main())
