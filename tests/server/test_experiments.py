"""`[experiments.NAME]` as callers and operators meet them."""

import json
from pathlib import Path
from typing import Any

import pytest

from octoplex.ledger.trials import TrialsFile
from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import UP_KEY, Gate, file, route, until
from tests.shell import Done, Home
from tests.shell import run as shell
from tests.upstream_server import Upstream

SEVERAL = provider.whole("openai-chat")
SHORT = """
[experiments.shorter]
route = "main"
unit = "{unit}"
variants = {{ today = {{}}, short = {{ prompt = "Be short.", temperature = 0.25 }} }}
metric = "cost_per_call"
"""


def tried(more: str = "", unit: str = "user") -> str:
    return route("main", "a/m", "b/m") + (more or SHORT.format(unit=unit))


def asked(up: Upstream) -> list[dict[str, Any]]:
    return [json.loads(entry.body) for entry in up.book]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_user_has_one_variant_and_every_result_is_kept(
    workers: int, tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with Upstream(SEVERAL) as a, Upstream(SEVERAL) as b:
            text = file(tried(), f"workers = {workers}", a=a, b=b)
            async with Gate(tmp_path, text) as gate:
                for number in range(24):
                    assert (await gate.chat("main", user=f"user-{number % 8}")).status == 200
                assert (await gate.chat("main")).status == 200  # says no user
                assert (await gate.chat("a/m", user="user-1")).status == 200  # another route
                rows = await gate.records(26)
            bodies = asked(a)
            short = [b for b in bodies if b["messages"][0]["role"] == "system"]
            assert short
            assert all(b["messages"][0]["content"] == "Be short." for b in short)
            assert all(b["temperature"] == 0.25 for b in short)
            by_user: dict[str, set[str]] = {}
            for row in rows:
                if row["trial"]:
                    by_user.setdefault(row["user"], set()).add(row["trial"])
            assert len(by_user) == 8
            assert all(len(variants) == 1 for variants in by_user.values())
            told = [row["trial"] for row in rows if row["trial"]]
            assert told.count("shorter: short") == len(short)
            assert set(told) == {"shorter: short", "shorter: today"}
            kept = TrialsFile.open(gate.data)
            key = f"shorter#{kept_key(gate)}"
            found = [one.result for one in kept.waiting(key, 99)]
            kept.close()
            assert sorted(len(one.unit) for one in found) == [24] * 8  # a unit counts once
            assert all(one.nano > 0 and one.latency_s > 0 and not one.failed for one in found)

    run(main())


def kept_key(gate: Gate) -> str:
    import sqlite3

    db = sqlite3.connect(gate.data / "learning.db")
    ((key,),) = db.execute("select distinct experiment from results").fetchall()
    db.close()
    return str(key).partition("#")[2]


@pytest.mark.parametrize("face", ["openai-chat", "anthropic"])
def test_a_target_is_a_variant(face: str, tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        more = (
            "[experiments.other]\nroute = 'main'\nunit = 'request'\n"
            "variants = { today = {}, other = { target = 'b/m' } }\nmetric = 'error_rate'\n"
        )
        async with Upstream(SEVERAL) as a, Upstream(SEVERAL) as b:
            async with Gate(tmp_path, file(tried(more), a=a, b=b)) as gate:
                for _ in range(30):
                    assert (await gate.chat("main", face)).status == 200
                rows = await gate.records(30)
            assert len(a.book) + len(b.book) == 30
            assert min(len(a.book), len(b.book)) > 3
            by_target = {(row["target"], row["trial"]) for row in rows}
            assert by_target == {("a/m", "other: today"), ("b/m", "other: other")}

    run(main())


def test_a_failure_of_a_variant_is_a_result(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        down = [provider.fails("openai-chat", 500)] * 9
        async with Upstream(*down) as a, Upstream(*down) as b:
            async with Gate(tmp_path, file(tried(unit="request"), a=a, b=b)) as gate:
                assert (await gate.chat("main")).status >= 500
                refused = await gate.chat("main", temperature="hot", n=0)
                assert refused.status == 400
            kept = TrialsFile.open(gate.data)
            (one,) = kept.waiting(f"shorter#{kept_key(gate)}", 9)
            kept.close()
            assert one.result.failed

    run(main())


def test_operators_see_what_is_tried(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(SEVERAL) as a,
            Upstream(SEVERAL) as b,
            Gate(tmp_path, file(tried(unit="request"), a=a, b=b)) as gate,
        ):
            audit = gate.data / "audit.jsonl"
            home = Home(tmp_path, {"UP_KEY": UP_KEY})

            def said(*words: str) -> Done:
                return shell(home, "experiments", *words, "--config", str(gate.config))

            assert "waiting" in said("list").out
            for _ in range(110):
                assert (await gate.chat("main")).status == 200
            await until(lambda: audit.exists() and "experiments.running" in audit.read_text(), 20)
            assert "running" in said("list").out
            plot = tmp_path / "shorter.svg"
            shown = said("show", "shorter", "--plot", str(plot))
            assert "cost_per_call" in shown.out
            assert "short" in shown.out
            unknown = said("show", "longer").failed_with_a_sentence()
            assert "octoplex experiments list" in unknown
            as_json = json.loads(said("show", "shorter", "--json").out)
            assert as_json["phase"] == "running"
            assert [row["variant"] for row in as_json["rows"]] == ["today", "short"]

    run(main())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[experiments.x]\nroute = 'other'\nvariants = { a = {}, b = { target = 'b/m' } }", "main"),
        ("[experiments.x]\nroute = 'main'\nvariants = { a = {} }", "two or more"),
        (
            "[experiments.x]\nroute = 'main'\nvariants = { a = {}, b = { target = 'c/m' } }",
            "no target of main; valid: a/m, b/m",
        ),
        (
            "[experiments.x]\nroute = 'main'\n"
            "variants = { a = {}, b = { prompt = 'file:nowhere.md' } }",
            "nowhere.md",
        ),
        (
            "pick = 'learned'\nreference = 'a/m'\nlearn.judge = ['exact-match']\n"
            "[experiments.x]\nroute = 'main'\nvariants = { a = {}, "
            "b = { target = 'b/m', verify = ['json-schema'], escalate = 'a/m' } }",
            "[models.main.variants]",
        ),
        ("[experiments.x]\nroute = 'main'\nvariant = { a = {} }", "variant"),
        (SHORT.format(unit="user") + SHORT.format(unit="user").replace("shorter", "x"), "already"),
    ],
)
def test_what_cannot_be_tried_is_refused(more: str, said: str, tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(SEVERAL) as a, Upstream(SEVERAL) as b:
            with pytest.raises(AssertionError) as refused:
                await Gate(tmp_path, file(tried(more), a=a, b=b)).start()
            assert "experiments" in str(refused.value)
            assert said in str(refused.value)

    run(main())
