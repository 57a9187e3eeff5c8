"""What the two kinds of processes do from beginning to end: the owner, and a worker.

Both end when the supervisor says so, by closing its end of their pipe: the same happens when
it dies. A worker drains then; the owner waits until the last worker is gone. A byte in its
pipe tells the owner that they drain, so that it begins no further line of a batch; the next
one, that nobody waits any more.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from octoplex.assembly.agents import Agents
from octoplex.assembly.hosts import sharing_of
from octoplex.assembly.state import database_of, open_held, reader_of
from octoplex.assembly.works import Shared, Standing, Works, make_book, make_desk
from octoplex.gateway import Gateway
from octoplex.jobs.alerts import Watch
from octoplex.jobs.forwarding import Forwarding
from octoplex.jobs.learning import Tutor
from octoplex.jobs.rules import RuleWatch
from octoplex.jobs.runner import Runner
from octoplex.jobs.trials import TrialWatch
from octoplex.ledger.folder import Folder
from octoplex.ledger.remote.book import LentBook
from octoplex.ledger.remote.claims import RemoteClaims
from octoplex.ledger.remote.messages import (
    Keys,
    Lent,
    RateLent,
    RateRecall,
    Recall,
    State,
    Told,
    Welcome,
)
from octoplex.ledger.remote.seen import SeenStock
from octoplex.ledger.remote.store import RemoteStore
from octoplex.ledger.slate import Slate
from octoplex.reflex.lending import LendingDesk
from octoplex.reflex.lent import LentDesk
from octoplex.routing.bend import Bend
from octoplex.server.app import App
from octoplex.server.control import Control
from octoplex.server.inner import Asker
from octoplex.server.pulse import Pulse
from octoplex.server.rereading import read_again
from octoplex.server.serve import (
    LAST_WORDS_S,
    DoorServer,
    Options,
    Place,
    SideServer,
    admin_door,
    reload,
    uvicorn_config,
    wait_until,
)
from octoplex.server.supervisor.detour import inner_door, rows_of_worker
from octoplex.server.supervisor.in_force import InForce
from octoplex.server.supervisor.lending import LendingBook
from octoplex.server.supervisor.owner import Owner, slate_of
from octoplex.server.table import routes
from octoplex.settings import Settings, parse, source, with_secrets
from octoplex.upstreams.detect import Found
from octoplex.wire.error import GatewayError

log = logging.getLogger("octoplex.server")


class Start(Struct, frozen=True, kw_only=True):
    """What every process is told. `pipe` ends when it is to stop."""

    options: Options
    data: Path
    place: Place
    found: Found
    workers: int
    pipe: int
    in_force: InForce
    beat: Callable[[], None]
    token: bytes
    """What the owners' claims among hosts are known by, of one as of the next."""


Ready = Callable[[Gateway, Place], None]


def settings_of(text: str | None, options: Options) -> Settings:
    """The configuration in force, which need not be what is on disk now."""
    return Settings() if text is None else parse(text, str(options.config))


