"""Candidates of a route that learns which are more than a target: prompts, parameters, cascades."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from octoplex.optimizer.course import OTHERS
from octoplex.optimizer.notes import Order
from octoplex.routing.bend import Bend
from octoplex.wire.error import BadConfig
from tests.optimizer.classroom import certified
from tests.server import provider
from tests.server.gate import file
from tests.server.inside import inside
from tests.server.learning_scene import COSTS, TARGETS, Class, answers, learning, text
from tests.upstream_server import Upstream, says

SHORT = """[models.main.variants]
short = { target = "good/x", prompt = "Be short.", temperature = 0.25 }
"""
CASCADE = """[models.main.variants]
first = {{ target = "{target}", verify = ["exact-match"], escalate = "ref/x" }}
"""


async def taught(at: Class, name: str, shadow: float = 0.0) -> None:
    """The variant of this name serves all, but for the floor."""
    await at.taught(certified((*TARGETS, name), shadow=shadow, best=3))


@pytest.mark.parametrize("face", ["openai-chat", "anthropic", "openai-responses"])
def test_a_prompt_is_a_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch, SHORT) as at:
            await taught(at, "short")
            reply = await at.ask(face)
            assert reply.headers["x-octoplex-model"] == "good/x"
            (sent,) = at.ups["good"].book
            body: dict[str, Any] = json.loads(sent.body)
            assert body["messages"][0] == {"role": "system", "content": "Be short."}
            assert body["temperature"] == 0.25
            ((_, decision),) = at.memory.decisions
            assert (decision.variant, decision.proposal.candidate) == (3, 3)

    asyncio.run(main())


@pytest.mark.parametrize("target", ["good/x", "bad/x"])
def test_a_cascade_is_a_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch, CASCADE.format(target=target)) as at:
            await taught(at, "first")
            reply = await at.ask()
            is_good = target == "good/x"
            assert reply.headers["x-octoplex-model"] == (target if is_good else "ref/x")
            spent = COSTS[target[:-2]] + (0 if is_good else COSTS["ref"])
            assert reply.headers["x-octoplex-cost-nano"] == str(spent)
            for _ in range(14):
                await at.ask()
            # One that always escalates costs more than the reference alone: it is given up.
            told = [decision.variant for _, decision in at.memory.decisions]
            assert told[0] == told[9] == 3
            assert told[-1] == (3 if is_good else 0)

    asyncio.run(main())


def test_a_guards_judge_is_no_part_of_what_a_cascade_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it is asked of the same target; a reference would cost it as well."""
    guard = "[models.watch]\ntry = ['bad/x']\n[guard]\njudge = 'models.watch'\n"

    async def main() -> None:
        table = CASCADE.format(target="bad/x") + guard
        async with learning(tmp_path, monkeypatch, table) as at:
            await taught(at, "first")
            reply = await at.ask()
            spent = 2 * COSTS["bad"] + COSTS["ref"]
            assert reply.headers["x-octoplex-cost-nano"] == str(spent)
            assert at.school._followed is not None
            study = at.school._followed.studies["main"]
            bills = study.expected._cascades[3]
            assert (bills.first, bills.whole) == (COSTS["bad"], COSTS["bad"] + COSTS["ref"])

    asyncio.run(main())


def test_a_rule_that_holds_goes_before_a_variant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch, SHORT) as at:
            await taught(at, "short")
            at.gate.works.health.bends["main"] = Bend("bad/x", 1.0, "p95_latency_s > 4")
            assert (await at.ask()).headers["x-octoplex-model"] == "bad/x"

    asyncio.run(main())


def test_who_is_escalated_to_is_not_taken_for_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty replies in a row by another name would void what was certified."""

    async def main() -> None:
        async with learning(tmp_path, monkeypatch, CASCADE.format(target="good/x")) as at:
            at.ups["ref"].plays.clear()
            at.ups["ref"].plays.append(says(provider.chat_body("x").replace(b"m-1", b"m-2")))
            await taught(at, "first")
            await at.ask()
            for _ in range(OTHERS):
                await at.ask(metadata={"expected": "something else"})
            assert len(at.ups["ref"].book) == OTHERS
            assert [note for note in at.memory.notes if isinstance(note, Order)] == []

    asyncio.run(main())


@pytest.mark.parametrize("target", ["good/x", "bad/x"])
def test_a_pair_judges_what_a_cascade_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Where it escalates it says what the reference says, and that costs the shadow both."""

    async def main() -> None:
        table = CASCADE.format(target=target)
        async with learning(tmp_path, monkeypatch, table, spend="$9 total") as at:
            await taught(at, "first", shadow=1.0)
            for _ in range(20):  # one rival in ten is another one
                await at.ask()
                await at.settled()
            pairs = [pair for pair in at.memory.pairs if pair.decision.rival == 3]
            cost = COSTS[target[:-2]] + (COSTS["ref"] if target == "bad/x" else 0)
            assert pairs
            assert {(p.reference, p.rival, p.nano) for p in pairs} == {(1.0, 1.0, cost)}
            results = at.gate.works.metrics.cascades
            passed = "passed" if target == "good/x" else "escalated"
            assert results == {("shadow:main", passed): len(pairs)}
            # What it costs is learned from these, too, before it was ever served.
            told = [decision.proposal.candidate for _, decision in at.memory.decisions]
            assert (told[0], told[-1] == 3) == (3, target == "good/x")

    asyncio.run(main())


def test_where_a_variant_cannot_be_had_the_reference_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its target is down: routing's next is the reference."""

    async def main() -> None:
        async with learning(tmp_path, monkeypatch, SHORT) as at:
            await taught(at, "short")
            at.ups["good"].plays.clear()
            at.ups["good"].plays.append(provider.fails("openai-chat", 503))
            reply = await at.ask()
            assert reply.headers["x-octoplex-model"] == "ref/x"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("x = { prompt = 'Be short.' }", "say who is asked"),
        ("x = { target = 'c/x', prompt = 'Be short.' }", "not valid"),
        ("x = { target = 'bad/x' }", "nothing else"),
        ("'a/b' = { target = 'bad/x', top_p = 0.5 }", "a target's"),
        (
            "x = { target = 'bad/x', top_p = 0.5 }, y = { target = 'bad/x', top_p = 0.5 }",
            "the same",
        ),
        ("x = { target = 'bad/x', verify = ['main'], escalate = 'ref/x' }", "models.NAME"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, variant: str, said: str) -> None:
    async def main() -> None:
        async with (
            Upstream(answers("a")) as a,
            Upstream(answers("b")) as b,
            Upstream(answers("c")) as c,
        ):
            more = text().replace("[models.main]", f"[models.main]\nvariants = {{ {variant} }}")
            with pytest.raises(BadConfig) as refused:
                async with inside(tmp_path, file(more, ref=a, good=b, bad=c)):
                    raise AssertionError("it was let in force")
            assert "[models.main] variants" in str(refused.value)
            assert said in str(refused.value)

    asyncio.run(main())
