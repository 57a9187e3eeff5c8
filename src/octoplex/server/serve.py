"""`octoplex serve`: bind, open, say where to look, serve, reload, drain.

Uvicorn keeps the sockets and HTTP; its own signal handling and shutdown are replaced,
because draining here means: not ready any more, no new connections, let what runs
finish until the drain time, then tell streams in-band, then stop. A second signal
forces. SIGHUP reads the file again; a broken file changes nothing and is shown on
`/health/ready`, in the log and by `octoplex doctor`.
"""

import asyncio
import contextlib
import gc
import logging
import os
import re
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import uvicorn
from msgspec import Struct
from msgspec.structs import replace

from octoplex.assembly.agents import Agents
from octoplex.assembly.guards import prepared
from octoplex.assembly.servable import check_tls
from octoplex.gateway import Gateway, open_gateway
from octoplex.jobs.alerts import Watch
from octoplex.jobs.forwarding import Forwarding
from octoplex.jobs.learning import Tutor
from octoplex.jobs.rules import RuleWatch
from octoplex.jobs.runner import Runner
from octoplex.jobs.trials import TrialWatch
from octoplex.server.accepting import BACKLOG, Acceptor
from octoplex.server.app import App
from octoplex.server.control import Control
from octoplex.server.inner import Asker
from octoplex.server.protocol import DoorProtocol
from octoplex.server.pulse import Pulse
from octoplex.server.rereading import gone, read_again, still
from octoplex.server.table import routes
from octoplex.server.websocket import WebSocket
from octoplex.settings import (
    DEFAULT_LISTEN,
    HERE,
    Settings,
    address,
    data_folder,
    load,
    loopback,
    parse,
    with_secrets,
)
from octoplex.upstreams.detect import detect
from octoplex.wire.error import BadConfig, GatewayError
from octoplex.wire.redact import redact

log = logging.getLogger("octoplex.server")
PORTS_TRIED = 20
SAYS = re.compile(r"^\s*[^#\s]", re.MULTILINE)
"""What a file has that is more than comments."""
LAST_WORDS_S = 2.0


class Options(Struct, frozen=True, kw_only=True):
    """What the command line says; `port` and `host` None mean the file, then the default."""

    config: Path | None
    env: Mapping[str, str]
    host: str | None = None
    port: int | None = None
    workers: int | Literal["auto"] | None = None


class Place(Struct, frozen=True):
    """Where we listen. `asked` is the address that was wanted, when it was taken."""

    socket: socket.socket
    host: str
    port: int
    scheme: str = "http"
    asked: str = ""
    admin: "Place | None" = None
    """Where `/admin` is, if it has an address of its own."""

    def close(self) -> None:
        """Listen no more."""
        self.socket.close()
        if self.admin is not None:
            self.admin.close()

    @property
    def exposed(self) -> str:
        """The host where others than this machine can reach it, else ""."""
        return "" if loopback(self.host) else self.host or "every address"

    @property
    def url(self) -> str:
        """The base URL a client on this machine uses."""
        host = HERE.get(self.host, self.host)
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"


Ready = Callable[[Gateway, Place], None]


def serve(options: Options, ready: Ready) -> None:
    """Run until a signal. `ready` is told once the listener answers.

    Raises:
        BadConfig, StoreFailed: it cannot start; the message says why and what to do.
    """
    settings = load(options.config)
    place = bind(settings, options)
    with contextlib.closing(place), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(settings, options, place, ready))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """The event loop that every process here runs on."""
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.new_event_loop
    # libuv would start a kernel thread that polls for epoll changes (io_uring SQPOLL): seen
    # to burn 40 % of the process's CPU under load, and to save nothing measurable.
    os.putenv("UV_USE_IO_URING", "0")
    return uvloop.new_event_loop


