"""F66, F67: a process without descriptors, and one with thousands of idle callers."""

import asyncio
import os
import resource
from pathlib import Path

from tests.server import provider
from tests.server.caller import Line, request
from tests.server.conftest import Run
from tests.server.gate import PATHS, Gate, file, question
from tests.upstream_server import Upstream

CHAT = PATHS["openai-chat"]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _open(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _rss_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


async def _connected(gate: Gate, count: int) -> list[Line]:
    lines = [gate.line() for _ in range(count)]
    for line in lines:
        await line.__aenter__()
    return lines


async def _served(gate: Gate) -> bool:
    try:
        return (await gate.chat("a/m")).status == 200
    except (ConnectionError, asyncio.IncompleteReadError):
        return False


async def _closed(lines: list[Line]) -> None:
    for line in lines:
        line.leave(hard=True)
        await line.__aexit__()


def test_f66_without_descriptors_nothing_spins_and_it_recovers(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up), clean=False) as gate,
        ):
            pid = gate.process.pid
            assert (await gate.chat("a/m")).status == 200
            async with gate.line() as known:
                known.send(request("GET", "/health/live"))
                assert (await known.reply()).status == 200
                most = _open(pid) + 20
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
                lines = await _connected(gate, 60)  # the kernel takes them, the process cannot
                while _open(pid) < most - 1:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.01)
                before = _cpu_s(pid)
                await asyncio.sleep(1.5)
                assert _cpu_s(pid) - before < 0.75, "it spins"
                known.send(request("GET", "/health/live"))
                assert (await known.reply()).status == 200, "who is connected is served"
                await _closed(lines)
            async with asyncio.timeout(
                10
            ):  # those that wait in the kernel are dead, and come first
                while not await _served(gate):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            statuses = [(await gate.chat("a/m")).status for _ in range(5)]
            assert statuses == [200] * 5

    run(main())


def test_f67_idle_connections_cost_little_and_new_requests_are_served(
    tmp_path: Path, run: Run
) -> None:
    count = 2_000

    async def main() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            assert (await gate.chat("a/m")).status == 200
            before = _rss_kb(gate.process.pid)
            lines = await _connected(gate, count)
            for line in lines[: count // 2]:  # half have been served once
                line.send(request("POST", CHAT, question("a/m")))
                assert (await line.reply()).status == 200
            assert (await gate.chat("a/m")).status == 200
            assert (_rss_kb(gate.process.pid) - before) / count < 40, "kB for each connection"
            await _closed(lines)
            assert (await gate.chat("a/m")).status == 200

    run(main())