async def run_owner(
    start: Start, folder: Folder, alive: list[int], ready: Ready, started: Callable[[], None]
) -> None:
    """Own the data folder until the workers are gone. `alive` outlived the last owner.

    Raises:
        BadConfig, StoreFailed: it cannot start.
    """
    options, data = start.options, start.data
    end = End(start.pipe)
    owner = Owner(data, start.workers, lambda: ready(app.gateway, start.place))
    async with owner:
        heirs = await owner.gathered(alive)
        if owner.text is None and options.config is not None:
            owner.text = start.in_force.text() or source(options.config)
        settings = settings_of(owner.text, options)
        env = await with_secrets(settings, options.env)
        store = open_held(folder, database_of(settings, env), heirs)
        shared = Shared(make_book(store, LendingBook), make_desk(store, LendingDesk))
        sharing = replace(sharing_of(settings, env), token=start.token)
        works = Works(data, env, store, start.place.exposed, shared, sharing)
        pulse = Pulse(works.stalled, start.beat)
        try:
            keys = works.keys_now()
            is_first = start.in_force.text() is None
            gateway = Gateway(settings, works, keys, start.found, anew=is_first)
            app = App(gateway, routes("public" if start.place.admin else "all"), works.faces)
            works.on_keys, works.reports = owner.keys_changed, owner.reports
            owner.renew_keys = app.renew_keys
            works.cache.on_purge = lambda route: owner.tell_all("purge", route)
            works.begin()
            forwarding = Forwarding(store.archive, lambda: app.gateway)
            forwarding.resume()
            owner.take_up(gateway, store.inherited, keys)
            works.agents = agents = Agents(lambda: app.gateway)
            agents.begin()
            asker = Asker(app)
            runner = Runner(store.archive, asker.answer, asker.rules, forwarding)
            reloading = _Reload(app, start, owner)
            control = Control(data, app, reloading)
            with _on_hup(control.hup):
                watch = Watch(lambda: app.gateway)
                rules = RuleWatch(
                    lambda: app.gateway, control.audit, partial(owner.tell_all, "bends")
                )
                trials = TrialWatch(lambda: app.gateway, control.audit)
                tutor = Tutor(lambda: app.gateway, control.audit)
                inner, side = inner_door(app, data), admin_door(app, start.place)
                async with inner as door, side, control, runner, watch, rules, trials, tutor:
                    reloading.keep()
                    started()
                    pulse.begin()
                    await _until_idle(end, app, owner, runner, door)
        finally:
            await works.close()
            pulse.end()


class _Reload:
    """Put the file in force here, then in each worker, one after the other."""

    def __init__(self, app: App, start: Start, owner: Owner) -> None:
        self._app, self._options, self._owner = app, start.options, owner
        self._in_force = start.in_force
        self._one_by_one = asyncio.Lock()

    async def __call__(self, anew: bool = True) -> str:
        """ "" or why the old one stays; see `reload`."""
        async with self._one_by_one:
            text = None if anew else self._owner.text

            def read(path: Path) -> str:
                nonlocal text  # what the workers are given is what was looked at here
                text = read_again(path)
                return text

            problem = await reload(self._app, self._options, asyncio.Lock(), anew, read)
            if problem:
                if anew:
                    self._owner.config_error = problem
                    self._owner.tell_state()
                return problem
            self._owner.text = text
            self.keep()
            self._owner.put(self._app.gateway)
            for peer in list(self._owner.peers):
                said = await self._owner.tell(peer, "reload", (text, anew))
                if said is not None and said != b"\xa0":
                    log.error("worker %d keeps the old configuration: %s", peer.pid, said)
            if anew:
                self._owner.config_error = ""
                self._owner.tell_state()
            return ""

    def keep(self) -> None:
        """What is in force is so for the next owner, too."""
        if self._owner.text is not None:
            self._in_force.keep(self._owner.text)


@contextlib.contextmanager
def _on_hup(work: Callable[[], Coroutine[None, None, str]]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[str]] = set()

    def begin() -> None:
        task = loop.create_task(work())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)
    # The supervisor has it blocked from the first: one that came meanwhile waits.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


class End:
    """What the supervisor says of the end; the terminal's signals are its, too."""

    def __init__(self, pipe: int) -> None:
        self._pipe, self._loop = pipe, asyncio.get_running_loop()
        self.near = asyncio.Event()
        """Nothing new is to begin."""
        self.come = asyncio.Event()
        """The supervisor has closed its end."""
        self.hurry = False
        self._loop.add_reader(pipe, self._read)
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)

    def _read(self) -> None:
        said = len(os.read(self._pipe, 16))
        self.hurry = self.hurry or (self.near.is_set() and said > 0) or said > 1
        self.near.set()
        if not said:
            self._loop.remove_reader(self._pipe)
            self.come.set()


async def _until_idle(end: End, app: App, owner: Owner, runner: Runner, door: SideServer) -> None:
    """Until the workers are gone; lines of batches, and what workers have handed on, have as long
    as requests have."""
    await end.near.wait()
    app.gateway.works.stopping = True
    runner.stop()
    drain_s = app.gateway.settings.server.drain_s
    await wait_until(lambda: end.hurry or (end.come.is_set() and not runner.busy), drain_s)
    door.stop_all()
    await end.come.wait()
    await wait_until(lambda: not owner.peers, drain_s + 2 * LAST_WORDS_S)


