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
not counted here: the account of `caller` in the book has that budget.

Not promised: prompt caches, which make a turn cheaper where its conversation is.
"""

from msgspec import Struct

from octoplex.optimizer.config import Learned, Spend
from octoplex.routing import Target
from octoplex.wire.ask import Call, Caller, Worst
from octoplex.wire.event import Usage

USUAL_OUTPUT = 300
"""Tokens of a reply where nobody has answered yet."""
USUAL_INPUT = 0.75
"""Tokens billed of each that the worst case counts, likewise."""
NEWEST = 0.05
"""What the newest reply weighs in the averages."""
START = 0.02
OTHERS = 20
NANO = 1_000_000_000
SHADOW = "shadow:"
"""How the keys and routes are called under which learning is paid for."""


class Course(Struct, frozen=True, kw_only=True):
    """A route that learns, compiled."""

    route: str
    variants: tuple[str, ...]
    """`provider/model` as policies number them, the reference first."""
    targets: tuple[Target, ...]
    able: tuple[bool, ...]
    """Whether they can be asked at all."""
    table: Learned
    spend: Spend
    version: str = ""
    """What stands for everything else in the file that changes what its targets answer."""

    @property
    def shadow(self) -> str:
        """Who pays for learning, and the route on which rivals are asked."""
        return f"{SHADOW}{self.route}"

    @property
    def caller(self) -> Caller:
        """Whose money learning costs: nobody's key."""
        return Caller(self.shadow, self.shadow, budgeted=self.spend.cap is not None)


class Expected:
    """How many tokens each target is billed for, on average of late."""

    __slots__ = ("_inputs", "_outputs")

    def __init__(self, variants: int) -> None:
        self._inputs: list[float | None] = [None] * variants
        self._outputs: list[float | None] = [None] * variants

    def saw(self, variant: int, call: Call, usage: Usage) -> None:
        """What a reply was billed for."""
        most = call.worst_case().input_tokens
        if usage.estimated or not most or not usage.input_tokens:
            return
        billed = min(usage.input_tokens / most, 2.0)
        self._inputs[variant] = _moved(self._inputs[variant], billed)
        self._outputs[variant] = _moved(self._outputs[variant], usage.output_tokens / call.n)

    def costs(self, course: Course, call: Call) -> tuple[float, ...]:
        """Dollars by variant; 2 us each. Who cannot be asked, or has no price, saves nothing."""
        most = call.worst_case().input_tokens
        usual_in, usual_out = _mean(self._inputs, USUAL_INPUT), _mean(self._outputs, USUAL_OUTPUT)
        found: list[float] = []
        for number, target in enumerate(course.targets):
            share, output = self._inputs[number], self._outputs[number]
            output = usual_out if output is None else output
            if call.max_tokens is not None:
                output = min(output, call.max_tokens)
            tokens = int(most * (usual_in if share is None else share))
            nano = _nano(target, tokens, int(output)) if course.able[number] else None
            found.append((found[0] if found else 0.0) if nano is None else nano / NANO)
        return tuple(found)


def _nano(target: Target, input_tokens: int, output_tokens: int) -> int | None:
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


class Fund(Struct):
    """What may be spent to learn on one route."""

    spend: Spend
    nano: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a pair may be made now."""
        return self.spend.cap is not None or (self.spend.share > 0 and self.nano >= 0)

    def earn(self, saved_nano: float, cost_nano: int) -> None:
        """So much was saved by a request that cost so much."""
        self.nano += self.spend.share * saved_nano + START * cost_nano

    def pay(self, nano: int) -> None:
        """So much was spent."""
        self.nano -= nano
