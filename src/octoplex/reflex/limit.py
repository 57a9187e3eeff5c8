"""Rate limits and budgets from one string, and the buckets that keep them.

    "60 req/min, 100k tok/min, 2M tok/day, $5/day, $50/month, 20 parallel"

    parse(text) -> Limits                  rates and caps; ValueError names the piece
    Buckets(limits.rates, now_ns).take(tokens)     or TooFast with the exact wait
    buckets.share(above)                   a tenant's limits, which all its keys take from
    buckets.settle(taken, tokens, output_tokens)   correct the estimate, charge the output
    buckets.give_back(taken)                       nothing was used after all
    buckets.figures() -> [Figure]          for x-ratelimit-* headers and GET /v1/key

`N req/min` is a bucket of N, full at the start, refilled evenly (a token bucket, or
GCRA with a burst of N). A call passes when every bucket has room, and takes from all
or none. Input tokens are taken at entry at their worst case; output is charged when
it is known, as debt, which later calls wait for.

A bucket's level is an integer: tokens times the period in nanoseconds. In each
nanosecond it gains exactly N. So no rounding can add up to a token too many, however
long it runs, and `retry_after_s` is exact. The clock is monotonic nanoseconds.
"""

import re
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from math import ceil
from typing import Literal

from msgspec import Struct

from octoplex.ledger import Cap, dollars
from octoplex.ledger.period import called
from octoplex.ledger.rows import WindowKind
from octoplex.wire.error import TooFast, TooLarge

EXAMPLE = '"60 req/min, 100k tok/min, $50/month"'
PERIODS_S = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60}
PERIODS_S |= {"h": 3_600, "hour": 3_600, "d": 86_400, "day": 86_400}
UNITS: dict[str, Literal["req", "tok"]] = {"req": "req", "request": "req", "requests": "req"}
UNITS |= {"tok": "tok", "token": "tok", "tokens": "tok"}
SUFFIXES = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
WINDOWS: dict[str, WindowKind] = {"minute": "minute", "min": "minute", "m": "minute"}
WINDOWS |= {"hour": "hour", "h": "hour", "day": "day", "d": "day", "week": "week", "w": "week"}
WINDOWS |= {"month": "month", "mo": "month", "total": "total"}
MOST = 10**12
"""The largest rate or budget in dollars: beyond it a limit is a slip of the pen."""

_RATE = re.compile(r"([\d._]+)\s*([kmb]?)\s*([a-z]+)\s*(?:/|\bper\b)\s*([a-z]+)", re.ASCII)
_CAP = re.compile(r"\$\s*([\d._]+)\s*([kmb]?)\s*(?:/|\bper\b|\s|\bin\b)\s*([a-z]+)", re.ASCII)
_COMMA = re.compile(r"(?<!\d),|,(?!\d{3}(?!\d))")
"""Between pieces; the one in 1,000 is not."""
_PARALLEL = re.compile(r"([\d._]+)\s*([kmb]?)\s*parallel(?:\s+req(?:uests?)?)?", re.ASCII)
_NAMES = {1: "s", 60: "min", 3_600: "hour", 86_400: "day"}


class Rate(Struct, frozen=True):
    """`count` requests or tokens per period."""

    unit: Literal["req", "tok"]
    count: int
    period_s: int

    def __str__(self) -> str:
        return f"{self.count:,} {self.unit}/{_NAMES[self.period_s]}"


class Limits(Struct, frozen=True):
    """What one key may do. `text` is as it was written.

    `parallel`: how many requests may run at the same time (`parallel.py`); 0: any number.
    """

    rates: tuple[Rate, ...] = ()
    caps: tuple[Cap, ...] = ()
    text: str = ""
    parallel: int = 0


class Figure(Struct, frozen=True):
    """One rate limit as it stands: what remains, and when it will be full again."""

    unit: Literal["req", "tok", "parallel"]
    limit: int
    remaining: int
    reset_s: float
    period_s: int
    tenant: str = ""
    """Whose limit it is; "" for the key's own."""


