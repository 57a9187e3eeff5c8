"""The connections to a Redis: commands and scripts, bounded in time, and subscriptions.

    link = Link(address, "octoplex pid 7")
    link.begin()                                   # inside the loop; waits for nothing
    await link.do("GET", link.key("news"))         # or StoreFailed: down, slow, refused
    await link.run(SCRIPT, [key], [1, 2])          # atomically, by its hash
    link.hear("news", told)                        # b"" when words may have been missed
    await link.close()

Down is a state: whoever asks then is told at once. It begins when a connection breaks, or a
command is not answered within its time and nothing else was answered since it began; it ends
when a PING is answered. So at most those who ask at the same moment wait, once. What a command
that failed has done is not known.

Each command runs in a task of its own, which no caller's leaving cancels: a connection is
never given on with a reply on its way to somebody else.

redis-py's connections speak the protocol: 75 us of CPU a command; its client and pool would
take 200. https://redis.io/docs/latest/develop/reference/protocol-spec/

Not promised: Redis Cluster and Sentinel; one address is asked.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from octoplex.ledger.redis.address import Address
from octoplex.wire.error import BadConfig, StoreFailed

log = logging.getLogger("octoplex.ledger")
Word = str | bytes | int
Told = Callable[[bytes], None]
BRIEF_S = 0.05
"""How long a command may take, unless said."""
SOCKET_S = 1.0
"""How long connecting may take, and the PING that ends being down."""
PAUSE_S = (0.05, 1.0)
QUIET_S = 10.0
"""One that comes and goes all the time is in the log once in so long."""
STALE_S = 1.0
"""A connection that nobody used for so long is looked at before it is used."""
ALIVE_S = 5.0
"""Half of the time after which a subscription that hears nothing is made anew."""
CONNECTIONS = 8
UNKNOWN = ("NOSCRIPT", "No matching script")
"""How a Redis says that it has forgotten a script, and how redis-py shortens that."""
MISSED = b""
"""What a subscriber is told when words may have been lost."""


class Script:
    """A Lua script and what Redis knows it by."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Link:
    """Owned by one event loop."""

    def __init__(self, address: Address, name: str) -> None:
        """Connects to nothing yet. `name` is what the server lists its connections as.

        Raises:
            BadConfig: the extra is not installed.
        """
        redis = _library()
        self.address = address
        self.up = False
        """Whether the last that was asked has been answered."""
        self.failures = 0
        """Commands that failed or were not tried because it is down."""
        self._refusals, self._errors = redis.ResponseError, redis.RedisError
        self._made = _maker(redis, address, name)
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[tuple[float, Any]] = []
        """Connections, and since when nobody uses them."""
        self._answered_at = 0.0
        self._ears: dict[str, list[Told]] = {}
        self._listening: Any = None
        self._changed = asyncio.Event()
        """It has come up or gone down."""
        self._lost = asyncio.Event()
        self._lost.set()
        self._said = ""
        """Why it is down, as the log has it."""
        self._quiet_until_at = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._asking: set[asyncio.Task[Any]] = set()
        self._closed = False

    def key(self, *parts: str) -> str:
        """The name of a key of ours."""
        return self.address.prefix + ":".join(parts)

    def begin(self) -> None:
        """Connect, and again whenever it was lost."""
        self._start(self._keep(), self._tasks)
        self._start(self._listen(), self._tasks)

    async def ready(self, within_s: float | None) -> bool:
        """Whether it is up, now or within so long; None: for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not (self.up or self._closed):
                    self._changed.clear()
                    await self._changed.wait()
        return self.up

    async def do(self, *words: Word, within_s: float = BRIEF_S) -> Any:
        """Do one command.

        Raises:
            StoreFailed: it is down, did not answer in time, or refused.
        """
        return await self._within(self._ask(*words), within_s)

    async def run(
        self,
        script: Script,
        keys: Sequence[str],
        args: Iterable[Word] = (),
        within_s: float = BRIEF_S,
    ) -> Any:
        """Run a script.

        Raises:
            StoreFailed: as `do`.
        """
        return await self._within(self._run(script, (len(keys), *keys, *args)), within_s)

    async def once(self, *words: Word, within_s: float) -> Any:
        """Do one command on a link that was not begun.

        Raises:
            StoreFailed: it was not done; why.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._ask(*words)
        except (self._errors, OSError, TimeoutError) as error:
            where = f"Redis at {self.address.shown}"
            raise StoreFailed(f"{where} cannot be used: {said(error)}.") from error

    def hear(self, channel: str, told: Told) -> None:
        """Have every word of a channel told, and `MISSED` after each time it was not heard."""
        self._ears.setdefault(channel, []).append(told)
        if self._listening is not None:  # else it begins with all
            self._start(self._subscribe(channel), self._tasks)

    async def close(self) -> None:
        """Let go of every connection."""
        self._closed, self.up = True, False
        self._changed.set()
        tasks = self._tasks | self._asking
        for task in tasks:
            task.cancel("stopped")
        if tasks:
            await asyncio.wait(tasks)
        while self._idle:
            await self._idle.pop()[1].disconnect(nowait=True)

    async def _within(self, work: Any, within_s: float) -> Any:
        if not self.up:
            work.close()
            self.failures += 1
            raise StoreFailed(f"Redis at {self.address.shown} cannot be reached.")
        began_at = asyncio.get_running_loop().time()
        task = self._start(work, self._asking)
        await asyncio.wait((task,), timeout=within_s)
        try:
            if task.done() and not task.cancelled():
                return task.result()
            why = "it does not answer"
        except self._refusals as error:
            self.failures += 1
            raise StoreFailed(f"Redis refused it: {said(error)}.") from error
        except (self._errors, OSError, TimeoutError) as error:
            why, self._answered_at = said(error), 0.0
        self.failures += 1
        if self._answered_at <= began_at:  # else it is only busy, or we are
            self._fall(why)
        raise StoreFailed(f"Redis at {self.address.shown} does not answer.")

    async def _run(self, script: Script, words: tuple[Word, ...]) -> Any:
        try:
            return await self._ask("EVALSHA", script.sha, *words)
        except self._refusals as error:
            if not str(error).startswith(UNKNOWN):
                raise
        return await self._ask("EVAL", script.text, *words)

    async def _ask(self, *words: Word) -> Any:
        """Ask on a connection that nobody else uses; a broken one is not used again."""
        loop = asyncio.get_running_loop()
        async with self._room:
            wire = await self._wire(loop.time())
            try:
                await wire.send_command(*words, check_health=False)
                reply = await wire.read_response()
            except self._refusals:
                self._put(wire, loop.time())
                raise
            except BaseException:
                await wire.disconnect(nowait=True)
                raise
            self._put(wire, loop.time())
            return reply

    async def _wire(self, now: float) -> Any:
        while self._idle:
            since_at, wire = self._idle.pop()
            if now - since_at < STALE_S or not await wire.can_read_destructive():
                return wire
            await wire.disconnect(nowait=True)  # the other end has closed it
        wire = self._made()
        try:
            async with asyncio.timeout(SOCKET_S):
                await wire.connect()
        except BaseException:
            await wire.disconnect(nowait=True)
            raise
        return wire

    def _put(self, wire: Any, now: float) -> None:
        self._idle.append((now, wire))
        self._answered_at = now

    def _start(self, work: Any, among: set[asyncio.Task[Any]]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)
        task.add_done_callback(_heard_of)
        return task

    def _fall(self, why: str) -> None:
        for task in self._asking:  # what they would be told has nobody to hear it
            task.cancel("down")
        if self._closed:
            return
        self.up = False
        self._changed.set()
        self._lost.set()
        now = asyncio.get_running_loop().time()
        if not self._said and now >= self._quiet_until_at:
            log.error("Redis at %s cannot be used now: %s", self.address.shown, why)
            self._said, self._quiet_until_at = why, now + QUIET_S

    async def _keep(self) -> None:
        """See that it comes up again."""
        while True:
            await self._lost.wait()
            pause_s = PAUSE_S[0]
            while not await self._answers():
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S[1])
            self._lost.clear()
            self.up = True
            self._changed.set()
            if self._said:
                log.warning("Redis at %s can be used again", self.address.shown)
                self._said = ""

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(SOCKET_S):
                await self._ask("PING")
        except (self._errors, OSError, TimeoutError) as error:
            self._fall(said(error))
            while self._idle:
                await self._idle.pop()[1].disconnect(nowait=True)
            return False
        return True

    # Subscriptions have a connection of their own.

    async def _listen(self) -> None:
        while True:
            if await self.ready(None) and self._ears:
                wire = self._made()
                try:
                    async with asyncio.timeout(SOCKET_S):
                        await wire.connect()
                    self._listening = wire
                    await self._subscribe(*self._ears)
                    for told in [one for ears in self._ears.values() for one in ears]:
                        told(MISSED)
                    await self._hear_on(wire)
                except (self._errors, OSError, TimeoutError) as error:
                    log.debug("a subscription ended: %s", said(error))
                finally:
                    self._listening = None
                    await wire.disconnect(nowait=True)
            await asyncio.sleep(PAUSE_S[0])

    async def _subscribe(self, *channels: str) -> None:
        names = [self.key(channel) for channel in channels]
        await self._listening.send_command("SUBSCRIBE", *names, check_health=False)

    async def _hear_on(self, wire: Any) -> None:
        start, pinged = len(self.address.prefix.encode()), False
        while True:
            word = await wire.read_response(timeout=ALIVE_S)
            if word is None and pinged:
                raise TimeoutError
            pinged = word is None
            if word is None:
                await wire.send_command("PING", check_health=False)
            elif word[0] == b"message":
                for told in self._ears.get(word[1][start:].decode(), ()):
                    told(word[2] or MISSED)


