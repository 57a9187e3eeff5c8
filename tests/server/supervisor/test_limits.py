"""Limits of one key over several workers: never passed, and nobody refused too early."""

import asyncio
from pathlib import Path

from tests.server import provider
from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, question, route
from tests.upstream_server import Exchange, Upstream

WORST_NANO = -(-len(question("main")) // 3) * 1_000 + 50 * 10_000
WORST_TOKENS = -(-len(question("main")) // 3)
PARALLEL = 200


def limited(limits: str, up: Upstream, server: str = "") -> str:
    key = f"[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '{limits}'\n"
    return file(route("main", "a/m") + key, f"workers = 4\n{server}", a=up)


async def asked(gate: Gate, count: int = PARALLEL) -> list[Reply]:
    return await asyncio.gather(*[gate.chat("main") for _ in range(count)])


async def exhausted(gate: Gate, status: int) -> int:
    """Ask one by one until it is refused; how many passed."""
    passed = 0
    while (reply := await gate.chat("main")).status == 200:
        passed += 1
        assert passed < PARALLEL
    assert reply.status == status, reply.body
    return passed


def test_a_budget_is_spent_to_the_last_call_and_never_passed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            text = limited("$0.01/day", up, "budget_wait_s = 20.0")
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                replies = await asked(gate)
                assert {r.status for r in replies} == {200, 402}
                passed = sum(r.status == 200 for r in replies) + await exhausted(gate, 402)
                rows = await gate.rows(passed)
                assert len(up.book) == passed
                spent = sum(row["nano"] for row in rows)
                assert spent == passed * provider.nano(provider.BILL)
                assert spent <= 10_000_000 < spent + WORST_NANO
                told = (await gate.get("/v1/key")).json
                assert told["spent_nano"] == spent
                assert told["budgets"][0]["left_nano"] == 10_000_000 - spent

    run(main())


def test_no_lease_is_money_that_others_have_too(tmp_path: Path, run: Run) -> None:
    """Bills as high as their reservations: what is granted twice would be paid twice."""

    async def main() -> None:
        whole = provider.whole("openai-chat", bill=(WORST_TOKENS, 50))

        async def slowly(exchange: Exchange) -> None:
            await asyncio.sleep(0.05)
            await whole(exchange)

        fits = 300
        limits = f"${fits * WORST_NANO / 10**9:.9f}/day"
        async with (
            Upstream(slowly) as up,
            Gate(tmp_path, limited(limits, up), key=APP_KEY) as gate,
        ):
            replies = [*await asked(gate), *await asked(gate)]
            passed = sum(reply.status == 200 for reply in replies)
            passed += await exhausted(gate, 402)
            assert passed == len(up.book) == fits
            rows = await gate.rows(fits)
            assert sum(row["nano"] for row in rows) == fits * WORST_NANO

    run(main())


def test_a_rate_of_requests_is_used_up_and_never_passed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, limited("100 req/day", up), key=APP_KEY) as gate,
        ):
            replies = await asked(gate)
            assert sum(r.status == 200 for r in replies) == 100
            assert {r.status for r in replies} == {200, 429}
            assert len(up.book) == 100
            assert (await gate.get("/v1/key")).json["limits"][0]["remaining"] == 0

    run(main())


def test_a_rate_of_tokens_is_used_up_and_never_passed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, limited("2000 tok/day", up), key=APP_KEY) as gate,
        ):
            replies = await asked(gate)
            assert {r.status for r in replies} <= {200, 429}
            await gate.rows(len(up.book))
            await exhausted(gate, 429)
            used = len(up.book) * sum(provider.BILL)
            assert used <= 2_000 + sum(provider.BILL)
            assert used + WORST_TOKENS > 2_000

    run(main())
