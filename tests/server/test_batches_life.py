"""Batches over the life of the process: a kill, a stop, a reload."""

import asyncio
import contextlib
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.batch_scene import (
    APP_KEY,
    answers,
    chat,
    claude,
    counted,
    made,
    output,
    over,
    sdk,
    text,
    until,
)
from tests.server.conftest import Run
from tests.server.gate import Gate
from tests.server.gate import until as soon
from tests.server.test_message_batches import ended, message, results
from tests.upstream_server import Upstream


def test_a_killed_server_goes_on_where_it_was(tmp_path: Path, run: Run) -> None:
    """What was done stays done; what was in flight is asked again, and nothing else is."""

    async def main() -> None:
        hold = asyncio.Event()

        async def wait(said: str) -> None:
            if int(said) >= 20:
                await hold.wait()

        async with (
            Upstream(answers(wait=wait)) as up,
            Gate(tmp_path, text("", "batch_concurrency = 4", a=up), key=APP_KEY) as gate,
        ):
            async with sdk(gate) as client:
                batch = await made(client, [chat(f"{n}", f"{n}") for n in range(60)])
                await until(client, batch.id, lambda b: b.request_counts.completed == 20)
                await until(client, batch.id, lambda b: len(up.book) == 24)
                await soon(lambda: sum(r["state"] == "settled" for r in gate.ledger()) == 20)
            gate.kill()
            out = gate.data / "files" / f"{batch.id}.out"
            with out.open("ab") as torn:  # as if the kill had come within a write
                torn.write(b'{"id": "batch_req_1", "custom_id": "2')
            hold.set()
            await gate.start()
            async with sdk(gate) as client:
                ended = await over(client, batch.id)
                assert ended.status == "completed"
                assert ended.request_counts is not None
                assert ended.request_counts.model_dump() == {
                    "total": 60,
                    "completed": 60,
                    "failed": 0,
                }
                assert len(await output(client, ended.output_file_id)) == 60
            times = counted(up)
            assert {n for n, count in times.items() if count > 1} <= {"20", "21", "22", "23"}
            assert len(times) == 60
            rows = await gate.rows(64)
            lost = [r for r in rows if r["estimated"]]
            assert len(lost) == 4  # what was in flight is settled at its reservation, flagged
            assert sum(r["nano"] for r in rows if not r["estimated"]) == 60 * provider.nano(
                provider.BILL
            )

    run(main())


@pytest.mark.parametrize("face", ["openai", "anthropic"])
def test_what_is_left_at_the_end_of_the_window_expires(tmp_path: Path, run: Run, face: str) -> None:
    async def main() -> None:
        hold = asyncio.Event()

        async def wait(said: str) -> None:
            if said != "0":
                await hold.wait()

        dialect = "openai-chat" if face == "openai" else "anthropic"
        async with Upstream(answers(dialect, wait=wait)) as up:
            file = text("", "batch_concurrency = 1", **{"a" if face == "openai" else "claude": up})
            async with Gate(tmp_path, file, key=APP_KEY) as gate:
                async with sdk(gate) as client, claude(gate) as messages:
                    if face == "openai":
                        id_ = (await made(client, [chat(f"{n}", f"{n}") for n in range(4)])).id
                    else:
                        requests = [message(f"{n}", f"{n}") for n in range(4)]
                        id_ = (await messages.messages.batches.create(requests=requests)).id
                    await soon(partial(reached, up, 2))
                gate.kill()
                hold.set()
                with contextlib.closing(sqlite3.connect(gate.data / "archive.db")) as db, db:
                    db.execute("update batches set row = json_set(row, '$.expires_at', 1)")
                await gate.start()
                async with sdk(gate) as client, claude(gate) as messages:
                    if face == "openai":
                        done = await over(client, id_)
                        assert done.status == "expired"
                        assert done.expired_at is not None
                        assert set(await output(client, done.output_file_id)) == {"0"}
                        left = await output(client, done.error_file_id)
                        assert {x["error"]["code"] for x in left.values()} == {"batch_expired"}
                        assert {x["response"] for x in left.values()} == {None}
                    else:
                        counts = (await ended(messages, id_)).request_counts
                        assert (counts.succeeded, counts.expired) == (1, 3)
                        found = await results(messages, id_)
                        assert [found[f"{n}"].type for n in range(4)] == [
                            "succeeded",
                            *["expired"] * 3,
                        ]
                assert len(up.book) == 2

    run(main())


