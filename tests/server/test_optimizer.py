"""A route that learns, as operators see it: the learner's process, its log, levers, questions."""

import asyncio
import json
import os
import signal
import tarfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from octoplex.ledger.audit import page, verify
from octoplex.ledger.learning import Noted, open_learning
from octoplex.optimizer.loop import Loop, Plan
from octoplex.optimizer.notes import encode, kind_of
from tests.optimizer.world import REQUESTS, notes
from tests.server.gate import APP_KEY, Gate, file, until
from tests.server.learning_scene import answers
from tests.shell import Home, run
from tests.upstream_server import Upstream

PLAN = Plan(("ref/x", "good/x"), loss=0.2, feedback=0.5)
TEXT = """
"ref/x" = { input = 10.0, output = 30.0 }
"good/x" = { input = 1.0, output = 3.0 }

[models.main]
try = ["good/x", "ref/x"]
pick = "learned"
reference = "ref/x"
promise = { quality_loss = 0.2 }
learn = { shadow = 0.5, spend = "100% of savings", judge = ["exact-match"] }

[keys.app]
secret = "env:APP_KEY"
[keys.boss]
secret = "env:OTHER_KEY"
role = "admin"
"""
BOSS_KEY = "oct-other-0f1e2d3c4b5a6978"
WITHIN_S = 40.0


def scene(folder: Path, server: str, **ups: Upstream) -> Gate:
    return Gate(folder, file(TEXT, server, **ups), key=APP_KEY)


def events(gate: Gate) -> list[str]:
    """What the audit log says that the learner did, oldest first."""
    lines = page(gate.data / "audit.jsonl", 1_000, None, lambda line: line.who == "learner")
    return [line.what for line in lines[::-1]]


def learners(gate: Gate) -> list[int]:
    """The processes that learn in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"octoplex.optimizer.learner" in words and str(gate.data).encode() in words:
            found.append(int(path.parent.name))
    return found


def teach(gate: Gate) -> None:
    """Write down what a path would have that decides by the learner's policies."""
    told = notes(Loop(PLAN, Random(3), version=1), REQUESTS)
    file_ = open_learning(gate.data)
    file_.add([Noted("main", 1, kind_of(note), encode(note)) for note in told])
    file_.close()


async def asks(gate: Gate, words: str) -> Any:
    gate.key = APP_KEY
    said = [{"role": "user", "content": words}]
    reply = await gate.chat("main", messages=said, metadata={"expected": "right"})
    assert reply.status == 200, reply.body
    return reply


async def served(gate: Gate, count: int) -> Counter[str]:
    random = Random(4)
    asked = [
        " ".join(random.choices(["pool", "river", "stone", "price"], k=6)) for _ in range(count)
    ]
    replies = [await asks(gate, words) for words in asked]
    return Counter(reply.headers["x-octoplex-provider"] for reply in replies)


