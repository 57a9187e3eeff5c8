"""F68: what the bodies of all requests may take together."""

import asyncio
from pathlib import Path

from tests.server import caller, provider
from tests.server.caller import request
from tests.server.check import FACES, error_of
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, Gate, file, question, until
from tests.upstream_server import Upstream, stalls

CHAT = PATHS["openai-chat"]
MB = 1_000_000


def _rss_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def test_f68_bodies_that_find_no_room_are_refused_and_served_later(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        server = "max_bodies = '3 MB'"
        async with (
            Upstream(stalls()) as slow,
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file("", server, a=up, b=slow)) as gate,
        ):
            large = question("b/m", user="x" * MB)
            lines = [gate.line() for _ in range(2)]
            for line in lines:
                await line.__aenter__()
                line.send(request("POST", CHAT, large, gate.headers()))
            while len(slow.book) < 2:  # noqa: ASYNC110 - the provider is in this loop
                await asyncio.sleep(0.01)
            for face in FACES:  # two are held until their requests end
                other = question("a/m", user="x" * (MB + MB // 2))
                reply = await caller.ask(gate.port, "POST", PATHS[face], other)
                assert reply.status == 503
                assert reply.headers["retry-after"] == "1"
                assert "max_bodies" in str(error_of(reply, face)["message"])
            chunked = [("transfer-encoding", "chunked")]
            async with gate.line() as line:  # nor does one whose size is not told beforehand
                line.send(request("POST", CHAT, None, chunked))
                piece = b"%x\r\n%b\r\n" % (MB, b" " * MB)
                line.send(piece + piece + b"0\r\n\r\n")
                assert (await line.reply()).status == 503
            assert (await gate.chat("a/m")).status == 200, "small ones pass"
            for line in lines:
                line.leave(hard=True)
                await line.__aexit__()
            status = 503
            while status == 503:
                reply = await gate.post(CHAT, question("a/m", user="x" * (MB + MB // 2)))
                status = reply.status
            assert status == 200
            chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(large), question("a/m", user="x" * MB))
            async with gate.line() as line:
                line.send(request("POST", CHAT, None, chunked) + chunk)
                assert (await line.reply()).status == 200

    run(main())


KEYS = "[keys.app]\nsecret = 'env:APP_KEY'\n[keys.other]\nsecret = 'env:OTHER_KEY'\n"
OTHER_KEY = "oct-other-0f1e2d3c4b5a6978"


def test_f68_what_is_only_declared_takes_no_room(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, "max_bodies = '3 MB'", a=up), key=APP_KEY) as gate,
        ):
            lines = [gate.line() for _ in range(17)]
            for line in lines:
                await line.__aenter__()
                length = ("content-length", str(3 * MB - 1))
                line.send(request("POST", CHAT, None, [*gate.headers(), length]) + b" ")
            for key in (APP_KEY, OTHER_KEY):
                gate.key = key
                reply = await gate.post(CHAT, question("a/m", user="x" * 2 * MB))
                assert reply.status == 200
            for line in lines:
                line.leave(hard=True)
                await line.__aexit__()

    run(main())


def test_f68_one_key_has_half_of_the_room(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(stalls()) as slow,
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYS, "max_bodies = '4 MB'", a=up, b=slow), key=APP_KEY) as gate,
            gate.line() as line,
        ):
            line.send(request("POST", CHAT, question("b/m", user="x" * MB), gate.headers()))
            await until(lambda: len(slow.book) == 1)
            large = question("a/m", user="x" * (MB + MB // 2))
            reply = await gate.post(CHAT, large)
            assert reply.status == 503
            assert "This key's other requests" in str(error_of(reply, "openai-chat")["message"])
            gate.key = OTHER_KEY
            assert (await gate.post(CHAT, large)).status == 200
            gate.key = APP_KEY
            line.leave(hard=True)
            status = 503
            while status == 503:
                status = (await gate.post(CHAT, large)).status
            assert status == 200

    run(main())


def test_f68_many_large_bodies_at_once_do_not_take_the_memory(tmp_path: Path, run: Run) -> None:
    """60 callers begin to send 10 MB each and stop in the middle."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file("", "max_bodies = '50 MB'", a=up)) as gate,
        ):
            assert (await gate.chat("a/m")).status == 200
            before = _rss_kb(gate.process.pid)
            head = request("POST", CHAT, None, [("content-length", str(10 * MB))])
            lines = [gate.line() for _ in range(60)]
            for line in lines:
                await line.__aenter__()
                line.send(head + b" " * (9 * MB))
            # at least five fit beside each other and wait for their last byte, and no sixth does
            waiting = [asyncio.create_task(line.reply()) for line in lines]
            await until(lambda: sum(task.done() for task in waiting) == 55, 20)
            assert {task.result().status for task in waiting if task.done()} == {503}
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            assert _rss_kb(gate.process.pid) - before < 200_000
            assert (await gate.chat("a/m")).status == 200
            for line in lines:
                line.leave(hard=True)
                await line.__aexit__()

    run(main())
