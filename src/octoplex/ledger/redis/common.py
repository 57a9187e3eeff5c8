"""What hosts have in common, in a Redis: `Common` (`ledger/common.py`).

A hash holds a counter for each topic, and a word on a channel wakes those who look at it.
A Redis that forgot everything is news, too. Another hash holds the switches.
"""

import os

from octoplex.ledger.common import TOPICS, Common, Topic
from octoplex.ledger.redis.link import Link, Script

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


class RedisCommon(Common):
    """Owned by the event loop. Begin it inside, end it before its link."""

    place = "Redis"

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link
        self._counters, self._switches = link.key("news"), link.key("switches")

    def begin(self) -> None:
        """Look for news from now on."""
        self._link.hear("news", lambda _: self.wake())
        super().begin()

    async def _ready(self) -> None:
        await self._link.ready(None)

    async def _news(self) -> tuple[bytes, dict[Topic, bytes | None]]:
        words = [os.urandom(16), *TOPICS]
        epoch, *found = await self._link.run(LOOK, [self._counters], words, within_s=PATIENT_S)
        return epoch, dict(zip(TOPICS, found, strict=True))

    async def _say(self, topic: Topic) -> int:
        version: int = await self._link.run(SAY, [self._counters], [topic], within_s=PATIENT_S)
        return version

    async def _put(self, id_: str, value: bytes) -> None:
        await self._link.do("HSET", self._switches, id_, value, within_s=PATIENT_S)

    async def _all(self) -> dict[str, bytes]:
        found = await self._link.do("HGETALL", self._switches, within_s=PATIENT_S)
        pairs = zip(found[::2], found[1::2], strict=True)
        return {name.decode(errors="replace"): value for name, value in pairs}

    async def _fill(self, rows: dict[str, bytes]) -> bool:
        words = [word for row in rows.items() for word in row]
        return bool(await self._link.run(FILL, [self._switches], words, within_s=PATIENT_S))
