"""People say what a model has judged wrongly: asked blind, at the shell and over HTTP."""

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from octoplex.jobs.learning import of_learner
from octoplex.ledger.audit import NAME, Line, page
from octoplex.ledger.learning import read_learning
from octoplex.optimizer.notes import Pair, decode
from tests.server.gate import APP_KEY, Gate, file, until
from tests.server.learning_scene import answers
from tests.shell import Home, run
from tests.upstream_server import Upstream

BOSS_KEY, VIEWER_KEY = "oct-other-0f1e2d3c4b5a6978", "oct-viewer-0f1e2d3c4b5a697"
ASKED, DEAR, CHEAP = "canary-asked-17aa", "canary-dear-93b1", "canary-cheap-5c07"
TEXT = """
"ref/x" = { input = 10.0, output = 30.0 }
"good/x" = { input = 1.0, output = 3.0 }
"judge/x" = { input = 1.0, output = 3.0 }

[models.main]
try = ["good/x", "ref/x"]
pick = "learned"
reference = "ref/x"
learn = { shadow = 0.5, spend = "$5/day", judge = ["judge/x"], labels = LABELS }

[keys.app]
secret = "env:APP_KEY"
[keys.boss]
secret = "env:OTHER_KEY"
role = "admin"
[keys.viewer]
secret = "env:VIEWER_KEY"
role = "viewer"
"""


def pairs(data: Path) -> list[Pair]:
    found = read_learning(data)
    if found is None:
        return []
    told = [decode(body) for body in found.about("main", ("pair",), 0)]
    found.close()
    return [one for one in told if isinstance(one, Pair)]


