"""What the ledger keeps: orders and their settlements, request records, keys, sums.

An `Order` is one attempt before it is made: who asks which target at which price,
and the most it may cost. A `Settlement` is how it ended. They are made on the event
loop and written by another thread, so they are immutable. `gc=False`: no cycle can
form (they hold strings, numbers and each other downwards only), and the collector
has nothing to visit at thousands a second.

`*_at_ms` and `at_ms` are milliseconds of the Unix clock; `nano` is nano-dollars.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Raw, Struct
from msgspec.structs import asdict

from octoplex.wire.answer import Outcome
from octoplex.wire.ask import Attempt
from octoplex.wire.event import NO_USAGE, Usage

RESERVED, SETTLED, RELEASED = 0, 1, 2
"""The states of an attempt. Settled: it was answered or billed. Released: it cost nothing."""

MOST_NANO = 10**15
"""A million dollars: above this a single bill is taken for a broken report and clamped."""

WindowKind = Literal["minute", "hour", "day", "week", "month", "total"]


NO_METADATA = Raw(b"null")


class Order(Struct, frozen=True, gc=False):
    """One attempt to be made. `nano` is the reservation, at the prices of `price_version`."""

    request_id: str
    attempt: int
    at_ms: int
    key_id: str
    key_name: str
    route: str
    provider: str
    model: str
    price_version: str
    nano: int
    tenant: str = ""
    """The team or organisation that the key belonged to then."""


class Heirs(Struct, frozen=True):
    """What processes that outlived the ledger's last owner go on with (`ledger/remote`).

    `opened` was granted, and they will say how it ended; `wanted` was not, as far as they know.
    """

    opened: tuple[Order, ...] = ()
    wanted: tuple[Order, ...] = ()
    noted: tuple[Order, ...] = ()
    """Of those that did not outlive it: it may be missing in the ledger."""


NO_HEIRS = Heirs()


class Laid(Struct, frozen=True):
    """Money set aside for work that goes on while nobody here runs: a batch at its provider."""

    key_id: str
    tenant: str
    at_ms: int
    nano: int


class Settlement(Struct, frozen=True, gc=False):
    """How an attempt ended and what it cost."""

    order: Order
    nano: int
    usage: Usage = NO_USAGE
    outcome: str = "done"
    estimated: bool = False
    state: int = SETTLED
    again: bool = False
    """Its request has been counted on this target."""
    loose: bool = False
    """It was reserved before this host was given up: no lease holds it."""


class Record(Struct, gc=False, array_like=True):
    """One request as `octoplex logs` and `GET /v1/requests` show it. `model` is as it was asked.

    Stored as a JSON array in this order (new fields go to the end; the view in
    `migrations/logs` counts them); `shown` is the object that callers see. Made with
    positional arguments it costs 0.15 us, with keywords 0.7.
    """

    id: str
    at_ms: int
    key_id: str = ""
    key: str = ""
    face: str = ""
    op: str = "chat"
    route: str = ""
    model: str = ""
    target: str = ""
    status: int = 200
    outcome: Outcome | Literal["failed"] = "done"
    stream: bool = False
    total_s: float = 0.0
    first_s: float = 0.0
    overhead_s: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    nano: int = 0
    estimated: bool = False
    why: str = ""
    error_code: str = ""
    error: str = ""
    user: str = ""
    metadata: Raw = NO_METADATA
    attempts: Sequence[Attempt] = ()
    guard: tuple[tuple[str, str, int], ...] = ()
    """What the guard found: type, what was done, how many."""
    cache: str = ""
    """`hit`, `semantic` or `miss` where the route has a cache."""
    saved_nano: int = 0
    """What a hit cost when it was asked of its target."""
    tenant: str = ""
    """The team or organisation that the key belonged to then."""
    trial: str = ""
    """The variant of an experiment that it was answered by, `NAME: VARIANT`."""
    task: str = ""
    """The task of an agent that asked it, or that answered it."""
    parts_nano: int = 0
    """What the requests cost that a task asked to answer it. They have records of their own, so it
    is not in `nano`, nor are their tokens here: sums over records hold."""

    def shown(self) -> dict[str, object]:
        """Every field by name, for a JSON reply."""
        return asdict(self)


REQUEST_FIELDS = Record.__struct_fields__


class KeyRow(Struct, frozen=True, kw_only=True):
    """A key made at run time. `hash` is its keyed hash; the secret itself is kept nowhere."""

    id: str
    name: str
    hash: bytes
    prefix: str
    last4: str
    tenant: str = ""
    models: tuple[str, ...] = ()
    limits: str = ""
    created_at_ms: int = 0
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    region: str = ""
    former: bytes | None = None
    """The hash of the secret before, which opens the key as well until `former_until_ms`."""
    former_until_ms: int | None = None
    begins_at_ms: int | None = None
    """It opens nothing before."""
    user: str = ""
    """The person it was made for, as `roles` of its tenant names them."""


class Turned(Struct, frozen=True, kw_only=True):
    """A new secret for a key of this name or id; the old one opens it until `former_until_ms`."""

    name: str
    hash: bytes
    prefix: str
    last4: str
    former_until_ms: int


class Stored(Struct, frozen=True, kw_only=True, gc=False):
    """A response that is kept, and the items it was asked.

    `body` is the response object, `input` a JSON array of items, both as bytes of JSON;
    `items` are the ids of those items, of either, that first came with this response.
    """

    id: str
    key_id: str
    tenant: str = ""
    created_at_ms: int
    model: str = ""
    status: str = ""
    origin: str = ""
    """The provider whose own items these are; "" when they may go to any."""
    whole: bool = True
    """Whether `input` is all there was before the reply: nothing more lies at a provider."""
    body: bytes = b""
    input: bytes = b""
    items: tuple[str, ...] = ()
    gone: bool = False
    """Only the id is left, so that nobody takes it for one that was never here."""

    @property
    def size(self) -> int:
        """Bytes in memory, nearly."""
        return len(self.body) + len(self.input) + 64 * len(self.items) + 512


class Kept(Struct, frozen=True, gc=False):
    """A reply that is kept to be given again until `ends_at_ms`.

    `key` stands for who asked what, `nano` is what it cost.
    """

    key: bytes
    route: str
    kept_at_ms: int
    ends_at_ms: int
    nano: int
    body: bytes
    group: bytes = b""
    """What it has in common with those it is compared with by `vector`; empty: with none."""
    vector: bytes = b""

    @property
    def size(self) -> int:
        """Bytes in memory, nearly."""
        return len(self.body) + len(self.key) + len(self.vector) + 512


class SpendQuery(Struct, frozen=True, kw_only=True):
    """Which days and keys: `since` and `until` are UTC days (YYYY-MM-DD, both included)."""

    since: str = ""
    until: str = ""
    key: str | None = None
    """A key's name or id; None for all."""
    tenant: str | None = None
    """A team, or an organisation with its teams; None for all."""
    key_ids: tuple[str, ...] | None = None
    """The ids of the only keys that count; None for all."""


