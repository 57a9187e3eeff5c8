"""The doors of tasks: give one, watch it, allow a step, stop it, fetch what it made.

    POST /v1/tasks                      a goal (`agents/task.py`) -> 202, {"id", "status", "links"}
    GET  /v1/tasks/ID/events            SSE, from `Last-Event-ID` on, up to the task's end
    POST /v1/tasks/ID/approve           {"step": "send", "decision": "approve", "why": "..."}

A key sees the tasks it gave, an operator's all of them, and a person who rules in its tenant
those of the tenant. Another's is as absent as none.
"""

import asyncio
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct

from octoplex.agents.journal import TaskRow
from octoplex.agents.task import Event, Task
from octoplex.agents.view import View
from octoplex.agents.words import Artifact
from octoplex.assembly.agents import Agents
from octoplex.assembly.assigning import Rights, caller_of, missing
from octoplex.dialects.members import UNREADABLE
from octoplex.gateway import Gateway
from octoplex.ledger.period import levels
from octoplex.reflex.idempotency import HEADER, name_of
from octoplex.reflex.tenants import role_of
from octoplex.sandbox.results import open_result
from octoplex.server import out
from octoplex.server.chat import travelling
from octoplex.server.files import count_in, give, page, send
from octoplex.server.inbound import JSON, Inbound, read_body
from octoplex.server.realm import RULERS
from octoplex.settings import Settings
from octoplex.wire.answer import revoked
from octoplex.wire.ask import Ask, Caller
from octoplex.wire.error import BadConfig, Forbidden, GatewayError, InvalidCall, NotFound, Stopping

USUAL_TASKS, MOST_TASKS = 20, 100
LATER = "The server is shutting down; the task goes on when it is there again."
MOST_TASK = 4_000_000
"""Bytes of what is handed in: a plan may come with it."""
KINDS = {"csv": "text/csv", "json": "application/json", "md": "text/plain", "txt": "text/plain"}
KINDS |= {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "pdf": "application/pdf"}
"""What a browser may be told a file is; any other is bytes."""


class Word(Struct, forbid_unknown_fields=True):
    """What somebody says of a step that waits."""

    step: str
    decision: Literal["approve", "deny"]
    why: str = ""
    topic: str = ""
    """As `approvals` has it; needed where the step was asked about before."""


_task = msgspec.json.Decoder(Task).decode
_word = msgspec.json.Decoder(Word).decode


def agents_of(gateway: Gateway) -> Agents:
    """The tasks of this process."""
    agents = gateway.works.agents
    if not isinstance(agents, Agents):
        raise BadConfig("Tasks run in another process of this server.")
    return agents


async def create(inbound: Inbound, gateway: Gateway) -> None:
    """Take on a task: a goal for an agent."""
    task = read(_task, await read_body(inbound, min(MOST_TASK, gateway.max_body)))
    headers = travelling(inbound.line.headers)
    name_of(headers, inbound.caller.id, gateway.works.hasher.hash)  # refuses what is no key
    again = headers.get(HEADER, "")
    row = await agents_of(gateway).submit(Rights(inbound.caller), task, again=again)
    body = msgspec.json.encode(_listed(row))
    block = JSON + inbound.id_lines().encode() + inbound.cors
    block += f"location: /v1/tasks/{row.id}\r\n".encode()
    await inbound.line.whole(202, block, body)


async def tasks(inbound: Inbound, gateway: Gateway) -> None:
    """List the tasks that the caller sees, newest first, in pages."""
    query, caller = inbound.query, inbound.caller
    limit = count_in(query, USUAL_TASKS, MOST_TASKS)
    is_one = not caller.role and not caller.user  # a key sees its own, and people may see more
    journal = await agents_of(gateway).opened()
    rows = await journal.rows(
        limit=limit + 1,
        before=query.get("after", ""),
        key_id=caller.id if caller.id and is_one else None,
        sees=partial(_sees, caller, gateway.settings),
    )
    await send(inbound, page([_listed(row) for row in rows[:limit]], len(rows) > limit))