class Desk:
    """An operator at a gateway: the shell, and what it shows."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self._home = gate, Home(gate.folder)

    async def octoplex(self, *words: str) -> str:
        options = ("--config", str(self.gate.config))
        return (await asyncio.to_thread(run, self._home, *words, *options, status=0)).out

    async def status(self) -> dict[str, Any]:
        self.gate.key = BOSS_KEY
        found = (await self.gate.get("/v1/optimizer/main")).json
        self.gate.key = APP_KEY
        return dict(found)

    async def has_noted(self) -> bool:
        return int((await self.status())["requests"]) > 0

    async def moves(self) -> bool:
        return (await served(self.gate, 20))["good"] > 0

    async def stays(self) -> bool:
        return await served(self.gate, 20) == {"ref": 20}

    # -- one thing after the other ----------------------------------------------------------

    async def learns(self) -> None:
        """From nothing to a certificate, though the learner is killed."""
        gate = self.gate
        await until(lambda: events(gate) == ["optimizer.begun"], WITHIN_S)
        assert await served(gate, 4) == {"ref": 4}
        await holds(self.has_noted)
        assert "takes some hundred" in await self.octoplex("optimize", "status")
        (pid,) = learners(gate)
        teach(gate)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: "optimizer.certified" in events(gate), WITHIN_S)
        assert len(learners(gate)) == 1
        told = await self.status()
        assert told["certified_since_ms"]
        assert told["candidates"] == ["good/x"]
        assert told["certificate"]["rung"] == told["rung"]
        assert told["certificate"]["told"]["lower"] >= 0
        await holds(self.moves)

    async def explains(self) -> str:
        """A request to the last number; its id."""
        id_, said = "", {}

        async def is_certified() -> bool:
            nonlocal id_, said
            reply = await asks(self.gate, "pool river stone price pool")
            id_ = str(reply.headers["x-request-id"])
            await holds(is_there)
            said = (await self.gate.get(f"/v1/optimizer/decisions/{id_}")).json
            told = said["certificate"]
            return told is not None and told["rung"] > 0  # a worker may not have read it yet

        async def is_there() -> bool:
            return bool((await self.gate.get(f"/v1/optimizer/decisions/{id_}")).status == 200)

        await holds(is_certified)
        assert said["prices"].keys() == {"ref/x", "good/x"}
        assert said["propensity"] > 0
        words = await self.octoplex("optimize", "explain", id_)
        assert said["reason"] in " ".join(words.split())
        assert said["certificate"]["told"]["snips"] > 0.9
        assert "pairs that it has not learned from" in " ".join(words.split())
        return id_

    async def pulls_levers(self) -> None:
        await self.octoplex("optimize", "pause", "main", "--why", "a fair")
        await holds(self.stays)
        shown = (await self.octoplex("optimize", "status")).split("\n")[1]
        assert shown.split()[2] == "paused"
        await self.gate.control({"do": "optimizer.resume", "route": "main"})
        await holds(self.moves)
        await self.octoplex("optimize", "rollback", "main", "--why", "complaints")
        await until(lambda: "optimizer.rollback" in events(self.gate), WITHIN_S)
        told = (await self.status())["events"]
        at = [event["kind"] for event in told].index("rollback")
        assert told[at]["share"] < told[at + 1]["share"]
        assert "complaints" in told[at]["why"]
        assert "complaints" in await self.octoplex("optimize", "status", "main")

    async def begins_again(self, *, killed: bool) -> None:
        """What was noted is not noted again, and the learner of the life before is gone."""
        gate, before = self.gate, events(self.gate)
        if killed:
            gate.kill()
        else:
            await gate.stop()
        await gate.start()
        await gate.control({"do": "optimizer.resume", "route": "main"})
        await until(lambda: len(events(gate)) > len(before), WITHIN_S)
        assert events(gate)[: len(before) + 1] == [*before, "optimizer.resume"]
        await until(lambda: len(learners(gate)) == 1, WITHIN_S)

    async def promises_more(self) -> None:
        """Another promise, and nothing is certified any more."""
        gate, said = self.gate, "quality_loss = 0.2 "
        text = gate.config.read_text()
        assert said in text
        gate.config.write_text(text.replace(said, "quality_loss = 0.02 "))
        gate.hup()
        await until(lambda: events(gate)[-1] == "optimizer.begun", WITHIN_S)
        told = await self.status()
        assert (told["share"], told["quality_loss"]) == (0.0, 0.02)
        assert "says something else" in told["events"][0]["why"]
        await holds(self.stays)

    async def audits(self) -> None:
        out = self.gate.folder / "notes.jsonl"
        await self.octoplex("optimize", "export", "main", str(out))
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert rows[0]["kind"] == "planned"
        assert Counter(row["kind"] for row in rows)["pair"] > 300
        assert "all are the same, byte for byte" in await self.octoplex("optimize", "audit")
        lines = page(self.gate.data / "audit.jsonl", 1_000)
        assert {"optimizer.pause", "optimizer.resume"} <= {line.what for line in lines}
        saved = self.gate.folder / "saved.tar"
        await self.octoplex("backup", str(saved))
        with tarfile.open(saved) as tar:
            names = tar.getnames()
        assert [n for n in names if n.startswith("learn")] == ["learning.db"]


@pytest.mark.parametrize("workers", ["", "workers = 2"])
def test_what_operators_see_and_do(tmp_path: Path, workers: str) -> None:
    async def main() -> None:
        async with (
            Upstream(answers("right")) as ref,
            Upstream(answers("right")) as good,
            scene(tmp_path, workers, ref=ref, good=good) as gate,
        ):
            desk = Desk(gate)
            await desk.learns()
            await roles(gate, await desk.explains())
            await desk.pulls_levers()
            await desk.audits()
            await desk.begins_again(killed=not workers)
            await desk.promises_more()
        assert learners(gate) == []
        assert verify(gate.data / "audit.jsonl")[2] is None

    asyncio.run(main())


async def holds(true: Any) -> None:
    """Until it does; each look asks the gateway."""
    loop = asyncio.get_running_loop()
    end_at = loop.time() + WITHIN_S
    while not await true():
        assert loop.time() < end_at, "it never came to hold"
        await asyncio.sleep(0.1)


async def roles(gate: Gate, id_: str) -> None:
    """All for keys with a role; of others their own requests."""
    gate.key = APP_KEY
    assert (await gate.get("/v1/optimizer")).status == 403
    assert (await gate.get("/v1/optimizer/main")).status == 403
    assert (await gate.get("/v1/optimizer/decisions/req_none")).status == 404
    gate.key = BOSS_KEY
    assert [r["route"] for r in (await gate.get("/v1/optimizer")).json["data"]] == ["main"]
    assert (await gate.get("/v1/optimizer/main")).json["reference"] == "ref/x"
    assert (await gate.get(f"/v1/optimizer/decisions/{id_}")).json["request_id"] == id_
    lost = await gate.get("/v1/optimizer/mian")
    assert (lost.status, "there is main" in lost.json["error"]["message"]) == (404, True)
    gate.key = APP_KEY


def test_nothing_runs_where_no_route_learns(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(answers("right")) as up, Gate(tmp_path, file(a=up)) as gate:
            refused = await gate.get("/v1/optimizer")
            assert (refused.status, "role" in refused.json["error"]["message"]) == (403, True)
            assert (await gate.get("/v1/optimizer/decisions/req_1")).status == 404
            assert learners(gate) == []
            assert not (gate.data / "learning.db").exists()
            done = await gate.control({"do": "optimizer.pause", "route": "main"})
            assert 'No route "main" learns' in done["error"]

    asyncio.run(main())
