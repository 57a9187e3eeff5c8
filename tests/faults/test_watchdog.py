"""F65: an event loop that stands still is seen, said with its stack, and a worker's ended."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, until
from tests.server.supervisor.processes import children, kill, owner, whole, workers
from tests.upstream_server import Upstream

WANTED = 2
KEY = "[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '$1/day'\n"
HANGS = """
import signal, time

def spins():
    while time.monotonic() < until_at:
        pass

def holds_the_interpreter():
    while time.monotonic() < until_at:
        sum(range(3 * 10**8))

def begin(work, for_s):
    global until_at
    until_at = time.monotonic() + for_s
    work()

signal.signal(signal.SIGUSR2, lambda *_: begin({work}, {for_s}))
"""


def hanging(folder: Path, work: str, for_s: float) -> dict[str, str]:
    """What makes a process do this in its loop when it is sent SIGUSR2."""
    place = folder / "hangs"
    place.mkdir()
    (place / "sitecustomize.py").write_text(HANGS.format(work=work, for_s=for_s))
    return {"PYTHONPATH": f"{place}:{os.environ.get('PYTHONPATH', '')}"}


def text(up: Upstream, hang_s: float) -> str:
    return file(KEY, f"workers = {WANTED}\nhang_s = {hang_s}", a=up)


@pytest.mark.parametrize(
    ("work", "said"),
    [("spins", "stood still for 2 s, here"), ("holds_the_interpreter", "nothing could run for")],
)
def test_f65_a_loop_that_stands_still_is_said_with_its_stack(
    tmp_path: Path, run: Run, work: str, said: str
) -> None:
    async def main() -> None:
        env = hanging(tmp_path, work, 2.7)
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up), env=env) as gate,
        ):
            assert (await gate.chat("a/m")).status == 200
            gate.process.send_signal(signal.SIGUSR2)
            await until(lambda: said in gate.log.read_text(), 20)
            assert (await gate.chat("a/m")).status == 200
            log = gate.log.read_text()
            assert f"in {work}" in log.partition(said)[2]
            metrics = (await gate.get("/metrics")).body.decode()
            assert "octoplex_stalls_total 1\n" in metrics

    run(main())


@pytest.mark.parametrize("whose", [workers, lambda gate: [owner(gate)]], ids=["worker", "owner"])
def test_f65_a_process_that_hangs_is_ended_and_begun_again(
    tmp_path: Path, run: Run, whose: Callable[[Gate], list[int]]
) -> None:
    async def main() -> None:
        env = hanging(tmp_path, "spins", 600)
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up, 3.0), env=env, key=APP_KEY, clean=False) as gate,
        ):
            await until(lambda: whole(gate, WANTED), 10)
            assert (await gate.chat("a/m")).status == 200
            (hung, *_) = whose(gate)
            others = [pid for pid in children(gate) if pid != hung]
            os.kill(hung, signal.SIGUSR2)
            await until(lambda: hung not in children(gate), 20)
            await until(lambda: whole(gate, WANTED), 10)
            assert set(others) < set(children(gate))
            assert {(await gate.chat("a/m")).status for _ in range(10)} == {200}
            log = gate.log.read_text()
            assert "is ended: it did nothing for 3 s" in log
            assert "in spins" in log.partition("is ended: it did nothing")[2]
            rows = await gate.rows(11)
            assert {(row["nano"], row["estimated"]) for row in rows} == {
                (provider.nano(provider.BILL), 0)
            }

    run(main())


def test_f65_what_is_stopped_as_a_whole_does_not_hang(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up, 1.0), key=APP_KEY, clean=False) as gate,
        ):
            await until(lambda: whole(gate, WANTED), 10)
            everybody = [gate.process.pid, *children(gate)]
            for how in (signal.SIGSTOP, signal.SIGCONT):
                for pid in everybody:
                    os.kill(pid, how)
                await asyncio.sleep(3.0)
            assert [gate.process.pid, *children(gate)] == everybody
            assert (await gate.chat("a/m")).status == 200
            assert "is ended" not in gate.log.read_text()
            assert "stood still" not in gate.log.read_text()
            assert "octoplex_stalls_total 0\n" in (await gate.get("/metrics")).body.decode()
            kill(workers(gate)[0])  # one that dies by itself is still begun again
            await until(lambda: children(gate) != everybody[1:] and whole(gate, WANTED), 10)

    run(main())