async def _serve(settings: Settings, options: Options, place: Place, ready: Ready) -> None:
    found, env = await detect(), await with_secrets(settings, options.env)
    data = data_folder(settings, options.env)
    gateway = open_gateway(
        settings, env, data, address=place.url, exposed=place.exposed, found=found
    )
    works = gateway.works
    pulse = Pulse(works.stalled)
    try:
        app = App(gateway, routes("public" if place.admin else "all"), works.faces)
        server = DoorServer(uvicorn_config(app, settings), app)
        control = Control(data, app, partial(reload, app, options, asyncio.Lock()))
        server.on_reload = control.hup
        works.agents = agents = Agents(lambda: app.gateway)
        agents.begin()
        asker = Asker(app)
        archive = works.store.archive
        forwarding = Forwarding(archive, lambda: app.gateway)
        forwarding.resume()
        server.runner = Runner(archive, asker.answer, asker.rules, forwarding)
        watch = Watch(lambda: app.gateway)
        rules = RuleWatch(lambda: app.gateway, control.audit)
        trials = TrialWatch(lambda: app.gateway, control.audit)
        tutor = Tutor(lambda: app.gateway, control.audit)
        async with control, server.runner, watch, rules, trials, tutor, admin_door(app, place):
            gc.collect()
            gc.freeze()  # what exists now lives as long as the process
            pulse.begin()
            await server.run_until_signal(place, lambda: ready(gateway, place))
    finally:
        await works.close()
        pulse.end()


def uvicorn_config(app: App, settings: Settings) -> uvicorn.Config:
    """Uvicorn without what is done here: its log, its headers, its lifespan, its websockets."""
    tls = settings.server.tls
    return uvicorn.Config(
        app,
        http=DoorProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=tls.cert if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )


async def reload(
    app: App,
    options: Options,
    one_by_one: asyncio.Lock,
    anew: bool = True,
    read: Callable[[Path], str] = read_again,
) -> str:
    """Put the file in force as it is now, or what operators switched; "" or why the old stays.

    Only the former fetches secrets.
    """
    async with one_by_one:
        return await _reload(app, options, anew, read)


def _settings_again(gateway: Gateway, path: Path | None, read: Callable[[Path], str]) -> Settings:
    """The file as it is now.

    Raises:
        BadConfig: it cannot be; one that says nothing may not have been written yet.
    """
    if path is None:
        return load(None)
    text = read(path)
    settings = parse(text, str(path))
    if settings != gateway.settings and not SAYS.search(text):
        raise BadConfig(f"{path}: says nothing; restart to serve without it.")
    check_tls(settings)
    return settings


async def _reload(app: App, options: Options, anew: bool, read: Callable[[Path], str]) -> str:
    works = app.gateway.works
    before = works.env
    try:
        old = settings = app.gateway.settings
        if anew:
            if options.config is not None:
                await still(options.config)
            settings = _settings_again(app.gateway, options.config, read)
            works.env = await with_secrets(settings, options.env)
            await asyncio.to_thread(prepared, settings, works.env, works.hasher.hash)
        app.put(Gateway(settings, works, works.keys_now(), app.gateway.found, anew))
        problem = ""
        log.info("configuration reloaded")
        if lost := gone(old, settings):
            log.warning(
                "the file has no %s any more, and what is asked of them ends", ", ".join(lost)
            )
    except GatewayError as error:
        problem = str(error)
        log.error("configuration not reloaded, the old one stays in force: %s", error)
    except Exception as error:  # a defect of ours must not end a server that works
        problem = redact(f"{type(error).__name__}: {error}")
        log.exception("configuration not reloaded, the old one stays in force")
    if problem:
        works.env = before
    if anew:
        works.config_error = problem
        works.reloads_failed += problem != ""
    return problem


