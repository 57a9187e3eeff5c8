"""Replies that are given again, shared by hosts: a memory of one's own before a Redis.

    stock = RedisStock(link, keyed, common)       in the place of a `Stock`, with its promises
    stock.after(work)                             done once all that was kept before is there

Redis lets go of a reply when its time has ended. A value carries a MAC over itself and its key
under the hosts' pepper: what is damaged, moved, of another version or written by somebody
else is a miss. No request waits longer than the link lets it; while Redis is down all is a miss.

A purge raises a counter, and nothing that was asked before it is kept after it: whoever writes
says which count it knows. It stands in the value, too, and what is older than the last purge of
its route is a miss: an index that Redis has evicted leaves replies behind. Other hosts'
memories are emptied when they hear of it.

    kept:KEY        the reply; vec:KEY its vector, both with an expiry
    route:NAME      sorted set of the keys of a route, by their end; routes: the names
    group:GROUP     sorted set of the keys that are compared, by their age
    purged          hash: the counter, and at which count each route, or all, was purged

Not promised: a bound on all of it; that is Redis' own `maxmemory`.
"""

import asyncio
import hmac
import logging
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from octoplex.ledger.common import Common
from octoplex.ledger.redis.link import BRIEF_S, Link, Script, Word
from octoplex.ledger.rows import Kept
from octoplex.ledger.stock import Room, Stock, unix_ms
from octoplex.wire.eager import in_task
from octoplex.wire.error import StoreFailed

log = logging.getLogger("octoplex.ledger")
Keyed = Callable[[bytes], bytes]
VERSION = b"\2"
MAC_BYTES = 16
LARGE = 65_536
"""Bytes from which packing is left to a thread."""
MOST_OF_GROUP = 1_000
ALL, ROUTE = "all", "route "
PATIENT_S = 1.0
"""How long is waited behind the path."""
FIND = Script("""
    local value = redis.call('GETRANGE', KEYS[1], 0, ARGV[1])
    local purged = value ~= '' and redis.call('HGETALL', KEYS[2]) or {}
    return {value, redis.call('HGET', KEYS[2], 'count') or '0', purged}
""")
BEGIN_PURGE = Script("""
    local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
    if ARGV[1] == 'all' then
        redis.call('DEL', KEYS[1])
        redis.call('HSET', KEYS[1], 'count', count)
    end
    redis.call('HSET', KEYS[1], ARGV[1], count)
    return count
""")
KEEP = Script("""
    local purges = redis.call('HGET', KEYS[1], 'count') or '0'
    if purges ~= ARGV[1] then return purges end
    local ttl = tonumber(ARGV[4])
    local function last(key)
        if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
    end
    redis.call('SET', KEYS[4], ARGV[5], 'PX', ttl)
    redis.call('SADD', KEYS[2], ARGV[2])
    last(KEYS[2])
    local now = redis.call('TIME')[1] * 1000
    redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
    redis.call('ZADD', KEYS[3], now + ttl, ARGV[3])
    last(KEYS[3])
    if KEYS[5] then
        redis.call('SET', KEYS[5], ARGV[6], 'PX', ttl)
        redis.call('ZADD', KEYS[6], now, ARGV[3])
        redis.call('ZREMRANGEBYRANK', KEYS[6], 0, -1 - ARGV[7])
        last(KEYS[6])
    end
    return purges
""")
VECTORS = Script("""
    local found = {}
    for _, key in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, ARGV[2] - 1)) do
        local vector = redis.call('GET', ARGV[1] .. key)
        if vector then
            found[#found + 1] = key
            found[#found + 1] = vector
        else
            redis.call('ZREM', KEYS[1], key)
        end
    end
    return found
""")
PURGE = Script("""
    local keys = redis.call('ZRANGE', KEYS[1], 0, 255)
    local count = 0
    for _, key in ipairs(keys) do
        count = count + redis.call('UNLINK', ARGV[1] .. key)
        redis.call('UNLINK', ARGV[2] .. key)
    end
    if #keys > 0 then redis.call('ZREM', KEYS[1], unpack(keys)) end
    return {#keys, count}
""")
SIZES = Script("""
    local keys = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[2] + 255)
    local count, size = 0, 0
    for _, key in ipairs(keys) do
        local length = redis.call('STRLEN', ARGV[1] .. key)
        if length > 0 then count, size = count + 1, size + length end
    end
    return {#keys, count, size}
""")
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[int, tuple[str, int, int, int, bytes]]).decode
T = TypeVar("T")
Job = tuple[int, Callable[[], Awaitable[None]]]


