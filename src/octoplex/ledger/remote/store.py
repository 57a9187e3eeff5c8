"""The ledger as a worker sees it: what it writes goes to the owner, what it reads is read.

    store = RemoteStore(folder, slate)
    await store.connect()                    # says Hello; the owner has taken it up
    book = LentBook(store)                   # money in memory, as far as it is lent

Orders that the worker grants itself are on its slate before anybody is asked, so that they
are known even if it is killed; the owner settles them then (`server/supervisor/owner.py`).
What it has said of money is kept until the owner has it on disk, and said again to an owner
that was started anew. While there is none, whoever wants to spend waits.

Records may be dropped, when the owner does not take them.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from octoplex.ledger.archive import Archive
from octoplex.ledger.clean import REFUSED
from octoplex.ledger.queries import Reader
from octoplex.ledger.remote.messages import (
    Asked,
    Ended,
    Hello,
    Kept,
    Keys,
    Noted,
    Opened,
    Refused,
    Said,
    Serving,
    State,
    Told,
    ToWorker,
    Wanted,
    Welcome,
)
from octoplex.ledger.remote.seen import SeenArchive, SeenShelf
from octoplex.ledger.remote.wire import SOCKET, Wire
from octoplex.ledger.rows import (
    RELEASED,
    Balance,
    Condition,
    KeyRow,
    Minute,
    Order,
    Page,
    Record,
    Settlement,
    Spend,
    SpendQuery,
    Turned,
)
from octoplex.ledger.slate import Slate
from octoplex.ledger.store import Reads
from octoplex.wire.eager import in_task
from octoplex.wire.error import GatewayError, StoreFailed

T = TypeVar("T")
Answered = asyncio.Future[bytes | None]
"""Of an answer; None: the owner has gone."""
log = logging.getLogger("octoplex.ledger")
OWNER_S = 10.0
"""How long a call waits for an owner that is being started anew."""
RETRY_S = 0.02
TRIES = 3
"""Owners that are asked the same."""
MOST_LATE = 20_000
"""Records that are kept for the next owner."""
MOST_WAITING = 64_000_000
"""Bytes that the owner has not taken, above which records are dropped."""
AWAY = "The owner of the ledger is being restarted; ask again in a moment."

_encode = msgspec.msgpack.encode
_text = msgspec.json.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[ToWorker]).decode


class RemoteStore:
    """Implements `Store` for one worker."""

    def __init__(self, folder: Path, slate: Slate | None = None) -> None:
        self._folder, self._slate = folder, slate
        self.reader: Reads = Reader(folder)
        """Another one where the ledger is in a database, once the configuration is known."""
        self.responses = SeenShelf(self)
        self.archive: Archive = SeenArchive(folder)
        self.state = State(Condition(), "", 0)
        self.text: str | None = None
        """The configuration in force."""
        self._keys: list[KeyRow] = []
        """As the owner last said: no database is asked for them."""
        self._serving = False
        self._heard: Callable[[Any], None] = lambda message: None
        self._told: Callable[[Told], Awaitable[object]] = _nothing
        self._away: Callable[[], None] = lambda: None
        self._listened = asyncio.Event()
        self._wire: Wire | None = None
        self._up = asyncio.Event()
        self._numbers, self._asks_made = count(1), count(1)
        self._number: dict[int, int] = {}
        """Numbers of the open orders, by the identity of the order."""
        self._orders: dict[int, Order] = {}
        """By number, until their end is on disk."""
        self.lease = 0
        """Out of which the next order is granted."""
        self._granted: set[int] = set()
        """Orders, by identity, that the owner has written down itself."""
        self._said: deque[Opened | Ended] = deque()
        """What was said of money since Hello and is not known to be on disk."""
        self._kept = 0
        self._noted = 0
        self._unsaid = 0
        """How many of them were said in Hello."""
        self.claims: dict[bytes, bytes] = {}
        """Idempotency keys that this worker holds (`RemoteClaims`)."""
        self.entered: dict[int, str] = {}
        """Requests of which so many may run at a time, by number: whose they are (`LentDesk`)."""
        self._greeted: set[int] = set()
        """Those that Hello told of."""
        self._asks: dict[int, tuple[Answered, Wanted | None]] = {}
        self._wishes: list[Order] = []
        """What was wanted of an owner that has gone."""
        self._late: deque[Noted] = deque(maxlen=MOST_LATE)
        self._dropped = 0
        self._closed = False
        self._tasks: set[asyncio.Task[object]] = set()

    # -- the connection ---------------------------------------------------------------------

    async def connect(self, within_s: float = OWNER_S) -> None:
        """Find the owner, and be taken up by it.

        Raises:
            StoreFailed: there is none.
        """
        self._start(self._reach())
        await self.ready(within_s)

    async def ready(self, within_s: float = OWNER_S) -> Wire:
        """The connection, once there is an owner.

        Raises:
            StoreFailed: there was none for so long.
        """
        if not self.up:
            await in_task()
            try:
                async with asyncio.timeout(within_s):
                    await self._up.wait()
            except TimeoutError:
                raise StoreFailed(AWAY, retry_after_s=1.0) from None
        assert self._wire is not None
        return self._wire

    def listen(
        self,
        heard: Callable[[Any], None],
        told: Callable[[Told], Awaitable[object]],
        away: Callable[[], None],
    ) -> None:
        """From now on `heard` is told what is lent and recalled, of keys, and how the ledger is.

        `told` does what the owner says, also what it said before now. `away`: it is gone.
        """
        self._heard, self._told, self._away = heard, told, away
        self._listened.set()

    def serves(self) -> None:
        """This worker answers callers from now on; each owner is told."""
        self._serving = True
        self.push(Serving())

    @property
    def up(self) -> bool:
        """Whether there is an owner."""
        return self._up.is_set()

    def push(self, message: Any) -> None:
        """Say it soon; forgotten where nobody is there to hear it."""
        if self._wire is not None:
            self._wire.push(message)

    async def _reach(self) -> None:
        loop, path = asyncio.get_running_loop(), str(self._folder / SOCKET)
        while not self._closed:
            try:
                _, wire = await loop.create_unix_connection(
                    lambda: Wire(_decode, self._hear, self._lose), path
                )
            except OSError:
                await asyncio.sleep(RETRY_S)
                continue
            self._greeted = set(self.entered)
            ended = tuple(one for one in self._said if isinstance(one, Ended))
            opened = tuple(Opened(number, 0, order) for number, order in self._orders.items())
            self._said, self._kept, self._unsaid = deque(ended), 0, len(ended)
            wire.send(
                Hello(
                    pid=os.getpid(),
                    noted=self._noted,
                    opened=opened,
                    ended=ended,
                    wanted=tuple(self._wishes),
                    text=self.text,
                    serving=self._serving,
                    claims=tuple(self.claims.items()),
                    entered=tuple(self.entered.items()),
                )
            )
            return

    def _lose(self, wire: Wire) -> None:
        self._up.clear()
        self._wire = None
        self._away()
        asks, self._asks = self._asks, {}
        self._wishes += [wish.order for _, wish in asks.values() if wish is not None]
        for future, _ in asks.values():
            if not future.done():
                future.set_result(None)
        if not self._closed:
            log.warning("the owner of the ledger is gone; waiting for the next one")
            self._start(self._reach())

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _hear(self, wire: Wire, message: ToWorker) -> None:
        match message:
            case Said(ask, value):
                future, wish = self._asks.pop(ask, (None, None))
                if future is not None and not future.done():
                    future.set_result(value)
                elif wish is not None:  # its caller has gone
                    self._release(wish)
            case Refused(ask, code, text, after_s, facts):
                future, _ = self._asks.pop(ask, (None, None))
                if future is not None and not future.done():
                    future.set_exception(_error(code, text, after_s, facts))
            case Kept(upto):
                self._keep(upto)
            case State() | Keys():
                self._note(message)
            case Told():
                self._start(self._obey(message))
            case Welcome(text):
                self._welcome(wire, text)
                self._heard(message)
            case _:
                self._heard(message)

    def _note(self, message: State | Keys) -> None:
        if isinstance(message, State):
            self.state = message
        else:
            self._keys = message.rows
        self._heard(message)

    def _welcome(self, wire: Wire, text: str | None) -> None:
        self.text, self._wire = text, wire
        self._wishes.clear()
        if self._slate is not None:
            self._slate.clear()
        for late in (*islice(self._said, self._unsaid, None), *self._late):
            wire.push(late)
        for number in self._greeted - self.entered.keys():
            self.tell("crowd.leave", number)
        self._late.clear()
        self._up.set()

    def _keep(self, upto: int) -> None:
        noted = 0
        while self._kept < upto:
            self._kept += 1
            one = self._said.popleft()
            if isinstance(one, Ended):
                self._orders.pop(one.number, None)
            else:
                noted += 1
        if self._slate is not None and noted:
            self._slate.wrote(noted)

    async def _obey(self, order: Told) -> None:
        await self._listened.wait()
        result = await self._told(order)
        self.push(Asked(order.ask, f"told.{order.what}", _encode(result)))

    # -- money ------------------------------------------------------------------------------

    def reserve(self, order: Order) -> None:
        """Write down what an attempt may cost.

        Raises:
            StoreFailed: nobody is there to write it.
        """
        if id(order) in self._granted:
            self._granted.discard(id(order))
            return
        wire = self._wire
        if wire is None:
            raise StoreFailed(AWAY, retry_after_s=1.0)
        if self._slate is not None:
            self._slate.note(order)
            self._noted += 1
        number = self._number[id(order)] = next(self._numbers)
        self._orders[number] = order
        opened = Opened(number, self.lease, order)
        self._said.append(opened)
        wire.push(opened)

    def settle(self, settlement: Settlement) -> None:
        """Write down what it cost."""
        self._settle(self._number.pop(id(settlement.order)), settlement)

    def _settle(self, number: int, s: Settlement) -> None:
        self._orders.setdefault(number, s.order)
        ended = Ended(number, s.nano, s.usage, s.outcome, s.estimated, s.state, s.again)
        self._said.append(ended)
        self.push(ended)

    async def granted(self, order: Order, wait_s: float) -> None:
        """Have the owner grant an order, which is reserved next.

        Raises:
            OverBudget: it does not fit.
            StoreFailed: nobody is there to grant it, or it cannot be written down.
        """
        number = next(self._numbers)
        while not await self._grant(number, order, wait_s):
            pass  # the owner has gone meanwhile: ask the next one
        self._number[id(order)] = number
        self._orders[number] = order
        self._granted.add(id(order))

    async def _grant(self, number: int, order: Order, wait_s: float) -> bool:
        wire = await self.ready()
        ask = next(self._asks_made)
        future: Answered = asyncio.get_running_loop().create_future()
        wish = Wanted(ask, number, order, wait_s)
        self._asks[ask] = future, wish
        wire.send(wish)
        try:
            return await future is not None
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.result() is not None:
                self._release(wish)
            raise

    def _release(self, wish: Wanted) -> None:
        """What was granted is not needed any more."""
        self._settle(wish.number, Settlement(wish.order, 0, outcome="left", state=RELEASED))

    # -- questions --------------------------------------------------------------------------

    async def ask(self, what: str, *args: object) -> bytes:
        """Ask the owner something rare; its answer as MessagePack.

        Raises:
            GatewayError: as the owner says; StoreFailed when there is none.
        """
        packed = _encode(args)
        return await self.asked(lambda ask: Asked(ask, what, packed))

    async def asked(self, question: Callable[[int], Any]) -> bytes:
        """Ask now, and wait; where the owner goes before it has answered, ask the next one."""
        for _ in range(TRIES):  # the question may be what ends them
            wire = await self.ready()
            ask = next(self._asks_made)
            future: Answered = asyncio.get_running_loop().create_future()
            self._asks[ask] = future, None
            wire.send(question(ask))
            try:
                answer = await future
            finally:
                self._asks.pop(ask, None)
            if answer is not None:
                return answer
        raise StoreFailed(AWAY, retry_after_s=1.0)

    def tell(self, what: str, *args: object) -> None:
        """Tell the owner something rare; forgotten where there is none."""
        if self._wire is not None:
            self._wire.send(Asked(0, what, _encode(args)))

    async def of(self, kind: type[T], what: str, *args: object) -> T:
        """Ask the owner something rare."""
        return msgspec.msgpack.decode(await self.ask(what, *args), type=kind)

    def hear(self, listener: Callable[[Record], None] | None) -> None:
        """The owner's store tells them, all workers' together."""

    def record(self, record: Record) -> None:
        wire = self._wire
        if wire is not None and wire.waiting > MOST_WAITING:
            self._dropped += 1
            return
        try:
            note = Noted(_text(record))
        except REFUSED:
            self._dropped += 1
            return
        if wire is None:
            self._late.append(note)
        else:
            wire.push(note)

    async def drain(self) -> bool:
        return await self.of(bool, "drain")

    async def spend(self, query: SpendQuery) -> Spend:
        return await self._read(lambda: self.reader.spend(query))

    async def requests(self, page: Page) -> list[Record]:
        return await self._read(lambda: self.reader.requests(page))

    async def request(self, id_: str) -> Record | None:
        return await self._read(lambda: self.reader.request(id_))

    async def balances(self) -> list[Balance]:
        return []  # the owner has them

    def balances_now(self) -> list[Balance]:
        """None: the owner has them."""
        return []

    def minutes_now(self) -> list[Minute]:
        """None: the owner has them."""
        return []

    till = None
    """What it lends is the owner's to take."""
    common = notices = None

    def hear_keys(self, heard: Callable[[list[KeyRow]], None]) -> None:
        """The owner tells (`Keys`)."""

    def tell_address(self, address: str) -> None:
        """It is the supervisor's to say."""

    def keys_now(self) -> list[KeyRow]:
        """All run-time keys, without a loop."""
        return self._keys

    async def keys(self) -> list[KeyRow]:
        return self._keys

    async def add_key(self, row: KeyRow) -> None:
        await self.ask("keys.add", row)

    async def revoke_key(self, name: str, at_ms: int) -> KeyRow | None:
        return await self.of(KeyRow | None, "keys.revoke", name, at_ms)  # type: ignore[arg-type]

    async def rotate_key(self, turned: Turned) -> KeyRow | None:
        return await self.of(KeyRow | None, "keys.rotate", turned)  # type: ignore[arg-type]

    def condition(self) -> Condition:
        condition = self.state.condition
        changes: dict[str, Any] = {"records_dropped": condition.records_dropped + self._dropped}
        if not self.up:
            changes["refusal"] = AWAY
        return msgspec.structs.replace(condition, **changes)

    def close(self) -> None:
        self._closed = True
        if self._wire is not None:
            self._wire.close()
        self.reader.close()
        self.archive.close()

    async def _read(self, read: Callable[[], T]) -> T:
        """Read what was written down before the question, too."""
        await self.drain()
        return await asyncio.to_thread(read)


async def _nothing(order: Told) -> None:
    return None


def _error(code: str, text: str, after_s: float | None, facts: dict[str, str | int]) -> Exception:
    """An error as it was raised at the owner."""
    for branch in GatewayError.__subclasses__():
        for kind in (branch, *branch.__subclasses__()):
            if kind.code == code:
                return kind(text, retry_after_s=after_s, **facts)
    return GatewayError(text)