async def run_worker(start: Start) -> None:
    """Answer callers until the supervisor says stop."""
    options, data = start.options, start.data
    end = End(start.pipe)
    slate = Slate(slate_of(data, os.getpid()))
    store = RemoteStore(data, slate)
    book, desk = LentBook(store), LentDesk(store)

    async def standing(key_id: str) -> Standing:
        return await store.of(Standing, "standing", key_id)

    await store.connect()
    settings = settings_of(store.text, options)
    env = await with_secrets(settings, options.env)
    store.reader = reader_of(settings, env, data)
    stock = SeenStock(store)
    claims = RemoteClaims(store, stock)
    shared = Shared(book, desk, stock, standing, claims)
    sharing = replace(sharing_of(settings, env), redis=None)  # which is the owner's
    works = Works(data, env, store, start.place.exposed, shared, sharing)
    pulse = Pulse(works.stalled, start.beat)
    try:
        gateway = Gateway(settings, works, works.keys_now(), start.found)
        rows = routes("public" if start.place.admin else "all")
        app = App(gateway, rows_of_worker(rows, store), works.faces)
        Ear(app, options, store, (book, desk, claims))
        server = WorkerServer(uvicorn_config(app, settings), app)
        gc.collect()
        gc.freeze()  # what exists now lives as long as the process
        pulse.begin()
        ending = asyncio.create_task(server.stop_after(end.come))
        await server.run_until_signal(start.place, store.serves)
        ending.cancel()
    finally:
        await works.close()
        pulse.end()
        with contextlib.suppress(OSError):
            slate_of(data, os.getpid()).unlink()


class Ear:
    """Where a worker hears what the owner says."""

    def __init__(
        self,
        app: App,
        options: Options,
        store: RemoteStore,
        parts: tuple[LentBook, LentDesk, RemoteClaims],
    ) -> None:
        self._app, self._options, self._store = app, options, store
        self._book, self._desk, self._claims = parts
        store.listen(self._hear, self._obey, self._miss)
        self._hear(store.state)
        app.gateway.works.others = lambda: {"workers": store.state.workers}

    def _hear(self, message: object) -> None:
        match message:
            case Welcome():
                self._claims.welcomed()
            case Lent():
                self._book.lent(message)
            case Recall():
                self._book.recalled(message)
            case RateLent() | RateRecall():
                self._desk.heard(message)
            case State():
                self._app.gateway.works.config_error = message.config_error
            case Keys():
                self._app.gateway.put_keys(message.rows)

    def _miss(self) -> None:
        """The owner is gone."""
        self._book.forget()
        self._desk.forget()

    async def _obey(self, order: Told) -> object:
        """Do what the owner says; what it is told of it."""
        match order.what:
            case "reload":
                text, anew = msgspec.msgpack.decode(order.args, type=tuple[str | None, bool])
                return await self._reload(text, anew)
            case "purge":
                route = msgspec.msgpack.decode(order.args, type=str | None)
                await self._app.gateway.works.cache.purge(route)
            case "bends":
                bends = msgspec.msgpack.decode(order.args, type=dict[str, Bend])
                self._app.gateway.works.health.bends = bends
            case "report":
                return await self._app.gateway.works.report("worker")
            case "metrics":
                works = self._app.gateway.works
                works.book.exceeded = works.book.unbilled = 0  # the owner counts them
                return await asyncio.to_thread(works.metrics.expose())
        return None

    async def _reload(self, text: str | None, anew: bool) -> str:
        works, options = self._app.gateway.works, self._options
        before = works.env
        try:
            settings = settings_of(text, options)
            if anew:
                works.env = await with_secrets(settings, options.env)
            found = self._app.gateway.found
            self._app.put(Gateway(settings, works, works.keys_now(), found))
            self._store.text = text
        except GatewayError as error:  # the owner took it a moment ago
            works.env = before
            return str(error)
        return ""


class WorkerServer(DoorServer):
    """A `DoorServer` whose signals are the supervisor's, and whose socket is everybody's."""

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGQUIT, self._force)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGQUIT)

    def _force(self) -> None:
        self._stop()
        self.force_exit = True

    async def stop_after(self, stop: asyncio.Event) -> None:
        """Drain once the supervisor says so."""
        await stop.wait()
        self._stop()
