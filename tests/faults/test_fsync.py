"""F55: a disk that fails to sync, for a real gateway (`strace.py`).

What a failed sync left is not known, so that a file which failed once is not written any more:
nothing is acknowledged, until a restart finds what there is.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from octoplex.ledger.audit import verify
from tests.faults.strace import failing
from tests.ledger.postgres import Server
from tests.security.test_files import form
from tests.server import provider
from tests.server.cache_scene import KEYS
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, until
from tests.server.test_hosts import Hosts
from tests.upstream_server import Upstream

COST = provider.nano(provider.BILL)
FREE = '"a/free" = { input = 0, output = 0 }\n'
SAID = "the ledger cannot be written"
ADMIN = "[keys.app]\nsecret = 'env:APP_KEY'\nrole = 'admin'\n"


async def refused(gate: Gate, model: str = "a/m") -> Reply:
    """The first paid call that is."""
    end_at = asyncio.get_running_loop().time() + 20
    while (reply := await gate.chat(model)).status == 200:
        assert asyncio.get_running_loop().time() < end_at
    return reply


def check(gate: Gate, up: Upstream, before: int) -> None:
    """Every call that the provider was asked has a row; those from before are as it billed them."""
    rows = gate.ledger()
    assert len(rows) == len(up.book)
    assert {(row["nano"], row["estimated"]) for row in rows[:before]} == {(COST, 0)}
    for row in rows[before:]:
        lost = row["outcome"] == "lost"
        assert row["state"] != "reserved"
        wanted = row["reserved_nano"] if lost else 0 if row["model"] == "free" else COST
        assert (row["nano"], row["estimated"]) == (wanted, int(lost))
    assert sum(int(row["nano"]) for row in rows) == gate.spent()
    with closing(sqlite3.connect(f"file:{gate.data}/ledger.db?mode=ro", uri=True)) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_f55_after_a_failed_sync_no_paid_call_is_taken_before_a_restart(
    tmp_path: Path, run: Run, killed: bool
) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(FREE, a=up)) as gate,
        ):
            assert [(await gate.chat("a/m")).status for _ in range(5)] == [200] * 5
            await gate.rows(5)
            async with failing(gate.process.pid, folder=tmp_path) as injected:
                reply = await refused(gate)
                assert injected.count
                assert (reply.status, reply.json["error"]["code"]) == (503, "store_failed")
                assert "the disk failed (SQLITE_IOERR_FSYNC)" in reply.json["error"]["message"]
                assert (await gate.chat("a/free")).status == 200
            # The disk is well again, and it is not believed.
            asked = len(up.book)
            assert {(await gate.chat("a/m")).status for _ in range(5)} == {503}
            assert len(up.book) == asked
            assert (await gate.chat("a/free")).status == 200
            assert gate.log.read_text().count(SAID) == 1
            assert "check it, then restart" in gate.log.read_text()
            if killed:
                gate.kill()
            else:
                assert await gate.stop() == 0
            await gate.start()
            await until(lambda: len(gate.ledger()) == len(up.book))
            check(gate, up, 5)
            assert (await gate.chat("a/m")).status == 200
            await gate.rows(len(up.book))

    run(main())


def test_f55_a_checkpoint_that_fails_to_sync_is_final_too(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(FREE, a=up)) as gate,
        ):
            async with failing(gate.process.pid, gate.data / "ledger.db", folder=tmp_path):
                assert (await gate.chat("a/m")).status == 200
                await until(lambda: SAID in gate.log.read_text(), 20)
            assert (await gate.chat("a/m")).status == 503
            assert await gate.stop() == 0
            await gate.start()
            check(gate, up, 1)
            assert (await gate.chat("a/m")).status == 200
            await gate.rows(2)

    run(main())


def test_f55_a_key_that_was_not_synced_is_not_given_out(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), key=APP_KEY) as gate,
        ):
            async with failing(gate.process.pid, gate.data / "control.db-wal", folder=tmp_path):
                said = await gate.control({"do": "keys.new", "name": "web"})
                assert "the keys cannot be written" in str(said["error"])
            said = await gate.control({"do": "keys.new", "name": "web"})
            assert "check the disk, then restart" in str(said["error"])
            assert gate.log.read_text().count("the keys cannot be written") == 1
            assert (await gate.chat("a/m")).status == 200  # money lies in another file
            assert await gate.stop() == 0
            await gate.start()
            said = await gate.control({"do": "keys.new", "name": "late"})
            gate.key = said["ok"]["secret"]
            assert (await gate.chat("a/m")).status == 200
            await gate.rows(2)

    run(main())


def test_f55_what_cannot_be_noted_is_not_changed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(ADMIN, a=up), key=APP_KEY) as gate,
        ):
            audit = gate.data / "audit.jsonl"
            await gate.post("/admin/providers/a/disable", b"{}")
            await gate.post("/admin/providers/a/enable", b"{}")
            async with failing(gate.process.pid, audit, folder=tmp_path):
                reply = await gate.post("/admin/providers/a/disable", b"{}")
                assert reply.status == 503
            reply = await gate.post("/admin/providers/a/disable", b"{}")
            assert "check the disk, then restart" in reply.json["error"]["message"]
            assert (await gate.chat("a/m")).status == 200
            assert await gate.stop() == 0
            await gate.start()
            assert (await gate.chat("a/m")).status == 200
            assert (await gate.post("/admin/providers/a/disable", b"{}")).status == 200
            assert verify(audit)[2] is None
            await gate.rows(2)

    run(main())


def test_f55_a_file_that_was_not_synced_is_not_taken(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, a=up), key=APP_KEY) as gate,
        ):
            kind = ("content-type", "multipart/form-data; boundary=b")
            async with failing(gate.process.pid, folder=tmp_path) as injected:
                reply = await gate.post("/v1/files", form("x", b"{}"), kind)
                assert (reply.status, reply.json["error"]["code"]) == (503, "store_failed")
                assert injected.count
            assert (await gate.get("/v1/files")).json["data"] == []
            kept = [p for p in (gate.data / "files").rglob("*") if p.is_file()]
            assert kept == []
            assert (await gate.post("/v1/files", form("x", b"{}"), kind)).status == 200

    run(main())


def test_f55_a_spool_that_fails_to_sync_takes_no_more(tmp_path: Path, run: Run) -> None:
    """Beside a database that is away."""

    async def main(server: Server) -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Hosts(tmp_path, server, up, "$10/day") as hosts,
        ):
            await hosts.start()
            (gate,) = hosts.gates
            assert (await gate.chat("main")).status == 200
            await hosts.rows(1)
            server.kill()
            async with failing(gate.process.pid, gate.data / "spool.log", folder=tmp_path) as it:
                await refused(gate, "main")
                assert it.count
            reply = await gate.chat("main")
            assert (reply.status, "takes nothing more" in str(reply.json)) == (503, True)
            assert gate.log.read_text().count("the disk failed") == 1
            assert await gate.stop() == 0
            await asyncio.to_thread(server.start)
            await gate.start()
            assert (await gate.chat("main")).status == 200
            rows = await hosts.rows(len(up.book))
            assert all(nano >= COST for nano in rows)
            await hosts.agrees()

    with Server() as server:
        run(main(server))
