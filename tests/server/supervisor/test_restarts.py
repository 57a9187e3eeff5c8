"""What holds while single processes die and begin: keys, figures, reload, the end."""

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from octoplex.ledger.remote.messages import Hello, Keys, Told, ToOwner, ToWorker, Welcome
from octoplex.ledger.remote.store import RemoteStore
from octoplex.ledger.remote.wire import SOCKET, Wire
from octoplex.ledger.rows import KeyRow, Order
from octoplex.ledger.slate import Slate
from octoplex.server.supervisor.owner import left_by_the_dead, slate_of
from tests.server import batch_scene, caller, provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route, until
from tests.server.supervisor.processes import children, kill, owner, whole, workers
from tests.server.supervisor.test_together import READY, everywhere
from tests.upstream_server import Upstream

WANTED = 2
KEY = "[keys.app]\nsecret = 'env:APP_KEY'\n"


def text(up: Upstream, more: str = "", server: str = "") -> str:
    return file(route("main", "a/m") + KEY + more, f"workers = {WANTED}\n{server}", a=up)


async def come_to_be(gate: Gate, path: str, wanted: set[Any], what: Callable[[Any], Any]) -> None:
    """Wait until every connection gives these answers."""
    for _ in range(50):
        if {what(reply) for reply in await everywhere(gate, path)} == wanted:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"it never came to be {wanted}")


async def another_owner(gate: Gate) -> None:
    gone = owner(gate)
    kill(gone)
    await until(lambda: gone not in children(gate))
    await until(lambda: whole(gate, WANTED), 10)
    for _ in range(100):
        with contextlib.suppress(OSError):
            await gate.control({"do": "ping"})
            return
        await asyncio.sleep(0.05)


def test_the_next_owner_knows_who_serves(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY, clean=False) as gate,
        ):
            old = (await gate.control({"do": "keys.new", "name": "old"}))["ok"]["secret"]
            await another_owner(gate)
            await come_to_be(gate, READY, {WANTED}, lambda reply: reply.json["workers"])
            await gate.control({"do": "keys.revoke", "name": "old"})
            gate.key = (await gate.control({"do": "keys.new", "name": "web"}))["ok"]["secret"]
            await come_to_be(gate, "/v1/models", {200}, lambda reply: reply.status)
            assert {(await gate.chat("main")).status for _ in range(8)} == {200}
            for reply in await everywhere(gate, "/metrics"):
                line = '{provider="a",model="m",route="main",status_class="2xx"} 8\n'
                assert f"octoplex_requests_total{line}" in reply.body.decode()
            gate.key = old
            await come_to_be(gate, "/v1/models", {401}, lambda reply: reply.status)

    run(main())


async def connected(path: Path, heard: Callable[[Any], None]) -> Wire:
    decode = msgspec.msgpack.Decoder(list[ToWorker]).decode
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_unix_connection(
        lambda: Wire(decode, lambda _, message: heard(message), lambda _: None), str(path)
    )
    return wire


def test_a_worker_that_does_not_serve_yet_is_told_of_keys(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY) as gate,
        ):
            await gate.control({"do": "keys.new", "name": "web"})
            heard: list[Any] = []

            def told_of_keys() -> list[Keys]:
                return [one for one in heard if isinstance(one, Keys)]

            wire = await connected(gate.data / SOCKET, heard.append)
            wire.send(Hello(os.getpid()))
            await until(lambda: [one for one in heard if isinstance(one, Welcome)])
            (keys,) = told_of_keys()
            assert [(row.name, row.revoked_at_ms) for row in keys.rows] == [("web", None)]
            await gate.control({"do": "keys.revoke", "name": "web"})
            await until(lambda: len(told_of_keys()) > 1)
            assert told_of_keys()[-1].rows[0].revoked_at_ms
            wire.close()

    run(main())


def test_a_worker_takes_keys_and_orders_from_before_it_listened(tmp_path: Path, run: Run) -> None:
    """And it asks no database for keys, which may be away."""

    def row(name: str) -> KeyRow:
        return KeyRow(id=name, name=name, hash=b"", prefix="", last4="")

    async def main() -> None:
        said: list[Any] = []
        ends: list[Wire] = []

        def hear(wire: Wire, message: Any) -> None:
            said.append(message)
            if isinstance(message, Hello):
                ends.append(wire)
                wire.push(Keys([row("old")]))
                wire.send(Welcome(None))

        def end() -> Wire:
            return Wire(msgspec.msgpack.Decoder(list[ToOwner]).decode, hear, lambda _: None)

        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(end, str(tmp_path / SOCKET))
        store = RemoteStore(tmp_path)
        await store.connect()
        assert store.keys_now() == [row("old")]
        ends[0].send(Keys([row("new")]))
        ends[0].send(Told(7, "reload", b"\xc0"))
        await until(lambda: store.keys_now() == [row("new")])
        store.serves()
        done: list[str] = []

        async def told(order: Told) -> str:
            done.append(order.what)
            return ""

        store.listen(lambda message: None, told, lambda: None)
        await until(lambda: [one.ask for one in said if hasattr(one, "what")] == [7])
        assert done == ["reload"]
        ends[0].close()
        await until(lambda: len(ends) == 2)
        assert [one.serving for one in said if isinstance(one, Hello)] == [False, True]
        store.close()
        server.close()

    run(main())