class SpendRow(Struct, frozen=True, omit_defaults=True):
    """What one key spent on one model of one provider on one UTC day."""

    key: str
    model: str
    provider: str
    day: str
    requests: int
    """Those that were answered or billed here, each once, however often it was asked again."""
    input_tokens: int
    output_tokens: int
    nano: int
    estimated: int
    """How many of them were settled at an estimate."""
    tenant: str = ""
    """Whose the key was then."""


class Spend(Struct, frozen=True):
    """The shape of `octoplex spend --json`."""

    total_nano: int
    rows: list[SpendRow]


class Page(Struct, frozen=True, kw_only=True):
    """Which records: the newest `limit`, before (or after) the one with this id."""

    limit: int = 50
    before: str | None = None
    after: str | None = None
    key_ids: tuple[str, ...] | None = None
    """Of these keys alone; None for all."""
    tenant: str | None = None
    """A team, or an organisation with its teams, whose they were then; None for all."""
    task: str = ""
    """Of this task of an agent alone; "" for all."""


class Balance(Struct, frozen=True):
    """What a key has spent for a tenant: per UTC day (days since 1970) of late, and in total."""

    key_id: str
    days: dict[int, int]
    total_nano: int
    tenant: str = ""


class Minute(Struct, frozen=True):
    """What a key has spent for a tenant in one minute since 1970, UTC."""

    key_id: str
    tenant: str
    number: int
    nano: int


class Condition(Struct, frozen=True):
    """How the store is. `refusal` says why paid calls are refused; "" when they are not."""

    refusal: str = ""
    backlog: int = 0
    records_dropped: int = 0
    conflicts: int = 0
    """Attempts that were already settled under the same request id and number."""
    lost: int = 0
    """Reservations without settlement found at the start."""
    responses_dropped: int = 0
    """Responses that should have been kept and could not be."""
    spooled: int = 0
    """Entries that wait on the disk until the database can take them."""
    away: bool = False
    """The database cannot be reached."""
