"""What several hosts share beside the ledger: the pepper, and what lies in a Redis.

    shared = hosts_of(settings, env)        the file's words, read; nothing is connected
    hosts = Hosts(shared.redis, keyed)      inside the loop: link, stock, claims, common
    hosts.begin(); await hosts.close()

Only the process that owns the data folder has them; its workers ask it.
"""

import asyncio
import base64
import binascii
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from octoplex.ledger.common import Common
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.redis.address import Address, read
from octoplex.ledger.redis.claims import RedisClaims
from octoplex.ledger.redis.common import RedisCommon
from octoplex.ledger.redis.link import Link
from octoplex.ledger.redis.stock import Keyed, RedisStock
from octoplex.ledger.rows import KeyRow
from octoplex.reflex.keys import pepper
from octoplex.secrets import is_reference
from octoplex.settings import Settings, secret
from octoplex.telemetry.metrics import Gauge
from octoplex.wire.error import BadConfig, StoreFailed

log = logging.getLogger("octoplex.ledger")
PEPPER_BYTES = 32
LAST_WORDS_S = 1.0
READY_S = 3.0
"""How long a command waits for a Redis."""


class Sharing(Struct, frozen=True):
    """What the file says of other hosts. No `pepper`: that of the data folder."""

    redis: Address | None = None
    pepper: bytes | None = None
    token: bytes = b""
    """What claims of this host are known by, where several processes own it one after the other."""

    def pepper_in(self, data: Path, keys: Iterable[KeyRow] = ()) -> bytes:
        """The pepper under which secrets and requests are hashed here.

        Raises:
            BadConfig: the folder's cannot be used; or it has gone, and `keys` were made under it.
        """
        made = sum(row.revoked_at_ms is None for row in keys)
        if self.pepper is None and made and not (data / "pepper").exists():
            raise BadConfig(
                f"{data / 'pepper'} is not there, and without it none of the {made} keys made at "
                "run time opens anything: restore it from a backup, or revoke them first"
            )
        return self.pepper or pepper(data)


ALONE = Sharing()


def sharing_of(settings: Settings, env: Mapping[str, str]) -> Sharing:
    """What the file says.

    Raises:
        BadConfig: the Redis is no address, a secret is not there, or hosts would not meet.
    """
    server = settings.server
    redis, common = _redis_of(settings, env), _pepper_of(settings, env)
    if redis is not None and common is None:
        raise BadConfig(
            "[server] redis: hosts that share it hash under one pepper, else none finds what "
            'another kept: write pepper = "env:OCTOPLEX_PEPPER" (`openssl rand -base64 32` makes '
            "one; `base64 < pepper` in the data folder shows the one that its keys need)."
        )
    if server.redis_password and redis is None:
        raise BadConfig("[server] redis_password: there is no redis it would open.")
    return Sharing(redis, common)


def _redis_of(settings: Settings, env: Mapping[str, str]) -> Address | None:
    url, reference = settings.server.redis, settings.server.redis_password
    if not url:
        return None
    in_file = not (is_reference(url) or url.startswith(("env:", "file:")))
    if not in_file:
        url = secret(url, env, "[server] redis")
    password = None
    if reference:
        secret(reference, env, at := "[server] redis_password")

        def password() -> str:
            return secret(reference, env, at)

    return read(url, password, in_file=in_file, prefix=settings.server.redis_prefix)


def _pepper_of(settings: Settings, env: Mapping[str, str]) -> bytes | None:
    reference, at = settings.server.pepper, "[server] pepper"
    if not reference:
        return None
    try:
        found = base64.b64decode(secret(reference, env, at), validate=True)
    except binascii.Error:
        found = b""
    if len(found) != PEPPER_BYTES:
        raise BadConfig(
            f"{at}: it must be {PEPPER_BYTES} bytes in base64; `openssl rand -base64 32` makes one."
        )
    return found


