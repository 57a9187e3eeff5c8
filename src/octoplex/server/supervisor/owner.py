"""The one process that holds the data folder: it writes, lends, refuses, and runs batches.

    owner = Owner(data, workers)
    async with owner:                              # the socket is open; workers may say Hello
        heirs = await owner.gathered(alive)        # what those go on with who outlived the last
        ...                                        # store, works, gateway over it
        owner.take_up(gateway)                     # from here on it answers

It is a server without a door: its gateway is that of the configuration in force, so that a
batch is asked here as anywhere. Workers say what they did and ask for what they lack; what
they say is in `ledger/remote/messages.py`.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from octoplex.assembly.report import Report
from octoplex.gateway import Gateway
from octoplex.ledger.allowance import Left
from octoplex.ledger.remote.messages import (
    Asked,
    Ended,
    Hello,
    Kept,
    Keys,
    Noted,
    Opened,
    RateReturned,
    RateWanted,
    Returned,
    Said,
    Serving,
    State,
    Told,
    ToOwner,
    Used,
    Wanted,
    Welcome,
)
from octoplex.ledger.remote.wire import SOCKET, Wire
from octoplex.ledger.rows import Heirs, KeyRow, Order, Record
from octoplex.ledger.slate import Slate
from octoplex.reflex.parallel import Crowd
from octoplex.server.supervisor.answers import answers
from octoplex.server.supervisor.claims import Claimed
from octoplex.server.supervisor.crowding import Crowding
from octoplex.server.supervisor.lending import Lender, LendingBook, Peer, refusal
from octoplex.server.supervisor.rates import Rates
from octoplex.wire.error import GatewayError, StoreFailed

log = logging.getLogger("octoplex.server")
TELL_S = 0.2
"""How often workers are told what is on disk."""
HEIRS_S = 5.0
"""How long an owner waits at its start for the workers there are."""
ANSWER_S = 5.0
"""How long a worker has to do what it is told."""
REPORT_S = 1.0
"""How long it has to say what it has seen: an operator waits for it."""
_decode = msgspec.msgpack.Decoder(list[ToOwner]).decode
_record = msgspec.json.Decoder(Record).decode


def slate_of(data: Path, pid: int) -> Path:
    """The file of the orders that a worker has granted of late."""
    return data / f"orders-{pid}.ring"


def left_by_the_dead(data: Path, alive: Iterable[int]) -> list[Order]:
    """Orders on the slates of workers that are no more; the files are gone then.

    One that is being started beside us has not said Hello yet and needs its own.
    """
    living = {slate_of(data, pid) for pid in alive}
    found: list[Order] = []
    for path in data.glob("orders-*.ring"):
        if path not in living and not _is_beside_us(int(path.stem.rpartition("-")[2])):
            with contextlib.suppress(OSError):
                found += Slate(path).take_left()
                path.unlink()
    return found


class Owner:
    """The side of the socket that all workers talk to."""

    def __init__(self, data: Path, workers: int, served: Callable[[], None]) -> None:
        """`served` is called once all workers answer callers."""
        self._data, self._workers, self._served = data, workers, served
        self.peers: list[Peer] = []
        self.text: str | None = None
        """The configuration in force, None before it is known or where there is no file."""
        self.config_error = ""
        """Why the last reload was refused; it ends when all workers have a better one."""
        self.renew_keys: Callable[[], Awaitable[None]] = _nothing
        """Puts the keys in force that the store has: `App.renew_keys`, once there is one."""
        self._keys: list[KeyRow] = []
        self._gateway: Gateway | None = None
        self._lender: Lender | None = None
        self._rates: Rates | None = None
        self._claimed = Claimed(None, self.start)
        self._crowding = Crowding(Crowd())
        self._answers: dict[str, Callable[[Peer, bytes], Awaitable[object]]] = {}
        self._tells = count(1)
        self._told: dict[int, tuple[Peer, asyncio.Future[bytes | None]]] = {}
        self._came = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> "Owner":
        path = self._data / SOCKET
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(self._wire, str(path))
        finally:
            os.umask(mask)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        self._lender = self._rates = None  # whoever is still there goes on with the next owner
        for peer in list(self.peers):
            peer.wire.close()
        (self._data / SOCKET).unlink(missing_ok=True)

    def _wire(self) -> Wire:
        peer = Peer(Wire(_decode, lambda _, message: self._hear(peer, message), self._lose))
        return peer.wire

    # -- the start --------------------------------------------------------------------------

    async def gathered(self, alive: Iterable[int]) -> Heirs:
        """What the workers that there are go on with, once all have said so."""
        waited = set(alive)
        end_at = asyncio.get_running_loop().time() + HEIRS_S
        while waited - {peer.pid for peer in self.peers}:
            waited = {pid for pid in waited if _lives(pid)}
            rest_s = end_at - asyncio.get_running_loop().time()
            if rest_s <= 0:
                break
            self._came.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(rest_s, 0.1)):
                    await self._came.wait()
        hellos = [peer.hello for peer in self.peers if peer.hello is not None]
        self.text = next((hello.text for hello in hellos if hello.text is not None), None)
        return Heirs(
            opened=tuple(one.order for hello in hellos for one in hello.opened),
            wanted=tuple(order for hello in hellos for order in hello.wanted),
            noted=tuple(left_by_the_dead(self._data, [peer.pid for peer in self.peers])),
        )

    def take_up(self, gateway: Gateway, inherited: Iterable[Order], keys: list[KeyRow]) -> None:
        """Answer from now on; `inherited` of what workers go on with is open."""
        self._keys = keys
        book = gateway.works.book
        assert isinstance(book, LendingBook)
        self._gateway = gateway
        self._lender = Lender(book, self._workers, self._related, self.peers)
        self._rates = Rates(gateway.works.desk, self._workers, self._related, self.peers)
        self._claimed = Claimed(gateway.works.claims, self.start)
        self._crowding = Crowding(gateway.works.desk.crowd)
        self._answers = answers(gateway.works, self, self._claimed, self._crowding)
        open_now = {id(order) for order in inherited}
        greeted = [(peer, peer.hello) for peer in self.peers if peer.hello is not None]
        for peer, hello in greeted:
            self._claimed.take_up(peer, hello.claims)
            self._crowding.take_up(peer, hello.entered)
        for peer, hello in greeted:
            self._lender.take_up(peer, hello, open_now)
            self._welcome(peer)
        self.start(self._tell())

    def put(self, gateway: Gateway) -> None:
        """Another configuration is in force."""
        self._gateway = gateway
        self._recall_all()

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let something run as long as this."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _related(self, one: str, other: str) -> bool:
        """Whether two keys share limits: those of one organisation may."""
        if one == other:
            return True
        assert self._gateway is not None
        keyring = self._gateway.works.keyring
        roots = [k.caller.tenant.partition(".")[0] for k in keyring if k.id in (one, other)]
        return len(roots) == 2 and roots[0] == roots[1] != ""

    # -- what workers say -------------------------------------------------------------------

    def _hear(self, peer: Peer, message: ToOwner) -> None:
        if isinstance(message, Hello):
            self._greet(peer, message)
        elif self._lender is not None and self._rates is not None:
            # One that was not welcomed yet says nothing before.
            self._heed(peer, message, self._lender, self._rates)

    def _heed(self, peer: Peer, message: ToOwner, lender: Lender, rates: Rates) -> None:
        match message:
            case Opened():
                lender.opened(peer, message)
            case Ended():
                lender.ended(peer, message)
            case Wanted():
                lender.wanted(peer, message)
            case Returned():
                lender.returned(peer, message)
            case Noted(text):
                self._note(text)
            case Serving():
                self._serves(peer)
            case Asked():
                self._asked(peer, message)
            case Used() | RateWanted() | RateReturned():
                rates.hear(peer, message)

    def _greet(self, peer: Peer, hello: Hello) -> None:
        peer.pid, peer.hello = hello.pid, hello
        self.peers.append(peer)
        self._came.set()
        if self._lender is None:
            return
        if hello.opened or hello.ended:
            # It lost its connection, not its owner: what it had open was settled as lost.
            log.error("worker %d is ended: it had lost its connection", hello.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(hello.pid, signal.SIGKILL)
            return
        self._claimed.take_up(peer, hello.claims)
        self._crowding.take_up(peer, hello.entered)
        self._lender.take_up(peer, hello, set())
        self._welcome(peer)

    def _welcome(self, peer: Peer) -> None:
        peer.wire.push(self._state())
        peer.wire.push(Keys(self._keys))
        peer.wire.send(Welcome(self.text))
        if peer.hello is not None and peer.hello.serving:
            self._serves(peer)

    def _serves(self, peer: Peer) -> None:
        peer.serving = True
        self.tell_state()
        if sum(one.serving for one in self.peers) >= self._workers:
            served, self._served = self._served, lambda: None
            served()

    def _note(self, text: bytes) -> None:
        assert self._gateway is not None
        try:
            record = _record(text)
        except msgspec.MsgspecError as error:
            log.error("a record cannot be read: %s", error)
            return
        self._gateway.works.store.record(record)

    def _lose(self, wire: Wire) -> None:
        peer = next((one for one in self.peers if one.wire is wire), None)
        if peer is None:
            return
        self.peers.remove(peer)
        self._came.set()
        for _, future in [p for p in self._told.values() if p[0] is peer]:
            if not future.done():
                future.set_result(None)
        if self._lender is not None and self._rates is not None:
            left: list[Order] = []
            path = slate_of(self._data, peer.pid)
            with contextlib.suppress(OSError):
                if path.exists():
                    slate = Slate(path)
                    unheard = slate.noted - peer.noted
                    left = slate.take_left()[-unheard:] if unheard > 0 else []
                    path.unlink()
            lost = len(peer.holds) + len(left)
            if lost:
                log.warning("worker %d is gone; %d attempts of it are lost", peer.pid, lost)
            self._lender.lost(peer, left)
            self._rates.lost(peer)
            self._claimed.lost(peer)
            self._crowding.lost(peer)

    # -- what workers are told and ask ------------------------------------------------------

    def _state(self) -> State:
        assert self._gateway is not None
        works = self._gateway.works
        serving = sum(peer.serving for peer in self.peers)
        return State(works.store.condition(), self.config_error, serving)

    async def _tell(self) -> None:
        """Now and then: what is on disk, and how the ledger is."""
        assert self._gateway is not None
        store = self._gateway.works.store
        last: State | None = None
        while True:
            await asyncio.sleep(TELL_S)
            behind = [(peer, peer.heard) for peer in self.peers if peer.heard > peer.kept]
            if behind and await store.drain():
                for peer, heard in behind:
                    peer.kept = heard
                    peer.wire.push(Kept(heard))
            if self._state() != last:
                last = self.tell_state()

    def tell_state(self) -> State:
        """Tell all workers how the ledger is."""
        state = self._state()
        for peer in self.peers:
            peer.wire.push(state)
        return state

    async def tell(
        self, peer: Peer, what: str, value: object, within_s: float = ANSWER_S
    ) -> bytes | None:
        """Have a worker do something; its answer as MessagePack, None when it gives none."""
        ask = next(self._tells)
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._told[ask] = peer, future
        peer.wire.send(Told(ask, what, msgspec.msgpack.encode(value)))
        try:
            async with asyncio.timeout(within_s):
                return await future
        except TimeoutError:
            log.error("worker %d does not do what it is told (%s)", peer.pid, what)
            return None
        finally:
            del self._told[ask]

    async def tell_all(self, what: str, value: object) -> list[bytes]:
        """Have all workers that serve do something; the answers of those that gave one."""
        peers = [peer for peer in self.peers if peer.serving]
        found = await asyncio.gather(*[self.tell(peer, what, value) for peer in peers])
        return [answer for answer in found if answer is not None]

    async def reports(self) -> list[Report]:
        """What this process and each worker have seen; of one that does not say, its name."""
        assert self._gateway is not None
        peers = [peer for peer in self.peers if peer.serving]
        said = await asyncio.gather(*[self.tell(p, "report", None, REPORT_S) for p in peers])
        own = await self._gateway.works.report("owner")
        return [own, *(_report(peer, text) for peer, text in zip(peers, said, strict=True))]

    def keys_changed(self, rows: list[KeyRow]) -> None:
        """Keys were made or revoked: all workers are told at once, those that begin, too."""
        self._keys = rows
        for peer in self.peers:
            peer.wire.send(Keys(rows))
        self._recall_all()

    def without_lent(self, key_id: str, budget: Left) -> Left:
        """A budget of a key as its callers see it: what is lent and idle is not held."""
        assert self._gateway is not None
        assert self._lender is not None
        name = budget.tenant
        keys = [k for k in self._gateway.works.keyring if _is_of(k.caller.tenant, name)]
        ids = {key.id for key in keys} if name else {key_id}
        return replace(budget, held_nano=budget.held_nano - self._lender.lent_nano(ids))

    def _recall_all(self) -> None:
        """Limits may have changed: everybody asks anew."""
        if self._lender is not None and self._rates is not None:
            self._lender.recall_all()
            self._rates.recall_all()

    def _asked(self, peer: Peer, message: Asked) -> None:
        told = self._told.get(message.ask)
        if message.what.startswith("told."):
            if told is not None and told[0] is peer and not told[1].done():
                told[1].set_result(message.args)
            return
        self.start(self._answer(peer, message))

    async def _answer(self, peer: Peer, message: Asked) -> None:
        try:
            answer = self._answers.get(message.what)
            if answer is None:
                raise StoreFailed(f'The owner knows no question "{message.what}".')
            value = msgspec.msgpack.encode(await answer(peer, message.args))
        except GatewayError as error:
            peer.wire.send(refusal(message.ask, error))
        except Exception as error:
            log.exception("a worker's question %s failed", message.what)
            peer.wire.send(refusal(message.ask, StoreFailed(f"{type(error).__name__}")))
        else:
            if message.ask:
                peer.wire.send(Said(message.ask, value))


async def _nothing() -> None:
    return None


def _report(peer: Peer, text: bytes | None) -> Report:
    if text is None:
        return Report(process=f"worker {peer.pid}", answers=False)
    return msgspec.msgpack.decode(text, type=Report)


def _is_of(tenant: str, name: str) -> bool:
    """Whether a team is this one, or of this organisation."""
    return tenant == name or tenant.startswith(f"{name}.")


def _is_beside_us(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return int(stat.rpartition(")")[2].split()[1]) == os.getppid()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
