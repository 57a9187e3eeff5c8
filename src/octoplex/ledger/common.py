"""What several hosts have in common beside the ledger: news of changes, and operators' switches.

    common.listen("keys", heard)         heard() is awaited within a second of any host's `say`
    common.say("keys")
    common.put("openai", switches)       one provider's switches, for all hosts
    await common.switches(own)           all of them, as all hosts have them

News says that something changed, never what: whoever hears it reads again. So words may be
told twice or late, or be lost on the way: a counter for each topic is looked at twice a second,
and a word only wakes those who look at it. So a lost word costs half a second.

Of each provider's switches the last ones written count. Those that nobody has put there are put
there by whoever has them, so that a place that was emptied, or is new, fills again. Enabled
again is a value as well: what is not there is not known.

Where it lies: `RedisCommon` (`redis/common.py`), `PostgresCommon` (`postgres/common.py`).
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal, get_args

import msgspec

from octoplex.ledger.switches import Off, StoredKey, Switches
from octoplex.wire.error import GatewayError, StoreFailed

log = logging.getLogger("octoplex.ledger")
Topic = Literal["keys", "switches", "cache"]
Heard = Callable[[], Awaitable[None]]
TOPICS: tuple[Topic, ...] = get_args(Topic)
LOOK_S = 0.5
LAST_WORDS_S = 1.0
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[Off | None, StoredKey | None]).decode


class Common(ABC):
    """Owned by the event loop. Neither `say` nor `put` waits or fails: what cannot be said now
    is said as soon as it can."""

    place = ""
    """Where it lies, for people."""

    def __init__(self) -> None:
        self._heard: dict[Topic, list[Heard]] = {topic: [] for topic in TOPICS}
        self._numbers: dict[Topic, bytes | None] = {}
        self._seen: dict[Topic, bytes | None] = {}
        """The counters, as last looked at; and those of which everybody has been told."""
        self._epoch = b""
        self._late: set[Topic] = set()
        """The log says that they are not in force yet."""
        self._unsaid: set[Topic] = set()
        self._unput: dict[str, bytes] = {}
        self.on_told: Callable[[], None] = lambda: None
        """Called when all that was put and said is told."""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look for news from now on."""
        self._task = asyncio.get_running_loop().create_task(self._look_on())

    async def close(self) -> None:
        """Say what is to be said, if that is possible now, and look no more."""
        if self._task is not None:
            self._task.cancel("stopped")
            await asyncio.wait((self._task,))
        with suppress(StoreFailed, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self.flush()

    def listen(self, topic: Topic, heard: Heard) -> None:
        """Be told when another host said so, or when it may have."""
        self._heard[topic].append(heard)
        self._seen.pop(topic, None)
        self._wake.set()

    def look_again(self, topic: Topic) -> None:
        """Have whoever listens told once more what there is."""
        self._seen.pop(topic, None)
        self._wake.set()

    def say(self, topic: Topic) -> None:
        """Tell the other hosts that something has changed."""
        self._unsaid.add(topic)
        self._wake.set()

    def put(self, id_: str, switches: Switches) -> None:
        """Have one provider be everywhere as it is in these, and say so."""
        self._unput[id_] = _pack((switches.off.get(id_), switches.keys.get(id_)))
        self.say("switches")

    async def switches(self, own: Switches) -> Switches:
        """Those of all hosts; where none ever put any for a provider, one's own.

        Nothing may be `put` meanwhile: what is returned would be without it.

        Raises:
            StoreFailed: they cannot be read now.
        """
        there = await self._all()
        mine = sorted({*own.off, *own.keys} - there.keys())
        if mine and await self._fill({i: _pack((own.off.get(i), own.keys.get(i))) for i in mine}):
            self.say("switches")
        for id_, value in there.items():
            try:
                off, key = _unpack(self._unput.get(id_, value))
            except msgspec.MsgspecError:
                log.error("the switches of %s in %s cannot be read", id_, self.place)
                continue
            own = own.with_provider(id_, off).with_key(id_, key)
        return own

    def number(self, topic: Topic) -> bytes:
        """How often something was said of it, as far as is known here: another after each time."""
        return self._numbers.get(topic) or b""

    def wake(self) -> None:
        """Look now: there may be news."""
        self._wake.set()

    async def flush(self) -> None:
        """Say what is to be said.

        Raises:
            StoreFailed: not all of it can be said now; the rest stays to be said.
        """
        if not (self._unput or self._unsaid):
            return
        for id_, value in list(self._unput.items()):
            await self._put(id_, value)
            if self._unput.get(id_) is value:
                del self._unput[id_]
        for topic in list(self._unsaid):
            version = await self._say(topic)
            self._unsaid.discard(topic)
            before = b"%d" % (version - 1) if version > 1 else None
            if self._seen.get(topic, b"") == before:  # nobody else said anything meanwhile
                self._seen[topic] = self._numbers[topic] = b"%d" % version
        if not (self._unput or self._unsaid):
            self.on_told()

    async def _look_on(self) -> None:
        while True:
            await self._ready()
            self._wake.clear()
            try:
                await self.flush()
                await self._look()
            except StoreFailed:
                pass  # the link has said so; what is unsaid stays so
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _look(self) -> None:
        epoch, numbers = await self._news()
        self._numbers = numbers
        if epoch != self._epoch:
            self._epoch = epoch
            self._seen.clear()
        for topic in TOPICS:
            version = numbers[topic]
            if topic in self._seen and self._seen[topic] == version:
                continue
            try:
                for heard in self._heard[topic]:
                    await heard()
            except GatewayError as error:
                if topic not in self._late:
                    log.warning("what other hosts changed is not in force yet: %s", error)
                self._late.add(topic)
                continue
            self._late.discard(topic)
            self._seen[topic] = version

    # What each place does in its own way; StoreFailed when it cannot now.

    @abstractmethod
    async def _ready(self) -> None:
        """Wait until it can be asked, where that is known."""

    @abstractmethod
    async def _news(self) -> tuple[bytes, dict[Topic, bytes | None]]:
        """An epoch, which is another one when everything was forgotten, and the counters."""

    @abstractmethod
    async def _say(self, topic: Topic) -> int:
        """Raise a counter and wake those who look at it; what it is now."""

    @abstractmethod
    async def _put(self, id_: str, value: bytes) -> None:
        """Write one provider's switches."""

    @abstractmethod
    async def _all(self) -> dict[str, bytes]:
        """All providers' switches."""

    @abstractmethod
    async def _fill(self, rows: dict[str, bytes]) -> bool:
        """Write those that are not there; whether there were any."""
