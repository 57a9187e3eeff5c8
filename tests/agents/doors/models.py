"""A provider whose one model plans, judges and works by a script, for whole tasks over a gateway.

    async with Upstream(mind({"sum": plan(...)})) as up: ...

A request of a planner is answered with the plan whose word is in its goal, of a judge with "yes to
all" (or no, where the goal has "hopeless"), any other with `WORKED`. "break off": that does it.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from tests.server import provider
from tests.upstream_server import Exchange, Play, Upstream, head, raw, says

BILL = (100, 20)
WORKED = "Sales rose in May."


def mind(plans: Mapping[str, Any]) -> Play:
    """What the model says to whatever it is asked."""

    async def play(exchange: Exchange) -> None:
        body = json.loads(exchange.entry.body)
        system = str(body["messages"][0]["content"])
        whole = json.dumps(body)
        if "break off" in whole:  # billed, perhaps, and asked once more
            await raw(head(200, [("content-length", "999")]) + b"{", "close")(exchange)
            return
        if "Plan how to reach the goal" in system or "You plan how to" in system:
            plan = next((p for word, p in plans.items() if word in whole), None)
            text = json.dumps(plan or {"steps": [], "why": "there is no plan for it"})
        elif "verdicts" in system:
            count = len(json.loads(body["messages"][-1]["content"])["criteria"])
            verdict = {"passed": "hopeless" not in whole, "why": "it was looked at"}
            text = json.dumps({"verdicts": [verdict] * count})
        else:
            text = WORKED
        await says(provider.chat_body(text, BILL), billed=BILL)(exchange)

    return play


def step(name: str, arm: str, inputs: Any, **more: Any) -> dict[str, Any]:
    return {"id": name, "arm": arm, "inputs": inputs, **more}


def plan(*steps: dict[str, Any], answer: Any) -> dict[str, Any]:
    return {"steps": list(steps), "answer": answer}


def of(name: str, at: str = "") -> dict[str, str]:
    return {"$from": name, "at": at}


@contextlib.contextmanager
def thinking(plans: Mapping[str, Any]) -> Iterator[Upstream]:
    """The provider in a thread, for tests of commands."""
    up, loop = Upstream(mind(plans)), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(up.__aenter__(), loop).result()
        yield up
        asyncio.run_coroutine_threadsafe(up.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
