"""`[[models.NAME.rules]]` as operators meet them: what fires, what the route does, what is told."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import Gate, file, route
from tests.upstream_server import Upstream

SEVERAL = provider.whole("openai-chat")


def rules(*of: str) -> str:
    return "".join(f"[[models.main.rules]]\n{one}\n" for one in of)


def audited(gate: Gate) -> list[dict[str, Any]]:
    path = gate.data / "audit.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["what"].startswith("rules.")]


async def heard(gate: Gate, *whats: str) -> list[dict[str, Any]]:
    """The audit's lines about rules, once these have come."""
    for _ in range(400):
        found = audited(gate)
        if [line["what"] for line in found] == [f"rules.{what}" for what in whats]:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"{whats} never came: {audited(gate)}")


async def asked_first(gate: Gate, up: Upstream, times: int = 12) -> int:
    """How many of so many requests this provider got."""
    before = len(up.book)
    for _ in range(times):
        assert (await gate.chat("main")).status == 200
    return len(up.book) - before


@pytest.mark.parametrize("workers", [1, 2])
def test_a_rule_switches_until_it_is_over(workers: int, tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        when = "when = 'calls >= 5 over 2 s'\nthen = { switch = 'b/m' }\nclear = '1 s'"
        text = route("main", "a/m", "b/m") + rules(when)
        async with Upstream(SEVERAL) as a, Upstream(SEVERAL) as b:
            server = f"workers = {workers}"
            async with Gate(tmp_path, file(text, server, a=a, b=b)) as gate:
                assert await asked_first(gate, a, 5) == 5
                (fired,) = await heard(gate, "fired")
                assert fired["about"] == "main: calls >= 5 over 2 s"
                assert fired["after"]["calls >= 5 over 2 s"] >= 5
                await asyncio.sleep(0.2)  # workers are told after that
                assert await asked_first(gate, b) == 12
                why = (await gate.get("/v1/requests?limit=1")).json["data"][0]["why"]
                assert why == "rule: calls >= 5 over 2 s"
                gauge = 'octoplex_rule_active{route="main",rule="calls >= 5 over 2 s"} 1'
                assert gauge in (await gate.get("/metrics")).body.decode()
                await heard(gate, "fired", "over")
                await asyncio.sleep(0.2)
                assert await asked_first(gate, a, 3) == 3

    run(main())


def test_a_rule_leaves_the_others_to_fall_back_to(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        when = "when = 'cost_per_call > 0 over 1 min'\nthen = { switch = 'b/m' }\nleast = 1"
        text = route("main", "a/m", "b/m") + rules(when)
        down = provider.fails("openai-chat", 500)
        async with (
            Upstream(SEVERAL) as a,
            Upstream(*[down] * 9) as b,
            Gate(tmp_path, file(text, a=a, b=b)) as gate,
        ):
            assert (await gate.chat("main")).status == 200
            await heard(gate, "fired")
            assert await asked_first(gate, a, 2) == 2
            assert b.book

    run(main())


def test_what_callers_say_switches_a_route(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        when = "when = 'quality < 0.5 over 1 min'\nthen = { switch = 'b/m' }\nleast = 2"
        text = route("main", "a/m", "b/m") + rules(when)
        async with (
            Upstream(SEVERAL) as a,
            Upstream(SEVERAL) as b,
            Gate(tmp_path, file(text, a=a, b=b)) as gate,
        ):
            await asyncio.sleep(1.2)  # it has looked
            assert await asked_first(gate, a, 3) == 3
            for row in await gate.records(3):
                said = json.dumps({"request_id": row["id"], "score": 0.2}).encode()
                assert (await gate.post("/v1/feedback", said)).status == 200
            (fired,) = await heard(gate, "fired")
            assert fired["after"] == {"quality < 0.5 over 60 s": 0.2}
            assert await asked_first(gate, b, 3) == 3

    run(main())


def test_errors_alert_by_name(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        when = "when = 'error_rate > 50% over 1 min'\nthen = { alert = 'main is down' }\nleast = 3"
        down = provider.fails("openai-chat", 500)
        async with Upstream(*[down] * 40) as a, Upstream(SEVERAL) as b:
            text = route("main", "a/m") + rules(when)
            async with Gate(tmp_path, file(text, a=a, b=b)) as gate:
                for _ in range(3):
                    assert (await gate.chat("main")).status >= 500
                (fired,) = await heard(gate, "fired")
                assert fired["after"] == {"error_rate > 0.5 over 60 s": 1.0}
                assert 'the rule "main is down" of main fired' in gate.log.read_text()

    run(main())


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("when = 'p95_latency > 4 over 5 min'\nthen = { switch = 'b/m' }", "p95_latency_s"),
        ("when = 'calls > 4 over 5 min'\nthen = { switch = 'c/m' }", "c/m"),
        ("when = 'calls > 4'\nthen = { alert = true }", 'end it with "over 5 min"'),
        ("when = 'calls > 4 over 1 min'\nthen = { cap = 0.5 }", 'pick = "learned"'),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(rule: str, said: str, tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(SEVERAL) as a, Upstream(SEVERAL) as b:
            text = file(route("main", "a/m", "b/m") + rules(rule), a=a, b=b)
            with pytest.raises(AssertionError) as refused:
                await Gate(tmp_path, text).start()
            assert "[models.main] rules" in str(refused.value)
            assert said in str(refused.value)

    run(main())
