"""Batches that their provider runs: handed over whole, watched, settled line by line.

What a line costs there is half: a reply of 12 and 7 tokens 41,000 nano-dollars.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger import Page, Reader
from octoplex.ledger.batch import Batch
from tests.server import provider
from tests.server.batch_scene import APP_KEY, chat, claude, made, output, over, sdk, text, until
from tests.server.conftest import Run
from tests.server.gate import UP_KEY, Gate
from tests.server.gate import until as soon
from tests.server.remote import Site, anthropic_batches, openai_batches
from tests.server.test_message_batches import ended, message, results
from tests.upstream_server import Upstream

HALF = provider.nano(provider.BILL) // 2
OPENAI, ANTHROPIC = "batches = 'openai'", "batches = 'anthropic'"
MAIN = "[models.main]\ntry = ['a/m']\n"
EXPERIMENT = """
[experiments.x]
route = "main"
unit = "key"
variants = { today = { top_p = 0.5 }, short = { prompt = "Be short." } }
metric = "error_rate"
"""


def test_a_batch_is_handed_over_and_settled_line_by_line(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(without={"3"})
        async with (
            Upstream(openai_batches(site)) as up,
            Gate(tmp_path, text(MAIN, "", each=OPENAI, a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            lines = [chat(f"{n}", f"word {n}", model="main") for n in range(10)]
            batch = await made(client, lines, metadata={"a": "b"})
            seen = await until(client, batch.id, lambda b: b.request_counts.completed == 1)
            assert seen.status == "in_progress"
            assert site.models == {"m"}
            assert site.said == [f"word {n}" for n in range(10)]
            site.running = False
            done = await over(client, batch.id)
            assert done.status == "completed"
            assert done.metadata == {"a": "b"}
            assert done.request_counts is not None
            assert done.request_counts.model_dump() == {"total": 10, "completed": 9, "failed": 1}
            good = await output(client, done.output_file_id)
            assert set(good) == {f"{n}" for n in range(10)} - {"3"}
            bad = await output(client, done.error_file_id)
            assert bad["3"]["response"]["status_code"] == 400
            text_ = good["0"]["response"]["body"]["choices"][0]["message"]["content"]
            assert text_ == "there"
            records = await gate.records(10)
            assert {r["op"] for r in records} == {"chat"}
            assert {r["route"] for r in records} == {"main"}
            told = {line["response"]["request_id"] for line in [*good.values(), *bad.values()]}
            assert {r["id"] for r in records} == told
            rows = await gate.rows(10)
            assert sorted(r["nano"] for r in rows) == [0] + [HALF] * 9
            assert gate.spent() == 9 * HALF
            assert site.keys == {f"Bearer {UP_KEY}"}
            budgets = (await gate.get("/v1/key")).json
            assert budgets["spent_nano"] == 9 * HALF

    run(main())


def test_a_message_batch_is_handed_over(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(without={"r3"})
        async with (
            Upstream(anthropic_batches(site)) as up,
            Gate(tmp_path, text(each=ANTHROPIC, claude=up), key=APP_KEY) as gate,
            claude(gate) as client,
        ):
            requests = [message(f"r{n}", f"word {n}") for n in range(5)]
            batch = await client.messages.batches.create(requests=requests)
            await soon(lambda: bool(site.batches))
            assert site.models == {"m"}
            site.running = False
            done = await ended(client, batch.id)
            assert done.request_counts.succeeded == 4
            assert done.request_counts.errored == 1
            found = await results(client, batch.id)
            assert found["r0"].message.content[0].text == "there"
            assert found["r3"].error.error.type == "invalid_request_error"
            await gate.rows(5)
            assert gate.spent() == 4 * HALF
            # The results are read where the batch was made, wherever its reply points.
            assert ("GET", "/v1/messages/batches/msgbatch_there0/results") in site.sent

    run(main())


HERE: dict[str, tuple[str, str, str, Any]] = {
    "the provider has none": ("", "", "", {}),
    "the server says so": ("forward_batches = false", "", OPENAI, {}),
    "the route says so": ("", "forward_batches = false\n", OPENAI, {}),
    "the route adds to it": ("", "defaults = { temperature = 0.5 }\n", OPENAI, {}),
    "an experiment changes it": ("", EXPERIMENT, OPENAI, {}),
    "a line streams": ("", "", OPENAI, {"stream": False}),
    "a line has a tier": ("", "", OPENAI, {"service_tier": "flex"}),
    "another dialect": ("", "", ANTHROPIC, {}),
}


@pytest.mark.parametrize("why", HERE)
def test_what_cannot_be_handed_over_runs_here(tmp_path: Path, run: Run, why: str) -> None:
    async def main() -> None:
        server, route, each, more = HERE[why]
        site = Site()
        async with (
            Upstream(openai_batches(site)) as up,
            Gate(tmp_path, text(MAIN + route, server, each=each, a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            lines = [chat("0", "x", model="main"), chat("1", "x", model="main", **more)]
            done = await over(client, (await made(client, lines)).id)
            found = await output(client, done.output_file_id)
            assert len(found) == 2
            assert {path for _, path in site.sent} == {"/chat/completions"}
            await gate.rows(2)
            assert gate.spent() == 2 * provider.nano(provider.BILL)

    run(main())


def test_a_provider_whose_paths_name_the_model_is_handed_none(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site()
        async with Upstream(openai_batches(site)) as up:
            paths = "dialects = { openai-chat = '/deployments/{model}' }"
            file = text(MAIN, each=OPENAI, a=up).replace("dialect = 'openai-chat'", paths)
            async with Gate(tmp_path, file, key=APP_KEY) as gate, sdk(gate) as client:
                batch = await made(client, [chat("0", "x", model="main")])
                assert (await over(client, batch.id)).status == "completed"
        assert {path for _, path in site.sent} == {"/deployments/m/chat/completions"}

    run(main())


def test_two_targets_or_limits_run_here(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site()
        async with Upstream(openai_batches(site)) as up:
            two = "[models.main]\ntry = ['a/m', 'b/m']\n"
            for number, (more, limits) in enumerate(((two, ""), (MAIN, "1000 req/s"))):
                folder = tmp_path / str(number)
                folder.mkdir()
                file = text(more, limits=limits, each=OPENAI, a=up, b=up)
                async with Gate(folder, file, key=APP_KEY) as gate, sdk(gate) as client:
                    lines = [chat("0", "x", model="main"), chat("1", "x", model="main")]
                    done = await over(client, (await made(client, lines)).id)
                    assert len(await output(client, done.output_file_id)) == 2
            assert {path for _, path in site.sent} == {"/chat/completions"}

    run(main())


@pytest.mark.parametrize("face", ["openai", "anthropic"])
def test_a_batch_that_the_provider_refuses_runs_here(tmp_path: Path, run: Run, face: str) -> None:
    async def main() -> None:
        site = Site(refuse=400)
        play = openai_batches(site) if face == "openai" else anthropic_batches(site)
        async with Upstream(play) as up:
            name = "a" if face == "openai" else "claude"
            file = text(each=f"batches = '{face}'", **{name: up})
            async with Gate(tmp_path, file, key=APP_KEY) as gate:
                if face == "openai":
                    async with sdk(gate) as client:
                        done = await over(client, (await made(client, [chat("0", "x")])).id)
                        found = await output(client, done.output_file_id)
                        assert "here" in str(found["0"])
                else:
                    async with claude(gate) as anthropic_client:
                        batch = await anthropic_client.messages.batches.create(
                            requests=[message("r", "x")]
                        )
                        await ended(anthropic_client, batch.id)
                        assert "here" in str(await results(anthropic_client, batch.id))
                await gate.rows(1)
                assert gate.spent() == provider.nano(provider.BILL)
                assert (await gate.get("/v1/key")).json["spent_nano"] == gate.spent()

    run(main())


def test_a_budget_holds_it_from_its_creation_over_a_kill_to_its_end(
    tmp_path: Path, run: Run
) -> None:
    """A line may cost (57 bytes / 3 + 50 * 10) / 2 and a little: some 270,000 nano-dollars."""

    async def main() -> None:
        site = Site()
        async with Upstream(openai_batches(site)) as up:
            file = text(limits="$0.003/day", each=OPENAI, a=up)
            async with Gate(tmp_path, file, key=APP_KEY) as gate:

                async def held() -> int:
                    budget = (await gate.get("/v1/key")).json["budgets"][0]
                    return int(budget["held_nano"])

                async with sdk(gate) as client:
                    batch = await made(client, [chat(f"{n}", "x") for n in range(8)])
                    await soon(lambda: bool(site.batches))
                    before = await held()
                    assert 2_000_000 < before < 3_000_000
                    refused = await gate.chat("a/m", max_tokens=200)
                    assert refused.status == 402
                gate.kill()
                await gate.start()
                assert await held() == before
                site.running = False
                async with sdk(gate) as client:
                    done = await over(client, batch.id)
                    assert len(await output(client, done.output_file_id)) == 8
                    assert await held() == 0
                    assert gate.spent() == 8 * HALF
                    # What does not fit as a whole is asked line by line.
                    batch = await made(client, [chat(f"{n}", "x") for n in range(20)])
                    done = await over(client, batch.id)
                    assert done.request_counts is not None
                    assert done.request_counts.total == 20
                    assert len(site.batches) == 1
                    assert await held() == 0

    run(main())


def test_a_cancellation_goes_through(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site()
        async with (
            Upstream(openai_batches(site)) as up,
            Gate(tmp_path, text(limits="$1/day", each=OPENAI, a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat(f"{n}", "x") for n in range(5)])
            await soon(lambda: bool(site.batches))
            await client.batches.cancel(batch.id)
            await soon(lambda: ("POST", "/batches/batch_there0/cancel") in site.sent)
            site.running = False
            done = await over(client, batch.id)
            assert done.status == "cancelled"
            assert set(await output(client, done.output_file_id)) == {"0"}
            assert gate.spent() == HALF
            assert (await gate.get("/v1/key")).json["budgets"][0]["held_nano"] == 0

    run(main())


ACME = "[tenants.acme]\nlimits = '$1/day'\n"
OF_ACME = "[keys.app]\ntenant = 'acme'"
CANCEL = ("POST", "/batches/batch_there0/cancel")


def kept(gate: Gate) -> Batch:
    """The one batch, as it is on the disk."""
    reader = Reader(gate.data)
    try:
        (batch,) = reader.batches(9)
    finally:
        reader.close()
    return batch


@pytest.mark.parametrize("how", ["revoked", "gone from the file", "gone while stopped"])
def test_a_batch_whose_key_is_revoked_ends_at_its_provider(
    tmp_path: Path, run: Run, how: str
) -> None:
    """It is told so until it has heard it, and paid for what it has answered."""

    async def main() -> None:
        site = Site(deaf=1)
        async with (
            Upstream(openai_batches(site)) as up,
            Gate(tmp_path, text(ACME, limits="$1/day", each=OPENAI, a=up), clean=False) as gate,
        ):
            gate.config.write_text(gate.config.read_text().replace("[keys.app]", OF_ACME))
            assert "ok" in await gate.control({"do": "reload"})
            left = gate.config.read_text().replace("[keys.app]", "[keys.web]")
            key = APP_KEY
            if how == "revoked":
                order = {"do": "keys.new", "name": "new", "tenant": "acme"}
                key = (await gate.control(order))["ok"]["secret"]
            async with sdk(gate, key) as client:
                await made(client, [chat(f"{n}", "x") for n in range(5)])
                await soon(lambda: bool(site.batches))
            if how == "revoked":
                assert "ok" in await gate.control({"do": "keys.revoke", "name": "new"})
            elif how == "gone while stopped":
                await gate.stop()
                gate.config.write_text(left)
                await gate.start()
            else:
                gate.config.write_text(left)
                assert "ok" in await gate.control({"do": "reload"})
            await soon(lambda: site.sent.count(CANCEL) == 2, 10)
            assert kept(gate).status == "cancelling"
            site.running = False
            await soon(lambda: kept(gate).over, 10)
            batch = kept(gate)
            assert (batch.status, batch.counts) == ("cancelled", {"completed": 1})
            assert [wrong.code for wrong in batch.errors] == ["key_revoked"]
            assert site.sent.count(CANCEL) == 2
            (row,) = await gate.rows(1)
            assert (row["state"], row["nano"]) == ("settled", HALF)
            (acme,) = (await gate.control({"do": "tenants.list"}))["ok"]
            assert [one["spent_nano"] for one in acme["budgets"]] == [HALF]
            assert [one["held_nano"] for one in acme["budgets"]] == [0]

    run(main())


def test_a_batch_goes_on_while_its_tenant_is_missing(tmp_path: Path, run: Run) -> None:
    """Its key is refused until the file is put right, and was not revoked."""

    async def main() -> None:
        site = Site()
        async with Upstream(openai_batches(site)) as up:
            good = text("[tenants.acme]\n", each=OPENAI, a=up)
            async with Gate(tmp_path, good) as gate:
                order = {"do": "keys.new", "name": "new", "tenant": "acme"}
                key = (await gate.control(order))["ok"]["secret"]
                async with sdk(gate, key) as client:
                    batch = await made(client, [chat("0", "x")])
                    await soon(lambda: bool(site.batches))
                    gate.write(text(each=OPENAI, a=up))
                    assert "ok" in await gate.control({"do": "reload"})
                    asked = len(site.sent)
                    await soon(lambda: len(site.sent) >= asked + 2, 10)
                    gate.write(good)
                    assert "ok" in await gate.control({"do": "reload"})
                    site.running = False
                    assert (await over(client, batch.id)).status == "completed"
        assert CANCEL not in site.sent

    run(main())


def test_a_line_that_the_provider_lost_is_asked_here(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(running=False, lost={"1"})
        async with (
            Upstream(openai_batches(site)) as up,
            Gate(tmp_path, text(limits="$1/day", each=OPENAI, a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat(f"{n}", "x") for n in range(3)])
            done = await over(client, batch.id)
            assert done.status == "completed"
            assert set(await output(client, done.output_file_id)) == {"0", "1", "2"}
            assert [path for _, path in site.sent].count("/chat/completions") == 1
            await gate.rows(3)
            assert gate.spent() == 2 * HALF + 2 * HALF
            assert (await gate.get("/v1/key")).json["budgets"][0]["held_nano"] == 0

    run(main())


def test_a_kill_before_the_reply_makes_no_second_batch(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(drop_reply=True)
        async with (
            Upstream(openai_batches(site)) as up,
            Gate(tmp_path, text(each=OPENAI, a=up), key=APP_KEY) as gate,
        ):
            async with sdk(gate) as client:
                batch = await made(client, [chat(f"{n}", "x") for n in range(3)])
                await soon(lambda: bool(site.batches))
            gate.kill()
            await gate.start()
            site.running = False
            async with sdk(gate) as client:
                done = await over(client, batch.id)
                assert len(await output(client, done.output_file_id)) == 3
            assert len(site.batches) == 1
            assert gate.spent() == 3 * HALF

    run(main())


def test_kills_while_results_come_settle_each_line_once(tmp_path: Path, run: Run) -> None:
    many = 2_000  # so many that both kills come before the end

    async def main() -> None:
        site = Site()
        async with (
            Upstream(openai_batches(site)) as up,
            Gate(tmp_path, text(each=OPENAI, a=up), key=APP_KEY) as gate,
        ):
            async with sdk(gate) as client:
                batch = await made(client, [chat(f"{n}", "x") for n in range(many)])
                await soon(lambda: bool(site.batches))
            site.running = False
            out = gate.data / "files" / f"{batch.id}.out"
            for lines in (64, 200):
                async with asyncio.timeout(20):
                    await soon(lambda n=lines: out.exists() and out.read_bytes().count(b"\n") >= n)  # type: ignore[misc]
                gate.kill()
                # As if the kill had come between settling a group and writing it down.
                kept = out.read_bytes().splitlines(keepends=True)
                out.write_bytes(b"".join(kept[:-10]))
                await gate.start()
            async with sdk(gate) as client:
                done = await over(client, batch.id)
                assert len(await output(client, done.output_file_id)) == many
            await gate.rows(many)
            assert gate.spent() == many * HALF
            assert (await gate.get("/v1/key")).json["spent_nano"] == many * HALF
            reader = Reader(gate.data)
            told = [record.id for record in reader.requests(Page(limit=9_999))]
            reader.close()
            assert len(told) == len({*told}) > many - 300

    run(main())


def test_a_provider_that_is_down_is_asked_again(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site()
        async with (
            Upstream(openai_batches(site)) as up,
            Gate(tmp_path, text(each=OPENAI, a=up), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            batch = await made(client, [chat("0", "x")])
            await soon(lambda: bool(site.batches))
            site.down, site.running = True, False
            asked = len(site.sent)
            await soon(lambda: len(site.sent) >= asked + 2, 10)
            site.down = False
            done = await over(client, batch.id)
            assert len(await output(client, done.output_file_id)) == 1

    run(main())
