"""One of several hosts tells what all would: another only where it dies before it has."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from octoplex.jobs import alerts
from octoplex.jobs.alerts import Watch
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.notices import PostgresNotices
from octoplex.ledger.postgres.store import open_postgres
from octoplex.ledger.rows import Order
from octoplex.transport.fake import Script
from octoplex.wire.event import NO_USAGE
from tests.assembly.scene import opened
from tests.jobs.test_alerts import KEY
from tests.ledger.postgres import Server
from tests.ledger.test_hosts import asked, run
from tests.server.gate import until

MOST = 3_000_000_000
MONTH = "acme month 2099-03-01T00:00:00Z 1000 0.5"
PAST = "acme day 2020-03-01T00:00:00Z 1000 0.5"


def test_one_host_has_it_until_its_term_ends(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    async def main() -> None:
        store = open_postgres(tmp_path / "data", database)
        a, b = (PostgresNotices(store.till.ask, name) for name in "ab")
        found = await asyncio.gather(*[one.claim(MONTH, 60.0) for one in (a, b) * 8])
        assert (found.count("ours"), found.count("theirs")) == (8, 8)
        a, b = (a, b) if found[0] == "ours" else (b, a)
        assert await a.claim(PAST, 0.0) == "ours"
        assert await b.claim(PAST, 60.0) == "ours"
        assert await a.claim(PAST, 60.0) == "theirs"
        await a.told(MONTH, "2026")
        assert [await one.claim(MONTH, 60.0) for one in (a, b)] == ["told", "told"]
        rows = await asked(postgres, database, "select id from octoplex.notices")
        assert rows == [(MONTH,)]
        await asyncio.to_thread(store.close)

    run(main())


def test_an_alert_comes_from_one_host_and_from_another_if_that_dies(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "TERM_S", 2.5)
    monkeypatch.setattr(alerts, "RENEW_S", 0.2)
    monkeypatch.setattr(alerts, "LATER_S", 0.1)
    text = (
        f"{KEY}[tenants.acme]\nlimits = '$5/day'\n"
        "alerts = { at = [0.5], webhook = 'http://127.0.0.1:9/in', secret = 'env:HOOK' }\n"
    )
    env = {"A": "f7m2q9x4k1z8-first", "HOOK": "f7m2q9x4k1z8-hook"}
    for name in "ab":
        (tmp_path / name / "data").mkdir(mode=0o700, parents=True)
        (tmp_path / name / "data" / "pepper").write_bytes(bytes(range(32)))

    async def main() -> None:
        async with (
            opened(tmp_path / "a", text, env, Script(status=500), database=database) as a,
            opened(tmp_path / "b", text, env, Script(), database=database) as b,
            contextlib.AsyncExitStack() as later,
        ):
            other = Watch(lambda: b.gateway, look_s=0.05)
            async with Watch(lambda: a.gateway, look_s=0.05):
                order = Order("r1", 1, other._now_ms(), "a", "a", "", "p", "m", "v", MOST, "acme")
                (await a.gateway.works.book.wait(order)).settle(MOST, NO_USAGE, "done")
                await until(lambda: a.fake.sent)
                await later.enter_async_context(other)
                # The pause before the third try is longer than a claim lasts.
                await until(lambda: len(a.fake.sent) == 3, 20)
                assert other._told
                assert not b.fake.sent
            await until(lambda: other._kept, 20)
            (id_,) = other._kept
            assert len(b.fake.sent) == 1
            assert await b.gateway.works.store.notices.claim(id_, 1.0) == "told"  # type: ignore[union-attr]

    run(main())