NO_LIMITS = Limits()
FOREVER_NS = 10**30


def parse(text: str) -> Limits:
    """Read a limit string.

    Raises:
        ValueError: names the piece that is wrong and shows a valid example.
    """
    rates: list[Rate] = []
    caps: list[Cap] = []
    parallel = 0
    for piece in (p.strip() for p in _COMMA.split(text)):
        if not piece:
            if text.strip():
                raise ValueError(f"an empty piece in the limits {text!r}; write it as {EXAMPLE}")
        elif piece.startswith("$"):
            _add(caps, _cap(piece), [c.window for c in caps], piece)
        elif match := _PARALLEL.fullmatch(piece.lower().replace(",", "")):
            if parallel:
                raise ValueError(
                    f"the limit {piece!r} says a second time how many; keep one of them"
                )
            parallel = _number(piece, match[1], match[2], 1)
        else:
            _add(rates, _rate(piece), [(r.unit, r.period_s) for r in rates], piece)
    return Limits(tuple(rates), tuple(caps), text.strip(), parallel)


def _add(found: list[Rate] | list[Cap], new: Rate | Cap, known: list[object], piece: str) -> None:
    key = new.window if isinstance(new, Cap) else (new.unit, new.period_s)
    if key in known:
        raise ValueError(f"the limit {piece!r} says the same window twice; keep one of them")
    found.append(new)  # type: ignore[arg-type]


def _rate(piece: str) -> Rate:
    match = _RATE.fullmatch(piece.lower().replace(",", ""))
    if match is None:
        raise _wrong(piece, "it is not NUMBER req|tok / s|min|hour|day, or NUMBER parallel")
    number, suffix, unit, period = match.groups()
    if unit not in UNITS:
        raise _wrong(piece, f"{unit!r} is neither req nor tok")
    if period not in PERIODS_S:
        raise _wrong(piece, f"{period!r} is not s, min, hour or day")
    count = _number(piece, number, suffix, 1)
    return Rate(UNITS[unit], count, PERIODS_S[period])


def _cap(piece: str) -> Cap:
    match = _CAP.fullmatch(piece.lower().replace(",", ""))
    if match is None:
        raise _wrong(piece, "it is not $NUMBER / min|hour|day|week|month|total")
    number, suffix, window = match.groups()
    if window not in WINDOWS:
        raise _wrong(piece, f"{window!r} is not min, hour, day, week, month or total")
    return Cap(WINDOWS[window], _number(piece, number, suffix, 10**9))


def _number(piece: str, digits: str, suffix: str, scale: int) -> int:
    try:
        value = Decimal(digits) * SUFFIXES[suffix]
    except ArithmeticError:
        raise _wrong(piece, f"{digits!r} is not a number") from None
    scaled = value * scale
    if scaled != int(scaled) or not 0 < value <= MOST:
        least = "a billionth of a dollar" if scale > 1 else "a whole number"
        raise _wrong(piece, f"{digits}{suffix} must be above 0, at most 10^12, and {least}")
    return int(scaled)


def _wrong(piece: str, why: str) -> ValueError:
    return ValueError(f"the limit {piece!r} cannot be read: {why}; write it as {EXAMPLE}")


