"""Callers and providers of batches who mean harm, and what is left standing."""

import asyncio
import json
import threading
from pathlib import Path

from octoplex.ledger.archive import Archive
from octoplex.ledger.batch import Span
from octoplex.server.batches import begin
from octoplex.server.files import MOST_BYTES
from tests.ledger.test_archive import archive, batch_of, put
from tests.server import caller, provider
from tests.server.batch_scene import APP_KEY, answers, chat, jsonl, made, output, over, sdk, text
from tests.server.batch_scene import uploaded as uploaded_by
from tests.server.conftest import Run
from tests.server.gate import Gate
from tests.server.gate import until as soon
from tests.server.remote import Site, openai_batches
from tests.server.test_files import FILE, KIND, PURPOSE, form, kept
from tests.upstream_server import Exchange, Upstream, head

HALF = provider.nano(provider.BILL) // 2


def test_many_batches_of_a_key_need_neither_files_nor_memory(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        hold = asyncio.Event()

        async def wait(said: str) -> None:
            await hold.wait()

        async with (
            Upstream(answers(wait=wait)) as up,
            Gate(tmp_path, text("", "batch_concurrency = 4", a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            file = await uploaded_by(client, jsonl([chat(f"{n}", "x") for n in range(6)]))
            batches = [
                await client.batches.create(
                    input_file_id=file,
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                )
                for _ in range(24)
            ]
            await soon(lambda: len(up.book) == 4)
            assert 0 < _inputs_open(gate) <= 16
            gone = await client.batches.cancel(batches[-1].id)
            assert (await over(client, gone.id)).status == "cancelled"
            hold.set()
            ends = [await over(client, batch.id) for batch in batches[:-1]]
            assert {batch.status for batch in ends} == {"completed"}
            assert len(up.book) == 23 * 6

    run(main())


def _inputs_open(gate: Gate) -> int:
    opened = Path(f"/proc/{gate.process.pid}/fd").iterdir()
    return sum(path.resolve().suffix == ".in" for path in opened)


def test_lines_of_a_batch_wait_in_bounded_memory(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        hold = asyncio.Event()

        async def wait(said: str) -> None:
            await hold.wait()

        async with (
            Upstream(answers(wait=wait)) as up,
            Gate(tmp_path, text(a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat(f"{n}", "x" * 6_000_000) for n in range(5)])
            await soon(lambda: len(up.book) == 2, 20)
            await asyncio.sleep(0.3)
            assert len(up.book) == 2
            hold.set()
            done = await over(client, batch.id)
            assert len(await output(client, done.output_file_id)) == 5

    run(main())


def test_a_batch_whose_caller_leaves_is_run_all_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        store, free = archive(tmp_path, [1_000_000.0]), threading.Event()
        file = put(store)
        batch = batch_of(_Unkept(store), file)
        busy = asyncio.ensure_future(store.do(free.wait, 10))
        task = asyncio.ensure_future(begin(store, batch, file))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        free.set()
        await busy
        async with asyncio.timeout(10):
            await store.changed.wait()
        assert list(store.open) == [batch.id]
        rows, _ = store.batches(file.key_id, batch.face, Span(limit=10))
        assert rows == [batch]
        store.close()

    asyncio.run(main())


class _Unkept:
    """An archive that has not been told."""

    def __init__(self, store: Archive) -> None:
        self.now = store.now

    def add(self, *_: object) -> None:
        """Not yet."""


def test_what_comes_behind_a_form_is_bounded(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Gate(tmp_path, text(), key=APP_KEY) as gate, gate.line() as line:
            chunked = [*gate.headers(), KIND, ("transfer-encoding", "chunked")]
            line.send(caller.request("POST", "/v1/files", None, chunked))
            body = form(PURPOSE, FILE)
            line.send(b"%x\r\n%b\r\n" % (len(body), body))
            piece = b"%x\r\n%b\r\n" % (1 << 20, b"z" * (1 << 20))

            async def send() -> None:
                for _ in range(MOST_BYTES // (1 << 20) + 2):
                    line.send(piece)
                    await asyncio.sleep(0)

            async with asyncio.timeout(60):
                sending = asyncio.ensure_future(send())
                reply = await line.head()
                await sending
            assert reply.status == 413
            assert kept(gate) == []

    run(main())


def test_results_that_lie_are_settled_once_and_lose_no_line(tmp_path: Path, run: Run) -> None:
    """Unknown, doubled, missing and unreadable lines; and first a redirect in their place."""

    async def main() -> None:
        site, away = Site(), [2]
        honest = openai_batches(site)

        async def play(exchange: Exchange) -> None:
            path = exchange.entry.path
            if path.endswith("/content") and away[0]:
                away[0] -= 1
                where = ("location", "https://elsewhere.example/steal")
                exchange.send(head(302, [where, ("content-length", "0")]))
                return
            await honest(exchange)
            if not site.running:
                for name, data in site.files.items():
                    site.files[name] = _spoiled(data)

        async with (
            Upstream(play) as up,
            Gate(
                tmp_path, text(limits="$1/day", each="batches = 'openai'", a=up), key=APP_KEY
            ) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat(f"{n}", "x") for n in range(6)])
            await soon(lambda: bool(site.batches))
            site.running = False
            done = await over(client, batch.id)
            assert done.status == "completed"
            good = await output(client, done.output_file_id)
            assert set(good) == {"0", "1", "2", "3", "4", "5"}  # the one that is missing runs here
            rows = await gate.rows(6)
            assert sum(r["nano"] for r in rows) == 5 * HALF + 2 * HALF
            (budget,) = (await gate.get("/v1/key")).json["budgets"]
            assert (budget["held_nano"], budget["spent_nano"]) == (0, 7 * HALF)
            assert len(await gate.records(6)) == 6

    run(main())


def test_figures_beyond_reason_harm_nobody(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site()
        honest = openai_batches(site)

        async def play(exchange: Exchange) -> None:
            for batch in site.batches.values():
                batch["request_counts"] = {"total": 1, "completed": 10**30, "failed": -1}
            await honest(exchange)
            if not site.running:
                for name, data in site.files.items():
                    site.files[name] = _swollen(data)

        async with (
            Upstream(play) as up,
            Gate(tmp_path, text(each="batches = 'openai'", a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat(f"{n}", "x") for n in range(4)])
            await soon(lambda: len(site.sent) >= 3)
            assert (await client.batches.retrieve(batch.id)).id == batch.id
            site.running = False
            done = await over(client, batch.id)
            assert done.status in ("completed", "expired")
            assert (await gate.chat("a/m")).status == 200
            assert len(await gate.rows(5)) == 5
            assert len(await gate.records(5)) == 5
            assert gate.spent() == (await gate.get("/v1/key")).json["spent_nano"]
            assert "Traceback" not in gate.log.read_text()

    run(main())


def test_results_of_any_size_are_fetched(tmp_path: Path, run: Run) -> None:
    """Above 64 MiB, which is all that is taken of another reply."""

    async def main() -> None:
        site = Site()
        honest = openai_batches(site)

        async def play(exchange: Exchange) -> None:
            path = exchange.entry.path
            if path.endswith("/content"):
                data = site.files[path.split("/")[2]].replace(
                    b'"there"', b'"%b"' % (b"y" * (1 << 20))
                )
                exchange.send(head(200, [("content-length", str(len(data)))]) + data)
                return
            await honest(exchange)

        async with (
            Upstream(play) as up,
            Gate(tmp_path, text(each="batches = 'openai'", a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat(f"{n}", "x") for n in range(70)])
            await soon(lambda: bool(site.batches))
            site.running = False
            done = await over(client, batch.id)
            assert done.request_counts is not None
            assert done.request_counts.completed == 70
            await gate.rows(70)
            assert gate.spent() == 70 * HALF

    run(main())


def _swollen(data: bytes) -> bytes:
    """The results with figures that no integer of a database holds."""
    lines = data.splitlines()
    if not lines or b'"response"' not in lines[0]:
        return data
    found = {json.loads(line)["custom_id"]: json.loads(line) for line in lines}
    found["0"]["response"]["status_code"] = 10**30
    found["1"]["response"]["status_code"] = -(10**30)
    found["2"]["response"]["body"]["usage"]["prompt_tokens"] = 10**30
    found["3"]["response"]["body"]["usage"]["completion_tokens"] = -(10**17)
    return b"\n".join(json.dumps(line).encode() for line in found.values()) + b"\n"


def test_a_batch_that_may_be_there_is_not_run_here_too(tmp_path: Path, run: Run) -> None:
    """It is made, the reply is a failure, and then the provider says nothing for a while."""

    async def main() -> None:
        site, down = Site(), [5]
        honest = openai_batches(site)

        async def play(exchange: Exchange) -> None:
            path = exchange.entry.path
            if path.startswith("/batches") and down[0]:
                if exchange.entry.head.startswith(b"POST"):
                    site.drop_reply = True
                    making = asyncio.ensure_future(honest(exchange))
                    await soon(lambda: bool(site.batches))
                    making.cancel()
                down[0] -= 1
                exchange.send(head(503, [("content-length", "0")]))
                return
            await honest(exchange)

        async with (
            Upstream(play) as up,
            Gate(tmp_path, text(each="batches = 'openai'", a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat("1", "x")])
            await soon(lambda: not down[0], 20)
            site.running = False
            done = await over(client, batch.id)
            good = await output(client, done.output_file_id)
            said = good["1"]["response"]["body"]["choices"][0]["message"]["content"]
            assert (said, len(site.batches)) == ("there", 1)

    run(main())


def test_what_was_cancelled_before_it_was_made_is_not_made(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site, refused = Site(), asyncio.Event()
        honest = openai_batches(site)

        async def play(exchange: Exchange) -> None:
            if exchange.entry.head.startswith(b"POST /batches ") and not refused.is_set():
                refused.set()
                exchange.send(head(503, [("content-length", "0")]))
                return
            await honest(exchange)

        async with (
            Upstream(play) as up,
            Gate(tmp_path, text(each="batches = 'openai'", a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat("1", "x")])
            await refused.wait()
            await client.batches.cancel(batch.id)
            assert (await over(client, batch.id)).status == "cancelled"
            assert site.batches == {}
            assert up.book[-1].billed is None

    run(main())


def _spoiled(data: bytes) -> bytes:
    lines = data.splitlines()
    if not lines or b'"response"' not in lines[0]:
        return data
    good = [line for line in lines if json.loads(line)["custom_id"] != "0"]
    strange = lines[0].replace(b'"custom_id": "', b'"custom_id": "not ours ')
    return b"\n".join([b"\xff\x00", b"[" * 9_000, strange, *good, *good, b'{"custom_id": 1}'])
