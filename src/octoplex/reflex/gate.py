"""Admission: may this key use this model, is it within its rates, and not too often at once.

    desk = Desk(keys)                     keys: in force; desk.update(keys) at every change.
                                          The rates of a tenant bind all its keys together
    answerer = admitted(inner, desk)      the reflex layer; adds no wrapper to the Answer
    desk.figures(caller_id) -> [Figure]   for GET /v1/key
    desk.lines(caller_id, face)           rate-limit header lines, of the tightest limit per unit

Only asks of callers that hold a key are looked at; without keys everybody may do
everything. Budgets in dollars are not here: money is held per attempt, when the
price is known (`ledger/book.py`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from octoplex.reflex.keys import Key
from octoplex.reflex.limit import Buckets, Figure, Rate
from octoplex.reflex.models import Models
from octoplex.reflex.parallel import Crowd
from octoplex.wire.answer import Answer, Answerer, Outcome, Whole, bound
from octoplex.wire.ask import Ask, Call, fallback_models
from octoplex.wire.error import Forbidden
from octoplex.wire.event import NO_USAGE, Usage

NO_TOKENS = frozenset({"count_tokens", "prepare"})
"""Operations that use none."""
OtherNames = Callable[[str], Sequence[str]]
"""Further names of a model: a bare `gpt-5-mini` is also `openai/gpt-5-mini`."""


class _Guest(Struct, frozen=True):
    models: Models
    buckets: Buckets | None
    crowded: bool = False
    """So many of its requests at a time."""


class Desk:
    """What each key may do, and how much of its rate limits is left."""

    def __init__(
        self, keys: Iterable[Key] = (), now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._now_ns = now_ns
        self._guests: dict[str, _Guest] = {}
        self._tenants: dict[str, Buckets] = {}
        self.crowd = Crowd()
        self.update(keys)

    def update(self, keys: Iterable[Key]) -> None:
        """Put these keys in force. A limit that stays the same keeps its level."""
        fresh: dict[str, _Guest] = {}
        tenants: dict[str, Buckets] = {}
        keys = list(keys)
        self.crowd.update(keys)
        for key in keys:
            buckets = self._buckets(key, tenants) if key.rated else None
            fresh[key.id] = _Guest(key.models, buckets, bool(self.crowd.binding(key.id)))
        self._guests, self._tenants = fresh, tenants

    def _buckets(self, key: Key, tenants: dict[str, Buckets]) -> Buckets:
        """A key's buckets with those of `tenants`, which its neighbours have put there."""
        buckets = self.make(key.id, key.limits.rates)
        old = self._guests.get(key.id)
        if old and old.buckets:
            buckets.adopt(old.buckets)  # calls in flight still settle with it
        for name, rates in key.above:
            if name not in tenants:
                tenants[name] = self.make("", rates, name)
                if name in self._tenants:
                    tenants[name].adopt(self._tenants[name])
            buckets.share(tenants[name])
        return buckets

    def make(self, key_id: str, rates: Sequence[Rate], tenant: str = "") -> Buckets:
        """Buckets of a key, or of a tenant."""
        return Buckets(rates, self._now_ns, tenant)

    async def ask(self, caller_id: str, tokens: int) -> None:
        """Take from where the limits of a key are kept, when its buckets here have said so."""

    async def enter(self, caller_id: str) -> Callable[[], None]:
        """Count a request that begins, where that is done; what to call when it has ended.

        Raises:
            TooFast: as many as may are running.
        """
        return await self.crowd.begin(caller_id)

    def guest(self, caller_id: str) -> _Guest | None:
        """What this caller may do; None for callers without a key."""
        return self._guests.get(caller_id)

    def figures(self, caller_id: str) -> list[Figure]:
        """Every limit of a key, but budgets, as it stands."""
        guest = self._guests.get(caller_id)
        rates = guest.buckets.figures() if guest and guest.buckets else []
        return rates + self.crowd.figures(caller_id)

    def lines(self, caller_id: str, face: str) -> str:
        """`x-ratelimit-*` header lines, under the names this face's SDKs look for."""
        guest = self._guests.get(caller_id)
        if guest is None or guest.buckets is None:
            return ""
        if face != "anthropic":
            return guest.buckets.openai_lines()
        return "".join([_anthropic_lines(*row) for row in guest.buckets.tightest()])


