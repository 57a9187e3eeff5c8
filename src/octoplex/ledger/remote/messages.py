"""What workers and the owner of the ledger say to each other.

A frame holds a list of messages, which are handled in order. `number` is a worker's own
number of an order, `ask` that of a question; answers carry it back. Money that is lent is
good for orders of one UTC minute: a lease is a part of that minute's room in every budget.
"""

from msgspec import Struct

from octoplex.ledger.rows import SETTLED, Condition, KeyRow, Order
from octoplex.wire.event import NO_USAGE, Usage

ANY_MINUTE = -1
"""Lent without end: no budget binds the key."""


class Opened(Struct, tag=1, array_like=True, frozen=True, gc=False):
    """An order was granted from a lease (0: no budget binds it). It is on the worker's slate."""

    number: int
    lease: int
    order: Order


class Ended(Struct, tag=2, array_like=True, frozen=True, gc=False):
    """What became of an order, whoever granted it."""

    number: int
    nano: int
    usage: Usage = NO_USAGE
    outcome: str = "done"
    estimated: bool = False
    state: int = SETTLED
    again: bool = False


class Hello(Struct, tag=3, array_like=True, frozen=True):
    """The first message of a worker, also to an owner that is a new process.

    `opened` are its orders of which it does not know that their end is on disk, `ended` the
    ends of these; `wanted` what it asked for and was not granted. `text` is the configuration
    it has in force, None before it has one. `serving`: it answers callers already. `claims`
    are idempotency keys that it holds, and what is asked under them; `entered` its requests of
    which so many may run at a time, with the ids of their keys.
    """

    pid: int
    noted: int = 0
    opened: tuple[Opened, ...] = ()
    ended: tuple[Ended, ...] = ()
    wanted: tuple[Order, ...] = ()
    text: str | None = None
    serving: bool = False
    claims: tuple[tuple[bytes, bytes], ...] = ()
    entered: tuple[tuple[int, str], ...] = ()


class Noted(Struct, tag=4, array_like=True, frozen=True, gc=False):
    """A record, as JSON."""

    record: bytes


class Wanted(Struct, tag=5, array_like=True, frozen=True, gc=False):
    """May this order be made? It waits so long for others to end."""

    ask: int
    number: int
    order: Order
    wait_s: float


class Asked(Struct, tag=6, array_like=True, frozen=True):
    """A rare question. `args` is a MessagePack array."""

    ask: int
    what: str
    args: bytes


class Returned(Struct, tag=7, array_like=True, frozen=True):
    """What is left of a lease is not needed any more."""

    lease: int


class Serving(Struct, tag=8, array_like=True, frozen=True):
    """The worker answers callers now."""


class Used(Struct, tag=9, array_like=True, frozen=True, gc=False):
    """What was taken from lent rates; `owed` are tokens that their calls used beyond."""

    key_id: str
    requests: int
    tokens: int
    owed: int


class RateWanted(Struct, tag=10, array_like=True, frozen=True, gc=False):
    """May this key make a call with so many tokens of input?"""

    ask: int
    key_id: str
    tokens: int


class RateReturned(Struct, tag=11, array_like=True, frozen=True):
    """What is left of the rates that were lent for a key is not needed any more."""

    key_id: str


ToOwner = (
    Opened
    | Ended
    | Hello
    | Noted
    | Wanted
    | Asked
    | Returned
    | Serving
    | Used
    | RateWanted
    | RateReturned
)


class Welcome(Struct, tag=1, array_like=True, frozen=True):
    """The owner has taken up what the worker said. `text` is the configuration in force."""

    text: str | None


class Said(Struct, tag=2, array_like=True, frozen=True):
    """The answer to a question, as MessagePack; of `Wanted`: it is granted."""

    ask: int
    value: bytes = b"\xc0"


class Refused(Struct, tag=3, array_like=True, frozen=True):
    """The answer is an error of ours, by its code."""

    ask: int
    code: str
    message: str
    retry_after_s: float | None
    facts: dict[str, str | int]


class Lent(Struct, tag=4, array_like=True, frozen=True, gc=False):
    """So much more may be spent for a key by orders of this minute.

    Leases are numbered upwards; one that was returned stays so, whatever was on its way.
    """

    key_id: str
    lease: int
    nano: int
    minute: int


class Recall(Struct, tag=5, array_like=True, frozen=True):
    """Give back what was lent for these keys; for all where none is named."""

    key_ids: tuple[str, ...]


class Kept(Struct, tag=6, array_like=True, frozen=True, gc=False):
    """So many of the worker's `Opened` and `Ended` are on disk, since it said Hello."""

    count: int


class State(Struct, tag=7, array_like=True, frozen=True):
    """How the ledger is."""

    condition: Condition
    config_error: str
    workers: int


class Told(Struct, tag=8, array_like=True, frozen=True):
    """Do something: `args` is MessagePack. Answered by an `Asked` of the same name and number."""

    ask: int
    what: str
    args: bytes


class RateLent(Struct, tag=9, array_like=True, frozen=True, gc=False):
    """So many more requests and tokens may be used for a key.

    `full_at` is when its buckets will be full, in nanoseconds of the monotonic clock.
    """

    key_id: str
    requests: int
    tokens: int
    full_at: tuple[int, ...]


class RateRecall(Struct, tag=10, array_like=True, frozen=True):
    """Give back the rates that were lent for these keys; for all where none is named."""

    key_ids: tuple[str, ...]


class Keys(Struct, tag=11, array_like=True, frozen=True):
    """All keys made at run time: before Welcome, and when they change."""

    rows: list[KeyRow]


ToWorker = (
    Welcome | Said | Refused | Lent | Recall | Kept | State | Told | RateLent | RateRecall | Keys
)
