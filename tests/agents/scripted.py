"""Doubles for everyone's tests of agents: models that say what they are told to, and small arms.

    models = Models(planner=[plan_json, ...], judge=[...])     one answer per ask, the last for ever
    arm = Small()                                              adds, writes, sends, brings text
    assignment = assignment_of(models, arm, tmp_path, goal="...")

A scripted answer is JSON (what a model would have written), a text, an exception, or a function of
the body that was asked. Every ask costs `nanos` and is kept in `models.asked`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from octoplex.agents.agent import Agent, Assignment
from octoplex.agents.task import Budget, Task
from octoplex.agents.words import (
    Artifact,
    Effect,
    Evidence,
    Failed,
    Offer,
    Order,
    Outcome,
    Quote,
    World,
)
from octoplex.wire.ask import Tab, Worst
from octoplex.wire.event import Refusal, Reply, Text, Usage

NANOS = 1_000_000
TOKENS = Usage(input_tokens=70, output_tokens=30)
ALLOW = ("read:workspace", "write:workspace", "net:mail.example.com")


def nested(times: int) -> Any:
    """Lists within each other."""
    value: Any = 1
    for _ in range(times):
        value = [value]
    return value


class Models:
    """Answers by model, as `World.ask`."""

    def __init__(self, nanos: int = NANOS, **scripts: Sequence[Any]) -> None:
        self._scripts = {name: list(script) for name, script in scripts.items()}
        self._nanos = nanos
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def quote(self, model: str, body: bytes) -> Quote:
        call = msgspec.json.decode(body)
        limit = call.get("max_completion_tokens", call.get("max_tokens"))
        worst = Worst(TOKENS.input_tokens, limit)
        return Quote(worst, lambda worst: self._nanos)

    async def __call__(self, model: str, body: bytes, tab: Tab | None = None) -> tuple[Reply, int]:
        call = msgspec.json.decode(body)
        self.asked.append((model, call))
        script = self._scripts[model]
        said = script.pop(0) if len(script) > 1 else script[0]
        if callable(said):
            said = said(call)
        if isinstance(said, Exception):
            raise said
        await asyncio.sleep(0)
        return self.reply(model, said), self._nanos

    @staticmethod
    def reply(model: str, said: Any) -> Reply:
        text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
        block = said if isinstance(said, Refusal) else Text(text)
        return Reply(id="r", model=model, blocks=(block,), stop="end", usage=TOKENS)

    def shown(self, index: int) -> Any:
        """The data that an ask quoted."""
        return msgspec.json.decode(self.asked[index][1]["messages"][-1]["content"])


def _schema(required: str = "", **types: Any) -> dict[str, Any]:
    found = {n: {"type": t} if isinstance(t, str) else t for n, t in types.items()}
    return {
        "type": "object",
        "properties": found,
        "required": required.split(),
        "additionalProperties": False,
    }


def _offer(name: str, inputs: Any, outputs: Any = None, **more: Any) -> Offer:
    return Offer(f"small.{name}", f"Does {name}.", inputs, outputs or {}, **more)


TEXT = _schema("text", text="string")
OFFERS = (
    _offer("add", _schema("a b", a="number", b="number"), _schema("sum", sum="number")),
    _offer("text", _schema("text", text="string"), TEXT),
    _offer("list", _schema("count", count="integer"), _schema("items", items="array")),
    _offer("fails", _schema("why", why="string")),
    _offer("ask", _schema("text", text="string"), TEXT, cost_tier=2),
    _offer("wait", _schema(), timeout_s=30.0),
    _offer("two", _schema(), parallel=2),
    _offer("any", {}),
    _offer(
        "write",
        _schema("path text", path="string", text="string"),
        effect="repeatable",
        needs=("write:workspace/{path}",),
    ),
    _offer(
        "send",
        _schema("to text", to="string", text="string"),
        _schema("sent", sent="boolean"),
        effect="once",
        needs=("net:mail.example.com",),
    ),
    _offer("fetch", _schema("url", url="string"), TEXT, brings_untrusted=True),
    _offer(
        "share",
        _schema("path", path="string"),
        TEXT,
        needs=("net:mail.example.com", "read:workspace"),
    ),
)


class Small:
    """An arm of small real actions. `done` counts what was done, by action and first input."""

    def __init__(self, pages: dict[str, str] | None = None) -> None:
        self.offers = OFFERS
        self.pages = pages or {}
        self.orders: list[Order] = []
        self.done: Counter[str] = Counter()
        self.now = self.most = 0
        """Actions under way, and the most that ever were."""
        self.begun: asyncio.Event | None = None
        """Set when "wait" has begun."""
        self.hooks: dict[str, Callable[[Order], Outcome | None]] = {}

    async def __call__(self, order: Order, world: World) -> Outcome:
        self.orders.append(order)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0)
            hook = self.hooks.get(order.action)
            outcome = hook(order) if hook else None
            if outcome is None:
                action = getattr(self, order.action.partition(".")[2])
                outcome = await action(order, world, **order.inputs)
            self.done[order.action] += 1
            return outcome
        finally:
            self.now -= 1

    async def add(self, order: Order, world: World, a: float, b: float) -> Outcome:
        return Outcome(output={"sum": a + b}, text=str(a + b))

    async def text(self, order: Order, world: World, text: str) -> Outcome:
        return Outcome(output={"text": text}, text=text, evidence=(Evidence("exit", "text", 0),))

    async def list(self, order: Order, world: World, count: int) -> Outcome:
        return Outcome(output={"items": list(range(count))})

    async def fails(self, order: Order, world: World, why: str) -> Outcome:
        raise Failed("failed", why)

    async def ask(self, order: Order, world: World, text: str) -> Outcome:
        reply, nanos = await world.ask(order.model, msgspec.json.encode({"messages": [text]}))
        return Outcome(output={"text": reply.text}, text=reply.text, nanos=nanos)

    async def wait(self, order: Order, world: World) -> Outcome:
        if self.begun is not None:
            self.begun.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody ends this")

    async def two(self, order: Order, world: World) -> Outcome:
        await asyncio.sleep(0)
        return Outcome(output={})

    async def any(self, order: Order, world: World, **inputs: Any) -> Outcome:
        return Outcome(output=inputs)

    async def write(self, order: Order, world: World, path: str, text: str) -> Outcome:
        (world.workspace / path).write_text(text)
        return Outcome(output={}, artifacts=(Artifact(path, len(text), "0" * 64),))

    async def send(self, order: Order, world: World, to: str, text: str) -> Outcome:
        return Outcome(output={"sent": True}, text=f"sent to {to}")

    async def share(self, order: Order, world: World, path: str) -> Outcome:
        for _ in range(200):  # long enough for any other step to begin
            await asyncio.sleep(0)
        file = world.workspace / path
        return await self.text(order, world, file.read_text() if file.exists() else "")

    async def fetch(self, order: Order, world: World, url: str) -> Outcome:
        page = self.pages[url]
        source = (Evidence("source", url),)
        return Outcome(output={"text": page}, text=page, is_untrusted=True, evidence=source)


def step(id: str, arm: str, inputs: Any = None, **more: Any) -> dict[str, Any]:  # noqa: A002
    """A step, as a planner writes it."""
    return {"id": id, "arm": f"small.{arm}", "inputs": inputs or {}, **more}


def plan(*steps: dict[str, Any], answer: Any = None) -> dict[str, Any]:
    """A plan, as a planner writes it."""
    return {"steps": list(steps), "answer": answer}


def ref(name: str, at: str = "") -> dict[str, Any]:
    """A reference."""
    return {"$from": name, "at": at}


def assignment_of(models: Models, arm: Small, folder: Path, **more: Any) -> Assignment:
    """A task of the goal "do it", unless `task` says another; `agent` and `world` change those."""
    agent: dict[str, Any] = {
        "planner": "planner",
        "worker": "worker",
        "judge": "judge",
        "allow": ALLOW,
        "limits": Budget(),
    }
    world = World(ask=models, workspace=folder, **more.pop("world", {}))
    return Assignment(
        id="task-1",
        task=more.pop("task", Task(goal="do it")),
        agent=Agent(**agent | more.pop("agent", {})),
        arms=(arm,),
        world=world,
        models=models,
        **more,
    )


def effect_of(name: str) -> Effect:
    """What one of the small actions leaves."""
    return next(o.effect for o in OFFERS if o.name == f"small.{name}")