async def read_task(inbound: Inbound, gateway: Gateway) -> None:
    """A task as it stands; with /events what happens to it, with /artifacts what it made."""
    id_, _, part = inbound.rest.partition("/")
    row = await own(inbound, gateway, id_)
    what, _, name = part.partition("/")
    if not part:
        await send(inbound, shown(row, await agents_of(gateway).view(id_)))
    elif part == "events":
        await _events(inbound, gateway, row)
    elif part == "artifacts":
        made = artifacts_of(await agents_of(gateway).view(id_))
        await send(inbound, page([_artifact(row, one) for one in made.values()], more=False))
    elif what == "artifacts":
        await _give(inbound, gateway, row, name)
    else:
        raise NotFound(f"There is no {part[:128]!r} of a task; there are events and artifacts.")


async def change(inbound: Inbound, gateway: Gateway) -> None:
    """Cancel a task, let it go on, or say whether one of its steps may be done."""
    id_, _, verb = inbound.rest.partition("/")
    agents, caller = agents_of(gateway), inbound.caller
    row = await own(inbound, gateway, id_, to_change=True)
    by = caller.name or "somebody without a key"
    if verb == "cancel":
        await agents.cancel(id_, by)
    elif verb == "resume":
        await agents.resume(id_)
    elif verb == "approve":
        word = read(_word, await read_body(inbound, gateway.max_body))
        said = {"approved": word.decision == "approve", "by": by, "note": word.why}
        said["topic"] = word.topic
        await send(inbound, await agents.approve(id_, word.step, said))
        return
    else:
        raise NotFound(
            f"There is no {verb[:128]!r} of a task; there are cancel, resume and approve."
        )
    row = await agents.row(row.id)
    await send(inbound, shown(row, await agents.view(id_)))


async def own(inbound: Inbound, gateway: Gateway, id_: str, *, to_change: bool = False) -> TaskRow:
    """A task that the caller may see, or change."""
    row, caller = await agents_of(gateway).row(id_), inbound.caller
    if not _sees(caller, gateway.settings, row):
        raise NotFound(missing(id_, gateway.settings), param="task_id")
    if to_change and caller.role == "viewer" and row.key_id != caller.id:
        raise Forbidden("The role viewer looks and changes nothing.")
    return row


def _sees(caller: Caller, settings: Settings, row: TaskRow) -> bool:
    """Whether a task is its own, or of a tenant where somebody is owner or admin."""
    if not caller.id or caller.role or row.key_id == caller.id:
        return True
    inside = bool(caller.tenant) and caller.tenant in levels(row.tenant)
    return inside and role_of(settings.tenants, row.tenant, caller.user) in RULERS


