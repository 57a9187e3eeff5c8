"""Money of an ask that somebody else pays for, too: set aside for each attempt in both books or in
none, and given back however it ends."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from octoplex.catalog.price import Price
from octoplex.ledger.allowance import Cap
from octoplex.ledger.book import Book
from octoplex.upstreams.metered import Metered, Tariff
from octoplex.wire.answer import Answer, Head, Whole
from octoplex.wire.ask import Ask
from octoplex.wire.error import OverBudget, UpstreamBroken, UpstreamUnreachable
from octoplex.wire.event import Usage
from tests.scripted import asking

PRICE = Price(input_pico=1_000_000, output_pico=10_000_000)


class Rows:
    """What a book writes down."""

    def reserve(self, order: Any) -> None:
        """It is about to be asked."""

    def settle(self, settlement: Any) -> None:
        """It is over."""


class Tab:
    """Who pays; `held` are the orders, `took` what they were told to have cost."""

    def __init__(self) -> None:
        self.held: list[tuple[int, int]] = []
        self.took: list[tuple[int, int]] = []

    def hold(self, nanos: int, tokens: int) -> Callable[[int, int], None]:
        if self.held:
            raise OverBudget("one is enough")
        self.held.append((nanos, tokens))
        return lambda nanos, tokens: self.took.append((nanos, tokens))


@pytest.mark.parametrize(
    ("how", "took"),
    [
        (None, (250_000, 70)),
        (UpstreamUnreachable("away"), (0, 0)),
        (UpstreamBroken("cut"), "all"),
        (OverBudget("the key's own"), (0, 0)),
    ],
)
def test_both_are_told_what_an_attempt_took(how: Exception | None, took: Any) -> None:
    async def inner(ask: Ask) -> Answer:
        if isinstance(how, UpstreamBroken):
            how.reached = True
        if how is not None:
            raise how
        return Whole(Head("a", "m"), "", b"{}", usage=Usage(50, 20))

    async def main() -> None:
        book, tab, call = Book(Rows()), Tab(), asking()  # type: ignore[arg-type]
        call.max_tokens, call.trail.tab = 100, tab
        if isinstance(how, OverBudget):
            book.limit("", [Cap("total", 1)])
        tariff = Tariff(provider="a", model="m", price=lambda tier: PRICE, output_cap=None)
        metered = Metered(inner, tariff, book, wait_s=0.0)
        if how is None:
            await metered(call)
        else:
            with pytest.raises(type(how)):
                await metered(call)
        tokens = call.worst_case().input_tokens
        assert tab.held == [(tokens * 1_000 + 1_000_000, tokens + 100)]
        assert tab.took == (tab.held if took == "all" else [took])
        spent = book.settled_nano
        assert spent == tab.took[0][0]
        with pytest.raises(OverBudget, match="one is enough"):
            await metered(call)
        assert (book.open_nano, book.settled_nano) == (0, spent)

    asyncio.run(main())