class RedisStock(Stock):
    """Owned by the event loop."""

    place = "Redis"

    def __init__(
        self,
        link: Link,
        keyed: Keyed,
        common: Common,
        room: Room | None = None,
        now_ms: Callable[[], int] = unix_ms,
    ) -> None:
        super().__init__(room or Room(wait_s=BRIEF_S), now_ms)
        self._link, self._keyed, self._common = link, keyed, common
        self._put_bytes = 0
        self._jobs: deque[Job] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._counted: tuple[int, int] = (0, 0)
        self._known: str | None = None
        """The count of purges, as last seen in Redis."""
        self._spoiled = False

    async def find(self, key: bytes, patient: bool = False) -> Kept | None:
        """See `Stock`."""
        row = self.near(key)
        if row is not None or self._closed:
            return row
        await in_task()
        purges, keys = self.purges, [self._key("kept", key), self._link.key("purged")]
        args, room = [self.room.row_bytes + 1_024], self.room
        within_s = room.patient_s if patient else room.wait_s
        try:
            value, known, purged = await self._link.run(FIND, keys, args, within_s)
        except StoreFailed:
            return self.near(key)
        self._saw(known)
        if not value or purges != self.purges:
            return self.near(key)
        row = await _done(len(value), self._opened, key, value, purged)
        later = self.near(key)  # which has come meanwhile
        if later is not None or row is None or purges != self.purges:
            return later
        if row.ends_at_ms <= self.now_ms():
            return None
        self._remember(row)
        return row

    async def vectors(self, group: bytes, most: int) -> list[tuple[bytes, bytes]] | None:
        """(key, vector) of the newest of a group; None when Redis does not say in time."""
        await in_task()
        args: list[Word] = [self._link.key("vec", ""), min(most, MOST_OF_GROUP)]
        try:
            keys = [self._key("group", group)]
            found = await self._link.run(VECTORS, keys, args, self.room.wait_s)
        except StoreFailed:
            return None
        return [
            (bytes.fromhex(key.decode()), vector)
            for key, vector in zip(found[::2], found[1::2], strict=True)
        ]

    def keep(self, row: Kept) -> None:
        """Keep a reply in place of the one under its key."""
        if self._closed or row.size > self.room.row_bytes:
            return
        self._remember(row)
        if self._put_bytes + row.size > self.room.queue_bytes:
            self._drop(1, f"{self.room.queue_bytes:,} bytes already wait to be written")
            return
        purges = self.purges
        self._do(row.size, lambda: self._write(row, purges))

    def after(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have it done after what was kept so far."""
        self._do(0, work)

    async def purge(self, route: str | None = None) -> int:
        """Forget the replies of a route, or all; how many there were in Redis.

        Raises:
            StoreFailed: Redis cannot be asked; one's own memory is empty all the same.
        """
        self.forget(route)
        link, total = self._link, 0
        prefixes = [link.key("kept", ""), link.key("vec", "")]
        try:
            what = [ALL if route is None else ROUTE + route]
            keys = [link.key("purged")]
            self._known = str(await link.run(BEGIN_PURGE, keys, what, within_s=PATIENT_S))
            self._common.say("cache")
            for name in [route] if route is not None else await self._names():
                count = 1
                while count:
                    keys = [link.key("route", name)]
                    count, gone = await link.run(PURGE, keys, prefixes, within_s=PATIENT_S)
                    total += gone
        except StoreFailed as error:
            raise StoreFailed(f"The cache in Redis cannot be purged now. {error}") from error
        return total

    async def routes(self) -> list[tuple[str, int, int]]:
        """(route, entries, bytes) in Redis, by name; nothing when it cannot be asked."""
        try:
            found = [(name, *await self._size(name)) for name in await self._names()]
        except StoreFailed:
            return []
        self._counted = (sum(row[1] for row in found), sum(row[2] for row in found))
        return [row for row in found if row[1]]

    @property
    def beside(self) -> tuple[int, int]:
        """Entries and bytes in Redis, as `routes` found them."""
        return self._counted

    def close(self, timeout_s: float = 0.0) -> None:
        """Keep nothing any more; what was kept is still written (`drain`)."""
        self._closed = True

    async def drain(self, within_s: float) -> None:
        """Wait until what was kept is written, at most so long."""
        worker = self._worker
        if worker is not None and not worker.done():
            await asyncio.wait((worker,), timeout=within_s)

    def _key(self, kind: str, key: bytes) -> str:
        return self._link.key(kind, key.hex())

    async def _names(self) -> list[str]:
        names = await self._link.do("SMEMBERS", self._link.key("routes"), within_s=PATIENT_S)
        return sorted(name.decode(errors="replace") for name in names)

    async def _size(self, route: str) -> tuple[int, int]:
        """Entries and bytes."""
        at = entries = size = 0
        while True:
            args: list[Word] = [self._link.key("kept", ""), at]
            keys = [self._link.key("route", route)]
            seen, count, length = await self._link.run(SIZES, keys, args, within_s=PATIENT_S)
            if not seen:
                return entries, size
            at, entries, size = at + seen, entries + count, size + length

    def _saw(self, known: bytes) -> None:
        """Take the count of purges as it is now."""
        before, self._known = self._known, known.decode(errors="replace")
        if before is not None and before != self._known:
            self.forget()

    # What is written, one after the other.

    def _do(self, size: int, work: Callable[[], Awaitable[None]]) -> None:
        self._put_bytes += size
        self._jobs.append((size, work))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._jobs:
            size, work = self._jobs.popleft()
            try:
                await work()
                self._failing = False
            except StoreFailed as error:
                self._drop(1 if size else 0, str(error))
            finally:
                self._put_bytes -= size

    async def _write(self, row: Kept, purges: int) -> None:
        ttl_ms = row.ends_at_ms - self.now_ms()
        if purges != self.purges or ttl_ms <= 0:
            return
        if not self._link.up:
            raise StoreFailed("Redis cannot be reached.")
        if self._known is None:
            args: list[Word] = [self._link.key("purged"), "count"]
            found = await self._link.do("HGET", *args, within_s=PATIENT_S)
            self._saw(found or b"0")
        link, known, key = self._link, self._known or "0", row.key.hex()
        value = await _done(row.size, self._closed_up, row, _number(known))
        keys = [link.key("purged"), link.key("routes"), link.key("route", row.route)]
        keys.append(link.key("kept", key))
        args = [known, row.route, key, ttl_ms, value]
        if row.group:
            keys += [link.key("vec", key), self._key("group", row.group)]
            args += [row.vector, MOST_OF_GROUP]
        if purges == self.purges:
            self._saw(await link.run(KEEP, keys, args, within_s=PATIENT_S))

    def _closed_up(self, row: Kept, purges: int) -> bytes:
        """A row as it lies in Redis, after so many purges."""
        what = (row.route, row.kept_at_ms, row.ends_at_ms, row.nano, row.body)
        packed = zlib.compress(_pack((purges, what)), 1)
        return VERSION + self._mac(row.key, packed) + packed

    def _opened(self, key: bytes, value: bytes, purged: list[bytes]) -> Kept | None:
        """What lies there, if one of us wrote it under this key and it was not purged since."""
        mac, packed = value[1 : 1 + MAC_BYTES], value[1 + MAC_BYTES :]
        if value[:1] == VERSION and hmac.compare_digest(mac, self._mac(key, packed)):
            try:
                purges, what = _unpack(zlib.decompress(packed))
                last = dict(zip(purged[::2], purged[1::2], strict=True))
                after = [last.get(name.encode(), b"") for name in (ALL, ROUTE + what[0])]
                return Kept(key, *what) if purges >= max(map(_number, after)) else None
            except (zlib.error, msgspec.MsgspecError):
                pass  # another version of ours
        if not self._spoiled:
            self._spoiled = True
            log.warning(
                "replies in Redis cannot be read: another version's, or another pepper's; "
                "they are asked for again"
            )
        return None

    def _mac(self, key: bytes, packed: bytes) -> bytes:
        return self._keyed(b"stock 1" + key + packed)[:MAC_BYTES]


def _number(text: str | bytes) -> int:
    """A count as Redis has it; 0 where somebody else wrote something."""
    return int(text) if text.isdigit() else 0


async def _done(size: int, work: Callable[..., T], *args: object) -> T:
    """Work that so many bytes make, in a thread where it takes long."""
    return await asyncio.to_thread(work, *args) if size > LARGE else work(*args)
