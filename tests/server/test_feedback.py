"""What callers say of semantic hits, and what becomes of the next ones."""

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.ledger.learning import Said, read_learning
from octoplex.reflex.cache.marks import MOST_WRONG, STEP, Mark, from_which, score_of
from tests.server.cache_scene import KEYS, OTHER_KEY, cached, kept, numbered, told
from tests.server.caller import Reply
from tests.server.gate import APP_KEY, Gate, file
from tests.server.test_cache_semantic import ALIKE, ASKED, SEMANTIC, embeds
from tests.upstream_server import Upstream

FOUND = 0.995
"""The cosine of `ALIKE`, as the record tells it."""
TENANT = "[tenants.acme]\n[keys.app]\nsecret = 'env:APP_KEY'\ntenant = 'acme'\n"
TENANT += "[keys.other]\nsecret = 'env:OTHER_KEY'\ntenant = 'acme'\n"


def scene(folder: Path, e: Upstream, up: Upstream, keys: str = KEYS) -> Gate:
    text = file(keys + cached(cache=SEMANTIC), a=up, e=e)
    return Gate(folder, text, key=APP_KEY, env={"OTHER_KEY": OTHER_KEY})


async def asks(gate: Gate, text: str, key: str = APP_KEY) -> Reply:
    gate.key = key
    return await gate.chat("main", messages=[{"role": "user", "content": text}])


async def says(gate: Gate, answered: Reply, score: Any, key: str = APP_KEY) -> Reply:
    gate.key = key
    said = {"request_id": answered.headers["x-request-id"], "score": score}
    return await gate.post("/v1/feedback", json.dumps(said).encode())


def test_a_hit_that_was_wrong_is_not_given_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, e, up) as gate,
        ):
            assert told(await asks(gate, ASKED)) == "miss"
            hit = await asks(gate, ALIKE)
            assert told(hit) == "semantic"
            reply = await says(gate, hit, 0)
            id_ = hit.headers["x-request-id"]
            assert reply.status == 200
            least = {"min": round(FOUND + STEP, 4)}
            assert reply.json == {"request_id": id_, "score": 0.0, "cache": least}
            assert told(await asks(gate, ALIKE)) == "miss"
            assert told(await asks(gate, ASKED)) == "hit"
            assert (await says(gate, hit, True)).json["cache"] == {"min": 0.95}

    asyncio.run(main())


def test_what_was_said_outlives_a_restart_and_not_a_purge(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, e, up) as gate,
        ):
            await asks(gate, ASKED)
            hit = await asks(gate, ALIKE)
            await says(gate, hit, 0)
            await kept(gate, 2)
            await gate.stop()
            await gate.start()
            assert told(await asks(gate, ALIKE)) == "miss"
            await gate.control({"do": "cache.purge"})
            assert [told(await asks(gate, text)) for text in (ASKED, ALIKE)] == ["miss", "semantic"]

    asyncio.run(main())


@pytest.mark.parametrize(("keys", "after"), [(KEYS, "semantic"), (TENANT, "miss")])
def test_it_counts_for_who_shares_the_cache(tmp_path: Path, keys: str, after: str) -> None:
    """Of one key, or of all keys of a tenant: what one says moves nothing for another."""

    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Upstream(embeds()) as e,
            scene(tmp_path, e, up, keys) as gate,
        ):
            for key in (APP_KEY, OTHER_KEY):
                await asks(gate, ASKED, key)
            hit = await asks(gate, ALIKE)
            assert (await says(gate, hit, 0, OTHER_KEY)).status == 404
            assert (await says(gate, hit, 0)).status == 200
            assert told(await asks(gate, ALIKE, OTHER_KEY)) == after

    asyncio.run(main())