def reached(up: Upstream, count: int) -> bool:
    return len(up.book) >= count


def test_kills_at_any_moment_lose_and_double_nothing(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async def wait(said: str) -> None:
            await asyncio.sleep(0.002)

        async with (
            Upstream(answers(wait=wait)) as up,
            Gate(tmp_path, text(a=up), key=APP_KEY) as gate,
        ):
            async with sdk(gate) as client:
                batch = await made(client, [chat(f"{n}", f"{n}") for n in range(400)])
            for seen in (1, 100, 200):
                await soon(partial(reached, up, seen), 20)
                gate.kill()
                await gate.start()
            async with sdk(gate) as client:
                ended = await over(client, batch.id)
                assert len(await output(client, ended.output_file_id)) == 400
                assert ended.error_file_id is None
            again = sum(count - 1 for count in counted(up).values())
            assert again <= 3 * 8

    run(main())


def test_a_stop_lets_lines_in_flight_finish(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()
        async with (
            Upstream(answers(wait=lambda said: go.wait())) as up,
            Gate(tmp_path, text("", "batch_concurrency = 2", a=up), key=APP_KEY) as gate,
        ):
            async with sdk(gate) as client:
                batch = await made(client, [chat(f"{n}", f"{n}") for n in range(6)])
                await until(client, batch.id, lambda b: len(up.book) == 2)
            gate.process.terminate()
            await asyncio.sleep(0.2)
            assert gate.process.poll() is None
            go.set()
            await soon(lambda: gate.process.poll() is not None, 10)
            assert gate.process.returncode == 0
            assert len(up.book) == 2
            await gate.start()
            async with sdk(gate) as client:
                ended = await over(client, batch.id)
                assert len(await output(client, ended.output_file_id)) == 6
            assert set(counted(up).values()) == {1}

    run(main())


def test_a_stop_does_not_wait_for_ever(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()
        async with (
            Upstream(answers(wait=lambda said: go.wait())) as up,
            Gate(tmp_path, text("", "batch_concurrency = 2", a=up), key=APP_KEY) as gate,
        ):
            async with sdk(gate) as client:
                batch = await made(client, [chat(f"{n}", f"{n}") for n in range(3)])
                await until(client, batch.id, lambda b: len(up.book) == 2)
            assert await gate.stop() == 0  # after drain_s
            go.set()
            await gate.start()
            async with sdk(gate) as client:
                ended = await over(client, batch.id)
                assert len(await output(client, ended.output_file_id)) == 3

    run(main())


def test_a_reload_keeps_running_batches(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()
        async with Upstream(answers(wait=lambda said: go.wait())) as up:
            route = "[models.main]\ntry = ['{}']\n"
            first = text(route.format("a/m"), "batch_concurrency = 2", a=up)
            async with Gate(tmp_path, first, key=APP_KEY) as gate, sdk(gate) as client:
                lines = [chat(f"{n}", f"{n}", model="main") for n in range(6)]
                batch = await made(client, lines)
                await until(client, batch.id, lambda b: len(up.book) == 2)
                gate.write(text(route.format("b/m"), "batch_concurrency = 2", a=up, b=up))
                gate.hup()
                async with asyncio.timeout(5):
                    while "b/m" not in str((await gate.get("/v1/models")).json):
                        pass
                go.set()
                ended = await over(client, batch.id)
                assert len(await output(client, ended.output_file_id)) == 6
                rows = await gate.rows(6)
                assert sorted(r["provider"] for r in rows) == ["a"] * 2 + ["b"] * 4

    run(main())