def _heard_of(task: asyncio.Task[Any]) -> None:
    """Whoever waited has what it raised; where nobody did any more it is no news."""
    if not task.cancelled():
        task.exception()


def _library() -> Any:
    try:
        import redis.asyncio.retry
        import redis.backoff
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise BadConfig(
            "[server] redis: Redis needs the extra `redis`: pip install 'octoplex[redis]'."
        ) from None
    return redis


def _maker(redis: Any, address: Address, name: str) -> Callable[[], Any]:
    """What makes a connection, which connects to nothing yet."""
    client = redis.asyncio
    how: dict[str, Any] = {
        "db": address.db,
        "protocol": 2,
        "client_name": name.replace(" ", "-"),
        "retry": client.retry.Retry(redis.backoff.NoBackoff(), 0),
        "socket_timeout": None,
        "socket_connect_timeout": SOCKET_S,
    }
    if address.password is not None:
        how["credential_provider"] = _Password(address)
    elif address.user:
        how["username"] = address.user
    if address.path:
        return partial(client.UnixDomainSocketConnection, path=address.path, **how)
    kind = client.SSLConnection if address.tls else client.Connection
    return partial(kind, host=address.host, port=address.port, **how)


class _Password:
    """Asked for at each connection: it may have changed."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def get_credentials(self) -> tuple[str, ...]:
        """User, where there is one, and password."""
        assert self._address.password is not None
        try:
            word = self._address.password()
        except BadConfig as error:  # its file is being replaced
            raise OSError(str(error)) from error
        return (self._address.user, word) if self._address.user else (word,)

    async def get_credentials_async(self) -> tuple[str, ...]:
        """The same."""
        return self.get_credentials()


def said(error: BaseException) -> str:
    """Why, in a line."""
    text = str(error).partition("\n")[0].strip().rstrip(".")
    return text or ("it does not answer" if isinstance(error, TimeoutError) else repr(error))