def test_sighup_reaches_an_owner_that_is_being_started(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY, clean=False) as gate,
        ):
            for number, after_s in enumerate((0.0, 0.03, 0.1)):
                gate.write(text(up, f"[models.r{number}]\ntry = ['a/m']\n"))
                kill(owner(gate))
                await asyncio.sleep(after_s)
                gate.hup()
                path = f"/v1/models/r{number}"
                await come_to_be(gate, path, {200}, lambda reply: reply.status)
                assert gate.log.read_text().count("by signal 9") == number + 1
                assert "by signal 1;" not in gate.log.read_text()

    run(main())


def test_all_may_die_while_the_file_is_wrong(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY, clean=False) as gate,
        ):
            for number in range(2):
                gate.write(text(up, f"[models.r{number}]\ntry = ['a/m']\n"))
                assert "ok" in await gate.control({"do": "reload"})
                gate.config.write_text("[server\n")
                pids = children(gate)
                for pid in pids:
                    kill(pid)
                await until(lambda gone=pids: not {*gone} & {*children(gate)})  # type: ignore[misc]
                await until(lambda: whole(gate, WANTED), 15)
                assert (await gate.chat(f"r{number}")).status == 200

    run(main())


def test_a_worker_without_descriptors_waits(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(up), key=APP_KEY, clean=False) as gate,
        ):
            before = resource.getrlimit(resource.RLIMIT_NOFILE)
            for pid in workers(gate):
                most = len(os.listdir(f"/proc/{pid}/fd")) + 4
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, before[1]))
            said = "connections cannot be accepted now"
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(40):
                    await stack.enter_async_context(caller.Line(gate.port))
                await until(lambda: gate.log.read_text().count(said) == WANTED)
                await asyncio.sleep(0.5)
                assert gate.log.read_text().count(said) == WANTED
            for pid in workers(gate):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            assert (await gate.chat("main")).status == 200

    run(main())


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def stalled(gate: Gate, up: Upstream) -> None:
    """A batch whose only line is being asked, and will be for ever."""
    async with batch_scene.sdk(gate) as client:
        batch = await batch_scene.made(client, [batch_scene.chat("a", "a")])
        await batch_scene.until(client, batch.id, lambda b: len(up.book) == 1)


def batches(run: Run, tmp_path: Path, drain_s: float, then: Callable[[Gate], Any]) -> None:
    async def main() -> None:
        go = asyncio.Event()
        async with Upstream(batch_scene.answers(wait=lambda said: go.wait())) as up:
            config = batch_scene.text("", f"workers = {WANTED}", a=up)
            config = config.replace("drain_s = 2.0", f"drain_s = {drain_s}")
            async with Gate(tmp_path, config, key=APP_KEY, clean=False) as gate:
                await stalled(gate, up)
                await then(gate)
            go.set()

    run(main())


def test_a_line_of_a_batch_does_not_hold_up_the_end(tmp_path: Path, run: Run) -> None:
    async def then(gate: Gate) -> None:
        pids = children(gate)
        assert await gate.stop() == 0
        assert not living(pids)
        assert "by signal" not in gate.log.read_text()

    batches(run, tmp_path, 1.0, then)


def test_a_second_signal_waits_for_nothing(tmp_path: Path, run: Run) -> None:
    async def then(gate: Gate) -> None:
        pids = children(gate)
        os.kill(owner(gate), signal.SIGSTOP)  # it hangs
        gate.process.send_signal(signal.SIGTERM)
        await until(lambda: gate.process.poll() is not None or len(children(gate)) == 1, 10)
        assert await gate.stop() == 0
        assert not living(pids)

    batches(run, tmp_path, 60.0, then)


def test_an_owner_ends_after_its_supervisor(tmp_path: Path, run: Run) -> None:
    async def then(gate: Gate) -> None:
        pids = children(gate)
        gate.kill()
        await until(lambda: not living(pids), 10)

    batches(run, tmp_path, 1.0, then)


def test_a_worker_that_is_being_started_keeps_its_slate(tmp_path: Path) -> None:
    order = Order("req_1", 1, 0, "k", "k", "", "p", "m", "v", 10)
    for pid in (os.getpid(), 2**22 + 1):  # a process beside this one, and none
        Slate(slate_of(tmp_path, pid)).note(order)
    assert left_by_the_dead(tmp_path, []) == [order]
    assert list(tmp_path.glob("*.ring")) == [slate_of(tmp_path, os.getpid())]


def test_it_says_where_it_listens_whichever_owner_comes_to_say_so(tmp_path: Path, run: Run) -> None:
    class Hasty(Gate):
        async def start(self) -> None:
            """Kill the first owner before any worker serves."""
            self.process, spawn = self.spawn(), self.spawn
            await until(lambda: len(children(self)) > 1, 20)
            kill(children(self)[0])
            self.spawn = lambda *more: self.process  # type: ignore[method-assign]
            await super().start()
            self.spawn = spawn  # type: ignore[method-assign]

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Hasty(tmp_path, text(up), key=APP_KEY, clean=False) as gate,
        ):
            assert (await gate.chat("main")).status == 200
            await another_owner(gate)
            assert gate.out.read_text().count("listening on") == 1
            assert gate.log.read_text().count("by signal 9") == 2

    run(main())
