"""A route that learns: who may answer, what that will likely cost, and what may be spent to learn.

    course = Course(route="support", variants=(...), targets=(...), table=table)
    expected.costs(course, call) -> dollars by variant, the reference's first
    fund.is_open         -> whether a pair may be made now

Prices are looked up for each request, so that a new one counts at once. How many tokens it will use
is not known before: its input is its worst case times what such requests were billed of theirs,
its output what this target's replies of late had on average, `max_tokens` at most. A target that
has not answered yet takes the averages of the others; before all, `USUAL_OUTPUT`.

What learning may cost is a share of what was saved, and `START` of what the route costs, with which
it begins. Each process counts for itself, from its start. A pair is made while the balance is not
below zero, whatever it will cost: asking only for those that fit would judge short requests alone.
So it is overdrawn by the pairs under way at most, and made up for first. Dollars in a window are
paced the same way: its time brings them evenly, and what nobody has spent is there until its end.
What is overspent is the dual of the ceiling, moved by each pair as far as that missed the pace;
pairs are made while it is nought (Balseiro & Gur, Learning in Repeated Auctions with Budgets,
2019). It depends on the past alone, so a request is judged with the probability that its policy
says, or, while it is closed, with none. The ceiling itself is kept by the book, in the account of
`caller`.

Not promised: prompt caches, which make a turn cheaper where its conversation is.
"""

from collections.abc import Callable, Sequence
from time import time

from msgspec import Struct

from octoplex.ledger.allowance import Cap
from octoplex.ledger.period import span
from octoplex.optimizer.cascade import JUDGED, Change
from octoplex.optimizer.config import Learned, Spend
from octoplex.routing import Target
from octoplex.wire.ask import Attempt, Call, Caller, Worst
from octoplex.wire.event import Usage

USUAL_OUTPUT = 300
"""Tokens of a reply where nobody has answered yet."""
USUAL_INPUT = 0.75
"""Tokens billed of each that the worst case counts, likewise."""
NEWEST = 0.05
"""What the newest reply weighs in the averages."""
KEPT, FEW = 0.99, 10
"""What the bill of a cascade counts after the next one, of what it counted; and how many say
something: the first one alone may be the one in ten that escalates."""
START = 0.02
OTHERS = 20
NANO = 1_000_000_000
AHEAD = 0.1
"""Of a window, that may be spent before its time: so learning begins at once."""
SHADOW = "shadow:"
"""How the keys and routes are called under which learning is paid for."""


class Course(Struct, frozen=True, kw_only=True):
    """A route that learns, compiled."""

    route: str
    variants: tuple[str, ...]
    """As policies number them: `provider/model`, the reference first, then names of `variants`."""
    targets: tuple[Target, ...]
    """Who is asked, or asked first, by variant."""
    changes: tuple[Change | None, ...] = ()
    """How the request is another one there; None where it is the caller's own."""
    able: tuple[bool, ...]
    """Whether they can be asked at all."""
    table: Learned
    spend: Spend
    version: str = ""
    """What stands for everything else in the file that changes what its targets answer."""

    def change(self, variant: int) -> Change | None:
        """How a request is another one for a variant."""
        return self.changes[variant] if self.changes else None

    @property
    def segments(self) -> str:
        """What is promised of each segment (`segments.py`); "" where there are none."""
        if not self.table.segments:
            return ""
        return "each" if self.table.promise.each_segment else "watched"

    @property
    def shadow(self) -> str:
        """Who pays for learning, and the route on which rivals are asked."""
        return f"{SHADOW}{self.route}"

    @property
    def caller(self) -> Caller:
        """Whose money learning costs: nobody's key."""
        return Caller(self.shadow, self.shadow, budgeted=self.spend.cap is not None)


