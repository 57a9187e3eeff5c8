"""Leases of money under every order of messages: what is granted, anywhere, fits the budget."""

import asyncio
import random
from collections import deque
from itertools import count
from typing import Any

import pytest

from octoplex.ledger import Cap, Order
from octoplex.ledger.remote.messages import Ended, Lent, Opened, Recall, Returned, Said, Wanted
from octoplex.ledger.rows import Settlement
from octoplex.server.supervisor.lending import Lender, LendingBook, Peer

NOON = 20_000 * 86_400_000 + 43_200_000
CAP = 100_000


class Paper:
    """A journal on paper."""

    def __init__(self) -> None:
        self.settled: list[Settlement] = []

    def reserve(self, order: Order) -> None:
        pass

    def settle(self, settlement: Settlement) -> None:
        self.settled.append(settlement)


class Pipe:
    """A wire whose messages arrive when the test says so, in order."""

    up = True

    def __init__(self) -> None:
        self.down: deque[Any] = deque()
        self.up_again: deque[Any] = deque()

    def push(self, message: Any) -> None:
        self.down.append(message)

    send = push


class Worker:
    """What a worker does with its lease, without its clock and its loop."""

    def __init__(self, lender: Lender) -> None:
        self.pipe, self._lender = Pipe(), lender
        self.peer = Peer(self.pipe)  # type: ignore[arg-type]
        self.lease, self.left, self.newest = 0, 0, 0
        self.open: dict[int, Order] = {}
        self._wanted: dict[int, Order] = {}
        self._numbers = count(1)

    def call(self, nano: int) -> None:
        number = next(self._numbers)
        order = Order(f"r{id(self)}-{number}", 1, NOON, "k", "k", "", "p", "m", "", nano)
        if self.lease and nano <= self.left:
            self.left -= nano
            self.open[number] = order
            self.pipe.up_again.append(Opened(number, self.lease, order))
        else:
            self._wanted[number] = order
            self.pipe.up_again.append(Wanted(number, number, order, 0.0))

    def end(self, chance: random.Random, least: float) -> None:
        number = chance.choice(list(self.open))
        reserved = self.open.pop(number).nano
        nano = chance.randint(int(reserved * least), reserved)
        self.pipe.up_again.append(Ended(number, nano))

    def hear(self) -> None:
        match self.pipe.down.popleft():
            case Lent(_, lease, nano, _) if lease == self.lease:
                self.left += nano
            case Lent(_, lease, nano, _) if lease > self.newest:
                self._give_back()
                self.lease, self.left, self.newest = lease, nano, lease
            case Recall():
                self._give_back()
            case Said(ask):
                self.open[ask] = self._wanted.pop(ask)

    def _give_back(self) -> None:
        if self.lease:
            self.pipe.up_again.append(Returned(self.lease))
        self.lease = self.left = 0

    def arrive(self) -> None:
        message, lender = self.pipe.up_again.popleft(), self._lender
        match message:
            case Opened():
                lender.opened(self.peer, message)
            case Ended():
                lender.ended(self.peer, message)
            case Returned():
                lender.returned(self.peer, message)
            case Wanted():
                lender.wanted(self.peer, message)


def paid(workers: list[Worker], paper: Paper) -> int:
    """The most that all that was granted can come to."""
    known = sum(one.nano for one in paper.settled)
    untold = sum(m.nano for w in workers for m in w.pipe.up_again if isinstance(m, Ended))
    return known + untold + sum(order.nano for w in workers for order in w.open.values())


@pytest.mark.parametrize("least", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(10))
def test_what_is_granted_never_passes_the_budget(seed: int, least: float) -> None:
    """`least`: how much of its reservation a call costs."""

    async def main() -> None:
        chance, paper, peers = random.Random(seed), Paper(), list[Peer]()
        book = LendingBook(paper)
        book.limit("k", [Cap("total", CAP)])
        lender = Lender(book, 4, lambda one, other: one == other, peers)
        workers = [Worker(lender) for _ in range(4)]
        peers += [worker.peer for worker in workers]
        granted_from_leases = 0
        for _ in range(8_000):
            worker = chance.choice(workers)
            deed = chance.randrange(5)
            if deed == 0:
                before = len(worker.open)
                worker.call(chance.randint(1, 400))
                granted_from_leases += len(worker.open) - before
            elif deed == 1 and worker.open:
                worker.end(chance, least)
            elif deed == 2 and worker.pipe.down:
                worker.hear()
            elif worker.pipe.up_again:
                worker.arrive()
                await asyncio.sleep(0)
            assert paid(workers, paper) <= CAP
        assert granted_from_leases > 100
        assert paid(workers, paper) > CAP * 0.9

    asyncio.run(main())


def one_that_was_lent() -> tuple[Paper, LendingBook, Lender, Worker]:
    """A worker with one call of 100 open, and a lease."""
    paper, peers = Paper(), list[Peer]()
    book = LendingBook(paper)
    book.limit("k", [Cap("total", CAP)])
    lender = Lender(book, 1, lambda one, other: one == other, peers)
    worker = Worker(lender)
    peers.append(worker.peer)
    worker.call(100)
    worker.arrive()
    while worker.pipe.down:
        worker.hear()
    return paper, book, lender, worker


def test_what_a_dead_worker_held_is_free_again_and_what_it_asked_is_flagged() -> None:
    paper, book, lender, worker = one_that_was_lent()
    assert worker.left == (CAP - 100) // 4
    worker.call(50)
    worker.arrive()
    unheard = Order("r", 1, NOON, "k", "k", "", "p", "m", "", 30)
    lender.lost(worker.peer, [unheard])
    assert [(s.nano, s.outcome, s.estimated) for s in paper.settled] == [
        (100, "lost", True),
        (50, "lost", True),
        (30, "lost", True),
    ]
    (left,) = book.left("k", NOON)
    assert (left.spent_nano, left.held_nano) == (180, 0)


def test_what_is_lent_to_workers_of_a_host_that_was_given_up_is_called_back() -> None:
    """What they have open, or granted meanwhile, is in no lease when it ends."""
    paper, book, lender, worker = one_that_was_lent()
    book.begin_anew()
    assert (worker.left, book.open_nano) == ((CAP - 100) // 4, 0)
    worker.call(50)
    while worker.pipe.down:
        worker.hear()
    worker.call(30)  # not out of the lease any more
    while worker.pipe.up_again or worker.pipe.down:
        while worker.pipe.up_again:
            worker.arrive()
        while worker.pipe.down:
            worker.hear()
    for number in list(worker.open):
        lender.ended(worker.peer, Ended(number, 20))
    assert [(one.order.nano, one.loose) for one in paper.settled] == [
        (100, True),
        (50, True),
        (30, False),
    ]
    assert book.settled_nano == 60
