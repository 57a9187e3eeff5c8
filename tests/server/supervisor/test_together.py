"""Several processes as one server: reload, keys, figures, files, the end."""

import asyncio
from collections import Counter
from pathlib import Path

from tests.server import caller, provider
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route, until
from tests.server.supervisor.processes import children, kill, owner, whole, workers
from tests.server.supervisor.test_crashes import Load
from tests.upstream_server import Upstream

WANTED = 3
MANY = 24
KEY = "[keys.app]\nsecret = 'env:APP_KEY'\n"


def text(up: Upstream, more: str = "") -> str:
    return file(route("main", "a/m") + KEY + more, f"workers = {WANTED}", a=up)


async def everywhere(gate: Gate, path: str) -> list[Reply]:
    """The answers of many connections: enough that each process gives one."""
    return [await gate.get(path) for _ in range(MANY)]


def test_a_reload_goes_round_and_nobody_notices(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY) as gate,
        ):
            load = Load(gate, 6)
            before = children(gate)
            for number in range(20):
                gate.write(text(up, f"[models.r{number}]\ntry = ['a/m']\n"))
                assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
                assert (await gate.chat(f"r{number}")).status == 200
            await load.answered(20)
            await load.stop()
            assert (set(load.statuses), load.broken) == ({200}, 0)
            assert children(gate) == before
            gate.config.write_text("[server\n")
            gate.hup()
            await until(lambda: "not reloaded" in gate.log.read_text())
            await until(lambda: gate.log.read_text().count("not valid TOML") == 1)
            assert (await gate.control({"do": "reload"}))["error"]
            async with asyncio.timeout(10):  # each process is told, one after the other
                while any(r.json["config_error"] is None for r in await everywhere(gate, READY)):
                    pass
            assert (await gate.chat("r19")).status == 200

    run(main())


READY = "/health/ready"


def test_a_process_that_starts_again_has_what_is_in_force(tmp_path: Path, run: Run) -> None:
    """Not what is on disk, which may be broken by now."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY, clean=False) as gate,
        ):
            await gate.chat("main")
            gate.config.write_text("[server\n")
            for pid in (*workers(gate), owner(gate)):
                kill(pid)
                await until(lambda gone=pid: gone not in children(gate))  # type: ignore[misc]
                await until(lambda: whole(gate, WANTED), 10)
            assert {r.status for r in await everywhere(gate, "/v1/models")} == {200}
            assert (await gate.chat("main")).status == 200

    run(main())


def test_a_switch_thrown_at_one_worker_counts_at_all_and_outlives_them(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        ops = "[keys.ops]\nsecret = 'env:OTHER_KEY'\nrole = 'admin'\n"
        both = "[models.both]\ntry = ['a/m', 'b/m']\n"
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Upstream(provider.whole("openai-chat")) as other,
        ):
            config = file(KEY + ops + both, f"workers = {WANTED}", a=up, b=other)
            async with Gate(tmp_path, config, key=APP_KEY, clean=False) as gate:
                lines = [("authorization", "Bearer oct-other-0f1e2d3c4b5a6978")]
                path = "/admin/providers/a/disable"
                reply = await caller.ask(gate.port, "POST", path, b"{}", lines)
                assert reply.json == {"id": "a", "enabled": False}
                asked = {
                    (await gate.chat("both")).headers["x-octoplex-provider"] for _ in range(MANY)
                }
                assert asked == {"b"}
                for pid in (*workers(gate), owner(gate)):
                    kill(pid)
                    await until(lambda gone=pid: gone not in children(gate))  # type: ignore[misc]
                    await until(lambda: whole(gate, WANTED), 10)
                asked = {
                    (await gate.chat("both")).headers["x-octoplex-provider"] for _ in range(MANY)
                }
                assert asked == {"b"}
                assert up.book == []

    run(main())


def test_keys_open_and_close_everywhere_at_once(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY) as gate,
        ):
            made = await gate.control({"do": "keys.new", "name": "web", "limits": "$1/day"})
            gate.key = made["ok"]["secret"]
            loop = asyncio.get_running_loop()
            by = loop.time() + 1.0
            while {r.status for r in await everywhere(gate, "/v1/models")} != {200}:
                assert loop.time() < by
            assert (await gate.chat("main")).status == 200
            assert "ok" in await gate.control({"do": "keys.revoke", "name": "web"})
            by = loop.time() + 1.0
            while {r.status for r in await everywhere(gate, "/v1/models")} != {401}:
                assert loop.time() < by

    run(main())


def test_figures_are_of_all(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY) as gate,
        ):
            await asyncio.gather(*[gate.chat("main") for _ in range(MANY)])
            for reply in await everywhere(gate, "/metrics"):
                said = reply.body.decode()
                line = '{provider="a",model="m",route="main",status_class="2xx"} '
                assert f"octoplex_requests_total{line}{MANY}\n" in said
                dollars = MANY * provider.nano(provider.BILL)
                assert f'cost_usd_total{{provider="a"}} 0.{dollars:09d}\n' in said
            ready = [reply.json for reply in await everywhere(gate, READY)]
            assert {one["workers"] for one in ready} == {WANTED}

    run(main())


def test_files_lie_with_the_owner(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY) as gate,
        ):
            data = b"x" * 700_000
            form = (
                b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
                b'--b\r\ncontent-disposition: form-data; name="file"; filename="a b.jsonl"'
                b"\r\n\r\n" + data + b"\r\n--b--\r\n"
            )
            kind = ("content-type", "multipart/form-data; boundary=b")
            made = await gate.post("/v1/files", form, kind)
            assert made.status == 200, made.body
            id_ = made.json["id"]
            for reply in await everywhere(gate, f"/v1/files/{id_}/content"):
                assert (reply.status, reply.body) == (200, data)
            assert (await gate.get("/v1/files?limit=1")).json["data"][0]["id"] == id_
            assert (await gate.get("/v1/files/file-none")).status == 404
            gate.key = "oct-nobody-000000000000"
            assert (await gate.get(f"/v1/files/{id_}")).status == 401

    run(main())


def test_nobody_outlives_the_supervisor(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            gate = Gate(tmp_path, text(up), key=APP_KEY, clean=False)
            async with gate:
                await gate.chat("main")
                pids = children(gate)
                assert len(pids) == WANTED + 1
                gate.kill()
                await until(lambda: not [p for p in pids if Path(f"/proc/{p}").exists()], 10)
            assert Counter(row["outcome"] for row in gate.ledger()) == {"done": 1}
            assert not list(gate.data.glob("*.sock"))

    run(main())
