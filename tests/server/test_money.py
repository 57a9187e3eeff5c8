"""Money over real sockets: F45-F48, budgets, and what a budget refuses."""

import asyncio
import contextlib
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger import Reader, SpendQuery
from tests.server import provider
from tests.server.check import FACES, error_of, finished, plain_text
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route, until
from tests.upstream_server import Exchange, Play, Upstream, says, stalls, streams

PAID = provider.nano(provider.BILL)


def budget(limit: str, more: str = "") -> str:
    return f"[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '{limit}'\n{more}"


async def spent(gate: Gate) -> tuple[int, int]:
    """What the key has spent and what is held, as it is told itself."""
    (left,) = (await gate.get("/v1/key")).json["budgets"]
    return left["spent_nano"], left["held_nano"]


async def counts(gate: Gate) -> str:
    return (await gate.get("/metrics")).body.decode()


def test_f45_every_billed_attempt_is_settled_once(tmp_path: Path, run: Run) -> None:
    """Retries, a fallback and a hedge: the caller's cost is the sum, attempt by attempt."""

    async def slow(exchange: Exchange) -> None:
        exchange.bill(3, 2)
        await asyncio.sleep(0.5)
        for event in [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"]:
            exchange.send(event + b"".join(provider.chat_events(bill=(3, 2))))
        exchange.close()

    async def main() -> None:
        few = "retry = { attempts = 2, backoff_s = 0.02, first_content_s = 9.0 }"
        race = "retry = { attempts = 2, first_content_s = 0.1, hedge_share = 1.0 }"
        async with (
            Upstream(provider.fails("openai-chat", 500)) as bad,
            Upstream(slow) as a,
            Upstream(provider.streamed("openai-chat")) as b,
        ):
            more = route("main", "bad/m", "b/m", more=few) + route("race", "a/m", "b/m", more=race)
            async with Gate(tmp_path, file(more, bad=bad, a=a, b=b)) as gate:
                for face in FACES:
                    finished(await gate.chat("main", face, stream=True), face)
                    finished(await gate.chat("race", face, stream=True), face)
                for record in await gate.records(4):
                    rows = [r for r in gate.ledger() if r["request_id"] == record["id"]]
                    assert sum(r["nano"] for r in rows) == record["nano"]
                    told = [(x["nano"], x["estimated"]) for x in record["attempts"]]
                    assert told == [(r["nano"], bool(r["estimated"])) for r in rows]
                    good = [r for r in rows if not r["estimated"] and r["state"] == "settled"]
                    assert [r["nano"] for r in good] == [PAID]
                    names = [x["target"] for x in record["attempts"]]
                    if record["route"] == "main":
                        assert names == ["bad/m", "bad/m", "b/m"]
                        assert record["nano"] == PAID
                    else:
                        assert names == ["a/m", "b/m"]
                        assert "slow" in record["why"]
                        (beaten,) = [r for r in rows if r["provider"] == "a"]
                        assert beaten["estimated"]
                await gate.rows(10)

    run(main())


def test_f46_a_kill_between_reserve_and_settle(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(stalls(), provider.whole("openai-chat")) as up:
            text = file(budget("$1/total"), a=up)
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                async with gate.line() as line:
                    line.send(gate.question("a/m"))
                    await until(lambda: [r for r in gate.ledger() if r["state"] == "reserved"])
                    gate.kill()
                (row,) = gate.ledger()
                reserved = row["reserved_nano"]
                await gate.start()
                (row,) = await gate.rows()
                assert (row["state"], row["outcome"]) == ("settled", "lost")
                assert row["estimated"]
                assert row["nano"] == reserved
                assert await spent(gate) == (reserved, 0)
                assert (await gate.chat("a/m")).status == 200
                assert await spent(gate) == (reserved + PAID, 0)
                await gate.rows(2)
                assert gate.spent() == reserved + PAID

    run(main())


async def _ask_on(gate: Gate, told: list[str]) -> None:
    """Ask until the gateway is gone; note what was answered."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            reply = await gate.chat("a/m")
            told.append(reply.headers["x-request-id"])


def test_f47_a_kill_while_the_ledger_commits(tmp_path: Path, run: Run) -> None:
    """What a provider was asked is there, once, also what missed the last commit."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            told: list[str] = []
            for life in range(3):
                tasks = [asyncio.create_task(_ask_on(gate, told)) for _ in range(6)]
                asked = len(told)
                await until(lambda asked=asked: len(told) > asked + 20)  # type: ignore[misc]
                await asyncio.sleep(0.2 + 0.003 * life)
                gate.kill()
                await asyncio.gather(*tasks)
                db = sqlite3.connect(f"file:{gate.data}/ledger.db?mode=ro", uri=True)
                assert db.execute("pragma integrity_check").fetchone() == ("ok",)
                db.close()
                await gate.start()
            rows = gate.ledger()
            assert all(r["nano"] == PAID for r in rows if not r["estimated"])
            lost = [r for r in rows if r["estimated"]]
            assert {r["outcome"] for r in lost} <= {"lost"}
            assert {r["nano"] - r["reserved_nano"] for r in lost} <= {0}
            assert len(lost) < len(rows)
            assert {*told} <= {r["request_id"] for r in rows}
            assert len(up.book) <= len(rows) <= len(up.book) + 3 * 6
            assert gate.spent() == sum(r["nano"] for r in rows)

    run(main())


def test_f48_a_price_that_changes_mid_request(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        seen = asyncio.Event()
        tail = b"".join(provider.chat_events()[3:])
        plays: list[Play] = [
            provider.broken_after("openai-chat", 3, "done", seen, tail),
            provider.whole("openai-chat"),
        ]
        async with Upstream(*plays) as up:
            text = file(a=up)
            async with Gate(tmp_path, text) as gate:
                async with gate.line() as line:
                    line.send(gate.question("a/m", stream=True))
                    await line.head()
                    await line.until(b"Hello")
                    gate.write(text.replace("input = 1.0, output = 10.0", "input = 7, output = 70"))
                    assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
                    seen.set()
                    said = await line.until(b"x-octoplex-cost-nano")
                    assert f"cost-nano: {PAID}\n".encode() in said
                reply = await gate.chat("a/m")
                assert reply.headers["x-octoplex-cost-nano"] == str(7 * PAID)
                old, new = await gate.rows(2)
                assert (old["nano"], new["nano"]) == (PAID, 7 * PAID)
                assert old["price_version"] != new["price_version"]

    run(main())


@pytest.mark.parametrize("bill", [(12, 7), (1000, 500)], ids=["fair", "above"])
def test_a_small_budget_under_64_calls_at_once(
    tmp_path: Path, run: Run, bill: tuple[int, int]
) -> None:
    """Never above the cap, but for each bill's own excess over its reservation."""
    cap = 5_000_000

    async def main() -> None:
        async def play(exchange: Exchange) -> None:
            await asyncio.sleep(0.02)
            body = provider.chat_body(bill=bill)
            await says(body, billed=bill)(exchange)

        async with (
            Upstream(play) as up,
            Gate(tmp_path, file(budget("$0.005/total"), a=up), key=APP_KEY) as gate,
        ):
            replies = await asyncio.gather(*(gate.chat("a/m", FACES[n % 2]) for n in range(64)))
            codes = [r.status for r in replies]
            assert set(codes) <= {200, 402}
            count = codes.count(200)
            assert count == len(up.book)
            await gate.records(64)
            rows = [r for r in gate.ledger() if r["state"] == "settled"]
            excess = sum(max(0, r["nano"] - r["reserved_nano"]) for r in rows)
            assert count * provider.nano(bill) <= cap + excess
            total, held = await spent(gate)
            assert (total, held) == (count * provider.nano(bill), 0)
            if bill == provider.BILL:  # 61 fit if every one is let wait for the others
                assert count >= (cap - rows[0]["reserved_nano"]) // PAID
            else:
                assert all(r["exceeded"] and not r["estimated"] for r in rows)
                assert f"octoplex_bills_exceeded_total {count}\n" in await counts(gate)
            for number, reply in enumerate(replies):
                if reply.status == 402:
                    error = error_of(reply, FACES[number % 2])
                    assert error["code"] == "over_budget"

    run(main())


def test_a_request_that_was_asked_again_is_one_request(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        page, good = says(b"<html>"), provider.whole("openai-chat")
        more = route("main", "a/m", "b/m", more="retry = { attempts = 2, backoff_s = 0.01 }")
        async with (
            Upstream(page, good, page, page) as a,
            Upstream(good) as b,
            Gate(tmp_path, file(more, a=a, b=b)) as gate,
        ):
            for _ in range(2):
                assert (await gate.chat("main")).status == 200
            await gate.rows(5)
            with contextlib.closing(Reader(gate.data)) as reader:
                rows = reader.spend(SpendQuery()).rows
            assert {row.provider: row.requests for row in rows} == {"a": 2, "b": 1}

    run(main())


def test_a_failure_says_what_it_cost_and_what_is_left(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        keys = "[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '4 req/min'\n"
        more = route("main", "a/m", more="retry = { attempts = 2, backoff_s = 0.01 }")
        async with (
            Upstream(*[says(b"<html>")] * 8) as up,
            Gate(tmp_path, file(more + keys, a=up), key=APP_KEY) as gate,
        ):
            left = {"openai-chat": "x-ratelimit-remaining-requests"}
            left["anthropic"] = "anthropic-ratelimit-requests-remaining"
            for number, face in enumerate(FACES * 2):
                reply = await gate.chat("main", face)
                assert reply.status == 502
                rows = await gate.rows(2 * number + 2)
                assert reply.headers["x-octoplex-attempts"] == "2"
                spent = sum(r["nano"] for r in rows[-2:])
                assert reply.headers["x-octoplex-cost-nano"] == str(spent)
                assert reply.headers["x-octoplex-estimated"] == "true"
                assert reply.headers[left[face]] == str(3 - number)
            for face in FACES:
                reply = await gate.chat("main", face)
                assert reply.status == 429
                assert reply.headers[left[face]] == "0"
                assert reply.headers["x-octoplex-cost-nano"] == "0"

    run(main())


def test_over_budget_is_402_in_both_dialects(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        text = budget("$0.0001/month")
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(text, a=up), key=APP_KEY) as gate,
        ):
            for face in FACES:
                for stream in (False, True):
                    began = time.monotonic()
                    reply = await gate.chat("a/m", face, stream=stream)
                    assert reply.status == 402
                    assert time.monotonic() - began < 1, "nothing was held: nothing to wait for"
                    error = error_of(reply, face)
                    if face == "anthropic":
                        assert error["type"] == "billing_error"
                        facts: dict[str, Any] = error["details"]
                    else:
                        assert error["type"] == "insufficient_quota"
                        assert error["shown"] == "insufficient_quota"
                        facts = error["octoplex"]
                    assert facts["left_nano"] == 100_000
                    assert facts["window_ends_at"].endswith("Z")
                    assert "$0.0001" in error["message"]
                    assert reply.headers.get("x-should-retry") != "true"
            assert up.book == []
            assert [r["status"] for r in await gate.records(4)] == [402] * 4

    run(main())


def test_a_call_waits_for_open_reservations(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def held(exchange: Exchange) -> None:
            await release.wait()
            await provider.whole("openai-chat")(exchange)

        async with Upstream(held) as up:
            text = file(budget("$0.0007/total"), "budget_wait_s = 0.4", a=up)
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                first = asyncio.create_task(gate.chat("a/m"))
                await until(lambda: len(up.book) == 1)
                began = time.monotonic()
                reply = await gate.chat("a/m")
                assert reply.status == 402
                assert 0.35 < time.monotonic() - began < 2
                second = asyncio.create_task(gate.chat("a/m", "anthropic"))
                await asyncio.sleep(0.1)
                assert len(up.book) == 1
                release.set()
                assert (await first).status == 200
                assert plain_text(await second, "anthropic") == "Hello, world!"
                total, held_nano = await spent(gate)
                assert (total, held_nano) == (2 * PAID, 0)

    run(main())


def test_a_budget_bounds_open_ended_calls(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat"), provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(budget("$1/day"), a=up), key=APP_KEY) as gate,
        ):
            body = b'{"model":"a/m","messages":[{"role":"user","content":"x"}]}'
            reply = await gate.post("/v1/chat/completions", body)
            assert reply.status == 200
            assert reply.headers["x-octoplex-added"] == "max_tokens"
            assert b'"max_tokens":4096' in up.book[0].body
            (row,) = await gate.rows()
            assert row["reserved_nano"] >= 4_096 * 10_000
            unpriced = await gate.chat("a/nobody-knows")
            assert unpriced.status == 403
            assert len(up.book) == 1

    run(main())


def test_counting_tokens_is_no_paid_call(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        counted = says(b'{"input_tokens": 42}')
        async with (
            Upstream(counted) as claude,
            Upstream(provider.whole("openai-chat")) as a,
            Gate(tmp_path, file(a=a, claude=claude)) as gate,
        ):
            body = b'{"model":"%s","messages":[{"role":"user","content":"Hello"}]}'
            for model in (b"claude/m", b"a/m"):
                reply = await gate.post("/v1/messages/count_tokens", body % model)
                assert reply.status == 200, reply.body
                assert reply.json["input_tokens"] > 0
            for entry in [*claude.book, *a.book]:
                assert entry.target.endswith(b"count_tokens")
            assert gate.ledger() == []

    run(main())


@pytest.mark.parametrize(
    ("asked", "served", "pico"),
    [
        (None, "default", (250_000, 2_000_000)),
        ("priority", "priority", (450_000, 3_600_000)),
        ("priority", "default", (250_000, 2_000_000)),  # it was busy, and bills the usual price
        ("flex", "flex", (125_000, 1_000_000)),
        ("auto", "priority", (450_000, 3_600_000)),  # the project's own setting
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_service_tier_is_billed_at_its_own_price(
    tmp_path: Path, run: Run, asked: str | None, served: str, pico: tuple[int, int], stream: bool
) -> None:
    """The figures of gpt-5-mini in the price list; a change there must change them here."""
    tier = json.dumps(served)

    async def main() -> None:
        body = provider.chat_body()[:-1] + b',"service_tier":%b}' % tier.encode()
        events = [
            e.replace(b'"object"', b'"service_tier": %b, "object"' % tier.encode())
            for e in provider.chat_events()
        ]
        async with Upstream(streams(events) if stream else says(body)) as up:
            text = f"[server]\n[providers.openai]\nbase_url = '{up.url}'\napi_key = 'env:UP_KEY'\n"
            async with Gate(tmp_path, text) as gate:
                wish = {"service_tier": asked} if asked else {}
                name = "openai/gpt-5-mini"
                assert (await gate.chat(name, stream=stream, **wish)).status == 200
                (row,) = await gate.rows(1)
                read, wrote = provider.BILL
                assert row["nano"] == (read * pico[0] + wrote * pico[1] + 500) // 1000

    run(main())