def _anthropic_lines(unit: str, limit: int, remaining: int, reset_s: float) -> str:
    name = "requests" if unit == "req" else "tokens"
    reset_at = datetime.fromtimestamp(time.time() + reset_s, UTC)
    return (
        f"anthropic-ratelimit-{name}-limit: {limit}\r\n"
        f"anthropic-ratelimit-{name}-remaining: {remaining}\r\n"
        f"anthropic-ratelimit-{name}-reset: {reset_at:%Y-%m-%dT%H:%M:%SZ}\r\n"
    )


def admitted(inner: Answerer, desk: Desk, other_names: OtherNames | None = None) -> Answerer:
    """Let through what the caller's key allows.

    Raises (the answerer):
        Forbidden: the key may not use this model.
        TooFast, TooLarge: its own limits.
    """
    guest_of, inner = desk.guest, bound(inner)

    def answer(ask: Ask) -> Awaitable[Answer]:
        guest = guest_of(ask.caller.id)
        if guest is None:
            return inner(ask)
        if not guest.models.every:
            _check_models(guest.models, ask, other_names)
        buckets = guest.buckets
        if guest.crowded:
            return _counted(inner, desk, buckets, ask)
        return inner(ask) if buckets is None else _rated(inner, desk, buckets, ask)

    return answer


async def _rated(inner: Answerer, desk: Desk, buckets: Buckets, ask: Ask) -> Answer:
    """Answer within some rates."""
    counts = buckets.counts_tokens and ask.op not in NO_TOKENS
    tokens = ask.worst_case().input_tokens if counts else 0
    if buckets.take(tokens):
        await desk.ask(ask.caller.id, tokens)
    if not counts:
        return await inner(ask)
    try:
        answer = await inner(ask)
    except BaseException as error:
        # A provider that was reached read the request, though its caller left before an answer.
        left = isinstance(error, asyncio.CancelledError) and getattr(error, "reached", False)
        unused = 0 if left else tokens - ask.trail.wasted_tokens
        if ask.trail.goes_on is None:
            buckets.give_back(unused)
        else:
            ask.trail.goes_on(_Debt(buckets, unused, failed=True))
        raise
    tokens -= ask.trail.wasted_tokens
    if type(answer) is Whole:  # it has ended: no need to be told
        usage = answer.usage
        if usage is not NO_USAGE:
            buckets.settle(tokens, usage.input_tokens, usage.output_tokens)
    else:
        answer.on_end(_Debt(buckets, tokens))
    return answer


async def _counted(inner: Answerer, desk: Desk, buckets: Buckets | None, ask: Ask) -> Answer:
    """Answer as one of so many at a time."""
    over = await desk.enter(ask.caller.id)
    try:
        answer = await (inner(ask) if buckets is None else _rated(inner, desk, buckets, ask))
    except BaseException:
        if ask.trail.goes_on is None:
            over()
        else:
            ask.trail.goes_on(lambda outcome, usage: over())
        raise
    answer.on_end(lambda outcome, usage: over())
    return answer


class _Debt:
    """Told how an answer ended, it corrects the estimate and charges the output."""

    __slots__ = ("_buckets", "_failed", "_tokens")

    def __init__(self, buckets: Buckets, tokens: int, *, failed: bool = False) -> None:
        """`failed`: without usage nothing was used."""
        self._buckets, self._tokens, self._failed = buckets, tokens, failed

    def __call__(self, outcome: Outcome, usage: Usage) -> None:
        if usage is not NO_USAGE:
            self._buckets.settle(self._tokens, usage.input_tokens, usage.output_tokens)
        elif self._failed:
            self._buckets.give_back(self._tokens)


def _check_models(models: Models, ask: Ask, other_names: OtherNames | None) -> None:
    """Refuse a model, or a fallback named in the body, that the key's list does not hold."""
    fallbacks = fallback_models(ask) if isinstance(ask, Call) and "models" in ask.fields else ()
    for model in (ask.model, *fallbacks):
        if models.allows(model):
            continue
        names = other_names(model) if other_names is not None else ()
        if not models.allows(model, *names):
            asked = model.removeprefix("pass:")  # our own mark of what passes to a provider
            raise Forbidden(
                f"This key may not use the model {asked!r}; it may use {models}", param="model"
            )