class Desk:
    """A gateway with labels, an operator beside it, and the keys that may look."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self._home = gate, Home(gate.folder, {"OCTOPLEX_API_KEY": APP_KEY})

    async def octoplex(self, *words: str, stdin: str = "") -> str:
        options = ("--config", str(self.gate.config))
        return (
            await asyncio.to_thread(run, self._home, *words, *options, stdin=stdin, status=0)
        ).out

    async def by(self, key: str, label: Any = None) -> Any:
        self.gate.key, path = key, "/v1/optimizer/labels/main"
        if label is None:
            return await self.gate.get(path)
        return await self.gate.post(path, json.dumps(label).encode())

    async def asks(self, count: int) -> None:
        """Ask until so many pairs are kept."""
        self.gate.key = APP_KEY
        while len(pairs(self.gate.data)) < count:
            said = [{"role": "user", "content": ASKED}]
            assert (await self.gate.chat("main", messages=said)).status == 200

    async def labels(self) -> dict[str, Any]:
        rows = json.loads(await self.octoplex("optimize", "status", "--json"))
        return dict(rows[0]["labels"])


async def begun(gate: Gate) -> None:
    """Until the learner has: what came before that counts for nothing."""

    def has() -> bool:
        found = read_learning(gate.data)
        if found is None:
            return False
        with closing(found):
            return bool(found.planned("main"))

    await until(has, 40.0)


def noted(data: Path) -> list[Line]:
    """What operators did, the newest first."""
    return page(data / NAME, 99, None, lambda line: not of_learner(line))


def scene(folder: Path, labels: float, **ups: Upstream) -> Gate:
    env = {"OTHER_KEY": BOSS_KEY, "VIEWER_KEY": VIEWER_KEY}
    return Gate(folder, file(TEXT.replace("LABELS", str(labels)), **ups), key=APP_KEY, env=env)


def test_people_are_asked_blind_and_what_they_say_is_noted(tmp_path: Path) -> None:
    async def main() -> None:
        verdict = json.dumps({"a": 1.0, "b": 1.0})
        async with (
            Upstream(answers(DEAR)) as ref,
            Upstream(answers(CHEAP)) as good,
            Upstream(answers(verdict)) as judge,
            scene(tmp_path, 1.0, ref=ref, good=good, judge=judge) as gate,
        ):
            desk = Desk(gate)
            await begun(gate)
            await desk.asks(6)
            for key, status in ((APP_KEY, 403), (VIEWER_KEY, 403), (BOSS_KEY, 200)):
                assert (await desk.by(key)).status == status
            first, *rest = (await desk.by(BOSS_KEY)).json["data"]
            assert len(rest) >= 5
            assert first["conversation"] == [{"role": "user", "text": ASKED}]
            assert {first["a"]["text"], first["b"]["text"]} == {DEAR, CHEAP}
            assert not {"ref/x", "good/x"} & set(json.dumps(first).split('"'))
            cheap = "a" if first["a"]["text"] == CHEAP else "b"
            said = {"request_id": first["request_id"], "good": ["a" if cheap == "b" else "b"]}
            assert (await desk.by(VIEWER_KEY, said)).status == 403
            assert (await desk.by(BOSS_KEY, said | {"good": ["c"]})).status == 400
            assert (await desk.by(BOSS_KEY, said | {"god": []})).status == 400
            assert (await desk.by(BOSS_KEY, said)).json == said
            again = await desk.by(BOSS_KEY, said)
            assert (again.status, "somebody has said something" in again.body.decode()) == (
                404,
                True,
            )
            # The shell, beside the server: two more, both find both answers good.
            shown = await desk.octoplex(
                "optimize", "label", "main", "--most", "2", stdin="s\nx\nn\n"
            )
            assert shown.count("=== ") == 2
            assert DEAR in shown
            assert "2 labels" in shown
            bias = await desk.labels()
            assert (bias["share"], bias["labelled"], bias["lapsed"]) == (1.0, 3, 0)
            assert bias["mean"] == pytest.approx(1 / 3), "one of three was not as good"
            words = await desk.octoplex("optimize", "status", "main")
            assert "finds candidates better by +0.333 than people do" in " ".join(words.split())
            found = await desk.octoplex("optimize", "prompts", "main", "--calls", "10")
            assert "none is better than what there is (1.000 of 1)" in " ".join(found.split())
            assert "Deleted" in await desk.octoplex("optimize", "label", "main", "--forget")
            for path in gate.data.iterdir():
                held = path.read_bytes() if path.is_file() else b""
                assert not any(one.encode() in held for one in (ASKED, DEAR, CHEAP)), path
            told = await desk.labels()
            assert (told["labelled"], told["waiting"], told["lapsed"] > 0) == (3, 0, True)
            forgot, *labelled = noted(gate.data)
            assert (forgot.what, forgot.before["pairs"] >= 4) == ("optimizer.forget", True)
            assert [line.what for line in labelled] == ["optimizer.label"] * 3
            assert [line.after["good"] for line in labelled] == [[], ["a", "b"], said["good"]]
            assert labelled[2].after["request_id"] == first["request_id"]
            assert [line.who[:6] for line in labelled] == ["shell:", "shell:", "key:bo"]

    asyncio.run(main())


def test_without_labels_no_text_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream(answers(DEAR)) as ref,
            Upstream(answers(CHEAP)) as good,
            Upstream(answers('{"a": 1, "b": 1}')) as judge,
            scene(tmp_path, 0.0, ref=ref, good=good, judge=judge) as gate,
        ):
            desk = Desk(gate)
            await desk.asks(3)
            assert (await desk.by(BOSS_KEY)).json["data"] == []
            said = await desk.octoplex("optimize", "label", "main")
            assert "learn.labels = 0.2" in said
            held = (gate.data / "learning.db").read_bytes()
            assert not any(one.encode() in held for one in (ASKED, DEAR, CHEAP))

    asyncio.run(main())


def test_a_route_that_has_begun_takes_lessons(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream(answers(DEAR)) as ref,
            Upstream(answers(CHEAP)) as good,
            scene(tmp_path, 0.5, ref=ref, good=good, judge=ref) as gate,
        ):
            desk, rows = Desk(gate), tmp_path / "known.csv"
            rows.write_text('prompt,ref/x,small\n"How many?",1,0\n"Which?",true,0.5\n')

            await begun(gate)
            given = ("--quality", "ref/x=ref/x", "--quality", "good/x=small")
            said = await desk.octoplex("optimize", "warm", "main", str(rows), *given)
            assert "2 lessons more" in said
            out = await desk.octoplex("optimize", "export", "main", "-")
            told = [
                row["note"] for row in map(json.loads, out.splitlines()) if row["kind"] == "lesson"
            ]
            assert [(note[2], note[3]) for note in told] == [(1, -1.0), (1, -0.5)]
            assert "all are the same" in await desk.octoplex("optimize", "audit")
            (line,) = noted(gate.data)
            assert (line.what, line.about, line.after["lessons"]) == ("optimizer.warm", "main", 2)

    asyncio.run(main())
