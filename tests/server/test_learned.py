"""`pick = "learned"` as callers meet it: a real gateway, real sockets, scripted providers."""

import asyncio
import contextlib
import sys
from collections import Counter, deque
from pathlib import Path
from random import Random
from typing import Any

import pytest

from octoplex.assembly import classroom
from octoplex.gateway import Gateway
from octoplex.ledger import Page
from octoplex.ledger.rows import Record
from octoplex.optimizer.loop import Plan as LoopPlan
from octoplex.optimizer.notes import Order
from octoplex.settings import parse
from tests.optimizer.classroom import WORDS as SAID
from tests.optimizer.classroom import Memory, certified
from tests.sandbox.host import needs_sandbox
from tests.server import caller
from tests.server.gate import APP_KEY, Gate, file, question, until
from tests.server.inside import inside
from tests.server.learning_scene import COSTS, TARGETS, Class, learning, providers, text
from tests.server.provider import BILL, fails, nano
from tests.upstream_server import Upstream, says, stalls


async def records(at: Class) -> dict[str, Record]:
    await at.gate.works.store.drain()
    return {r.id: r for r in await at.gate.works.store.requests(Page(limit=1_000))}


def test_traffic_goes_to_the_good_one_and_never_to_the_bad_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch) as at:
            assert await at.rounds(20) == {"ref": 20}
            await at.taught()
            before = len(at.memory.pairs)
            found = await at.rounds(60)
            assert found["good"] > 30
            assert found["ref"] == 60 - found["good"]
            assert 5 < len(at.memory.pairs) - before <= found["ref"]
            told = [r for r in (await records(at)).values() if r.key != "shadow:main"]
            whys = {r.target: r.why for r in told[:60]}
            assert whys["good/x"].startswith("learned: good/x, p 0.998, rung 40, policy 9")
            assert len(at.memory.decisions) == 80
            assert {id_ for id_, _ in at.memory.decisions} == {r.id for r in told}

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("face", ["openai-chat", "anthropic", "openai-responses"])
def test_a_pair_is_made_beside_the_path_on_every_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face: str, stream: bool
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch, shadow=0.5) as at:
            while not at.memory.pairs:
                assert b"right" in (await at.ask(face, **({"stream": True} if stream else {}))).body
                await at.settled()
            (made,) = at.memory.pairs
            rival = ("ref", "good", "bad")[made.decision.rival]
            assert (made.reference, made.judge) == (1.0, "exact-match")
            assert (made.rival, made.nano) == (0.0 if rival == "bad" else 1.0, COSTS[rival])

            found = await records(at)
            own = found.pop(made.request_id)
            assert (own.target, own.nano, own.key) == ("ref/x", COSTS["ref"], "")
            assert own.why == f"learned: compared with {rival}/x, rung 0, policy 0"
            (beside,) = [r for r in found.values() if r.key == "shadow:main"]
            assert (beside.route, beside.target) == ("shadow:main", f"{rival}/x")
            assert (beside.nano, beside.why) == (COSTS[rival], f"beside {made.request_id}")
            book = at.gate.works.book
            assert book.spent("shadow:main") == COSTS[rival]
            assert book.spent("") == (len(found)) * COSTS["ref"]

    asyncio.run(main())


def test_a_model_that_judges_is_paid_by_the_shadow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch, shadow=0.5, judge="ref/m") as at:
            while not [p for p in at.memory.pairs if p.decision.rival == 2]:
                await at.ask()
                await at.settled()
            (made,) = [p for p in at.memory.pairs if p.decision.rival == 2]
            # Its words are no verdict; it was asked twice all the same.
            assert (made.reference != made.reference, made.judge) == (True, "ref/m")
            assert made.nano == COSTS["bad"] + 2 * nano(BILL)
            found = [r for r in (await records(at)).values() if r.route == "ref/m"]
            assert {r.key for r in found} == {"shadow:main"}
            book = at.gate.works.book
            assert book.spent("shadow:main") == sum(p.nano for p in at.memory.pairs)

    asyncio.run(main())


