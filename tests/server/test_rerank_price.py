"""Rankings are paid for: reserved at the worst, settled by what the reply reports, to the nano."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.check import error_of
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file
from tests.server.test_operations import COHERE_RERANK, answers
from tests.upstream_server import Upstream

CUT = {"results": COHERE_RERANK["results"], "id": "1"}
BILLED = {**COHERE_RERANK, "meta": {"billed_units": {"search_units": 2}}}
# https://docs.voyageai.com/reference/reranker-api
VOYAGE = {
    "object": "list",
    "data": [{"relevance_score": 0.4, "index": 0}],
    "model": "rerank-2.5",
    "usage": {"total_tokens": 26},
}


def keyed(provider: str, up: Upstream, limit: str) -> str:
    table = f"[providers.{provider}]\nbase_url = '{up.url}'\napi_key = 'env:UP_KEY'\n"
    return file(f"{table}\n[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '{limit}'\n")


def asked(model: str, documents: int = 2) -> bytes:
    told = {"model": model, "query": "q", "documents": ["x"] * documents}
    return json.dumps(told).encode()


@pytest.mark.parametrize(
    ("model", "documents", "said", "nano", "estimated"),
    [
        ("cohere/rerank-v3.5", 2, COHERE_RERANK, 2_000_000, False),
        ("cohere/rerank-v4.0-pro", 2, COHERE_RERANK, 2_500_000, False),
        ("cohere/rerank-v3.5", 150, BILLED, 4_000_000, False),
        ("cohere/rerank-v3.5", 150, CUT, 4_000_000, True),  # as much as was set aside
        ("voyage/rerank-2.5", 2, VOYAGE, 1_300, False),
        ("voyage/rerank-2.5-lite", 2, VOYAGE, 520, False),
    ],
)
def test_a_key_with_a_budget_may_rank(
    tmp_path: Path, run: Run, model: str, documents: int, said: Any, nano: int, estimated: bool
) -> None:
    async def main() -> None:
        async with Upstream(answers(said)) as up:
            text = keyed(model.partition("/")[0], up, "$5/day")
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                reply = await gate.post("/v1/rerank", asked(model, documents))
                assert reply.status == 200, reply.body
                assert reply.headers["x-octoplex-cost-nano"] == str(nano)
                (row,) = await gate.rows(1)
                assert (row["nano"], bool(row["estimated"])) == (nano, estimated)

    run(main())


def test_a_budget_that_does_not_hold_the_worst_is_refused_before_anybody_is_asked(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        async with Upstream(answers(BILLED)) as up:
            text = keyed("cohere", up, "$0.003/day")
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                refused = await gate.post("/v1/rerank", asked("cohere/rerank-v3.5", 101))
                assert refused.status == 402, refused.body
                assert not up.book
                assert (await gate.post("/v1/rerank", asked("cohere/rerank-v3.5"))).status == 200

    run(main())


def test_what_nobody_prices_stays_refused_under_a_budget(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(answers(COHERE_RERANK)) as up:
            text = keyed("jina", up, "$5/day")
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                model = "jina/jina-reranker-v2-base-multilingual"
                refused = await gate.post("/v1/rerank", asked(model))
                assert refused.status == 403
                assert "[prices]" in error_of(refused, "openai-chat")["message"]
                assert not up.book

    run(main())
