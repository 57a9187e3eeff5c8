"""Looks at a gateway that has done tasks: what its records add up to, and Python far from it."""

import asyncio
import re
from typing import Any

import pytest
from click.testing import CliRunner

import octoplex
from octoplex.agents.task import Event
from octoplex.cli.logs import logs as logged
from octoplex.ledger import dollars
from tests.agents.doors.models import BILL, WORKED
from tests.server import provider
from tests.server.gate import APP_KEY, Gate


async def not_twice(gate: Gate, id_: str) -> None:
    """What the parts of an answer cost is in their records, and beside it in that of the whole."""
    cost = provider.nano(BILL)
    whole = (await gate.get(f"/v1/requests/{id_}")).json
    assert (whole["nano"], whole["parts_nano"], whole["input_tokens"]) == (0, 2 * cost, 0)
    of_task = (await gate.get(f"/v1/requests?task={whole['task']}")).json["data"]
    assert [record["nano"] for record in of_task] == [0, cost, cost]
    every = (await gate.get("/v1/requests?limit=1000")).json["data"]
    assert sum(record["nano"] for record in every) == gate.spent()
    said = (await gate.get("/metrics")).body.decode()
    tokens = re.search(r'^octoplex_tokens_total\{direction="output".*\} (\d+)', said, re.MULTILINE)
    assert tokens is not None
    assert int(tokens[1]) * cost == gate.spent() * BILL[1]

    def logs(*words: str) -> str:
        return CliRunner().invoke(logged, [*words, "--config", str(gate.config)]).output

    _, first, second, last = logs("--task", whole["task"]).splitlines()
    assert id_ in last
    assert last.split()[-4:-2] == ["parts", f"({dollars(2 * cost)})"]
    assert all(dollars(cost) in line for line in (first, second))
    said = logs(id_)
    assert f"octoplex logs --task {whole['task']}" in said
    assert "tokens" not in said
    assert logs("--task", "task_0") == "No request of the task task_0 is recorded.\n"


async def from_afar(gate: Gate) -> None:
    """Python on another machine."""
    where: Any = {"url": f"http://127.0.0.1:{gate.port}", "api_key": APP_KEY, "env": {}}
    told: list[Event] = []
    view = await octoplex.run(
        "add up", agent="clerk", workspace="counts/may", tell=told.append, **where
    )
    assert (view.text, [file.path for file in view.artifacts]) == (WORKED, ["out%41.txt"])
    assert [event.number for event in told] == list(range(1, view.last + 1))
    view = await octoplex.run("post", agent="clerk", approve=lambda asked: True, **where)
    assert view.text == "sent\n"
    with pytest.raises(octoplex.error.TaskFailed, match="nobody was there"):
        await octoplex.run("post", agent="clerk", **where)
    asked = asyncio.create_task(octoplex.run("sleep", tell=told.append, **where))
    while told[-1].kind != "step.started":  # noqa: ASYNC110 - another process's
        await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    newest = (await gate.get("/v1/tasks?limit=1")).json["data"][0]
    path = newest["links"]["self"]
    while (await gate.get(path)).json["status"] != "cancelled":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    with pytest.raises(octoplex.error.Unauthorized):
        await octoplex.run("greet", **{**where, "api_key": "oct-none-0f1e2d3c4b5a6978"})
    with pytest.raises(octoplex.error.BadConfig, match="not both"):
        await octoplex.run("greet", data="x", **where)
