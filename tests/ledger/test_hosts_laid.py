"""What is set aside for batches at their providers stays taken, whatever becomes of its host."""

import asyncio
import atexit
from pathlib import Path

import pytest

from octoplex.ledger import Cap
from octoplex.ledger.batch import Batch, Remote
from octoplex.ledger.postgres.database import Database
from octoplex.ledger.postgres.store import USUAL
from octoplex.wire.event import Usage
from tests.ledger.postgres import Server
from tests.ledger.test_hosts import NOON, Host, agrees, order, run, settles


async def lay(host: Host, nano: int) -> None:
    """A batch goes to its provider, with so much set aside for it."""
    await host.book.make_room("k", nano, NOON)
    aside = host.book.set_aside("k", nano, NOON)
    assert aside is not None
    batch = Batch(
        id="batch_1",
        key_id="k",
        face="openai-chat",
        endpoint="/v1/chat/completions",
        created_at=NOON // 1000,
        expires_at=NOON // 1000 + 86_400,
        status="in_progress",
        remote=Remote("r", "p", "m", "l", nano, asked=True, tenant=aside.tenant),
    )
    archive = host.store.archive
    upload = await archive.do(archive.begin, 0)
    await archive.do(archive.add, batch, upload)
    archive.open[batch.id] = batch


def leave(host: Host, how: str) -> None:
    """Be there no more, politely or not."""
    if how == "stopped":
        host.store.close()
        return
    atexit.unregister(host.store.close)
    host.store.till.end()
    host.store.archive.close()
    host.store._link.close()
    host.store._folder.unlock()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_what_is_laid_for_a_batch_stays_taken_while_its_host_is_away(
    tmp_path: Path, postgres: Server, database: Database, how: str
) -> None:
    """Its provider goes on with it: nobody else may be lent that money meanwhile."""
    caps = [Cap("total", 1_000), Cap("month", 1_000)]
    leased = "select sum(nano) from octoplex.leases where account = 'key k' and kind = 'total'"

    def host(name: str) -> Host:
        made = Host(tmp_path / name, database, caps, USUAL)
        made.book.limit_tenant("acme", [Cap("day", 1_000)])
        return made

    async def main() -> None:
        a, b = host("a"), host("b")
        await lay(a, 600)
        leave(a, how)
        # What was killed has all that it took until it is back.
        assert await b.count(range(100)) == (40 if how == "stopped" else 0)
        a = host("a")
        # Now its book knows of nothing yet.
        assert await b.count(range(100, 200)) == (0 if how == "stopped" else 40)
        (aside,) = a.book.resume(a.store.archive.laid())
        assert await a.count(range(200, 210)) == 0
        await settles(postgres, database, leased, 600)
        aside.settle(order(400, 600), 500, Usage(1, 1), "done")
        aside.give_back()
        a.store.archive.open.clear()
        assert await a.store.drain()
        assert await a.count(range(500, 530)) == 10
        leave(a, how)
        b.store.close()
        await asyncio.to_thread(agrees, postgres, database)

    run(main())


def test_what_nobody_takes_up_again_goes_back(
    tmp_path: Path, postgres: Server, database: Database
) -> None:
    """Its key is another tenant's now, and has another budget."""

    async def main() -> None:
        a = Host(tmp_path / "a", database, [Cap("total", 1_000)], USUAL)
        a.book.limit_tenant("acme", [Cap("day", 1_000)])
        await lay(a, 600)
        leave(a, "killed")
        a = Host(tmp_path / "a", database, [Cap("month", 1_000)], USUAL)
        a.book.limit_tenant("globex", [Cap("day", 1_000)])
        a.book.limit("k", [Cap("month", 1_000)], "globex")
        a.book.resume(a.store.archive.laid())
        left = """select string_agg(account || kind, ',' order by account) from octoplex.leases
            where nano > 0"""
        await settles(postgres, database, left, "key kmonth,tenant globexday")
        leave(a, "stopped")

    run(main())


@pytest.mark.parametrize("meanwhile", [0, 70, 100])
def test_a_host_that_was_given_up_passes_a_budget_by_what_it_laid_at_most(
    tmp_path: Path, postgres: Server, database: Database, meanwhile: int
) -> None:
    """The others may spend what it had, as it seemed gone for good; its batch went on."""
    caps = [Cap("total", 1_000), Cap("month", 1_000)]
    of_k = "where account = 'key k' and kind = 'total'"
    mine = f"select coalesce(max(nano), 0) from octoplex.leases {of_k} and nano >= 600"
    spent = f"select spent from octoplex.till {of_k}"

    async def main() -> None:
        a, b = (Host(tmp_path / name, database, caps) for name in "ab")
        await lay(a, 600)
        leave(a, "killed")
        await settles(postgres, database, "select count(*) from octoplex.hosts", 1)
        own = await b.count(range(meanwhile))
        assert own == meanwhile
        a = Host(tmp_path / "a", database, caps)
        (aside,) = a.book.resume(a.store.archive.laid())
        await settles(postgres, database, mine, 600)
        own += await b.count(range(1_000, 1_100))
        assert own in ((40,) if not meanwhile else range(meanwhile, 101))
        assert await a.count(range(2_000, 2_010)) == 0
        aside.settle(order(400, 600), 600, Usage(1, 1), "done")
        aside.give_back()
        a.store.archive.open.clear()
        assert await a.store.drain()
        assert await a.count(range(3_000, 3_010)) == await b.count(range(4_000, 4_010)) == 0
        await settles(postgres, database, spent, 10 * own + 600)
        leave(a, "stopped")
        leave(b, "stopped")
        await asyncio.to_thread(agrees, postgres, database)

    run(main())
