"""The life of the process: F60 reload, F62 drain, F77 one server per folder."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.caller import comments
from tests.server.check import FACES, error_of, failed, finished
from tests.server.conftest import Run
from tests.server.gate import Gate, file, route, until
from tests.upstream_server import Exchange, Upstream, stalls

BROKEN = {
    "toml": "[server\n",
    "key": "[server]\n[nonsense]\nx = 1\n",
    "provider": "[server]\n[models.main]\ntry = ['nobody/m']\n",
    "secret": "[server]\n[keys.x]\nsecret = 'env:NOT_SET'\n",
    "limits": "[server]\n[keys.x]\nsecret = 'env:APP_KEY'\nlimits = 'many'\n",
    "price": "[server]\n[prices]\n'a/m' = { input = 'dear' }\n",
    "type": "[server]\ndrain_s = 'long'\n",
    "key model": "[server]\n[keys.x]\nsecret = 'env:APP_KEY'\nmodels = ['']\n",
    "url": "[server]\n[providers.z]\ndialect = 'openai-chat'\nbase_url = 'ftp://x'\n"
    "[models.z]\ntry = ['z/m']\n",
}


@pytest.mark.parametrize("how", BROKEN)
def test_f60_a_broken_file_changes_nothing(tmp_path: Path, run: Run, how: str) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            good = file(route("main", "a/m"), a=up)
            async with Gate(tmp_path, good) as gate:
                gate.config.write_text(
                    BROKEN[how].replace("[server]\n", f"[server]\ndata = '{gate.data}'\n")
                )
                gate.hup()
                ready = {"config_error": None}
                while ready["config_error"] is None:
                    reply = await gate.get("/health/ready")
                    assert reply.status == 200
                    ready = reply.json
                assert ready["config_error"]
                assert (await gate.chat("main")).status == 200
                assert (await gate.get("/v1/key")).json["name"] is None
                assert "not reloaded" in gate.log.read_text()
                answer = await gate.control({"do": "reload"})
                assert answer["error"] == ready["config_error"]
                metrics = (await gate.get("/metrics")).body
                assert b"octoplex_reloads_failed_total 2\n" in metrics
                gate.write(good + route("second", "a/m"))
                gate.hup()
                await _ready(gate)
                assert (await gate.chat("second")).status == 200

    run(main())


async def _ready(gate: Gate) -> None:
    """Wait until the file on disk is the one in force."""
    end_at = time.monotonic() + 5
    while (await gate.get("/health/ready")).json["config_error"] is not None:
        assert time.monotonic() < end_at


def test_f60_calls_in_flight_keep_what_they_met(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        seen = asyncio.Event()
        tail = b"".join(provider.chat_events()[3:])
        play = provider.broken_after("openai-chat", 3, "done", seen, tail)
        other = Upstream(provider.whole("openai-chat"))
        async with (
            Upstream(play) as up,
            other,
            Gate(tmp_path, file(route("main", "a/m"), a=up)) as gate,
        ):
            async with gate.line() as line:
                line.send(gate.question("main", stream=True))
                await line.head()
                await line.until(b"Hello")
                gate.write(file(route("main", "b/m"), b=other))
                assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
                assert (await gate.chat("main")).headers["x-octoplex-model"] == "b/m"
                assert (await gate.chat("a/m")).status in (400, 404)
                seen.set()
                await line.until(b"[DONE]")
            rows = await gate.rows(2)
            assert {r["nano"] for r in rows} == {provider.nano(provider.BILL)}

    run(main())


def test_f60_a_hundred_reloads_under_load_fail_nobody(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        plays = provider.whole("openai-chat")
        async with Upstream(plays) as up:
            text = file(route("main", "a/m"), a=up)
            async with Gate(tmp_path, text) as gate:
                over = asyncio.Event()
                answered = 0

                async def ask() -> None:
                    nonlocal answered
                    while not over.is_set():
                        assert (await gate.chat("main")).status == 200
                        answered += 1

                async with asyncio.TaskGroup() as group:
                    for _ in range(4):
                        group.create_task(ask())
                    for number in range(100):
                        gate.write(text + f"[models.r{number}]\ntry = ['a/m']\n")
                        assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
                    over.set()
                assert answered > 20
                assert len(up.book) == answered
                await gate.rows(answered)

    run(main())


async def _paced(exchange: Exchange) -> None:
    """A stream that takes half a second."""
    exchange.bill(*provider.BILL)
    made = provider.chat_events()
    exchange.send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    )
    for event in made:
        exchange.send(event)
        await asyncio.sleep(0.5 / len(made))
    exchange.close()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_f62_drain_then_tell_then_end(tmp_path: Path, run: Run, sent: signal.Signals) -> None:
    async def main() -> None:
        never = asyncio.Event()
        async with (
            Upstream(_paced) as a,
            Upstream(provider.broken_after("openai-chat", 3, "stall", never), stalls()) as b,
            Gate(
                tmp_path, file("", "drain_s = 0.9", a=a, b=b).replace("drain_s = 2.0\n", "")
            ) as gate,
        ):
            began: list[str] = []

            async def stream(face: str, model: str):
                async with gate.line() as line:
                    line.send(gate.question(model, face, stream=True))
                    reply = await line.head()
                    got = await line.until(b"Hello")
                    began.append(model)
                    await line.rest(reply)
                    reply.body = got + reply.body
                    return reply

            async with asyncio.TaskGroup() as group, gate.line() as idle:
                quick = [group.create_task(stream(face, "a/m")) for face in FACES]
                slow = group.create_task(stream("anthropic", "b/m"))
                await until(lambda: len(b.book) == 1)
                plain = group.create_task(gate.chat("b/m"))
                idle.send(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert (await idle.reply()).status == 200
                await until(lambda: len(began) == 3 and len(b.book) == 2)
                gate.process.send_signal(sent)
                assert await idle.ended() == b""
                await _refuses(gate)
            for face, task in zip(FACES, quick, strict=True):
                finished(task.result(), face)
            assert failed(slow.result(), "anthropic")["code"] == "stopping"
            assert comments(slow.result().body)
            assert plain.result().status == 503
            assert error_of(plain.result(), "openai-chat")["code"] == "stopping"
            assert plain.result().headers["x-should-retry"] == "true"
            await until(lambda: gate.process.poll() is not None)
            assert gate.process.returncode == 0
            rows = gate.ledger()
            assert sorted(r["outcome"] for r in rows) == ["done", "done", "stopped", "stopped"]
            assert [r["nano"] > 0 for r in rows] == [True] * 4
            assert not (gate.data / "control.sock").exists()

    run(main())


def test_f62_a_second_signal_forces(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        never = asyncio.Event()
        play = provider.broken_after("openai-chat", 3, "stall", never)
        async with Upstream(play) as up:
            text = file("", "drain_s = 60.0", a=up).replace("drain_s = 2.0\n", "")
            async with Gate(tmp_path, text) as gate, gate.line() as line:
                line.send(gate.question("a/m", stream=True))
                reply = await line.head()
                got = await line.until(b"Hello")
                gate.process.send_signal(signal.SIGTERM)
                await until(lambda: not _accepts(gate.port))
                began = time.monotonic()
                gate.process.send_signal(signal.SIGTERM)
                await line.rest(reply)
                reply.body = got + reply.body
                assert failed(reply, "openai-chat")["code"] == "stopping"
                await until(lambda: gate.process.poll() is not None)
                assert time.monotonic() - began < 3
                assert gate.process.returncode == 0

    run(main())


async def _refuses(gate: Gate) -> None:
    """Until the listener closes, readiness says 503; then nothing is accepted any more."""
    end_at = time.monotonic() + 5
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while time.monotonic() < end_at:
            assert (await gate.get("/health/ready")).status == 503
    assert not _accepts(gate.port)


def _accepts(port: int) -> bool:
    import socket

    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_f77_one_server_per_folder(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            first = gate.process.pid
            before = gate.out, gate.log
            second = gate.spawn()
            await until(lambda: second.poll() is not None, 15)
            said = gate.log.read_text()
            assert second.returncode == 1
            assert str(first) in said
            assert f"127.0.0.1:{gate.port}" in said
            assert said.count("\n") == 1, said
            gate.out, gate.log = before
            assert (await gate.chat("a/m")).status == 200
            await gate.rows()
            await gate.records()
            assert gate.process.poll() is None
            assert (await gate.control({"do": "ping"}))["ok"] == first

    run(main())


def test_the_folder_is_private(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            await gate.chat("a/m")
            await gate.records()
            assert os.stat(gate.data).st_mode & 0o077 == 0
            for path in gate.data.rglob("*"):
                assert path.lstat().st_mode & 0o077 == 0, path

    run(main())
