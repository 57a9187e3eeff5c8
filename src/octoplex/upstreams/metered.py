"""Money around every attempt: reserve, ask, settle.

Only after routing is the price known, and a hedge has two attempts at once, so the
reservation wraps the attempt, not the request. How an attempt is settled:

    it was answered            what the provider reported, at the price it started with
    no usage was reported      an estimate of what was sent and received, flagged
    refused, unreachable       nothing: the provider does not bill it
    broke off, timed out       the reservation, flagged: the provider may have billed it
    the caller left before it  the input, flagged; mid-stream also what had come
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import time_ns

from msgspec import Struct

from octoplex.catalog.prices import Price
from octoplex.ledger.book import Book, Hold
from octoplex.ledger.rows import Order
from octoplex.wire.answer import Answer, Answerer, Head, Outcome, Whole, bound, why_cancelled
from octoplex.wire.ask import Ask, Attempt, Tab, Trail, Worst
from octoplex.wire.error import DeadlinePassed, Forbidden, UpstreamError
from octoplex.wire.event import Usage

OUTPUT_WHEN_UNKNOWN = 4_096


class Tariff(Struct, frozen=True, kw_only=True):
    """What a target costs. `free`: a local model.

    `price` looks it up now, for a service tier ("": the usual one); None: unknown. `price_of`
    makes one for a model that only the reply names (`Head.told`).
    """

    provider: str
    model: str
    price: Callable[[str], Price | None]
    output_cap: int | None
    free: bool = False
    allow_unpriced: bool = False
    price_of: Callable[[str], Callable[[str], Price | None]] | None = None

    def told(self, head: Head, tier: str) -> Price | None:
        """The price of what was answered."""
        if head.told and self.price_of is not None:
            return self.price_of(head.told)(tier)
        return self.price(tier)

    def reserve_nano(self, price: Price, worst: Worst) -> int:
        """The most a call can cost here, in nano-dollars, rounded up."""
        return price.reserve_nano(worst.input_tokens, self.most_output(worst), worst.searches)

    def most_output(self, worst: Worst) -> int:
        """The most tokens that a call can write here."""
        output = worst.output_tokens
        if output is None:
            output = OUTPUT_WHEN_UNKNOWN if self.output_cap is None else self.output_cap
        return output * worst.n


def no_price(tier: str) -> Price | None:
    """The price of what nobody bills."""
    return None


class Metered:
    """An Answerer that pays for the one inside."""

    __slots__ = ("_book", "_inner", "_tariff", "_wait_s")

    def __init__(self, inner: Answerer, tariff: Tariff, book: Book, wait_s: float = 2.0) -> None:
        self._inner, self._tariff, self._book, self._wait_s = bound(inner), tariff, book, wait_s

    async def __call__(self, ask: Ask, /) -> Answer:
        """Reserve, ask, and settle however it ends.

        Raises:
            OverBudget: the caller's budget does not hold it, or its task's.
            Forbidden: the target has no price and the caller has a dollar budget.
        """
        if ask.op == "count_tokens":
            return await self._inner(ask)
        tariff, caller, trail = self._tariff, ask.caller, ask.trail
        worst = ask.worst_case()
        tier = ask.tier
        price = tariff.price(tier)
        if price is None:
            nano, version = 0, ""
            if caller.budgeted and not (tariff.free or tariff.allow_unpriced):
                raise _unpriced(tariff)
        else:
            nano, version = tariff.reserve_nano(price, worst), price.version
        # The number of its row in the trail, so that both can be told by one number.
        number = trail.orders + 1
        if number < len(trail.attempts):
            number = len(trail.attempts)
        trail.orders = number
        order = Order(
            ask.id,
            number,
            time_ns() // 1_000_000,
            caller.id,
            caller.name,
            trail.route,
            tariff.provider,
            tariff.model,
            version,
            nano,
            caller.tenant,
        )
        if trail.tab is None:
            hold = self._book.hold(order) or await self._book.wait(order, self._patience_s(ask))
        else:
            hold = await self._on_tab(trail.tab, ask, order)
        try:
            answer = await self._inner(ask)
        except BaseException as error:
            _failed(ask, hold, price, error)
            raise
        if type(answer) is Whole:  # it has ended: no need to be told
            if answer.usage.tier != tier or answer.head.told:
                price = tariff.told(answer.head, answer.usage.tier)
            _charge(ask, hold, price, answer.head, "done", answer.usage)
        else:
            answer.on_end(partial(self._ended, ask, hold, price, answer.head))
        return answer

    async def _on_tab(self, tab: Tab, ask: Ask, order: Order) -> Hold:
        """The same money set aside twice: for who gave a task, and in the task."""
        worst = ask.worst_case()
        told = tab.hold(order.nano, worst.input_tokens + self._tariff.most_output(worst))
        try:
            hold = self._book.hold(order) or await self._book.wait(order, self._patience_s(ask))
        except BaseException:
            told(0, 0)
            raise
        hold.told = told
        return hold

    def _patience_s(self, ask: Ask) -> float:
        """How long an ask that does not fit may wait for others to end, in seconds."""
        return max(0.0, min(self._wait_s, ask.deadline_at - asyncio.get_running_loop().time()))

    def _ended(
        self,
        ask: Ask,
        hold: Hold,
        price: Price | None,
        head: Head,
        outcome: Outcome,
        usage: Usage,
    ) -> None:
        if (usage.tier != ask.tier or head.told) and not usage.estimated:
            price = self._tariff.told(head, usage.tier)
        _charge(ask, hold, price, head, outcome, usage)


def _unpriced(tariff: Tariff) -> Forbidden:
    return Forbidden(
        f"{tariff.provider}/{tariff.model} has no price, so a dollar budget cannot hold "
        "it; give it one under [prices], or set allow_unpriced = true on its route."
    )


def _failed(ask: Ask, hold: Hold, price: Price | None, error: BaseException) -> None:
    """End the hold of an attempt that did not open."""
    worst, order = ask.worst_case(), hold.order
    outcome: Outcome
    if isinstance(error, UpstreamError | DeadlinePassed):
        if not error.reached:
            hold.release(error.code)
            return
        outcome = "late" if isinstance(error, DeadlinePassed) else "cut"
        if isinstance(error, UpstreamError) and error.received is not None:
            usage = guessed(worst, error.received)
            nano = _bounded(price, usage, order)
        else:
            usage, nano = guessed(worst, (worst.output_tokens or 0) * worst.n), order.nano
        _settle(ask.trail, hold, nano, usage, outcome)
    elif isinstance(error, asyncio.CancelledError):
        outcome = why_cancelled(error)
        if not getattr(error, "reached", False):
            hold.release(outcome)
            return
        usage = guessed(worst)
        _settle(ask.trail, hold, _bounded(price, usage, order), usage, outcome)
    else:
        hold.release("failed")


def guessed(worst: Worst, output_tokens: int = 0) -> Usage:
    """An estimate of what was used: all that was sent, and this output."""
    return Usage(worst.input_tokens, output_tokens, estimated=True, searches=worst.searches)


def _bounded(price: Price | None, usage: Usage, order: Order) -> int:
    """An estimate never costs more than was set aside for it."""
    return 0 if price is None else min(price.cost_nano(usage), order.nano)


def _charge(
    ask: Ask, hold: Hold, price: Price | None, head: Head, outcome: Outcome, usage: Usage
) -> None:
    """Charge what the provider reported, or an estimate, flagged."""
    if usage.estimated:
        if not usage.input_tokens:  # not even the head of a stream said
            usage = guessed(ask.worst_case(), usage.output_tokens)
        nano = _bounded(price, usage, hold.order)
        head.estimated = True
    else:
        nano = 0 if price is None else price.cost_nano(usage)
    head.usage = usage
    head.nano = _settle(ask.trail, hold, nano, usage, outcome)


def _settle(trail: Trail, hold: Hold, nano: int, usage: Usage, outcome: Outcome) -> int:
    """End the hold, and write what was charged into the trail and the attempt's row of it."""
    attempts, number = trail.attempts, hold.order.attempt
    row = attempts[number - 1] if number <= len(attempts) else None
    again = number > 1 and row is not None and _is_again(attempts[: number - 1], row.target)
    nano = hold.settle(nano, usage, outcome, again=again)
    trail.nano += nano
    if row is not None:
        row.nano = nano
    if usage.estimated:
        trail.estimated = True
        if row is not None:
            row.estimated = True
    return nano


def _is_again(before: Sequence[Attempt], target: str) -> bool:
    """Whether one of these attempts was on this target, and was settled."""
    return any(one.target == target and (one.nano or one.estimated) for one in before)