def test_what_is_no_feedback_is_refused_with_the_reason(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(*numbered()) as up, Gate(tmp_path, file(a=up)) as gate:
            told = await gate.chat("a/m")
            id_ = told.headers["x-request-id"]
            for more in (
                *({"score": 2}, {"score": -0.1}, {"score": "1"}, {"score": None}, {}),
                *({"label": ""}, {"label": 7}, {"label": "x" * 65}, {"comment": "x" * 4_001}),
            ):
                reply = await gate.post(
                    "/v1/feedback", json.dumps({"request_id": id_, **more}).encode()
                )
                assert (reply.status, more) == (400, more)
                assert "The body is no feedback" in reply.json["error"]["message"]
            for which in ({}, {"request_id": id_, "conversation_id": "c"}):
                reply = await gate.post("/v1/feedback", json.dumps({"score": 1, **which}).encode())
                assert "either request_id or conversation_id" in reply.json["error"]["message"]
            for which in ({"request_id": "req_none"}, {"conversation_id": "c"}):
                reply = await gate.post("/v1/feedback", json.dumps({"score": 1, **which}).encode())
                assert reply.status == 404

    asyncio.run(main())


def kept_of(gate: Gate) -> list[Said]:
    found = read_learning(gate.data)
    assert found is not None
    with closing(found):
        return found.said()


@pytest.mark.parametrize("workers", ["", "workers = 2"])
def test_what_is_said_of_any_answer_is_kept_once(tmp_path: Path, workers: str) -> None:
    async def main() -> None:
        async with (
            Upstream(*numbered()) as up,
            Gate(
                tmp_path,
                file(TENANT, workers, a=up),
                key=APP_KEY,
                env={"OTHER_KEY": OTHER_KEY},
            ) as gate,
        ):
            tags = {"metadata": {"conversation_id": "c7"}}
            first = await gate.chat("a/m", **tags)
            second = await gate.chat("a/m", **tags)
            id_ = second.headers["x-request-id"]
            await gate.records(2)
            for said in (
                {"request_id": id_, "score": 0},
                {"request_id": id_, "score": 0.5, "comment": "too long", "correction": "Yes."},
            ):
                reply = await gate.post("/v1/feedback", json.dumps(said).encode())
                assert (reply.status, reply.json) == (
                    200, {"request_id": id_, "score": float(said["score"])}  # type: ignore[arg-type]
                )  # fmt: skip
            said = {"conversation_id": "c7", "label": "thumbs down"}
            reply = await gate.post("/v1/feedback", json.dumps(said).encode())
            assert reply.json == {"request_id": id_}, "its newest"
            said = {"request_id": first.headers["x-request-id"], "score": True}
            gate.key = OTHER_KEY
            assert (await gate.post("/v1/feedback", json.dumps(said).encode())).status == 404
            said = {"conversation_id": "c7", "score": 0}
            assert (await gate.post("/v1/feedback", json.dumps(said).encode())).status == 404
            (row,) = kept_of(gate)
            assert (row.request_id, row.tenant, row.route, row.model, row.score) == (
                *(id_, "acme", "a/m", "a/m", None),
            )
            assert json.loads(row.body) == {"conversation_id": "c7", "label": "thumbs down"}

    asyncio.run(main())


def marked(good: int, wrong: int, score: float) -> list[Mark]:
    return [Mark(score, True)] * good + [Mark(score, False)] * wrong


@pytest.mark.parametrize(
    ("marks", "least"),
    [
        ([], 0.0),
        (marked(3, 0, 0.96), 0.0),
        (marked(0, 1, 0.96), 0.96 + STEP),
        (marked(19, 1, 0.96), 0.0),
        (marked(18, 1, 0.96), 0.96 + STEP),
        (marked(5, 0, 0.99) + marked(0, 1, 0.96) + marked(2, 0, 0.95), 0.96 + STEP),
        (marked(0, 1, 0.99) + marked(40, 0, 0.97), 0.0),
        (marked(9, 0, 0.99) + marked(40, 5, 0.97) + marked(0, 9, 0.96), 0.97 + STEP),
    ],
)
def test_the_least_from_which_on_few_are_wrong(marks: list[Mark], least: float) -> None:
    assert from_which(marks) == least


SCORES = st.sampled_from([0.9, 0.95, 0.96, 0.97, 0.98, 1.0])


@given(st.lists(st.builds(Mark, SCORES, st.booleans())))
def test_no_lower_one_would_do(marks: list[Mark]) -> None:
    def few(least: float) -> bool:
        held = [mark.good for mark in marks if mark.score >= least]
        return held.count(False) <= MOST_WRONG * len(held)

    least = from_which(marks)
    assert few(least)
    assert not any(few(mark.score) for mark in marks if mark.score < least)


def test_a_record_tells_the_score() -> None:
    assert score_of("semantic cache: 0.964") == 0.964
    assert score_of("cache") is None