def losing(memory: bytes) -> str:
    """What a Redis may lose of ours by the way it makes room, of its `INFO memory`; "" nothing."""
    said = dict(line.partition(b":")[::2] for line in memory.splitlines())
    policy = said.get(b"maxmemory_policy", b"").decode(errors="replace")
    if said.get(b"maxmemory", b"0") == b"0" or policy in ("", "noeviction", "volatile-lru"):
        return ""
    what = "what was purged, and which providers are switched"
    if policy.startswith("volatile-"):
        what = "whose call an Idempotency-Key is, so that two are made"
    return (
        f"its maxmemory-policy {policy} may forget {what}: set volatile-lru, or noeviction and "
        "enough memory"
    )


class Greeting(Struct, frozen=True):
    """What a Redis says of itself, and how many seconds it takes to."""

    version: str
    took_s: float
    losing: str


async def greeted(address: Address) -> Greeting:
    """Ask a Redis how it is.

    Raises:
        BadConfig: the extra is not installed.
        StoreFailed: it does not answer; why.
    """
    link = Link(address, f"octoplex-pid-{os.getpid()}")
    try:
        await link.once("PING", within_s=READY_S)
        began_at = time.monotonic()
        said = await link.once("INFO", "server", within_s=READY_S)
        took_s = time.monotonic() - began_at
        memory = await link.once("INFO", "memory", within_s=READY_S)
    finally:
        await link.close()
    found = re.search(rb"^redis_version:(\S+)", said, re.MULTILINE)
    version = found[1].decode(errors="replace") if found else "of an unknown version"
    return Greeting(version, took_s, losing(memory))


async def tell_hosts(
    address: Address | None, database: Database | None, said: Callable[[Common], None]
) -> None:
    """Tell the other hosts something while no server runs here: in the Redis, else the database.

    Raises:
        StoreFailed: they cannot be told.
    """
    if address is not None:
        hosts = Hosts(address, bytes)
        hosts.link.begin()
        try:
            await hosts.link.ready(READY_S)
            said(hosts.common)
            await hosts.common.flush()
        finally:
            await hosts.link.close()
    elif database is not None:
        from octoplex.ledger.postgres.store import open_common  # asyncpg is an extra

        async with open_common(database) as common:
            if common is not None:
                said(common)
                await common.flush()


class Hosts:
    """Owned by the event loop."""

    def __init__(self, address: Address, keyed: Keyed, token: bytes = b"") -> None:
        """Connects to nothing yet.

        Raises:
            BadConfig: the extra is not installed.
        """
        self.link = Link(address, f"octoplex-pid-{os.getpid()}")
        self.common = RedisCommon(self.link)
        self.stock = RedisStock(self.link, keyed, self.common)
        self.claims = RedisClaims(self.link, self.stock, token)
        self._looking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Connect, and stay so."""
        self.link.begin()
        self.common.begin()
        self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        """Say what Redis may lose, once it can be asked."""
        with suppress(StoreFailed):
            if await self.link.ready(None):
                why = losing(await self.link.do("INFO", "memory", within_s=READY_S))
                if why:
                    log.warning("Redis at %s: %s", self.link.address.shown, why)

    async def close(self) -> None:
        """Say what is to be said, then let go."""
        if self._looking is not None:
            self._looking.cancel("stopped")
            await asyncio.wait((self._looking,))
        await self.stock.drain(LAST_WORDS_S)
        await self.claims.close()
        await self.common.close()
        await self.link.close()

    def gauges(self) -> list[Gauge]:
        """The figures for `/metrics`."""
        link = self.link
        return [
            Gauge(
                "octoplex_redis_up",
                "1 while the shared Redis answers.",
                (),
                lambda: [((), float(link.up))],
            ),
            Gauge(
                "octoplex_redis_failures_total",
                "What Redis was or would have been asked, and did not do.",
                (),
                lambda: [((), link.failures)],
                "counter",
            ),
        ]