class Expected:
    """How many tokens each variant is billed for, on average of late, and how often over."""

    __slots__ = ("_cascades", "_inputs", "_outputs")

    def __init__(self, variants: int) -> None:
        self._inputs: list[float | None] = [None] * variants
        self._outputs: list[float | None] = [None] * variants
        self._cascades = [Bills() for _ in range(variants)]

    def saw(self, variant: int, call: Call, usage: Usage, added_tokens: int = 0) -> None:
        """What a reply was billed for; `added_tokens` of its prompt are the variant's own."""
        most = call.worst_case().input_tokens + added_tokens
        if usage.estimated or not most or not usage.input_tokens:
            return
        billed = min(usage.input_tokens / most, 2.0)
        self._inputs[variant] = _moved(self._inputs[variant], billed)
        self._outputs[variant] = _moved(self._outputs[variant], usage.output_tokens / call.n)

    def cascaded(self, variant: int, target: str, rows: Sequence[Attempt]) -> None:
        """What a cascade that asks this target first has cost, for its caller or beside him."""
        own = [row.nano for row in rows if row.target == target and row.outcome != JUDGED]
        self._cascades[variant].add(sum(own), nano_of(rows))

    def costs(self, course: Course, call: Call) -> tuple[float, ...]:
        """Dollars by variant; 2 us each. Who cannot be asked, or has no price, saves nothing."""
        most = call.worst_case().input_tokens
        usual_in, usual_out = _mean(self._inputs, USUAL_INPUT), _mean(self._outputs, USUAL_OUTPUT)
        changes, found = course.changes, list[float]()
        for number, target in enumerate(course.targets):
            share, output = self._inputs[number], self._outputs[number]
            output = usual_out if output is None else output
            if call.max_tokens is not None:
                output = min(output, call.max_tokens)
            change = changes[number] if changes else None
            more = most if change is None else most + change.added_tokens
            tokens = int(more * (usual_in if share is None else share))
            nano = _nano(target, tokens, int(output)) if course.able[number] else None
            if nano is not None and change is not None and change.cascade is not None:
                names = [target.name for target in course.targets]
                better = found[names.index(change.cascade.escalate)]
                nano = self._with_escalations(number, nano, better)
            found.append((found[0] if found else 0.0) if nano is None else nano / NANO)
        return tuple(found)

    def _with_escalations(self, variant: int, nano: float, better: float) -> float:
        """What a cascade costs, where `nano` is its first answer and `better` dollars who is asked
        then; before it is known how often, half of the time."""
        times = self._cascades[variant].times
        return nano + better * NANO / 2 if times is None else nano * times


def _nano(target: Target, input_tokens: int, output_tokens: int) -> float | None:
    """What a call of one reply will cost; None without a price."""
    read = target.reads(input_tokens, 0)
    nothing, written = target.cost(Worst(0, 0)), target.cost(Worst(0, output_tokens))
    if read is None or nothing is None or written is None:
        return None
    return read + written - nothing  # a price per request is in all three


def _moved(average: float | None, newest: float) -> float:
    return newest if average is None else average + NEWEST * (newest - average)


def _mean(known: list[float | None], usual: float) -> float:
    told = [one for one in known if one is not None]
    return sum(told) / len(told) if told else usual


class Bills(Struct):
    """What a cascade cost in all, and its first answers, of late."""

    first: float = 0.0
    whole: float = 0.0
    count: float = 0.0

    def add(self, first_nano: int, all_nano: int) -> None:
        """One more; where nothing could be verified there was no first answer to pay."""
        first = first_nano or (self.first / self.count if self.count else 0)
        if first:
            self.first, self.whole = KEPT * self.first + first, KEPT * self.whole + all_nano
            self.count = KEPT * self.count + 1

    @property
    def times(self) -> float | None:
        """How many first answers all of it costs; None while too few are known."""
        return self.whole / self.first if self.count >= FEW else None


class Name(Struct):
    """What the replies of a target call their model."""

    known: str = ""
    _other: str = ""
    _times: int = 0

    def heard(self, model: str) -> str:
        """Hear a reply's; the name before it, once it is another for `OTHERS` replies in a row."""
        if model == self.known or not self.known:
            self.known, self._times = model, 0
            return ""
        self._times = self._times + 1 if model == self._other else 1
        self._other = model
        if self._times < OTHERS:
            return ""
        before, self.known, self._times = self.known, model, 0
        return before


def nano_of(rows: Sequence[Attempt]) -> int:
    """What they have cost."""
    return sum(row.nano for row in rows)


def alone() -> int:
    """One process."""
    return 1


class Fund(Struct):
    """What may be spent to learn on one route."""

    spend: Spend
    nano: float = 0.0
    """The balance; of dollars in a window what was spent in this one, below zero."""
    now: Callable[[], float] = time
    among: Callable[[], int] = alone
    """How many processes spend the same dollars."""
    _window: int = 0

    @property
    def is_open(self) -> bool:
        """Whether a pair may be made now."""
        cap = self.spend.cap
        if cap is None:
            return self.spend.share > 0 and self.nano >= 0
        return cap.window == "total" or self._is_in_time(cap)

    def _is_in_time(self, cap: Cap) -> bool:
        """Whether this process has spent no more of a ceiling than its window has brought."""
        minute = self.now() / 60
        first, after = span(cap.window, int(minute))
        if first != self._window:
            self._window, self.nano = first, 0.0
        brought = min(1.0, AHEAD + (minute - first) / (after - first))
        return brought * cap.nano / self.among() + self.nano >= 0

    def earn(self, saved_nano: float, cost_nano: int) -> None:
        """So much was saved by a request that cost so much."""
        if self.spend.cap is None:
            self.nano += self.spend.share * saved_nano + START * cost_nano

    def pay(self, nano: int) -> None:
        """So much was spent."""
        self.nano -= nano
