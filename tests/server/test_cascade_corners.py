"""Cascades and variants where other parts of the gateway meet them."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from octoplex.ledger import Page
from octoplex.optimizer import cascade
from tests.server.conftest import Run
from tests.server.gate import file, route, until
from tests.server.inside import inside
from tests.server.learning_scene import answers
from tests.server.test_cascades import RIGHT, scene, stuck
from tests.upstream_server import Exchange, Upstream, stalls


def test_a_request_that_is_repeated_is_its_callers_own(tmp_path: Path, run: Run) -> None:
    """Its unit may have another variant by then, which is another body; the key holds."""

    async def main() -> None:
        async with scene(tmp_path) as at:
            for number in range(6):
                key = ("idempotency-key", f"k{number}")
                first, again = [await at.send("openai-chat", key, **RIGHT) for _ in "12"]
                assert (first.status, again.status) == (200, 200), again.body
                assert first.body == again.body
                assert again.headers["idempotent-replayed"] == "true"
            assert at.asked == (6, 6, 0)
            await at.works.store.drain()
            rows = at.works.store.reader.requests(Page(limit=99))
            assert sum(row.trial != "" for row in rows) == 6

    run(main())


def test_a_guards_judge_is_no_part_of_an_experiment(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        more = (
            "[models.watch]\ntry = ['judge/m', 'b/m']\n[guard]\njudge = 'models.watch'\n"
            "[experiments.x]\nroute = 'main'\nunit = 'request'\nmetric = 'error_rate'\n"
            "variants = { one = { target = 'b/m' }, other = { target = 'b/m', top_p = 0.5 } }\n"
        )
        async with (
            Upstream(answers("wrong")) as a,
            Upstream(answers("right")) as b,
            Upstream(answers('{"attempt": false}')) as judge,
        ):
            text = file(route("main", "a/m", "b/m") + more, a=a, b=b, judge=judge)
            async with inside(tmp_path, text) as gate:
                assert b"right" in (await gate.chat("main")).body
                assert (len(a.book), len(b.book), len(judge.book)) == (0, 1, 1)

    run(main())


@pytest.mark.parametrize("verify", ["exact-match", "models.judge"])
def test_who_leaves_while_he_waits_has_used_what_is_there(
    tmp_path: Path, run: Run, verify: str
) -> None:
    """Of the answer that is held, or verified; its record says how much it was."""

    async def main() -> None:
        seen = asyncio.Event()
        play = stuck(seen) if verify == "exact-match" else answers("right")
        async with scene(tmp_path, verify, a=play, judge=stalls()) as at:
            waits = at.judge if verify == "models.judge" else at.a
            async with at.gate.line() as line:
                line.send(at.gate.question("main", stream=True, **RIGHT))
                await until(lambda: waits.book)
                if waits is at.a:
                    await seen.wait()
                    await asyncio.sleep(0.05)  # what is sent is on its way
            await at.gate.rows(1 + len(at.judge.book))
            await until(lambda: not at.works.book.open_nano)
            record = await at.record()
            assert record.outcome == "left"
            assert record.output_tokens > 0
            assert record.input_tokens > 0

    run(main())


def test_where_there_is_no_room_to_hold_an_answer_the_better_one_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    free = asyncio.Event()
    good = answers('{"good": true}')

    async def waits(exchange: Exchange) -> None:
        await free.wait()
        await good(exchange)

    monkeypatch.setattr(cascade, "Room", partial(cascade.Room, 1_000))  # a stream has 700 bytes

    async def main() -> None:
        async with scene(tmp_path, "models.judge", judge=waits) as at:
            first = asyncio.create_task(at.send(stream=True))
            await until(lambda: at.judge.book)
            assert b"right" in (await at.send(stream=True)).body
            free.set()
            assert b"wrong" in (await first).body
            for _ in range(3):  # what was held is given back
                assert b"wrong" in (await at.send(stream=True)).body

    run(main())


def test_a_judge_does_not_vouch_for_what_it_has_not_seen(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        long = answers("x" * 24_001)
        async with scene(tmp_path, "models.judge", a=long, judge=answers('{"good": true}')) as at:
            assert b"right" in (await at.send()).body
            assert (await at.record()).why == "escalated: nobody vouches for it"
            assert at.asked == (1, 1, 0)

    run(main())


def test_what_was_answered_without_the_variant_is_none_of_its_results(
    tmp_path: Path, run: Run
) -> None:
    """Several models in one: the route of the cascade is not who answers."""

    async def main() -> None:
        async with scene(tmp_path) as at:
            assert b"wrong" in (await at.send(models=["b/m"], **RIGHT)).body
            record = await at.record()
            assert (record.target, record.trial) == ("a/m", "")
            assert not at.results

    run(main())
