"""What hosts have in common, in a Redis: `Common` (`ledger/common.py`).

A hash holds a counter for each topic; a word on a channel only wakes those who look at it,
which they do twice a second anyway. So a lost word costs half a second, and a Redis that
forgot everything is news, too.

Each provider's switches are a field of another hash, the last one written counts. One that Redis
does not know is put there by whoever has it, so that a Redis that was emptied, or is new, fills
again. Enabled again is a value as well: what is not there is not known.
"""

import asyncio
import logging
import os
from typing import get_args

import msgspec

from octoplex.ledger.common import Heard, Topic
from octoplex.ledger.redis.link import Link, Script
from octoplex.ledger.switches import Off, StoredKey, Switches
from octoplex.wire.error import GatewayError, StoreFailed

log = logging.getLogger("octoplex.ledger")
TOPICS: tuple[Topic, ...] = get_args(Topic)
LOOK_S = 0.5
PATIENT_S = 1.0
SAY = Script("""
    local version = redis.pcall('HINCRBY', KEYS[1], ARGV[1], 1)
    if type(version) == 'table' then  -- somebody wrote something else there
        redis.call('DEL', KEYS[1])
        version = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
    end
    redis.call('PUBLISH', KEYS[1], ARGV[1])
    return version
""")
LOOK = Script("""
    if type(redis.pcall('HSETNX', KEYS[1], 'epoch', ARGV[1])) == 'table' then
        redis.call('DEL', KEYS[1])
        redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1])
    end
    return redis.call('HMGET', KEYS[1], 'epoch', unpack(ARGV, 2))
""")
FILL = Script("""
    local new = 0
    for i = 1, #ARGV, 2 do new = new + redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end
    return new
""")
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[Off | None, StoredKey | None]).decode


class RedisCommon:
    """Owned by the event loop. Begin it inside, end it before its link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._news, self._switches = link.key("news"), link.key("switches")
        self._heard: dict[Topic, list[Heard]] = {topic: [] for topic in TOPICS}
        self._seen: dict[Topic, bytes | None] = {}
        self._epoch = b""
        """Another one when Redis has forgotten everything."""
        self._late: set[Topic] = set()
        """The log says that they are not in force yet."""
        self._unsaid: set[Topic] = set()
        self._unput: dict[str, bytes] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look for news from now on."""
        self._link.hear("news", lambda _: self._wake.set())
        self._task = asyncio.get_running_loop().create_task(self._look_on())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel("stopped")
            await asyncio.wait((self._task,))

    def listen(self, topic: Topic, heard: Heard) -> None:
        """See `Common`."""
        self._heard[topic].append(heard)
        self._seen.pop(topic, None)
        self._wake.set()

    def say(self, topic: Topic) -> None:
        """See `Common`."""
        self._unsaid.add(topic)
        self._wake.set()

    def put(self, id_: str, switches: Switches) -> None:
        """See `Common`."""
        self._unput[id_] = _pack((switches.off.get(id_), switches.keys.get(id_)))
        self.say("switches")

    async def switches(self, own: Switches) -> Switches:
        """See `Common`."""
        found = await self._link.do("HGETALL", self._switches, within_s=PATIENT_S)
        pairs = zip(found[::2], found[1::2], strict=True)
        there = {name.decode(errors="replace"): value for name, value in pairs}
        mine = sorted({*own.off, *own.keys} - there.keys())
        if mine:
            words = [w for i in mine for w in (i, _pack((own.off.get(i), own.keys.get(i))))]
            if await self._link.run(FILL, [self._switches], words, within_s=PATIENT_S):
                self.say("switches")
        for id_, value in there.items():
            try:
                off, key = _unpack(self._unput.get(id_, value))
            except msgspec.MsgspecError:
                log.error("the switches of %s in Redis cannot be read", id_)
                continue
            own = own.with_provider(id_, off).with_key(id_, key)
        return own

    async def _look_on(self) -> None:
        while True:
            await self._link.ready(None)
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

    async def flush(self) -> None:
        """Say what is to be said.

        Raises:
            StoreFailed: not all of it can be said now; the rest stays to be said.
        """
        for id_, value in list(self._unput.items()):
            await self._link.do("HSET", self._switches, id_, value, within_s=PATIENT_S)
            if self._unput.get(id_) is value:
                del self._unput[id_]
        for topic in list(self._unsaid):
            version = await self._link.run(SAY, [self._news], [topic], within_s=PATIENT_S)
            self._unsaid.discard(topic)
            before = b"%d" % (version - 1) if version > 1 else None
            if self._seen.get(topic, b"") == before:  # nobody else said anything meanwhile
                self._seen[topic] = b"%d" % version

    async def _look(self) -> None:
        words = [os.urandom(16), *TOPICS]
        epoch, *found = await self._link.run(LOOK, [self._news], words, within_s=PATIENT_S)
        if epoch != self._epoch:
            self._epoch = epoch
            self._seen.clear()
        for topic, version in zip(TOPICS, found, strict=True):
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
