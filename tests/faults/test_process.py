"""F66, F67: a process without descriptors, and one with thousands of idle callers."""

import asyncio
import os
import resource
import select
import socket
import time
from pathlib import Path

from tests.faults.strace import failing
from tests.server import provider
from tests.server.caller import Line, request
from tests.server.conftest import Run
from tests.server.gate import Gate, file, until
from tests.upstream_server import Upstream


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


def test_f66_it_does_not_spin_when_nothing_can_be_given_up_either(tmp_path: Path, run: Run) -> None:
    """The kernel says that there are no descriptors whenever it is asked to accept."""

    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up, Gate(
            tmp_path, file(a=up), clean=False
        ) as gate:  # fmt: skip
            async with gate.line() as known:
                known.send(request("GET", "/health/live"))
                assert (await known.reply()).status == 200
                async with failing(
                    gate.process.pid, folder=tmp_path, calls="accept,accept4", error="EMFILE"
                ) as injected:
                    lines = await _connected(gate, 3)
                    await until(lambda: injected.count > 1)
                    before = injected.count
                    await asyncio.sleep(1.0)
                    assert injected.count - before < 30, "it spins"
                    known.send(request("GET", "/health/live"))
                    assert (await known.reply()).status == 200, "who is connected is served"
            async with asyncio.timeout(10):
                for line in lines:
                    line.send(request("GET", "/health/live"))
                    assert (await line.reply()).status == 200, "who waited is served, too"
                    await line.__aexit__()

    run(main())


IDLE = 10_000
SPARE = 600
"""Descriptors of the test, or of the gateway, beside those of the idle."""


def _idle_connections(port: int, count: int, said: bytes) -> list[socket.socket]:
    """Connections; some that have sent nothing, some half a head, some have had a reply."""
    found = []
    for number in range(count):
        one = socket.create_connection(("127.0.0.1", port), 30)
        found.append(one)
        if number % 4 == 1:
            one.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localh")
        elif number % 20 == 2:
            one.sendall(said)
            assert one.recv(65_536).startswith(b"HTTP/1.1 200 ")
    return found


def _left_by_server(lines: list[socket.socket], within_s: float) -> int:
    """How many the other side closes."""
    poll = select.poll()
    for line in lines:
        poll.register(line, select.POLLRDHUP)
    left, end_at = 0, time.monotonic() + within_s
    while left < len(lines) and time.monotonic() < end_at:
        for descriptor, _ in poll.poll(500):
            poll.unregister(descriptor)
            left += 1
    return left


def test_f67_ten_thousand_idle_connections_cost_little_and_are_closed_in_time(
    tmp_path: Path, run: Run
) -> None:
    """Where descriptors do not suffice, as many as there may be."""

    async def main() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        count = min(IDLE, hard - SPARE) if hard != resource.RLIM_INFINITY else IDLE
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file("", "keep_alive_s = 600.0", a=up)) as gate,
        ):
            pid = gate.process.pid
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
            assert (await gate.chat("a/m")).status == 200
            before, files = _rss_kb(pid), _open(pid)
            asks = gate.question("a/m")
            lines = await asyncio.to_thread(_idle_connections, gate.port, count, asks)
            await until(lambda: _open(pid) >= files + count, 20)
            assert (_rss_kb(pid) - before) / count < 40, "kB for each connection"
            assert {(await gate.chat("a/m")).status for _ in range(20)} == {200}
            gate.write(file("", "keep_alive_s = 0.5", a=up))
            assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
            assert await asyncio.to_thread(_left_by_server, lines, 20.0) == count
            await until(lambda: _open(pid) <= files + 5, 10)
            assert (await gate.chat("a/m")).status == 200
            for line in lines:
                line.close()

    run(main())