class DoorServer(uvicorn.Server):
    """Uvicorn's server with our signals and our way of draining."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app
        self.on_reload: Callable[[], Coroutine[None, None, str]] | None = None
        self._reloading: asyncio.Task[str] | None = None
        self.runner: Runner | None = None
        """What else runs here: it stops with the doors."""
        self._told: Callable[[], None] = lambda: None

    async def run_until_signal(self, place: Place, told: Callable[[], None]) -> None:
        """Serve on a bound socket until a signal, then drain."""
        self._told = told
        watch = asyncio.create_task(self._app.quiet.watch())
        try:
            with self._signals():
                await self._serve([place.socket])
        finally:
            watch.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        self.servers = [Acceptor(one, self) for one in sockets or ()]  # type: ignore[misc]
        self.started = True
        await self.on_tick(0)
        self._told()

    def protocol(self) -> DoorProtocol:
        """What speaks with one connection."""
        loop = asyncio.get_running_loop()
        return DoorProtocol(
            config=self.config, server_state=self.server_state, app_state={}, _loop=loop
        )

    async def on_tick(self, counter: int) -> bool:
        """Every 0.1 s: uvicorn's own, and every 5 s look after connections."""
        if counter % 50 == 0:
            now = asyncio.get_running_loop().time()
            idle_s = self._app.gateway.settings.server.keep_alive_s
            for connection in list(self.server_state.connections):
                if isinstance(connection, DoorProtocol):
                    connection.tend(now, idle_s)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            yield
        finally:
            for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(name)

    def _reload(self) -> None:
        if self.on_reload is not None:
            self._reloading = asyncio.get_running_loop().create_task(self.on_reload())

    def _stop(self) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._app.gateway.works.stopping = True
        if self.runner is not None:
            self.runner.stop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, drain, tell those still open, close."""
        for server in self.servers:
            server.close()
        connections, tasks = self.server_state.connections, self.server_state.tasks
        for connection in list(connections):
            connection.shutdown()
        drain_s = self._app.gateway.settings.server.drain_s
        await wait_until(lambda: self.force_exit or not self.busy, drain_s)
        self.stop_all()
        for task in list(tasks):  # whose connection is gone
            if not task.cancelling():
                task.cancel("stopped")
        await wait_until(lambda: not self.busy, LAST_WORDS_S)
        for connection in list(connections):
            connection.transport.close()

    def stop_all(self) -> None:
        """Have all that is being answered end with these words."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, DoorProtocol | WebSocket):
                connection.stop()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or a line of a batch."""
        if self.runner is not None and self.runner.busy:
            return True
        state = self.server_state
        ours = (c for c in state.connections if isinstance(c, DoorProtocol | WebSocket))
        return bool(state.tasks) or any(connection.busy for connection in ours)


class SideServer(DoorServer):
    """A door beside the one that callers use: open as long as the context, without signals."""

    def __init__(self, app: App, listen: Callable[["SideServer"], Awaitable[Any]]) -> None:
        """`listen` begins to take connections; it returns what can be closed."""
        super().__init__(uvicorn_config(app, app.gateway.settings), app)
        self._listen = listen

    async def __aenter__(self) -> "SideServer":
        self.config.load()
        self.servers = [await self._listen(self)]
        await self.on_tick(0)
        self._ticking = asyncio.create_task(self.main_loop())
        self._quiet = asyncio.create_task(self._app.quiet.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.should_exit = True
        await self._ticking
        await self.shutdown()
        self._quiet.cancel()


def admin_door(app: App, place: Place) -> contextlib.AbstractAsyncContextManager[Any]:
    """`/admin` at its own address, where it has one."""
    admin = place.admin
    if admin is None:
        return contextlib.nullcontext()

    async def listen(server: SideServer) -> Acceptor:
        return Acceptor(admin.socket, server)

    return SideServer(app.beside(routes("admin")), listen)


async def wait_until(true: Callable[[], bool], within_s: float) -> None:
    """Wait until it is, at most so long."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    while not true() and loop.time() < until_s:  # noqa: ASYNC110 - many things can make it true
        await asyncio.sleep(0.02)


def bind(settings: Settings, options: Options) -> Place:
    """What to listen on. An address that was asked for and is taken is an error.

    Raises:
        BadConfig: the address cannot be had, or the certificate not used.
    """
    check_tls(settings)
    server = settings.server
    host, port = address(server.listen or DEFAULT_LISTEN)
    host = options.host.strip("[]") if options.host else host
    port = port if options.port is None else options.port
    given = server.listen is not None or options.port is not None
    scheme = "https" if server.tls else "http"
    ports = range(port, port + 1 if given else port + PORTS_TRIED)
    place = _bound(host, ports, scheme, "--port N")
    if not server.admin:
        return place
    host, port = address(server.admin)
    try:
        admin = _bound(host, range(port, port + 1), scheme, "[server] admin")
    except BaseException:
        place.close()
        raise
    return replace(place, admin=admin)


def _bound(host: str, ports: range, scheme: str, key: str) -> Place:
    """The first of these that is free; `key` says otherwise."""
    wanted, problem = ports[0], ""
    for port in ports:
        try:
            bound = _listen(host, port)
        except OSError as error:
            problem = problem or error.strerror or str(error)
            continue
        real = bound.getsockname()[1]
        asked = "" if real == wanted or not wanted else f"{host}:{wanted}"
        return Place(bound, host, real, scheme, asked)
    raise BadConfig(
        f"Cannot listen on {host}:{wanted}: {problem}. Stop what uses it, or choose another: {key}."
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound
