"""What a task may spend, divided among its steps: reserved before, given back after.

    purse = Purse(Budget(dollars=0.5))
    purse.waiting = lambda: [0.0, 0.2]                       shares of steps that have not begun
    part = await purse.reserve(step.share)                   raises Failed("budget")
    reply, nanos = await part.asking(models)(model, body)    raises Failed("budget")
    part.settle(outcome.nanos, outcome.tokens)

What is reserved for steps that run is nobody else's; what a step leaves over is anybody's. A step
with a share gets that part of the whole, as far as it is there; the others divide what is left
evenly with those that have not begun. The time of a task is the orchestrator's to keep.

Before a model is asked, the most that this takes is reserved from its step's part: dollars, and
tokens of input and output. What does not fit waits for what calls beside it may give back, then
gets a lower limit of output, and is refused where that leaves too little for an answer. Each
attempt that the gateway makes for a call holds its own worst case in the same part before it is
made. So what is spent and reserved never passes the budget, however many steps ask at once, but
by what a provider bills above the worst case, as in the ledger (`ledger/book.py`).

Who finds nothing because steps that run have reserved it waits until they give back what they left.
All of it is memory: another life of the task begins with what the journal has kept as spent.

Not promised: what an attempt cost that a killed process left behind. The ledger has it.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import ceil

import msgspec

from octoplex.agents.quoting import MOST_TOKENS
from octoplex.agents.task import Budget
from octoplex.agents.words import Ask, Failed, Models, Quote
from octoplex.wire.error import OverBudget
from octoplex.wire.event import Reply

NANOS = 1_000_000_000
LEAST = 128
"""Tokens of output: with fewer than that, and fewer than were asked for, nobody is asked."""


class Purse:
    """One task's."""

    def __init__(self, budget: Budget, nanos: int = 0, tokens: int = 0) -> None:
        """`nanos` and `tokens` were spent by the lives before."""
        self.nanos, self.tokens, self.steps = nanos, tokens, 0
        """Spent."""
        self._most = budget
        self._nanos = round(budget.dollars * NANOS)
        self._open: set[Part] = set()
        self._freed = asyncio.Event()
        self.waiting: Callable[[], Sequence[float]] = tuple
        """The shares of steps that are still to come."""

    @property
    def left(self) -> tuple[int, int]:
        """Nano-dollars and tokens that are neither spent nor reserved."""
        reserved = [part.reserved for part in self._open]
        nanos = self._nanos - self.nanos - sum(nanos for nanos, _ in reserved)
        tokens = self._most.tokens - self.tokens - sum(tokens for _, tokens in reserved)
        return nanos, tokens

    @property
    def steps_left(self) -> int:
        """How many more attempts at steps there may be."""
        return self._most.steps - self.steps

    async def reserve(self, share: float = 0.0) -> "Part":
        """A part for one step.

        Raises:
            Failed: nothing is left.
        """
        while self._is_out and any(part.is_holding for part in self._open):
            await self.freed()
        if self.steps_left <= 0:
            raise Failed("budget", f"the task's {self._most.steps} steps are used up")
        if self._is_out:
            raise Failed("budget", f"nothing is left of the task's budget: {self.spent}")
        self.steps += 1
        (nanos, tokens), waiting = self.left, self.waiting()
        return self._opened(
            _divided(nanos, self._nanos, share, waiting),
            _divided(tokens, self._most.tokens, share, waiting),
        )

    def spare(self) -> "Part":
        """For a planner or a judge, whose calls are no steps: of what nobody has reserved, each
        call reserves what it needs."""
        return self._opened(0, 0, is_spare=True)

    def _opened(self, nanos: int, tokens: int, *, is_spare: bool = False) -> "Part":
        part = Part(self, nanos, tokens, is_spare=is_spare)
        self._open.add(part)
        return part

    @property
    def _is_out(self) -> bool:
        nanos, tokens = self.left
        return tokens <= 0 or nanos < 0 or (nanos == 0 and self._nanos > 0)

    @property
    def spent(self) -> str:
        """What of it is spent, in words."""
        dollars = f"${self.nanos / NANOS:.4f} of ${self._most.dollars:g}"
        return f"{dollars} and {self.tokens} of {self._most.tokens} tokens are spent"

    def is_held_beside(self, part: "Part") -> bool:
        """Whether others than this part have reserved what they may give back."""
        return any(one.is_holding for one in self._open if one is not part)

    async def freed(self) -> None:
        """Wait until something is given back."""
        self._freed.clear()
        await self._freed.wait()

    def free(self, part: "Part") -> None:
        """Something of a part is given back."""
        if part.is_settled:
            self.nanos += part.used_nanos
            self.tokens += part.used_tokens
            part.used_nanos = part.used_tokens = 0
            if not part.calls:
                self._open.discard(part)
        self._freed.set()


