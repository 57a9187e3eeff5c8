"""`octoplex runs`: tasks that were given, what became of them, and what may be done about them.

Looking needs no lock and runs nothing, so it works beside a server. What changes a task is done by
the server that has the folder, or here where there is none.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from octoplex.agents.journal import Reader, TaskRow
from octoplex.agents.journal.folders import is_own
from octoplex.agents.lines import line_of, shown
from octoplex.agents.task import Event
from octoplex.agents.view import View, view_of
from octoplex.assembly.assigning import journal_of, missing, own_folders
from octoplex.cli.place import Place, config_option, json_option, place_of
from octoplex.cli.run import Runner
from octoplex.cli.show import print_json, print_table
from octoplex.cli.steps import conclude, show_plan
from octoplex.client.runs import Runs, open_runs
from octoplex.ledger import dollars
from octoplex.wire.error import InvalidCall, NotFound

T = TypeVar("T")
DAY_MS = 86_400_000
COLUMNS = ("created", "id", "agent", "status", "steps", "cost", "kept until", "goal")
FIGURES = frozenset({"steps", "cost"})
EMPTY = (
    'No tasks yet. Give one: octoplex run "Count the words of each file" --workspace .\n'
    "What agents may do is in [agents.NAME]; docs/guides/agents.md shows it."
)


@click.group()
def runs() -> None:
    """Show tasks of agents, resume, cancel and replay them."""


@runs.command("list")
@click.option("-n", "number", default=20, type=click.IntRange(1, 10_000), help="How many.")
@config_option
@json_option
def list_(number: int, config: str | None, as_json: bool) -> None:
    """Show the last tasks, newest last."""

    async def look(reader: Reader) -> list[tuple[TaskRow, View]]:
        rows = await reader.rows(number)
        return [(row, view_of(await reader.events(row.id))) for row in rows[::-1]]

    place = place_of(config)
    found = _read(place, look)
    days = place.settings.server.tasks_days
    if as_json:
        print_json([_shown(row, view, days) for row, view in found])
    elif found:
        print_table(COLUMNS, [_cells(row, view, days) for row, view in found], FIGURES)
    else:
        click.echo(EMPTY)


@runs.command()
@click.argument("task_id", metavar="ID")
@config_option
@json_option
def show(task_id: str, config: str | None, as_json: bool) -> None:
    """Show a task whole: its plan, its steps, its result."""
    place = place_of(config)
    row, events = _one(place, task_id)
    view, days = view_of(events), place.settings.server.tasks_days
    if as_json:
        print_json(_shown(row, view, days))
        return
    click.echo(f"task      {row.id}")
    click.echo(f"goal      {shown(row.task.goal, 1_000)}")
    click.echo(f"agent     {shown(row.task.agent, 60)}, in {shown(row.task.workspace)}")
    click.echo(f"created   {_at(row.created_at_ms)}")
    if until_ms := _until_ms(row, days):
        click.echo(f"kept      until {_day(until_ms)}; {_with_files(row, place.data)}")
    show_plan(view)
    for event in events:
        if line := line_of(event):
            click.echo(line)
    for one in view.approvals:
        click.echo(f"waits     for a word on {shown(one.step, 60)}")
    conclude(view)


@runs.command()
@click.argument("task_id", metavar="ID")
@click.option(
    "--approve",
    type=click.Choice(("ask", "never", "auto")),
    default="ask",
    show_default=True,
    help="Steps that need a person's word: ask here, allow none, or allow all.",
)
@config_option
@json_option
def resume(task_id: str, approve: str, config: str | None, as_json: bool) -> None:
    """Go on with a task that was stopped, or watch one that runs."""
    _, events = _one(place_of(config), task_id)
    seen = events[-1].number if events else 0
    sys.exit(asyncio.run(Runner(config, approve, as_json).resume(task_id, seen)))


@runs.command()
@click.argument("task_id", metavar="ID")
@config_option
def cancel(task_id: str, config: str | None) -> None:
    """End a task; its files stay."""
    place = place_of(config)
    row, _ = _one(place, task_id)
    if row.status in ("done", "failed", "cancelled"):
        raise InvalidCall(f"The task is {row.status} already.")

    async def end(way: Runs) -> None:
        await way.cancel(task_id, "octoplex runs cancel")

    asyncio.run(_with(config, place, end))
    click.echo(f"{task_id} is cancelled; go on with it: octoplex runs resume {task_id}")


@runs.command()
@click.argument("task_id", metavar="ID")
@click.option(
    "--speed", default=0.0, type=click.FloatRange(0), help="1: as fast as it was; 0: at once."
)
@config_option
@json_option
def replay(task_id: str, speed: float, config: str | None, as_json: bool) -> None:
    """Show what happened again, event by event; nothing is asked or run."""
    _, events = _one(place_of(config), task_id)
    began_ms = events[0].at_ms if events else 0
    last_ms = began_ms
    for event in events:
        if speed:
            time.sleep(max(0, event.at_ms - last_ms) / 1000 / speed)
        last_ms = event.at_ms
        if as_json:
            click.echo(msgspec.json.encode(event).decode())
        elif line := line_of(event):
            click.echo(f"{(event.at_ms - began_ms) / 1000:9.3f}  {line}")
    if not as_json:
        conclude(view_of(events))


async def _with(config: str | None, place: Place, act: Callable[[Runs], Awaitable[T]]) -> T:
    way = await open_runs(config, None, place.env)
    try:
        return await act(way)
    finally:
        await way.close()


def _read(place: Place, look: Callable[[Reader], Awaitable[T]]) -> T:
    async def run() -> T:
        opened = place.opened()
        reader = await Reader.open(journal_of(opened.settings, opened.env, opened.data))
        try:
            return await look(reader)
        finally:
            await reader.close()

    return asyncio.run(run())


def _one(place: Place, task_id: str) -> tuple[TaskRow, list[Event]]:
    async def look(reader: Reader) -> tuple[TaskRow | None, list[Event]]:
        row = await reader.row(task_id)
        return row, await reader.events(task_id) if row else []

    row, events = _read(place, look)
    if row is None:
        listed = "`octoplex runs list` lists the last ones."
        raise NotFound(f"{missing(task_id, place.settings)} {listed}")
    return row, events


def _shown(row: TaskRow, view: View, days: int) -> dict[str, Any]:
    built = {**msgspec.to_builtins(row), **msgspec.to_builtins(view)}
    return {**built, "goal": row.task.goal, "kept_until_ms": _until_ms(row, days)}


def _until_ms(row: TaskRow, days: int) -> int | None:
    """When it is removed; None: it has not ended."""
    return None if row.ended_at_ms is None else row.ended_at_ms + days * DAY_MS


def _with_files(row: TaskRow, data: Path) -> str:
    stay = "its files stay: somebody named their folder"
    return "with its files" if is_own(own_folders(data), row.task.workspace, row.id) else stay


def _cells(row: TaskRow, view: View, days: int) -> tuple[str, ...]:
    until_ms = _until_ms(row, days)
    done = sum(step.state == "done" for step in view.steps)
    return (
        _at(row.created_at_ms),
        row.id,
        row.task.agent or "usual",
        view.status,
        f"{done}/{len(view.steps)}",
        dollars(view.nanos),
        _day(until_ms) if until_ms else "-",
        shown(row.task.goal, 60),
    )


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).strftime("%Y-%m-%d")


def _at(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).strftime("%m-%d %H:%M:%S")
