"""What callers of agents are told when a server stops, or their key is revoked, meanwhile."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.agents.doors.models import mind, of, plan, step
from tests.agents.doors.test_tasks import BOSS_KEY, OTHER_KEY, WAIT, events_of
from tests.server import caller
from tests.server.caller import Reply, request
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route, until
from tests.upstream_server import Upstream

PLANS = {
    "linger": plan(
        step("nap", "executor.python", {"code": f"open('begun', 'w')\n{WAIT}\nprint('rested')"}),
        answer=of("nap", "/text"),
    )
}
TABLES = """
[agents.clerk]
workspaces = "{shared}"
allow = ["write:workspace", "run:python"]
[keys.app]
secret = "env:APP_KEY"
[keys.other]
secret = "env:OTHER_KEY"
[keys.boss]
secret = "env:BOSS_KEY"
role = "viewer"
"""
LINGER = [{"role": "user", "content": "linger"}]
CHAT = {"model": "agent/clerk", "messages": LINGER}
ASKED: dict[str, Any] = {
    "/v1/chat/completions": {**CHAT, "stream": True},
    "/v1/messages": {**CHAT, "stream": True, "max_tokens": 9},
    "/v1/responses": {"model": "agent/clerk", "input": "linger", "stream": True},
    "/v1beta/models/agent/clerk:streamGenerateContent?alt=sse": {
        "contents": [{"role": "user", "parts": [{"text": "linger"}]}]
    },
}


@pytest.mark.parametrize("server", ["", "workers = 2"])
def test_streams_of_agents_drain_and_then_end_in_their_own_words(
    tmp_path: Path, run: Run, server: str
) -> None:
    async def main() -> None:
        async with Upstream(mind(PLANS)) as up:
            tables = route("main", "a/m") + TABLES.replace("{shared}", str(tmp_path))
            env = {"BOSS_KEY": BOSS_KEY}
            gate = Gate(tmp_path, file(tables, server, a=up), key=APP_KEY, env=env)
            async with gate, gate.line() as boss:
                revoked = [ask(gate, path, OTHER_KEY) for path in ASKED]
                seen = ask(gate, "/v1/chat/completions", APP_KEY, metadata={"workspace": "seen"})
                await until(lambda: naps(tmp_path) == len(revoked) + 1, 15)
                (task, *_) = (await gate.get("/v1/tasks")).json["data"]
                bearer = [("authorization", f"Bearer {BOSS_KEY}")]
                boss.send(request("GET", task["links"]["events"], None, bearer))
                looks = await boss.head()
                await boss.until(b"step.started")
                text = gate.config.read_text().replace('role = "viewer"\n', "")
                table = '[keys.other]\nsecret = "env:OTHER_KEY"\n'
                gate.config.write_text(text.replace(table, ""))
                gate.hup()
                told([await one for one in revoked], "revoked")
                (tmp_path / "seen" / "go").touch()
                assert b"rested" in (await seen).body
                await boss.rest(looks)
                last = events_of(looks.body)[-1]
                assert last["code"] == "not_found", "whose role is gone is told no more"
                given = json.dumps({"goal": "linger", "agent": "clerk"}).encode()
                task = (await gate.post("/v1/tasks", given)).json
                watched = asyncio.create_task(gate.get(task["links"]["events"]))
                cut = [ask(gate, path, APP_KEY) for path in ASKED]
                ends = ask(gate, "/v1/chat/completions", APP_KEY, metadata={"workspace": "short"})
                await until(lambda: naps(tmp_path) == len(revoked + cut) + 3, 15)
                gate.process.terminate()
                (tmp_path / "short" / "go").touch()
                reply = await ends
                assert '"finish_reason":"stop"' in reply.body.decode()
                assert b"rested" in reply.body
                assert not [one for one in cut if one.done()]
                told([await one for one in cut], "shutting down")
                last = events_of((await watched).body)[-1]
                assert last["code"] == "stopping"

    run(main())


def ask(gate: Gate, path: str, key: str, **more: Any) -> "asyncio.Task[Reply]":
    body = json.dumps(ASKED[path] | more).encode()
    bearer = [("authorization", f"Bearer {key}")]
    return asyncio.create_task(caller.ask(gate.port, "POST", path, body, bearer))


def told(replies: list[Reply], why: str) -> None:
    """Each is whole by its own framing, and its last event says why it ended."""
    for path, reply in zip(ASKED, replies, strict=True):
        assert reply.status == 200
        assert reply.complete
        assert why in json.dumps(events_of(reply.body)[-1]), (path, reply.body[-500:])


def naps(root: Path) -> int:
    """How many tasks have come to their step."""
    return sum(len(list(root.glob(f"{place}/begun"))) for place in ("task/*", "short", "seen"))