@needs_sandbox
def test_code_is_judged_by_the_tests_of_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch, shadow=0.5, judge="tests") as at:
            while len(at.memory.pairs) < 2:
                await at.ask(metadata={"tests": "right = 1" if at.memory.pairs else "assert right"})
                await at.settled()
            for made in at.memory.pairs:  # their words are no names
                assert (made.reference, made.rival, made.judge) == (0.0, 0.0, "tests")

    asyncio.run(main())


def test_a_price_change_counts_at_the_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch) as at:
            await at.taught()
            assert (await at.rounds(20))["good"] > 8
            await reload(at, text().replace("input = 1.0, output = 3.0", "input = 11, output = 31"))
            assert await at.rounds(20) == {"ref": 20}
            await reload(at, text())
            assert (await at.rounds(20))["good"] > 8

    asyncio.run(main())


async def reload(at: Class, more: str) -> None:
    works = at.gate.works
    settings = parse(file(more, **at.ups))
    at.gate.app.put(Gateway(settings, works, works.keys_now()))


def test_other_parameters_of_the_targets_void_what_was_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch) as at:
            await at.taught()
            await reload(at, text("hedge = 'off'"))
            assert (await at.rounds(20))["good"] > 8
            assert not [note for note in at.memory.notes if isinstance(note, Order)]
            await reload(at, text("defaults = { temperature = 0.1 }"))
            assert await at.rounds(20) == {"ref": 20}
            (void,) = [note for note in at.memory.notes if isinstance(note, Order)]
            assert void.kind == "void"
            await at.taught(version=10)
            assert (await at.rounds(20))["good"] > 8

    asyncio.run(main())


def test_other_targets_in_the_file_end_what_was_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch) as at:
            await at.taught()
            await reload(at, text().replace('"good/x", "bad/x"', '"bad/x", "good/x"'))
            assert await at.rounds(20) == {"ref": 20}
            await reload(at, text().replace('pick = "learned"', "").split("reference")[0])
            assert (await at.rounds(3))["ref"] == 3

    asyncio.run(main())


@pytest.mark.parametrize("data", [b"", b"no policy at all", certified(TARGETS)[:-9]])
def test_a_policy_that_cannot_be_read_leaves_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch) as at:
            await at.taught()
            await at.taught(data, version=10)
            assert await at.rounds(20) == {"ref": 20}

    asyncio.run(main())


def test_paused_means_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch) as at:
            await at.taught()
            at.memory.pauses.add("main")
            assert await at.rounds(20) == {"ref": 20}
            assert not at.memory.pairs
            (record, *_) = (await records(at)).values()
            assert record.why == "learned: paused"

    asyncio.run(main())


def test_where_the_reference_is_down_candidates_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch) as at:
            at.ups["ref"].plays = always(fails("openai-chat", 401))
            assert await at.rounds(10) == {"good": 10}
            assert not at.memory.pairs

    asyncio.run(main())


def test_where_the_chosen_one_is_down_the_reference_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch) as at:
            await at.taught()
            at.ups["good"].plays = always(fails("openai-chat", 401))
            assert await at.rounds(10) == {"ref": 10}

    asyncio.run(main())


def always(play: Any) -> Any:
    return deque([play])


def test_a_stop_does_not_wait_for_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch, shadow=0.5) as at:
            for name in ("good", "bad"):
                at.ups[name].plays = always(stalls())
            for _ in range(12):
                await at.ask()
            pairs = at.school.pairs
            assert pairs._tasks
            await at.gate.works.school.close()  # type: ignore[union-attr]
            assert not pairs._tasks
            assert not at.memory.pairs

    asyncio.run(main())


def test_a_dollar_cap_is_a_budget_of_the_shadows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch, shadow=0.5, spend="$0.0003 total") as at:
            await at.rounds(60)
            book = at.gate.works.book
            assert 0 < book.spent("shadow:main") <= 300_000
            made = len(at.memory.pairs)
            assert 2 < made < 30
            await at.rounds(20)
            assert book.spent("shadow:main") <= 300_000

    asyncio.run(main())


