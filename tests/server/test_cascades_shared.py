"""Cascades where several processes answer, and where the ledger is in a PostgreSQL."""

import asyncio
from pathlib import Path

from tests.ledger.postgres import PASSWORD, Server
from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route
from tests.server.learning_scene import answers
from tests.server.test_cascades import BOTH
from tests.server.test_hosts import PEPPER
from tests.upstream_server import Upstream

COST = provider.nano(provider.BILL)
KEY = "[keys.app]\nsecret = 'env:APP_KEY'\nrole = 'viewer'\nlimits = '$5/day'\n"
COUNT = 12


async def asked(folder: Path, server: str) -> None:
    """Every other answer is right, whichever process holds it; what was spent is what was asked."""
    said = [answers(word) for word in ("wrong", "right") * (COUNT // 2)]
    async with Upstream(*said) as a, Upstream(answers("so")) as b:
        tables = route("main", "a/m", "b/m") + BOTH.format(verify='"exact-match"') + KEY
        text = file(tables, server, a=a, b=b, judge=b)
        env = {"DATABASE_PASSWORD": PASSWORD, "PEPPER": PEPPER}
        clean = server.startswith("workers")
        async with Gate(folder, text, key=APP_KEY, env=env, clean=clean) as gate:
            calls = [
                gate.chat("main", stream=number % 2 == 0, metadata={"expected": "right"})
                for number in range(COUNT)
            ]
            replies = await asyncio.gather(*calls)
            assert {reply.status for reply in replies} == {200}
            given = [b"right" in reply.body for reply in replies]
            assert not any(b"wrong" in reply.body for reply in replies)
            records = await gate.records(COUNT)
            told = [[(a["target"], a["outcome"]) for a in one["attempts"]] for one in records]
            passed, escalated = [("a/m", "done")], [("a/m", "escalated"), ("b/m", "done")]
            assert told.count(passed) == sum(given)
            assert told.count(escalated) == COUNT - sum(given) == len(b.book)
            assert (await gate.get("/v1/key")).json["spent_nano"] == COST * (
                len(a.book) + len(b.book)
            )


def test_a_cascade_of_several_workers(tmp_path: Path, run: Run) -> None:
    run(asked(tmp_path, "workers = 2"))


def test_a_cascade_in_a_postgresql(tmp_path: Path, run: Run) -> None:
    with Server() as server:
        place = f"database = '{server.database()}'\ndatabase_password = 'env:DATABASE_PASSWORD'\n"
        run(asked(tmp_path, f"{place}pepper = 'env:PEPPER'"))