def _divided(left: int, whole: int, share: float, waiting: Sequence[float]) -> int:
    if share:
        return max(0, min(left, ceil(whole * share)))
    aside = sum(ceil(whole * one) for one in waiting)
    unshared = 1 + sum(1 for one in waiting if not one)
    # what is put aside for others may be more than there is: then all of them are equal
    return max(0, left - aside) // unshared or max(0, left) // (1 + len(waiting))


class Part:
    """What one step may spend."""

    def __init__(self, purse: Purse, nanos: int, tokens: int, *, is_spare: bool = False) -> None:
        self.nanos, self.tokens = nanos, tokens
        self.used_nanos, self.used_tokens = 0, 0
        self.calls: set[Bill] = set()
        """Under way."""
        self.is_settled = False
        self._purse, self._is_spare = purse, is_spare

    @property
    def _taken(self) -> tuple[int, int]:
        """Used, and reserved for calls."""
        nanos = self.used_nanos + sum(call.nanos for call in self.calls)
        return nanos, self.used_tokens + sum(call.tokens for call in self.calls)

    @property
    def reserved(self) -> tuple[int, int]:
        """Nano-dollars and tokens that are nobody else's."""
        nanos, tokens = self._taken
        return max(nanos, self.nanos), max(tokens, self.tokens)

    @property
    def is_holding(self) -> bool:
        """Whether some of that may be given back."""
        return self.reserved != (self.used_nanos, self.used_tokens)

    @property
    def left(self) -> tuple[int, int]:
        """Nano-dollars and tokens for another call."""
        if self._is_spare and not self.is_settled:
            return self._purse.left
        nanos, tokens = self._taken
        return self.nanos - nanos, self.tokens - tokens

    @property
    def more(self) -> int:
        """How often what was spent so far can be spent again."""
        nanos = (self.nanos - self.used_nanos) // (self.used_nanos or 1)
        tokens = (self.tokens - self.used_tokens) // (self.used_tokens or 1)
        return max(0, min(nanos if self.used_nanos else tokens, tokens))

    def lower(self, nanos: int) -> None:
        """Have no more than that; what is above it is anybody's."""
        self.nanos = min(self.nanos, nanos)
        self.free()

    def asking(self, models: Models) -> Ask:
        """A way to models by which none is asked before the most that it takes is reserved."""

        async def paid(model: str, body: bytes) -> tuple[Reply, int]:
            body, bill = await self._billed(models, model, body)
            nanos = tokens = 0
            try:
                reply, nanos = await models(model, body, bill)
                tokens = reply.usage.input_tokens + reply.usage.output_tokens
                return reply, nanos
            finally:
                bill.end(nanos, tokens)

        return paid

    async def _billed(self, models: Models, model: str, body: bytes) -> "tuple[bytes, Bill]":
        """A call as far as it can be paid, and what is reserved for it. Raises `Failed`."""
        quote = models.quote(model, body)
        if quote.worst.output_tokens is None:
            body = _limited(body, MOST_TOKENS)
            quote = models.quote(model, body)
        asked = quote.worst.output_tokens or 0
        while (most := _paid(quote, *self.left)) < asked and self._may_get_more:
            await self._purse.freed()
        if most < min(asked, LEAST):
            raise Failed("budget", self._refusal(quote))
        if most < asked:
            body = _limited(body, most)
            quote = models.quote(model, body)
        return body, Bill(self, quote.nanos, quote.tokens)

    @property
    def _may_get_more(self) -> bool:
        return bool(self.calls) or (self._is_spare and self._purse.is_held_beside(self))

    def _refusal(self, quote: Quote) -> str:
        nanos, tokens = self.left
        return (
            f"what is left of its part of the task's budget, ${nanos / NANOS:.4f} and {tokens} "
            f"tokens, does not pay for a call of up to ${quote.nanos / NANOS:.4f} and "
            f"{quote.tokens} tokens: {self._purse.spent}"
        )

    def settle(self, nanos: int = 0, tokens: int = 0) -> None:
        """Give back what is left; what the arm says it cost counts where it is more than what
        was seen here."""
        self.used_nanos = max(nanos, self.used_nanos)
        self.used_tokens = max(tokens, self.used_tokens)
        self.nanos = self.tokens = 0
        self.is_settled = True
        self.free()

    def free(self) -> None:
        """Something is given back. A call that its arm has left under way is paid all the same."""
        self._purse.free(self)