def test_other_asks_of_the_route_go_to_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with learning(tmp_path, monkeypatch) as at:
            await at.taught()
            for members in ({"n": 2}, {"messages": [{"role": "user", "content": 7}]}):
                found = await at.rounds(5, **members)
                assert found == {"ref": 5}
            notes = len(at.memory.notes)
            await at.rounds(5, n=2)
            assert len(at.memory.notes) == notes

    asyncio.run(main())


def test_tokens_are_counted_as_on_any_route(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = """
[models.claudes]
try = ["claude/m", "claude2/m"]
pick = "learned"
reference = "claude2/m"
learn = { judge = ["exact-match"] }
"""

    async def main() -> None:
        counts = says(b'{"input_tokens": 5}')
        async with Upstream(counts) as up, Upstream(counts) as other:
            settings = file(more, claude=up, claude2=other)
            memory = Memory(LoopPlan(("claude2/m", "claude/m")))
            monkeypatch.setattr(classroom, "DiskShelf", lambda data: memory)
            async with inside(tmp_path, settings) as gate:
                body = question("claudes", max_tokens=None)
                path = "/v1/messages/count_tokens"
                reply = await caller.ask(gate.port, "POST", path, body)
                assert (reply.status, reply.json["input_tokens"]) == (200, 5)

    asyncio.run(main())


def test_workers_and_the_learner_find_who_is_good_on_nobodys_account(tmp_path: Path) -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            ups = await providers(stack)
            keys = "[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '$100/day'\n"
            written = file(text(keys, shadow=0.4), "workers = 2", **ups)
            gate = await stack.enter_async_context(Gate(tmp_path, written, key=APP_KEY))
            end_at = asyncio.get_running_loop().time() + 120
            while (found := await many(gate, 50))["good"] <= 10:
                assert found["bad"] == 0
                assert asyncio.get_running_loop().time() < end_at, "it was never learned"
                if len(gate.seen) > 2_000:  # enough was judged: leave the learner some time
                    await asyncio.sleep(0.3)
            await until(lambda: not [r for r in gate.ledger() if r["state"] == "reserved"], 20)
            rows = [row for row in gate.ledger() if row["state"] == "settled"]
            own = [r for r in rows if r["key_name"] == "app"]
            assert {r["provider"] for r in own} == {"ref", "good"}
            beside = [r for r in rows if r["key_name"] == "shadow:main"]
            assert {r["provider"] for r in beside} == {"good", "bad"}
            assert {r["route"] for r in beside} == {"shadow:main"}
            assert len(own) + len(beside) == len(rows) == sum(len(up.book) for up in ups.values())
            told = (await gate.get("/v1/key")).json
            assert told["spent_nano"] == sum(int(r["nano"]) for r in own)
            assert told["budgets"][0]["spent_nano"] == told["spent_nano"]

    asyncio.run(main())


async def many(gate: Gate, count: int) -> Counter[str]:
    """So many requests at once; who answered them."""
    random = Random(len(gate.seen))

    async def one() -> str:
        turns = [{"role": "user", "content": " ".join(random.choice(SAID) for _ in range(8))}]
        reply = await gate.chat("main", messages=turns, metadata={"expected": "right"})
        assert reply.status == 200, reply.body
        return reply.headers["x-octoplex-provider"]

    return Counter(await asyncio.gather(*(one() for _ in range(count))))


def test_numpy_is_not_imported_where_nothing_learns(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, pathlib\n"
        "from octoplex.gateway import open_gateway\n"
        "from octoplex.settings import parse\n"
        "async def main():\n"
        "    gateway = open_gateway(parse(''), {}, pathlib.Path(sys.argv[1]))\n"
        "    await gateway.works.close()\n"
        "asyncio.run(main())\n"
        "assert 'numpy' not in sys.modules\n"
    )

    async def main() -> None:
        ran = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(tmp_path))
        assert await asyncio.wait_for(ran.wait(), 60) == 0

    asyncio.run(main())
