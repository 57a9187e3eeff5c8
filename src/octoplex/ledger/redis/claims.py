"""Who of several hosts asks for an idempotency key: `Claims`, in a Redis.

A claim is a value with an owner and an expiry of `HELD_S`, renewed while the call runs. What it
brought is in Redis before the claim is given back (`RedisStock.after`), and giving back is told
on a channel; who missed that looks again every half second. A holder that is gone loses its
claim when the expiry has come; so does one that cannot reach Redis for so long, and then there
may be two calls. While Redis is down every host asks for itself.
"""

import asyncio
import os
from itertools import count

from octoplex.ledger.redis.link import Link, Script, Word
from octoplex.ledger.redis.stock import RedisStock
from octoplex.wire.eager import in_task
from octoplex.wire.error import StoreFailed

HELD_S = 5.0
LOOK_S = 0.5
PATIENT_S = 1.0
TOKEN_BYTES = 16
"""Of a host; behind it the number of a claim, and what is asked."""
NUMBER_BYTES = 8
TAKE = Script("""
    local holder = redis.call('GET', KEYS[1])
    local mine = string.sub(ARGV[1], 1, ARGV[2])
    if holder and string.sub(holder, 1, ARGV[2]) ~= mine then return holder end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
""")
GIVE_BACK = Script("""
    if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
    redis.call('PUBLISH', KEYS[2], ARGV[2])
""")


class RedisClaims:
    """Owned by the event loop. Implements `Claims` (`reflex/idempotency.py`)."""

    def __init__(self, link: Link, stock: RedisStock, token: bytes = b"") -> None:
        """`token`: whose claims are one's own, too: of an owner that died before this one."""
        self._link, self._stock = link, stock
        self._token = token or os.urandom(TOKEN_BYTES)
        self._numbers = count()
        self._mine: dict[bytes, bytes] = {}
        """The values of the claims that are held, by key."""
        self._taking: dict[bytes, asyncio.Event] = {}
        """Keys of which it is not known yet whether they are ours or another host's."""
        self._waiting: dict[bytes, asyncio.Event] = {}
        self._renewing: asyncio.Task[None] | None = None
        link.hear("claims", self._heard)

    async def take(self, key: bytes, asked: bytes) -> bytes | None:
        """See `Claims`."""
        while (known := self._taking.get(key)) is not None:
            await known.wait()  # else it would be refused for one that may be refused itself
        if key in self._mine:
            return _asked(self._mine[key])
        known = self._taking[key] = asyncio.Event()
        value = self._token + next(self._numbers).to_bytes(NUMBER_BYTES) + asked
        try:
            holder = await self._settled(key, value)
        finally:
            del self._taking[key]
            known.set()
        if holder is not None:
            self._wake(key)
            return _asked(holder)
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.get_running_loop().create_task(self._renew())
        return None

    async def _settled(self, key: bytes, value: bytes) -> bytes | None:
        """Whose it is, ours (None) or another holder's value."""
        holder = None
        try:
            await in_task()
            holder = await self._taken(key, value)
        except StoreFailed:
            pass  # it is free as far as anybody can say
        except BaseException:
            self._mine[key] = value  # it may be there by now
            self.give_back(key)
            raise
        if holder is None:
            self._mine[key] = value
        return holder

    def give_back(self, key: bytes) -> None:
        """See `Claims`."""
        value = self._mine.pop(key, None)
        if value is None:
            return
        self._wake(key)

        async def told() -> None:
            keys = [self._name(key), self._link.key("claims")]
            await self._link.run(GIVE_BACK, keys, [value, key], within_s=PATIENT_S)

        self._stock.after(told)

    async def freed(self, key: bytes, until_at: float) -> None:
        """See `Claims`."""
        event = self._waiting.setdefault(key, asyncio.Event())
        await in_task()
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(until_at, now + LOOK_S)):
                await event.wait()
        except TimeoutError:
            self._wake(key)  # the others who wait look again as well

    async def close(self) -> None:
        """Renew no more."""
        if self._renewing is not None:
            self._renewing.cancel("stopped")
            await asyncio.wait((self._renewing,))

    def _name(self, key: bytes) -> str:
        return self._link.key("claim", key.hex())

    async def _taken(self, key: bytes, value: bytes) -> bytes | None:
        """None: it is ours. Else its holder's value."""
        args: list[Word] = [value, TOKEN_BYTES, int(HELD_S * 1000)]
        found = await self._link.run(TAKE, [self._name(key)], args, within_s=PATIENT_S)
        holder: bytes | None = found
        return holder

    async def _renew(self) -> None:
        while self._mine:
            await asyncio.sleep(HELD_S / 4)
            for key, value in list(self._mine.items()):
                try:
                    if self._mine.get(key) is value:
                        await self._taken(key, value)
                except StoreFailed:
                    break

    def _heard(self, word: bytes) -> None:
        if word:
            self._wake(word)
        else:  # some may have been missed
            for key in list(self._waiting):
                self._wake(key)

    def _wake(self, key: bytes) -> None:
        event = self._waiting.pop(key, None)
        if event is not None:
            event.set()


def _asked(value: bytes) -> bytes:
    """What a claim's holder asks."""
    return value[TOKEN_BYTES + NUMBER_BYTES :]
