"""What operators see of several processes: breakers, latencies and caches of all of them."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from octoplex.assembly.report import Report, cache_of
from octoplex.ledger.orders import said
from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import Gate, file, route, until
from tests.server.supervisor.processes import children, owner, whole, workers
from tests.server.test_admin import APP_KEY, ENV, KEYS, ask
from tests.upstream_server import Upstream

WANTED = 2
CACHED = "[models.main.cache]\nttl = '1 h'\n"


def text(more: str = "", **ups: Upstream) -> str:
    return file(KEYS + more, f"workers = {WANTED}", **ups)


def names(gate: Gate) -> set[str]:
    return {f"owner {owner(gate)}", *(f"worker {pid}" for pid in workers(gate))}


async def until_all_have_asked(gate: Gate, path: str) -> list[dict[str, Any]]:
    """Ask until each worker has, and what is said of targets then."""
    seen: list[dict[str, Any]] = []
    for _ in range(50):
        await gate.chat("a/m")
        found = (await ask(gate, "GET", path)).json
        seen = found["targets"] if path == "status" else found[0]["targets"]
        if len(seen) == WANTED:
            return seen
    raise AssertionError(seen)


def test_breakers_of_all_workers_are_shown(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(a=up), env=ENV, key=APP_KEY) as gate,
        ):
            for path in ("status", "providers"):
                seen = await until_all_have_asked(gate, path)
                assert {one["process"] for one in seen} == names(gate) - {f"owner {owner(gate)}"}
                assert {(one["target"], one["breaker"]) for one in seen} == {("a/m", "closed")}
            said = (await ask(gate, "GET", "status")).json["processes"]
            assert {one["process"] for one in said} == names(gate)
            assert {one["answers"] for one in said} == {True}

    run(main())


def test_a_worker_that_does_not_answer_is_named(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Gate(tmp_path, text(), env=ENV, key=APP_KEY, clean=False) as gate:
            await until(lambda: whole(gate, WANTED), 10)
            one = workers(gate)[0]
            os.kill(one, signal.SIGSTOP)
            found = said(await gate.control({"do": "cache.stats"}))
            assert found["silent"] == [f"worker {one}"]
            os.kill(one, signal.SIGCONT)
            found = said(await gate.control({"do": "cache.stats"}))
            assert found["silent"] == []
            assert len(children(gate)) == WANTED + 1

    run(main())


def test_the_caches_of_all_workers_are_counted(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, text(route("main", "a/m") + CACHED, a=up), env=ENV, key=APP_KEY) as gate,
        ):
            await gate.chat("main")
            await asyncio.gather(*[gate.chat("main") for _ in range(19)])
            found = said(await gate.control({"do": "cache.stats"}))
            assert found["hits"] + found["misses"] == 20
            assert found["saved_nano"] == found["hits"] * provider.nano(provider.BILL)
            assert found["hits"] >= 20 - WANTED
            assert (found["disk"]["entries"], found["models"][0]["entries"]) == (1, 1)
            assert found["memory"]["entries"] >= 1
            seen = (await ask(gate, "GET", "cache")).json
            assert seen == found

    run(main())


def test_figures_of_caches_add_up() -> None:
    def report(hits: int, up_to: float, **more: Any) -> Report:
        cache = {"hits": hits, "rejected_up_to": up_to, "disk": {"bytes": 0}, "models": [hits]}
        return Report(process=f"worker {hits}", cache=cache, **more)

    assert cache_of([report(1, 0.5), report(2, 0.25), report(4, 1.0, answers=False)]) == {
        "hits": 3,
        "rejected_up_to": 0.5,
        "disk": {"bytes": 0},
        "models": [1, 2],
        "silent": ["worker 4"],
    }
