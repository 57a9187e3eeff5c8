"""What a task may spend, divided among its steps: reserved before, given back after.

    purse = Purse(Budget(dollars=0.5))
    purse.waiting = lambda: [0.0, 0.2]                       shares of steps that have not begun
    part = await purse.reserve(step.share)                   raises Failed("budget")
    reply, nanos = await part.asking(ask)(model, body)       raises Failed("budget")
    part.settle(outcome.nanos, outcome.tokens)

What is reserved for steps that run is nobody else's; what a step leaves over is anybody's. A step
with a share gets that part of the whole, as far as it is there; the others divide what is left
evenly with those that have not begun. A step that has used up its part may ask no model
again, so it exceeds it by the calls that were on their way, and tokens are capped in what is
asked. The time of a task is the orchestrator's to keep.

Who finds nothing because steps that run have reserved it waits until they give back what they left.

Not promised: what an attempt cost that a killed process left behind. The ledger has it.
"""

import asyncio
from collections.abc import Callable, Sequence
from math import ceil

import msgspec

from octoplex.agents.task import Budget
from octoplex.agents.words import Ask, Failed
from octoplex.wire.event import Reply

NANOS = 1_000_000_000
NEAR = 16_384
"""Tokens left, below which a call that names no limit of its own is given one."""


class Purse:
    """One task's."""

    def __init__(self, budget: Budget) -> None:
        self.nanos, self.tokens, self.steps = 0, 0, 0
        """Spent."""
        self._most = budget
        self._nanos = round(budget.dollars * NANOS)
        self._open: set[Part] = set()
        self._settled = asyncio.Event()
        self.waiting: Callable[[], Sequence[float]] = tuple
        """The shares of steps that are still to come."""

    @property
    def left(self) -> tuple[int, int]:
        """Nano-dollars and tokens that are neither spent nor reserved."""
        nanos = self._nanos - self.nanos - sum(p.nanos for p in self._open)
        tokens = self._most.tokens - self.tokens - sum(p.tokens for p in self._open)
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
        while self._is_out and self._open:
            self._settled.clear()
            await self._settled.wait()
        if self.steps_left <= 0:
            raise Failed("budget", f"the task's {self._most.steps} steps are used up")
        self._look()
        self.steps += 1
        (nanos, tokens), waiting = self.left, self.waiting()
        part = Part(
            self,
            _divided(nanos, self._nanos, share, waiting),
            _divided(tokens, self._most.tokens, share, waiting),
        )
        self._open.add(part)
        return part

    def spare(self) -> "Part":
        """What nobody has reserved, for a planner or a judge, whose calls are no steps. It stays
        open to others, so that both together may exceed it by the calls on their way.

        Raises:
            Failed: nothing is left.
        """
        self._look()
        return Part(self, *self.left)

    @property
    def _is_out(self) -> bool:
        nanos, tokens = self.left
        return tokens <= 0 or nanos < 0 or (nanos == 0 and self._nanos > 0)

    def _look(self) -> None:
        if self._is_out:
            raise Failed("budget", self._spent("nothing is left of the task's budget"))

    def _spent(self, what: str) -> str:
        spent = f"${self.nanos / NANOS:.4f} of ${self._most.dollars:g}"
        return f"{what}: {spent} and {self.tokens} of {self._most.tokens} tokens are spent"

    def settle(self, part: "Part", nanos: int, tokens: int) -> None:
        """Count what came of a part, and give the rest back."""
        self._open.discard(part)
        self.add(nanos, tokens)
        self._settled.set()

    def add(self, nanos: int, tokens: int) -> None:
        """Count what was spent."""
        self.nanos += nanos
        self.tokens += tokens


def _divided(left: int, whole: int, share: float, waiting: Sequence[float]) -> int:
    if share:
        return max(0, min(left, ceil(whole * share)))
    aside = sum(ceil(whole * one) for one in waiting)
    unshared = 1 + sum(1 for one in waiting if not one)
    # what is put aside for others may be more than there is: then all of them are equal
    return max(0, left - aside) // unshared or max(0, left) // (1 + len(waiting))


class Part:
    """What one step may spend."""

    def __init__(self, purse: Purse, nanos: int, tokens: int) -> None:
        self.nanos, self.tokens = nanos, tokens
        self.used_nanos, self.used_tokens = 0, 0
        self._purse = purse

    @property
    def more(self) -> int:
        """How often what was spent so far can be spent again."""
        nanos = (self.nanos - self.used_nanos) // (self.used_nanos or 1)
        tokens = (self.tokens - self.used_tokens) // (self.used_tokens or 1)
        return max(0, min(nanos if self.used_nanos else tokens, tokens))

    def lower(self, nanos: int) -> None:
        """Have no more than that; what is above it is anybody's."""
        self.nanos = min(self.nanos, nanos)

    def asking(self, ask: Ask) -> Ask:
        """The same way to models, counted."""

        async def counted(model: str, body: bytes) -> tuple[Reply, int]:
            self._look()
            reply, nanos = await ask(model, self._capped(body))
            usage = reply.usage
            self.used_nanos += nanos
            self.used_tokens += usage.input_tokens + usage.output_tokens
            return reply, nanos

        return counted

    def _look(self) -> None:
        if self.used_nanos > self.nanos or self.used_nanos == self.nanos > 0:
            used = f"${self.used_nanos / NANOS:.4f} of ${self.nanos / NANOS:.4f}"
            raise Failed("budget", f"its part of the task's budget is spent: {used}")
        if self.used_tokens >= self.tokens:
            used = f"{self.used_tokens} of {self.tokens} tokens"
            raise Failed("budget", f"its part of the task's budget is spent: {used}")

    def _capped(self, body: bytes) -> bytes:
        """The call, with no more tokens of output than are left."""
        left = self.tokens - self.used_tokens
        call = msgspec.json.decode(body)
        name = "max_tokens" if "max_tokens" in call else "max_completion_tokens"
        asked = call.get(name)
        if (asked is None and left >= NEAR) or (isinstance(asked, int) and asked <= left):
            return body
        return msgspec.json.encode(call | {name: left})

    def settle(self, nanos: int = 0, tokens: int = 0) -> None:
        """Give back what is left; what the arm says it cost counts where it is more than what
        was seen here."""
        nanos, tokens = max(nanos, self.used_nanos), max(tokens, self.used_tokens)
        self.used_nanos, self.used_tokens = nanos, tokens
        self._purse.settle(self, nanos, tokens)