def read(decode: Any, body: bytes) -> Any:
    """A body as its struct.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    try:
        return decode(body)
    except UNREADABLE as error:
        what, _, where = str(error).partition(" - at `")
        field = where.rstrip("`").lstrip("$.") or _unknown(what)
        told = f"{field}: {what[0].lower()}{what[1:]}" if field else what
        refused = InvalidCall(f"{told}.")
        if field:
            refused.facts["param"] = field
        raise refused from None


def _unknown(what: str) -> str:
    """The field that an error names in its text."""
    found = what.partition("field `")[2]
    return found.rstrip("`").partition("`")[0]


# -- how they look ----------------------------------------------------------------------------


def links(id_: str) -> dict[str, str]:
    """Where everything of a task is."""
    own_path = f"/v1/tasks/{id_}"
    parts = ("events", "artifacts", "cancel", "resume", "approve")
    return {"self": own_path, **{part: f"{own_path}/{part}" for part in parts}}


def _listed(row: TaskRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "task",
        "status": row.status,
        "agent": row.task.agent,
        "goal": row.task.goal,
        "priority": row.task.priority,
        "created_at_ms": row.created_at_ms,
        "metadata": row.task.metadata,
        "links": links(row.id),
    }


def shown(row: TaskRow, view: View) -> dict[str, Any]:
    """A task with all that has come of it."""
    built: dict[str, Any] = msgspec.to_builtins(view)
    return {**_listed(row), **built, "task": msgspec.to_builtins(row.task)}


def artifacts_of(view: View) -> dict[str, Artifact]:
    """What a task has made, by path; the last of several versions."""
    of_steps = {one.path: one for step in view.steps for one in step.artifacts}
    return of_steps | {one.path: one for one in view.artifacts}


def _artifact(row: TaskRow, one: Artifact) -> dict[str, Any]:
    path = f"{links(row.id)['artifacts']}/{quote(one.path)}"
    return {"id": one.path, "object": "artifact", **msgspec.to_builtins(one), "url": path}


async def _give(inbound: Inbound, gateway: Gateway, row: TaskRow, name: str) -> None:
    """Answer with a file that the task made. No link is followed, and no browser shows it."""
    if name not in artifacts_of(await agents_of(gateway).view(row.id)):
        raise NotFound(f"The task made no {name[:128]!r}; see {links(row.id)['artifacts']}.")
    kind = KINDS.get(name.rpartition(".")[2].lower(), "application/octet-stream")
    block = (
        f"content-type: {kind}\r\nx-content-type-options: nosniff\r\n"
        f"content-disposition: attachment; filename*=UTF-8''{quote(name.rpartition('/')[2])}\r\n"
    )
    opened = partial(open_result, row.task.workspace, name)
    try:
        await give(inbound, asyncio.to_thread, opened, block.encode())
    except OSError:
        raise NotFound(
            "The folder of this task is not on this host, or it is gone; ask the host that ran it."
        ) from None


# -- events -----------------------------------------------------------------------------------


async def _events(inbound: Inbound, gateway: Gateway, row: TaskRow) -> None:
    """What happens to a task, as it happens; ends with the task, or the right to see it."""
    agents, after = agents_of(gateway), _after(inbound)
    ask = Ask(inbound.id, inbound.face.name, "", b"", float("inf"), inbound.started_at)
    block = out.SSE + inbound.id_lines().encode() + inbound.cors
    if inbound.line.method == "HEAD":
        await inbound.line.whole(200, block, b"")
        return
    stream = out.Stream(inbound.line, block, ask)
    inbound.quiet.add(stream)
    try:
        await stream.write(b": task %b\n\n" % row.id.encode())
        async for event in agents.follow(row.id, after):
            spine = agents.spine  # the newest: roles may have changed
            if not _sees(caller_of(spine, inbound.caller.id), spine.settings, row):
                raise NotFound(missing(row.id, spine.settings), param="task_id")
            await stream.write(_sse(event))
        if gateway.works.stopping:
            raise Stopping(LATER)
        await stream.write(b": over\n\n", last=True)
    except asyncio.CancelledError:
        if inbound.revoked or gateway.works.stopping:
            await _end(stream, revoked() if inbound.revoked else Stopping(LATER))
            return
        raise
    except GatewayError as error:
        await _end(stream, error)
    finally:
        inbound.quiet.discard(stream)


async def _end(stream: out.Stream, error: GatewayError) -> None:
    """Say in-band why no more comes; `retry` has a client ask again later."""
    said = msgspec.json.encode({"code": error.code, "message": str(error)})
    await stream.write(b"retry: 3000\nevent: error\ndata: %b\n\n" % said, last=True)


def _sse(event: Event) -> bytes:
    data = msgspec.json.encode(event)
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.number, event.kind.encode(), data)


def _after(inbound: Inbound) -> int:
    """The number of the event that the caller has seen last."""
    given = inbound.line.headers.get(b"last-event-id", b"").decode("latin-1")
    given = given or inbound.query.get("after", "0")
    if not given.isdecimal() or len(given) > 9:
        raise InvalidCall(
            f"Last-Event-ID {given[:20]!r} must be the number of an event.", param="last-event-id"
        )
    return int(given)
