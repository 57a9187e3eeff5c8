"""The till in a PostgreSQL: who is there, and what each has taken (`migrations/postgres`).

    till = PostgresTill(link, host, name)
    till.begin(news)                       # a connection of its own, made again when it breaks
    stands = await till.take(wants, share)

Each host moves its beat on once a second. One whose beat another has watched standing still for
`gone_s`, on a connection that never broke, is given up: what it had open is settled at the
reservation and what it had taken goes back (`octoplex.bury`). A host that cannot reach the
database stops using what it took after `term_s`, which is less, unless it is alone: so nobody
spends what another has been given. What it spent in that time and could not write is on its
disk, and is written when it is back; a host that never comes back takes that knowledge along.

Takings and gifts are numbered, and the database keeps the number of the last: so one whose answer
was lost is known to be done or not done once the connection is back.

A host that was given up and lives begins another life, once what it had spent by then is in the
database: what was taken, given or asked for in the last one counts for nothing in this one.

`NOTIFY octoplex` tells what cannot wait: `recall ACCOUNT`, `news`. Where it is lost, the beat finds
what is new, and whatever lies idle goes back by itself.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import msgspec

from octoplex.ledger.period import span
from octoplex.ledger.postgres.gifts import Gift, columns_of, of_budgets, of_rates
from octoplex.ledger.postgres.link import FAILURES, PAUSE_S, Connection, Link, said
from octoplex.ledger.postgres.watch import Tempo, Watch
from octoplex.ledger.rows import WindowKind
from octoplex.ledger.shared.till import Part, RatePart, RateWant, Stand, Want
from octoplex.wire.error import BadConfig, StoreFailed

log = logging.getLogger("octoplex.ledger")
CHANNEL = "octoplex"
AWAY = (
    "The database that hosts share their limits in cannot be reached, and what this host holds "
    "of them is used up; ask again in a moment."
)
GONE = "This host was taken for gone by the others; ask again in a moment."
_RETURN = "update octoplex.hosts set name = $2 where id = $1 returning calls, got"
_REGISTER = """insert into octoplex.hosts (id, name) values ($1, $2)
    on conflict (id) do update set name = excluded.name returning calls, got"""
_BEAT = "update octoplex.hosts set beat = beat + 1 where id = $1"
_HOSTS = "select id, name, beat from octoplex.hosts"
_NEWS = "select topic, number from octoplex.news"
_TAKE = "select * from octoplex.take($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
_WIDEN = "select * from octoplex.widen($1, $2, $3, $4, $5, $6, $7, $8)"
_AGREE = """insert into octoplex.pepper (mark) values ($1)
    on conflict (one) do update set mark = case
        when exists (select from octoplex.hosts where id <> $2) then pepper.mark
        else excluded.mark end
    returning mark"""
_SPENT = "select octoplex.bounded(coalesce(sum(nano), 0)) from octoplex.days"
_SPENT_BY = "select octoplex.spent($1, 'total', $2, $3)"
_TIDY = "delete from octoplex.till where after < extract(epoch from now()) / 60 - 2880"
_TIDY_LEASES = """delete from octoplex.leases l where not exists (select from octoplex.till t
    where (t.account, t.kind, t.first) = (l.account, l.kind, l.first))"""


class PostgresTill:
    """Implements `Till`. Its connection lives on the link's thread."""

    def __init__(
        self, link: Link, name: str, written: Callable[[], Awaitable[bool]], tempo: Tempo | None
    ) -> None:
        """`written`: whether all that was spent until now is in the database."""
        self._link, self._host, self._name = link, link.host, name
        self._written, self._tempo = written, tempo or Tempo()
        self.hosts = 1
        self.trips = 0
        """How often the database was asked or told, but for beats."""
        self.away = False
        """Whether nothing is heard of other hosts."""
        self.kept: dict[tuple[str, WindowKind, int], int] = {}
        """See `Till`."""
        self._recalled: list[Callable[[str], None]] = []
        self._rate_recalled: Callable[[RateWant], None] = lambda want: None
        self._answered: Callable[[str], None] = lambda account: None
        self._ended: list[Callable[[bool], None]] = []
        self._life = self._life_heard = 0
        """How often this host was given up, and what the event loop has heard of that."""
        self._news: Callable[[str], None] = lambda topic: None
        self._app: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._number = 0
        self._doubt: tuple[int, Sequence[Want]] | None = None
        """A taking of which nobody heard what became of it."""
        self._gifts: deque[Gift] = deque()
        self._registered = False
        self._unsaid: deque[str] = deque()
        self._looked_at = 0.0
        self._curious = True
        """There may be news: look before the next beat is due."""
        self._given = 0
        """The number under which the first of them was sent, if it was."""
        self._watch = Watch(self._tempo)
        self._heard: dict[str, int] = {}
        self._beaten_at = self._tidied_at = 0.0
        self._expired = False
        self._runner: Future[None] | None = None

    def begin(self, news: Callable[[str], None]) -> None:
        """Be there from now on. `news` names what has changed, on the link's thread."""
        self._news = news
        self._runner = self._link.start(self._run())

    def end(self) -> None:
        """Be there no more."""
        if self._runner is not None:
            self._runner.cancel()
            with suppress(TimeoutError):
                self._link.start(self._hang_up()).result(self._tempo.answer_s)

    # The event loop's side.

    def listen(self, recalled: Callable[[str], None], ended: Callable[[bool], None]) -> None:
        """See `Till`."""
        self._app = asyncio.get_running_loop()
        self._recalled.append(recalled)
        self._ended.append(ended)

    def listen_rates(
        self,
        recalled: Callable[[RateWant], None],
        answered: Callable[[str], None],
        ended: Callable[[bool], None],
    ) -> None:
        """See `Till`."""
        self._app = asyncio.get_running_loop()
        self._rate_recalled, self._answered = recalled, answered
        self._ended.append(ended)

    async def take(self, wants: Sequence[Want], share: int) -> list[Stand]:
        """See `Till`."""
        stands: list[Stand] = await self._in_this_life(self._take, wants, share)
        return stands

    def give(self, parts: Sequence[Part]) -> None:
        """See `Till`."""
        self._link.soon(self._add_gift, of_budgets(self._life_heard, parts))

    def recall(self, account: str) -> None:
        """See `Till`."""
        self._link.soon(self._say, f"recall {account}")

    async def widen(self, wants: Sequence[RateWant]) -> list[int]:
        """See `Till`."""
        got: list[int] = await self._in_this_life(self._widen, wants)
        return got

    def narrow(self, parts: Sequence[RatePart]) -> None:
        """See `Till`."""
        self._link.soon(self._add_gift, of_rates(self._life_heard, parts))

    def recall_rate(self, want: RateWant) -> None:
        """See `Till`."""
        self._link.soon(self._say, f"rate {msgspec.json.encode(want).decode()}")

    def agree(self, mark: str) -> None:
        """See `Till`."""

        async def meet(connection: Connection) -> str:
            found: str = await connection.fetchval(_AGREE, mark, self._host)
            return found

        if self._link.ask(meet).result() != mark:
            raise BadConfig(
                "another host on this database hashes keys under another pepper, so that neither "
                'would know the keys of the other: write the same pepper = "env:..." under '
                "[server] for all, or copy the file `pepper` of its data folder to this one's"
            )

    async def ask(self, text: str, *values: object) -> list[Any]:
        """Have something else done on its connection, such as for `PostgresCommon`.

        Raises:
            StoreFailed: it cannot be done now.
        """
        return await asyncio.wrap_future(self._link.start(self._asked(text, *values)))

    async def flushed(self) -> None:
        """Wait until all that was given before has gone back, or cannot now."""
        with suppress(StoreFailed):
            await asyncio.wrap_future(self._link.start(self._flushed()))

    async def spent(self, account: str = "") -> int:
        """See `Till`. It may take long, and so is not asked on the till's own connection."""

        async def read(connection: Connection) -> int:
            ever = span("total", 0)
            asked = (_SPENT_BY, account, *ever) if account else (_SPENT,)
            found: int = await connection.fetchval(*asked)
            return found

        return await asyncio.wrap_future(self._link.ask(read))

    async def _in_this_life(self, ask: Callable[..., Any], *values: object) -> Any:
        life = self._life_heard
        found = await asyncio.wrap_future(self._link.start(ask(life, *values)))
        if life != self._life_heard:  # heard while the answer was on its way
            raise StoreFailed(GONE, retry_after_s=0.1)
        return found

    def _begin_anew(self, life: int) -> None:
        for ended in self._ended:
            ended(True)
        self._life_heard = life

    # The link's thread.

    async def _hang_up(self) -> None:
        """Let go of the lock, too."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*FAILURES):
                await connection.close(timeout=1.0)

    def _add_gift(self, gift: Gift) -> None:
        if gift.life == self._life:
            self._gifts.append(gift)
            self._wake.set()

    def _say(self, what: str) -> None:
        self._unsaid.append(what)
        self._wake.set()

    async def _flushed(self) -> None:
        async with self._turn:
            await self._flush()

    async def _asked(self, text: str, *values: object) -> list[Any]:
        await self._ready()
        async with self._turn:
            return await self._ask(text, *values)

    async def _take(self, life: int, wants: Sequence[Want], share: int) -> list[Stand]:
        await self._ready()
        async with self._turn:
            if self._connection is None:
                raise StoreFailed(AWAY, retry_after_s=1.0)
            self._see(life)
            self._number += 1
            self._doubt = self._number, wants
            columns = columns_of(wants)
            rows = await self._ask(_TAKE, self._host, self._number, share, *columns)
            self._doubt = None
        if not rows:
            self._miss()
            self._see(life)
        return [Stand(*row) for row in rows]

    async def _widen(self, life: int, wants: Sequence[RateWant]) -> list[int]:
        share = 1 if self.hosts == 1 else 2
        await self._ready()
        async with self._turn:
            self._see(life)
            await self._flush()  # what was given away is not said to be here
            rows = await self._ask(_WIDEN, self._host, share, *columns_of(wants))
        if not rows:
            self._miss()
            self._see(life)
        return [row[0] for row in rows]

    def _see(self, life: int) -> None:
        if life != self._life:
            raise StoreFailed(GONE, retry_after_s=0.1)

    async def _ready(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._tempo.answer_s):
                await self._up.wait()

    async def _ask(self, text: str, *values: object) -> list[Any]:
        connection = self._connection
        if connection is None:
            raise StoreFailed(AWAY, retry_after_s=1.0)
        self.trips += 1
        try:
            async with asyncio.timeout(self._tempo.answer_s):
                rows: list[Any] = await connection.fetch(text, *values)
        except FAILURES as error:
            level = logging.DEBUG if connection.is_closed() else logging.ERROR
            self._drop(connection)
            log.log(level, "what hosts share cannot be asked: %s", said(error))
            raise StoreFailed(AWAY, retry_after_s=1.0) from error
        return rows

    def _drop(self, connection: Connection) -> None:
        if self._connection is connection:
            self._connection = None
            self._up.clear()
        connection.terminate()
        self._wake.set()

    async def _run(self) -> None:
        pause_s = PAUSE_S[0]
        self._beaten_at = self._tidied_at = self._now()
        while True:
            try:
                if self._connection is None:
                    # The lock of one that lingers must not keep this host from noticing its term.
                    async with asyncio.timeout(2 * self._tempo.answer_s):
                        await self._connect()
                await self._round()
                pause_s, self.away = PAUSE_S[0], False
            except Exception as error:  # noqa: BLE001 - nothing may end this but `end`
                self.away, known = True, isinstance(error, (StoreFailed, *FAILURES))
                log.log(logging.DEBUG if known else logging.ERROR, "the till: %s", said(error))
                if self._connection is not None:  # it may have broken before anybody listened
                    self._drop(self._connection)
                self._expire()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S[1])
                continue
            self._wake.clear()
            if not (self._gifts or self._unsaid):
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._tempo.beat_s):
                        await self._wake.wait()

    async def _connect(self) -> None:
        connection = await self._link.dial()
        try:
            # Nothing that was asked on the last connection is done any more after this.
            await connection.execute(f"select pg_advisory_lock({self._link.own_lock + 1})")
            await connection.add_listener(CHANNEL, self._hear)
            row = await self._register(connection)
            await connection.execute("select pg_notify($1, 'news')", CHANNEL)
            self.hosts = len(await connection.fetch(_HOSTS))
            async with self._turn:
                self._watch.begin()
                self._settle_doubt(*row)
                self._connection = connection
                connection.add_termination_listener(self._drop)
                self._up.set()
        except BaseException:
            connection.terminate()
            raise

    async def _register(self, connection: Connection) -> Any:
        """Be one of the hosts: the number of its last question there, and what that brought.

        Raises:
            StoreFailed: it was given up, or cannot begin anew yet.
        """
        if self._registered:
            row = await connection.fetchrow(_RETURN, self._host, self._name)
            if row is not None:
                return row
            self._miss()
        # What was spent in the last life must not be taken off what is taken in this one.
        if self._life and not (self._life_heard == self._life and await self._written()):
            raise StoreFailed(GONE, retry_after_s=0.1)
        row = await connection.fetchrow(_REGISTER, self._host, self._name)
        self._registered = True
        return row

    def _settle_doubt(self, calls: int, got: list[int]) -> None:
        """What was asked last when the connection broke: was it done."""
        if self._doubt is not None and self._doubt[0] == calls:
            wants = self._doubt[1]
            parts = [
                Part(w.account, w.window, w.first, nano)
                for w, nano in zip(wants, got, strict=True)
                if nano
            ]
            if parts:
                self._add_gift(of_budgets(self._life, parts))
        self._doubt = None
        if self._given and self._given == calls:
            self._gifts.popleft()
        self._given = 0
        self._number = max(self._number, calls)

    async def _round(self) -> None:
        """Give what is to be given, move the beat on, see who else is there and what is new."""
        async with self._turn:
            await self._flush()
            if self._now() - self._looked_at < self._tempo.beat_s and not self._curious:
                return
            self._looked_at, self._curious = self._now(), False
            connection = self._connection
            if connection is None:
                return
            async with asyncio.timeout(self._tempo.answer_s):
                done = await connection.execute(_BEAT, self._host)
                hosts = await connection.fetch(_HOSTS)
                news = await connection.fetch(_NEWS)
        if done != "UPDATE 1":
            self._miss()
            return
        self._beaten_at, self._expired = self._now(), False
        self.hosts = len(hosts)
        for topic, number in news:
            if self._heard.get(topic) != number:
                self._heard[topic] = number
                self._news(topic)
        await self._bury(hosts)
        await self._tidy()

    async def _flush(self) -> None:
        """Say what is to be said, and give what is to be given."""
        while self._unsaid:
            await self._ask("select pg_notify($1, $2)", CHANNEL, self._unsaid[0])
            self._unsaid.popleft()
        while self._gifts:
            if self._connection is None:  # what is in doubt keeps its number until it is known
                raise StoreFailed(AWAY, retry_after_s=1.0)
            self._number += 1
            self._given, gift = self._number, self._gifts[0]
            rows = await self._ask(gift.text, self._host, self._number, *gift.columns)
            self._given = 0
            self._gifts.popleft()
            if not rows[0][0]:
                self._miss()
                self._see(gift.life)
            for account in gift.accounts if self.hosts > 1 else ():
                await self._ask("select pg_notify($1, $2)", CHANNEL, f"gave {account}")

    async def _bury(self, hosts: Sequence[Any]) -> None:
        others = [tuple(host) for host in hosts if host[0] != self._host]
        for id_, name, beat in self._watch.gone(others, self._now()):
            async with self._turn:
                rows = await self._ask("select octoplex.bury($1, $2)", id_, beat)
            if rows[0][0] is not None:
                log.warning(
                    "%s has not been heard of for %.0f s and is given up; %d attempts of it "
                    "are settled at their reservation",
                    name,
                    self._tempo.gone_s,
                    rows[0][0],
                )

    async def _tidy(self) -> None:
        now_s = self._now()
        if now_s - self._tidied_at > self._tempo.tidy_s:
            self._tidied_at = now_s
            async with self._turn:
                await self._ask(_TIDY)
                await self._ask(_TIDY_LEASES)

    def _miss(self) -> None:
        """This host was given up while it could not be heard: what it had is not its own."""
        log.error("this host was taken for gone; it begins anew with what it may spend")
        self._gifts.clear()
        self._unsaid.clear()
        self._given, self._doubt, self._registered = 0, None, False
        if self._connection is not None:
            self._drop(self._connection)
        self._life += 1
        if not self._tell_app(self._begin_anew, self._life):
            self._life_heard = self._life

    def _expire(self) -> None:
        since_s = self._now() - self._beaten_at
        if self.hosts > 1 and since_s > self._tempo.term_s and not self._expired:
            self._expired = True
            log.error("the database is away: calls with a budget are refused until it is back")
            for ended in self._ended:
                self._tell_app(ended, False)

    def _hear(self, connection: Connection, pid: int, channel: str, payload: str) -> None:
        what, _, rest = payload.partition(" ")
        if what == "news":
            self._curious = True
            self._wake.set()
        elif pid == connection.get_server_pid():
            return
        elif what == "recall":
            for recalled in self._recalled:
                self._tell_app(recalled, rest)
        elif what == "rate":
            self._tell_app(self._rate_recalled, msgspec.json.decode(rest, type=RateWant))
        elif what == "gave":
            self._tell_app(self._answered, rest)

    def _tell_app(self, told: Callable[[Any], None], what: object) -> bool:
        if self._app is not None:
            with suppress(RuntimeError):  # it is closed
                self._app.call_soon_threadsafe(told, what)
                return True
        return False

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