class Bill:
    """What is reserved for a call under way. Its attempts hold of that, and beyond it of what its
    part has left; what is held when it ends counts in full."""

    def __init__(self, part: Part, nanos: int, tokens: int) -> None:
        self.nanos, self.tokens = nanos, tokens
        self._taken_nanos = self._taken_tokens = 0
        """Held by attempts under way, and spent by others."""
        self._part = part
        part.calls.add(self)

    def hold(self, nanos: int, tokens: int) -> Callable[[int, int], None]:
        """Set aside the most that an attempt takes. What is told then what it took.

        Raises:
            OverBudget: it does not fit.
        """
        left_nanos, left_tokens = self._part.left
        more_nanos = max(0, self._taken_nanos + nanos - self.nanos)
        more_tokens = max(0, self._taken_tokens + tokens - self.tokens)
        if 0 < more_nanos > left_nanos or 0 < more_tokens > left_tokens:
            raise OverBudget(
                f"What is left of the step's part of its task's budget does not pay for an attempt "
                f"of up to ${nanos / NANOS:.4f} and {tokens} tokens."
            )
        self._take(nanos, tokens)
        return lambda cost, used: self._take(cost - nanos, used - tokens)

    def _take(self, nanos: int, tokens: int) -> None:
        self._taken_nanos += nanos
        self._taken_tokens += tokens
        self.nanos = max(self.nanos, self._taken_nanos)
        self.tokens = max(self.tokens, self._taken_tokens)

    def end(self, nanos: int, tokens: int) -> None:
        """It is over, and its reply says that it took so much; what it did not take is free."""
        self._part.calls.discard(self)
        self._part.used_nanos += max(nanos, self._taken_nanos)
        self._part.used_tokens += max(tokens, self._taken_tokens)
        self._part.free()


def _paid(quote: Quote, nanos: int, tokens: int) -> int:
    """How many tokens of output that pays for, of those that are asked for; -1: not even none."""
    worst = quote.worst
    most = min(worst.output_tokens or 0, (tokens - worst.input_tokens) // worst.n)
    return bisect_right(range(most + 1), nanos, key=quote.nanos_of) - 1


def _limited(body: bytes, most: int) -> bytes:
    """A call with this limit of output."""
    call = msgspec.json.decode(body)
    call.pop("max_tokens", None)
    return msgspec.json.encode(call | {"max_completion_tokens": most})
