"""The supervisor: it binds the port, starts the processes, starts again what crashes.

    serve(options, ready)        one process where one is wanted, else all of this

It has no event loop and no threads, so that it may fork at any moment; what it forks has the
code in memory already, shared. All workers accept from one listening socket: connections
that wait in it are nobody's, so that a worker that dies takes none with it
(`docs/decisions/workers.md`). Its lock on the data folder outlives each of its processes.

SIGTERM and SIGINT drain: workers first, then the owner. A second one does not wait: what is
left a moment later is killed. SIGHUP is passed to the owner, which has all read the file
again; where there is none just then, to the next one.
"""

import asyncio
import contextlib
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.gateway import Gateway
from octoplex.ledger.folder import Folder
from octoplex.ledger.redis.claims import TOKEN_BYTES
from octoplex.server.serve import Options, Place, Ready, bind, loop_factory
from octoplex.server.serve import serve as serve_alone
from octoplex.server.supervisor.beats import LOOK_S, Beats, traced
from octoplex.server.supervisor.in_force import InForce, Once
from octoplex.server.supervisor.processes import Start, run_owner, run_worker
from octoplex.settings import Settings, data_folder, load
from octoplex.upstreams.detect import detect
from octoplex.wire.error import BadConfig, GatewayError, StoreFailed

