"""The tools of `POST /mcp`: what each takes, and how it comes by what it gives."""

from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from octoplex.agents.mcp.serving import Given, Served
from octoplex.agents.task import Budget, Task
from octoplex.assembly.agents import Agents
from octoplex.assembly.assigning import Rights
from octoplex.gateway import Gateway
from octoplex.server.chat import call_of, events_of
from octoplex.server.inbound import Inbound
from octoplex.server.tasks import agents_of, own, shown
from octoplex.wire.error import InvalidCall
from octoplex.wire.event import fold


class Turn(Struct, forbid_unknown_fields=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Chat(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Arguments of `chat`."""

    prompt: Annotated[str, Meta(description="What is asked, after `messages`.")] = ""
    model: Annotated[str, Meta(description="As `models` lists it; the first where left out.")] = ""
    system: str = ""
    messages: tuple[Turn, ...] = ()
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None


class Nothing(Struct, forbid_unknown_fields=True):
    """Arguments of what takes none."""


class Goal(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Arguments of `run_task`."""

    goal: Annotated[str, Meta(min_length=1, max_length=10_000)]
    agent: str = ""
    context: Annotated[str, Meta(max_length=50_000)] = ""
    constraints: tuple[str, ...] = ()
    acceptance_criteria: tuple[str, ...] = ()
    budget: Budget | None = None


class Id(Struct, forbid_unknown_fields=True):
    """Arguments that name a task."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]


class Fact(Struct, forbid_unknown_fields=True):
    """Arguments of `remember`."""

    text: Annotated[str, Meta(min_length=1, max_length=8_000)]
    days: Annotated[float, Meta(gt=0)] | None = None


class Question(Struct, forbid_unknown_fields=True):
    """Arguments of `recall`."""

    query: Annotated[str, Meta(min_length=1, max_length=1_000)]
    limit: Annotated[int, Meta(ge=1, le=50)] = 10


def tools_of(inbound: Inbound, gateway: Gateway) -> list[Served]:
    """What this caller is offered here."""
    tools = [
        Served(
            name="chat",
            description="Ask a language model. The result says which one answered and the cost.",
            kind=Chat,
            call=partial(_chat, inbound, gateway),
        ),
        Served(
            name="models",
            description="List the models that may be asked.",
            kind=Nothing,
            call=partial(_models, inbound, gateway),
            reads_only=True,
        ),
    ]
    if isinstance(gateway.works.agents, Agents):
        tools += _of_agents(inbound, gateway)
    return tools


def _of_agents(inbound: Inbound, gateway: Gateway) -> list[Served]:
    """Tasks and memory."""
    rows = (
        ("run_task", "Give an agent a goal; it plans, works and checks by itself. Gives its id.",
         Goal, _run, False),
        ("task_status", "Show how a task stands, and its result.", Id, _status, True),
        ("cancel_task", "Stop a task.", Id, _cancel, False),
        ("remember", "Keep a fact in the memory of this tenant.", Fact, _remember, False),
        ("recall", "Find facts in the memory of this tenant.", Question, _recall, True),
    )  # fmt: skip
    return [
        Served(
            name=name,
            description=says,
            kind=kind,
            call=partial(call, inbound, gateway),
            reads_only=reads_only,
        )
        for name, says, kind, call, reads_only in rows
    ]


async def _chat(inbound: Inbound, gateway: Gateway, asked: Chat) -> Given:
    """Ask a model on the way of any request."""
    turns = [{"role": "system", "content": asked.system}] if asked.system else []
    turns += [msgspec.to_builtins(turn) for turn in asked.messages]
    turns += [{"role": "user", "content": asked.prompt}] if asked.prompt else []
    names = gateway.names(inbound.caller)
    body: dict[str, Any] = {"model": asked.model or (names[0] if names else ""), "messages": turns}
    if not turns or not body["model"]:
        raise InvalidCall("Send `prompt` or `messages`, and the name of a model.", param="prompt")
    more = {"max_tokens": asked.max_tokens, "temperature": asked.temperature}
    body |= {name: value for name, value in more.items() if value is not None}
    call = call_of(inbound, gateway, msgspec.json.encode(body), "chat")
    opened = await gateway.answer(call)
    reply = fold(await events_of(opened)) if opened.body is None else opened.reply()
    answered, trail = call.trail.answered(), call.trail
    said = {
        "model": answered.target if answered is not None else opened.head.model,
        "cost_nano": trail.nano,
        "estimated": trail.estimated,
        "input_tokens": reply.usage.input_tokens,
        "output_tokens": reply.usage.output_tokens,
        "stop": reply.stop,
        "request_id": inbound.id,
    }
    return Given(reply.text, said)


async def _models(inbound: Inbound, gateway: Gateway, asked: Nothing) -> Given:
    names = gateway.names(inbound.caller)
    rows = [{"id": name, "available": not gateway.plan.unavailable(name)} for name in names]
    return Given("\n".join(names), {"models": rows})


async def _run(inbound: Inbound, gateway: Gateway, asked: Goal) -> Given:
    task = msgspec.convert(msgspec.to_builtins(asked), Task)
    row = await agents_of(gateway).submit(Rights(inbound.caller), task)
    return Given(f"The task {row.id} has begun; ask for its status.", {"id": row.id})


async def _status(inbound: Inbound, gateway: Gateway, asked: Id) -> Given:
    row = await own(inbound, gateway, asked.id)
    view = await agents_of(gateway).view(asked.id)
    return Given(f"{view.status}\n{view.text}".strip(), shown(row, view))


async def _cancel(inbound: Inbound, gateway: Gateway, asked: Id) -> Given:
    await own(inbound, gateway, asked.id, to_change=True)
    await agents_of(gateway).cancel(asked.id, inbound.caller.name or "somebody without a key")
    return Given(f"The task {asked.id} is being stopped.", {"id": asked.id})


async def _remember(inbound: Inbound, gateway: Gateway, asked: Fact) -> Given:
    memory = agents_of(gateway).memory_of(inbound.caller)
    id_ = await memory.keep(asked.text, source="mcp", days=asked.days)
    return Given(f"Kept as {id_}.", {"id": id_})


async def _recall(inbound: Inbound, gateway: Gateway, asked: Question) -> Given:
    facts = await agents_of(gateway).memory_of(inbound.caller).find(asked.query, limit=asked.limit)
    text = "\n".join(f"- {fact['text']}" for fact in facts) or "Nothing is known of that."
    return Given(text, {"facts": list(facts)})
