"""The connections to a PostgreSQL: one that writes, two that read, on a loop of their own.

    link = Link(database, "octoplex pid 7")
    link.begin(prepare)            # connect, take the lock, prepare; or BadConfig
    link.write(work)               # on the writing connection, from the writer's thread
    link.ask(work) -> Future       # on a reading one, from anywhere

`work` is an async function of a connection; it runs on the link's thread, so no caller ever
waits for a socket on its own loop.

The writing connection holds two advisory locks for as long as it lives, and money is written
through no other: one for its host, so that two processes never write as the same one, also when
one of them was cut off and does not know it; and a share of one for all, which a gateway that
must change the schema has alone. When the connection breaks it is made again in the
background, with pauses of at most a second, and has the locks again before it is used.

A pooler in front must keep sessions (PgBouncer: `pool_mode = session`): the locks are a session's.
"""

import asyncio
import hashlib
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # an extra

from octoplex.ledger.postgres.database import Database
from octoplex.wire.error import BadConfig, StoreFailed

log = logging.getLogger("octoplex.ledger")
T = TypeVar("T")
Connection = Any
"""asyncpg's; one of its pool is a proxy of another class."""
Work = Callable[[Connection], Awaitable[T]]

LOCK = int.from_bytes(b"octoplex", "big")
"""All hosts have a share of it; an octoplex that knew one gateway only has it alone."""
BEGINNING = LOCK + 1
"""Held while a host begins, so that one schema is made and one change applied."""
CONNECT_S = 5.0
WRITE_S = 2.0
"""After this a commit is taken for lost, and its rows go to the spool (it may still come)."""
READ_S = 30.0
BEGIN_S = 10.0
"""How long a start waits for a database that starts itself, or for a lock that is let go of."""
PAUSE_S = (0.1, 1.0)
READERS = 2
FAILURES = (
    OSError,
    EOFError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""The last is what it says when a connection is cut between two steps of one question."""
ALIVE = "set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 2"
"""A host that vanished holds the lock no longer than this."""
_HOLDER = """select coalesce(application_name, ''), coalesce(host(client_addr), 'this host')
    from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and objsubid = 1
      and (classid::bigint << 32) + objid::bigint = $1 and pid <> pg_backend_pid()"""


class Link:
    """Owns the thread."""

    def __init__(self, database: Database, name: str, host: str = "") -> None:
        """Connects to nothing yet. `name` is what the server lists its connections as.

        `host` is the identity of one that writes.
        """
        self.database, self.name, self.host = database, name, host
        self._again: Work[None] | None = None
        self._pause_s = PAUSE_S[0]
        self._failing = False
        """The log says that nothing can be written."""
        self._writer: Connection | None = None
        self._pool: Any = None
        self._closing = False
        self._ended = False
        """Its thread takes no more work."""
        self._taking = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._lost = asyncio.Event()
        self._keeper: Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name="octoplex-postgres", daemon=True)
        self._thread.start()

    @property
    def own_lock(self) -> int:
        """Of the connection that writes as this host; the next number is its till's."""
        return int.from_bytes(hashlib.sha256(self.host.encode()).digest()[:7], "big") * 2

    @property
    def up(self) -> bool:
        """Whether there is a connection that may write."""
        return self._writer is not None

    def begin(self, prepare: Work[T], again: Work[None]) -> T:
        """Connect for writing, and have `prepare` done; then stay connected.

        `again` is done on each connection after the first, before it is used.

        Raises:
            StoreFailed: another process writes as this host.
            BadConfig: it cannot be reached or used.
        """
        try:
            found: T = self._call(self._begin(prepare)).result()
        except FAILURES as error:
            raise BadConfig(
                f"[server] database: {self.database.shown} cannot be used: {said(error)}; "
                "octoplex does not start without it, so that no money is forgotten"
            ) from error
        self._again = again
        self._keeper = self._call(self._keep())
        return found

    def write(self, work: Work[T], within_s: float = WRITE_S) -> T:
        """Do it on the writing connection.

        Raises:
            StoreFailed: it cannot be done now; whether it was is not known.
            ValueError, OverflowError: a value that cannot be sent; nothing was done.
        """
        done: T = self._call(self._write(work, within_s)).result()
        return done

    def ask(self, work: Work[T]) -> "Future[T]":
        """Do it on a reading connection; StoreFailed when it cannot be reached."""
        return self._call(self._ask(work))

    def start(self, work: Any) -> "Future[Any]":
        """Run a coroutine on the link's thread; StoreFailed when that has ended."""
        return self._call(work)

    def soon(self, work: Callable[..., None], *args: object) -> None:
        """Call something there."""
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(work, *args)

    def close(self) -> None:
        """Close every connection and end the thread."""
        if self._closing:
            return
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()
        with suppress(*FAILURES, CancelledError):
            self._call(self._close()).result(CONNECT_S)
        with self._taking:
            self._ended = True  # what was taken before this is begun before the loop stops
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONNECT_S)

    def _call(self, work: Any) -> "Future[Any]":
        with self._taking:
            if not self._ended:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        refused: Future[Any] = Future()
        refused.set_exception(StoreFailed("The database's connections are closed."))
        return refused

    # The thread's side.

    def _run(self) -> None:
        self._loop.run_forever()
        while left := asyncio.all_tasks(self._loop):
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(left))
        self._loop.close()

    async def _begin(self, prepare: Work[T]) -> T:
        until_s = self._loop.time() + BEGIN_S
        while True:
            try:
                connection = await self._connect()
                break
            except (
                StoreFailed,
                ConnectionRefusedError,  # its container is starting
                asyncpg.CannotConnectNowError,
                asyncpg.TooManyConnectionsError,
            ):
                if self._loop.time() >= until_s:
                    raise
            await asyncio.sleep(PAUSE_S[0])
        try:
            found = await prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        await connection.execute(f"select pg_advisory_unlock({BEGINNING})")
        self._put(connection)
        return found

    async def _connect(self) -> Connection:
        """A connection that holds the locks, that of the beginning, too.

        Raises:
            StoreFailed: somebody else does.
        """
        connection = await self.dial()
        try:
            if await connection.fetchval("select pg_is_in_recovery()"):
                raise asyncpg.ReadOnlySQLTransactionError("it is a standby, which is read-only")
            await connection.execute(f"select pg_advisory_lock({BEGINNING})")
            if not await connection.fetchval("select pg_try_advisory_lock_shared($1)", LOCK):
                raise await self._taken(connection, LOCK)
            if not await connection.fetchval("select pg_try_advisory_lock($1)", self.own_lock):
                raise await self._taken(connection, self.own_lock)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def dial(self) -> Connection:
        """Open a connection, on the link's thread."""
        connection = await asyncpg.connect(**self._how(self.name))
        try:
            await connection.execute(ALIVE)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _taken(self, connection: Connection, lock: int) -> StoreFailed:
        row = await connection.fetchrow(_HOLDER, lock)
        who = f"{row[0] or 'another gateway'} ({row[1]})" if row else "another gateway"
        where = f"the database {self.database.shown} is in use by {who}"
        if lock == LOCK:
            return StoreFailed(
                f"{where}, which is of a version that shares it with nobody: stop it first, or "
                "budgets would not be exact"
            )
        return StoreFailed(
            f"{where} with this very data folder, or a copy of it: give each host its own, and of "
            "another's copy at most `pepper`"
        )

    def _put(self, connection: Connection) -> None:
        self._writer = connection
        closed = "the connection was closed"
        connection.add_termination_listener(lambda _: self._lose(connection, closed))

    def _lose(self, connection: Connection, why: str) -> None:
        if self._writer is not connection:
            return
        if not (self._closing or self._failing):
            self._failing = True
            log.error("the database cannot be written (%s); entries wait on the disk", why)
        self._writer = None
        self._lost.set()

    async def _keep(self) -> None:
        """Connect again whenever the connection was lost."""
        while True:
            await self._lost.wait()
            self._lost.clear()
            while self._writer is None:
                await asyncio.sleep(self._pause_s)
                self._pause_s = min(2 * self._pause_s, PAUSE_S[1])
                try:
                    await self._resume()
                except (StoreFailed, *FAILURES) as error:
                    log.debug("no connection that writes: %s", said(error))
                except Exception:  # what an odd server makes of the library must not end this
                    log.exception("no connection that writes")

    async def _resume(self) -> None:
        connection = await self._connect()
        try:
            if self._again is not None:
                await self._again(connection)
            await connection.execute(f"select pg_advisory_unlock({BEGINNING})")
        except BaseException:
            connection.terminate()
            raise
        self._put(connection)

    async def _write(self, work: Work[T], within_s: float) -> T:
        connection = self._writer
        if connection is None:
            raise StoreFailed("The database cannot be reached.")
        try:
            async with asyncio.timeout(within_s):
                done = await work(connection)
        except (ValueError, OverflowError, asyncpg.DataError):
            raise
        except FAILURES as error:
            # It may be full, read-only or gone; whatever it is, a fresh connection tells.
            reached = not connection.is_closed()
            self._lose(connection, said(error))
            connection.terminate()
            what = "written" if reached else "reached"
            raise StoreFailed(f"The database cannot be {what}.") from error
        self._pause_s = PAUSE_S[0]
        if self._failing:
            self._failing = False
            log.warning("the database can be written again")
        return done

    async def _ask(self, work: Work[T]) -> T:
        try:
            if self._pool is None:
                self._pool = self._made_pool()
            await self._pool
            async with asyncio.timeout(READ_S), self._pool.acquire() as connection:
                return await work(connection)
        except FAILURES as error:
            raise StoreFailed("The database cannot be reached.") from error  # callers read this

    def _made_pool(self) -> Any:
        how = self._how(f"{self.name} (reads)")
        return asyncpg.create_pool(min_size=0, max_size=READERS, **how)

    def _how(self, name: str) -> dict[str, Any]:
        return {
            "dsn": self.database.url,
            "timeout": CONNECT_S,
            "command_timeout": READ_S,
            "server_settings": {"application_name": name},
            **({"password": self.database.word} if self.database.password else {}),
        }

    async def _close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()
        if self._writer is not None:
            await self._writer.close(timeout=1.0)


def said(error: BaseException) -> str:
    """Why, in a line."""
    text = str(error).partition("\n")[0].strip()
    return text or ("it does not answer" if isinstance(error, TimeoutError) else repr(error))