log = logging.getLogger("octoplex.server")
START_S = 60.0
"""How long the owner may take to open the ledger."""
QUICK_S = 2.0
"""A process that lives shorter has failed to start: the next one waits, longer each time."""
FIRST_S, LONGEST_S = 0.1, 5.0
MOMENT_S = 3.0
"""How long what was told to hurry has."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def serve(options: Options, ready: Ready) -> None:
    """Run until a signal. `ready` is told, in whichever process, once all of it answers.

    Raises:
        BadConfig, StoreFailed: it cannot start; the message says why and what to do.
    """
    settings = load(options.config)
    workers = count_of(settings, options)
    if workers == 1:
        serve_alone(options, ready)
        return
    Supervisor(settings, options, workers, ready).run()


def count_of(settings: Settings, options: Options) -> int:
    """How many workers are wanted."""
    wanted = settings.server.workers if options.workers is None else options.workers
    return len(os.sched_getaffinity(0)) if wanted == "auto" else wanted


class Process(Struct, eq=False):
    """A child: the owner is number 0."""

    number: int
    pid: int
    pipe: int
    """Our end; closing it tells the child to stop."""
    began_at: float

    @property
    def name(self) -> str:
        """For people."""
        return f"worker {self.pid}" if self.number else f"the owner of the ledger ({self.pid})"


class Supervisor:
    """Owns all processes of one server."""

    def __init__(self, settings: Settings, options: Options, workers: int, ready: Ready) -> None:
        self._options, self._workers, self._ready = options, workers, ready
        self._data = data_folder(settings, options.env)
        self._folder = Folder(self._data)
        self._place = bind(settings, options)
        self._found = asyncio.run(detect())
        self._children: dict[int, Process] = {}
        self._due: dict[int, float] = {}
        """When a process that has crashed is started again, by its number."""
        self._pause_s: dict[int, float] = {}
        self._in_force = InForce()
        self._token = os.urandom(TOKEN_BYTES)
        self._told = Once()
        """Where it listens."""
        self._beats, self._hang_s = Beats(workers), settings.server.hang_s
        self._stopping = 0
        self._kill_at: float | None = None
        self._hup_at: float | None = None
        """When an owner was last sent SIGHUP."""
        self._hup_waits = False
        self._mask: set[Any] = set()

    def run(self) -> None:
        """Until a signal, and until all have ended.

        Raises:
            BadConfig, StoreFailed: the owner cannot start.
        """
        with contextlib.closing(self._place):
            self._folder.lock(self._place.url)
            self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            try:
                self._begin_owner(first=True)
                for number in range(1, self._workers + 1):
                    self._begin_worker(number)
                while self._children or not self._stopping:
                    self._step()
            finally:
                self._end_all()
                signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
                self._folder.unlock()

    # -- one turn ---------------------------------------------------------------------------

    def _step(self) -> None:
        """Wait for a signal or for what is due, and see to it."""
        now = time.monotonic()
        due = [*self._due.values(), *([] if self._kill_at is None else [self._kill_at])]
        wait_s = max(0.0, min([LOOK_S, *[at - now for at in due]]))
        found = signal.sigtimedwait(SIGNALS, wait_s)
        if found is not None and found.si_signo in (signal.SIGTERM, signal.SIGINT):
            self._stop()
        elif found is not None and found.si_signo == signal.SIGHUP:
            self._hup_waits = True
        self._bury()
        now = time.monotonic()
        for number in [n for n, at in self._due.items() if at <= now]:
            del self._due[number]
            if number == 0:
                self._begin_owner()
            elif not self._stopping:
                self._begin_worker(number)
        self._pass_hup()
        self._end_hung()
        workers = [process for process in self._children.values() if process.number]
        if self._stopping and not workers:
            self._hang_up(self._process(0))
        if self._kill_at is not None and self._kill_at <= now:
            self._kill_at = now + MOMENT_S
            for pid in self._children:
                os.kill(pid, signal.SIGKILL)

    def _pass_hup(self) -> None:
        """To the owner: it takes it once it can (it is blocked until then)."""
        owner = self._process(0)
        if self._hup_waits and owner is not None:
            self._hup_at, self._hup_waits = time.monotonic(), False
            os.kill(owner.pid, signal.SIGHUP)

    def _end_hung(self) -> None:
        """End those whose loops stand still: they are begun again, as any that died."""
        for number in self._beats.still(self._hang_s) if self._hang_s else ():
            process = self._process(number)
            if process is None or traced(process.pid) or (self._stopping and not number):
                continue
            where = self._beats.stack(process.pid) or "it does not say where"
            log.error(
                "%s is ended: it did nothing for %.0f s\n%s", process.name, self._hang_s, where
            )
            os.kill(process.pid, signal.SIGKILL)
            self._beats.begin(number)

    def _bury(self) -> None:
        """Take note of the processes that have ended."""
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            process = self._children.pop(pid)
            self._hang_up(process)
            code = os.waitstatus_to_exitcode(status)
            workers_left = any(one.number for one in self._children.values())
            if self._stopping and (process.number or not workers_left):
                continue
            self._again(process, code)

    def _again(self, process: Process, code: int) -> None:
        """Start one like it: at once, or later if it has not lived for long."""
        number = process.number
        now = time.monotonic()
        if number == 0 and self._hup_at is not None and now - self._hup_at < QUICK_S:
            self._hup_waits = True  # it may have died before it had read the file
        pause_s = 0.0
        if now - process.began_at < QUICK_S:
            pause_s = min(max(self._pause_s.get(number, 0.0) * 2, FIRST_S), LONGEST_S)
        self._pause_s[number] = pause_s
        self._due[number] = now + pause_s
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        log.error("%s has ended %s; the next one starts in %.1f s", process.name, how, pause_s)

    def _stop(self) -> None:
        self._stopping += 1
        self._place.socket.close()
        self._due = {0: self._due[0]} if 0 in self._due else {}
        for process in self._children.values():
            if process.number:
                self._hang_up(process)
                if self._stopping > 1:
                    os.kill(process.pid, signal.SIGQUIT)
            else:
                self._tell_end(process)
        if self._stopping > 1 and self._kill_at is None:
            self._kill_at = time.monotonic() + MOMENT_S

    def _end_all(self) -> None:
        """Leave nobody behind, whatever happened."""
        for process in self._children.values():
            self._hang_up(process)
        for pid in self._children:
            os.waitpid(pid, 0)
        self._children.clear()

    def _hang_up(self, process: Process | None) -> None:
        if process is not None and process.pipe >= 0:
            os.close(process.pipe)
            process.pipe = -1

    def _tell_end(self, owner: Process) -> None:
        """That it is near, and the second time that nobody waits any more."""
        if owner.pipe >= 0:
            with contextlib.suppress(OSError):
                os.write(owner.pipe, b".")

    def _process(self, number: int) -> Process | None:
        return next((one for one in self._children.values() if one.number == number), None)

    # -- starting ---------------------------------------------------------------------------

    def _begin_owner(self, *, first: bool = False) -> None:
        alive = [process.pid for process in self._children.values() if process.number]
        theirs, ours = os.pipe()
        said, saying = os.pipe()

        def work() -> None:
            os.close(said)

            def started() -> None:
                if first:
                    os.write(saying, b"null")
                os.close(saying)

            start = self._start(0, theirs)
            try:
                _run(lambda: run_owner(start, self._folder, alive, self._tell, started))
            except (BadConfig, StoreFailed) as error:
                if first:
                    os.write(saying, msgspec.json.encode([error.code, str(error)]))
                else:
                    log.error("the owner of the ledger cannot start: %s", error)
                raise SystemExit(1) from None

        process = self._fork(0, work, theirs, ours)
        os.close(saying)
        if self._stopping:
            self._tell_end(process)
        if first:
            self._expect(said, process)
        os.close(said)

    def _expect(self, said: int, process: Process) -> None:
        """Wait until the owner has the ledger.

        Raises:
            BadConfig, StoreFailed: what it says.
        """
        text = b""
        if select.select([said], [], [], START_S)[0]:
            text = os.read(said, 65_536)
        if text == b"null":
            return
        try:
            code, message = msgspec.json.decode(text, type=tuple[str, str])
        except msgspec.MsgspecError:
            raise StoreFailed("The owner of the ledger did not start.") from None
        raise (BadConfig if code == BadConfig.code else StoreFailed)(message)

    def _begin_worker(self, number: int) -> None:
        theirs, ours = os.pipe()
        start = self._start(number, theirs)
        self._fork(number, lambda: _run(lambda: run_worker(start)), theirs, ours)

    def _tell(self, gateway: Gateway, place: Place) -> None:
        """All of it answers: said once, whichever owner comes to say so."""
        self._told.do(lambda: self._ready(gateway, place))

    def _start(self, number: int, pipe: int) -> Start:
        return Start(
            options=self._options,
            data=self._data,
            place=self._place,
            found=self._found,
            workers=self._workers,
            pipe=pipe,
            in_force=self._in_force,
            beat=partial(self._beats.beat, number),
            token=self._token,
        )

    def _fork(self, number: int, work: Callable[[], None], theirs: int, ours: int) -> Process:
        sys.stdout.flush()
        sys.stderr.flush()
        self._beats.begin(number)
        pid = os.fork()
        if pid:
            os.close(theirs)
            process = self._children[pid] = Process(number, pid, ours, time.monotonic())
            return process
        code = 1
        try:
            if number:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(
                signal.SIG_SETMASK, self._mask if number else self._mask | {signal.SIGHUP}
            )
            os.close(ours)
            self._beats.say_where()
            for other in self._children.values():  # else it would not end when we do
                self._hang_up(other)
            if number == 0:
                self._place.socket.close()
            else:
                if self._place.admin is not None:
                    self._place.admin.close()
                self._folder.unlock()  # closes this copy: the lock is the owner's and ours
            work()
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        except GatewayError as error:
            log.error("worker %d cannot start: %s", os.getpid(), error)
        except BaseException:  # the process ends here, whatever it was
            log.exception("process %d failed", os.getpid())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _run(main: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())