class Bucket(Struct, gc=False):
    """One limit, or a part of one, in units of which `period_ns` make one request (or token).

    `count` of them flow in per nanosecond, up to `full`. All that was taken will have
    flowed back in at the moment `due_ns / count`: one figure, that taking moves on and
    time passes by.
    """

    rate: Rate
    count: int
    period_ns: int
    full: int
    each: bool
    """Counts requests; otherwise tokens."""
    before: str
    between: str
    """What stands before the two figures of its header lines."""
    tenant: str = ""
    due_ns: int = 0
    lent: int = 0
    """Taken for others who have not used it (`lending.py`)."""
    account: str = ""
    """Whose it is among hosts (`shared.py`)."""

    def debt(self, now_ns: int) -> int:
        """What is missing until it is full."""
        return max(self.lent, self.due_ns - now_ns * self.count)

    def left(self, now_ns: int) -> int:
        """Whole requests (or tokens) left; when more than everything is owed, nothing is."""
        return max(0, (self.full - self.debt(now_ns)) // self.period_ns)

    def full_ns(self, now_ns: int) -> int:
        """Nanoseconds until it is full."""
        return -(-self.debt(now_ns) // (self.count or self.rate.count))

    def resize(self, count: int, now_ns: int) -> None:
        """Be a part of this size, of which as much is missing as before."""
        debt = self.debt(now_ns)
        self.count, self.full = count, count * self.period_ns
        self.due_ns = now_ns * count + debt


class Buckets:
    """The rate limits of one key, or tenant. Owned by the event loop."""

    __slots__ = (
        "_all",
        "_at_ns",
        "_by_unit",
        "_now_ns",
        "_one_each",
        "_tokens",
        "counts_tokens",
        "rates",
    )

    def __init__(
        self,
        rates: Sequence[Rate],
        now_ns: Callable[[], int] = time.monotonic_ns,
        tenant: str = "",
    ) -> None:
        self._now_ns, self.rates = now_ns, tuple(rates)
        self._at_ns = now_ns()
        self._all = tuple(_bucket(rate, tenant) for rate in rates)
        self._sort()

    def _sort(self) -> None:
        requests = tuple(b for b in self._all if b.each)
        self._tokens = tuple(b for b in self._all if not b.each)
        self._by_unit = tuple(group for group in (requests, self._tokens) if group)
        self.counts_tokens = bool(self._tokens)
        several = any(len(group) > 1 for group in self._by_unit)
        self._one_each = () if several else self._all

    def take(self, input_tokens: int = 0) -> bool:
        """Take one request and its input from every bucket, or nothing from any.

        False: it is done, and nobody else need be asked (`lent.py` says otherwise).

        Raises:
            TooFast: with `retry_after_s`, after which it passes if nobody else came first.
            TooLarge: the call alone is more than a bucket holds, so waiting cannot help.
        """
        now = self._at_ns = self._now_ns()
        fits = True
        for bucket in self._all:
            full_at = now * bucket.count
            due = bucket.due_ns
            if due < full_at:
                due = full_at
            due += bucket.period_ns if bucket.each else input_tokens * bucket.period_ns
            bucket.due_ns = due
            if due - full_at > bucket.full:
                fits = False
        if not fits:
            raise self._refuse(input_tokens)
        return False

    def settle(self, taken_tokens: int, input_tokens: int, output_tokens: int) -> None:
        """Replace the estimate by what was used. Output is debt: more than all may be owed.

        It counts from now on: what flowed over while the call ran pays for nothing, and no
        bucket is ever more than full.
        """
        owed, now = input_tokens + output_tokens - taken_tokens, self._now_ns()
        for bucket in self._tokens:
            full_at = now * bucket.count
            due = bucket.due_ns
            if due < full_at:
                due = full_at
            due += owed * bucket.period_ns
            bucket.due_ns = due if due > full_at else full_at

    def give_back(self, taken_tokens: int) -> None:
        """The call used no tokens; the request itself stays counted."""
        self.settle(taken_tokens, 0, 0)

    def figures(self) -> list[Figure]:
        """Every limit as it stands, in the order it was written. What is lent is still left."""
        now = self._now_ns()
        return [
            Figure(
                b.rate.unit,
                b.rate.count,
                b.left(now) + b.lent // b.period_ns,
                b.full_ns(now) / 1e9,
                b.rate.period_s,
                b.tenant,
            )
            for b in self._all
        ]

    def tightest(self) -> list[tuple[str, int, int, float]]:
        """Per unit the limit with least left: (unit, limit, remaining, seconds until full).

        As of the last `take`: this is for the headers of a call that just did.
        """
        now = self._at_ns
        rows = self._one_each or self._tightest(now)
        return [(b.rate.unit, b.rate.count, b.left(now), b.full_ns(now) / 1e9) for b in rows]

    def _tightest(self, now_ns: int) -> list[Bucket]:
        return [min(buckets, key=lambda b: b.left(now_ns)) for buckets in self._by_unit]

    def openai_lines(self) -> str:
        """`tightest` as header lines for OpenAI's SDKs."""
        now = self._at_ns
        lines = ""
        for bucket in self._one_each or self._tightest(now):
            # Floats are near enough for a header, and a tenth of the cost of these integers.
            debt = float(bucket.due_ns - now * bucket.count)
            if debt < 0.0:
                debt = 0.0
            left = int(bucket.count - debt / bucket.period_ns)
            if left < 0:
                left = 0
            ms = ceil(debt / (bucket.count or 1) / 1e6)
            reset = f"{ms}ms" if ms < 1000 else span(ms / 1000)
            lines += f"{bucket.before}{left}{bucket.between}{reset}\r\n"
        return lines

    def adopt(self, old: "Buckets") -> None:
        """Share the limits that stay as they were: what is left, and debts still to come."""
        kept = {(bucket.tenant, bucket.rate): bucket for bucket in old._all}
        self._all = tuple(kept.get((b.tenant, b.rate), b) for b in self._all)
        self._sort()

    def share(self, above: "Buckets") -> None:
        """Take from these, too: all of one's keys share them."""
        self._all += above._all
        self._sort()

    def _refuse(self, input_tokens: int) -> TooFast | TooLarge:
        """Put back what `take` took, and say how long the slowest bucket needs."""
        wait, slowest = 0, self._all[0]
        for bucket in self._all:
            cost = bucket.period_ns if bucket.each else input_tokens * bucket.period_ns
            short = bucket.debt(self._at_ns) - bucket.full
            bucket.due_ns -= cost
            if cost > bucket.rate.count * bucket.period_ns:
                wait, slowest = FOREVER_NS, bucket
            elif short > 0 and wait < FOREVER_NS:
                ns = -(-short // (bucket.count or bucket.rate.count))
                if ns > wait:
                    wait, slowest = ns, bucket
        if wait >= FOREVER_NS:
            return _too_large(slowest, input_tokens)
        return _too_fast(slowest, wait)


def _bucket(rate: Rate, tenant: str) -> Bucket:
    period_ns = rate.period_s * 1_000_000_000
    each = rate.unit == "req"
    name = "requests" if each else "tokens"
    before = f"x-ratelimit-limit-{name}: {rate.count}\r\nx-ratelimit-remaining-{name}: "
    between = f"\r\nx-ratelimit-reset-{name}: "
    return Bucket(
        rate, rate.count, period_ns, rate.count * period_ns, each, before, between, tenant
    )


def span(seconds: float) -> str:
    """A duration of a second or more as OpenAI writes it: 6s, 1m30s."""
    minutes, rest = divmod(ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join([f"{n}{u}" for n, u in parts if n])


def _too_fast(bucket: Bucket, wait_ns: int) -> TooFast:
    wait_s = wait_ns / 1e9
    return TooFast(
        f"{_whose(bucket)} limit of {bucket.rate} is reached; try again in {wait_s:.3g} s",
        retry_after_s=wait_s,
        limit=str(bucket.rate),
    )


def _too_large(bucket: Bucket, input_tokens: int) -> TooLarge:
    whose = _whose(bucket).replace("T", "t", 1)
    return TooLarge(
        f"This call may hold {input_tokens:,} input tokens, and {whose} limit is {bucket.rate}: "
        "it can never pass; send less, or raise the limit",
        limit=str(bucket.rate),
    )


def _whose(bucket: Bucket) -> str:
    return f"The {called(bucket.tenant)}'s" if bucket.tenant else "This key's"


def describe(limits: Limits) -> str:
    """The limits in words, as `keys list` shows them."""
    caps = (f"{dollars(cap.nano)}/{cap.window}" for cap in limits.caps)
    parallel = [f"{limits.parallel:,} parallel"] if limits.parallel else []
    return ", ".join([*map(str, limits.rates), *caps, *parallel])
