"""`octoplex run GOAL`: plan it, do it, check it, and show all of that while it happens.

The task runs in this process, or at the server that has the data folder. On a terminal its steps
are a tree with time and cost; in a pipe they are lines on stderr, and stdout has the answer alone
(with --json the task, whole). Ctrl-C ends the task at the next moment it can be resumed from; a
second one leaves at once.

    1    the goal was not reached
    130  Ctrl-C
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from octoplex.agents.config import budget_of
from octoplex.agents.lines import shown
from octoplex.agents.named import Named
from octoplex.agents.task import Event, Task
from octoplex.agents.view import Approval, View, view_of
from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import print_json
from octoplex.cli.steps import Lines, Screen, Tree, conclude
from octoplex.client.runs import Runs, open_runs
from octoplex.settings import environment
from octoplex.wire.error import InvalidCall

STOPPED = 130


@click.command()
@click.argument("goal", metavar="GOAL", nargs=-1)
@click.option(
    "--workspace", metavar="DIR", help="Its folder, readable and writable; else a new one."
)
@click.option("--budget", metavar="TEXT", default="", help="Such as '$0.50, 5 min'.")
@click.option("-m", "--model", default="", help="A route or provider/model, for every part.")
@click.option("--agent", default="", help="A name of [agents]; default: the usual one.")
@click.option(
    "--approve",
    type=click.Choice(("ask", "never", "auto")),
    default="ask",
    show_default=True,
    help="Steps that need a person's word: ask here, allow none, or allow all.",
)
@click.option("--plan-only", is_flag=True, help="Show the plan and do nothing.")
@config_option
@json_option
def run(goal: tuple[str, ...], config: str | None, as_json: bool, **given: Any) -> None:
    """Give a goal to an agent, and see it done.

    Without GOAL it is read from stdin.
    """
    text = " ".join(goal).strip() or ("" if sys.stdin.isatty() else sys.stdin.read().strip())
    if not text:
        raise InvalidCall(
            'There is no goal; write one: octoplex run "Summarise the CSV files" --workspace ./data'
        )
    workspace = given["workspace"]
    if workspace and not os.path.isdir(workspace):
        raise InvalidCall(f"--workspace: there is no folder {workspace}.")
    task = Task(
        goal=text,
        agent=given["agent"],
        model=given["model"],
        budget=budget_of(given["budget"]) if given["budget"] else None,
        workspace=os.path.abspath(workspace) if workspace else "",
        plan_only=given["plan_only"],
    )
    place_of(config)  # a file that is wrong is told before anything else
    sys.exit(asyncio.run(Runner(config, given["approve"], as_json).run(task)))


class Runner:
    """One task from here to its end."""

    def __init__(self, config: str | None, approve: str, as_json: bool) -> None:
        self._config, self._approve, self._as_json = config, approve, as_json
        self._env: Mapping[str, str] = environment()
        self._events: list[Event] = []
        self._stops = 0
        self._typed: asyncio.Future[str] | None = None

    async def run(self, task: Task) -> int:
        """Give a task and see it through; the status to end with."""
        runs = await open_runs(self._config, None, self._env)
        try:
            id_ = await runs.submit(task)
            return await self._watch(runs, id_)
        finally:
            await runs.close()

    async def resume(self, id_: str, after: int) -> int:
        """Go on with one that was stopped, or watch one that runs."""
        runs = await open_runs(self._config, None, self._env)
        try:
            try:
                await runs.resume(id_)
            except InvalidCall as error:  # it runs, or is done
                click.echo(f"octoplex: {error}", err=True)
            return await self._watch(runs, id_, after)
        finally:
            await runs.close()

    async def _watch(self, runs: Runs, id_: str, after: int = 0) -> int:
        screen: Screen = Tree(id_, self._env) if _can_draw(self._as_json) else Lines(id_)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, lambda: self._interrupt(runs, id_, screen))
        try:
            with screen:
                async for event in runs.follow(id_):
                    self._events.append(event)
                    screen.hear(event, view_of(self._events), is_old=event.number <= after)
                    if event.kind == "approval.asked" and event.number > after:
                        await self._ask(runs, id_, event, screen)
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        return self._end(id_, view_of(self._events))

    def _end(self, id_: str, view: View) -> int:
        if self._as_json:
            print_json({"id": id_, **msgspec.to_builtins(view)})
        else:
            conclude(view)
        if view.status == "done":
            return 0
        if not self._as_json:
            click.echo(f"Go on with it: octoplex runs resume {id_}", err=True)
        return STOPPED if view.status == "cancelled" and self._stops else 1

    def _interrupt(self, runs: Runs, id_: str, screen: Screen) -> None:
        self._stops += 1
        if self._stops > 1:
            screen.__exit__(None, None, None)
            click.echo(f"\nLeft at once. Go on with it: octoplex runs resume {id_}", err=True)
            os._exit(STOPPED)  # the journal has all that is done; what runs inside dies with us
        screen.note("stopping; Ctrl-C again leaves at once")
        if self._typed is not None and not self._typed.done():
            self._typed.set_result("")
        self._stopping = asyncio.ensure_future(runs.cancel(id_, "Ctrl-C"))

    async def _ask(self, runs: Runs, id_: str, event: Event, screen: Screen) -> None:
        """Have somebody say whether a step may be done."""
        asked = msgspec.convert({**event.body, "step": event.step}, Approval)
        if self._approve == "ask" and sys.stdin.isatty() and sys.stderr.isatty():
            screen.pause()
            click.echo(question(asked), err=True, nl=False)
            word = (await self._line()).strip().lower()
            screen.go_on()
            if self._stops:
                return
            said = {"approved": word in ("y", "yes"), "note": ""}
        else:
            notes = {"auto": "--approve auto", "never": "--approve never"}
            note = notes.get(self._approve, "there is no terminal to ask at; see --approve")
            said = {"approved": self._approve == "auto", "note": note}
        with contextlib.suppress(InvalidCall):  # the task has ended meanwhile
            await runs.approve(
                id_, event.step, {**said, "by": "octoplex run", "topic": asked.topic}
            )

    async def _line(self) -> str:
        """A line of the terminal; a thread that reads it could not be ended by Ctrl-C."""
        loop = asyncio.get_running_loop()
        self._typed = loop.create_future()

        def read() -> None:
            assert self._typed is not None
            if not self._typed.done():
                self._typed.set_result(sys.stdin.readline())

        loop.add_reader(sys.stdin.fileno(), read)
        try:
            return await self._typed
        finally:
            loop.remove_reader(sys.stdin.fileno())


def _can_draw(as_json: bool) -> bool:
    """Whether somebody looks at a terminal that can redraw lines."""
    return not as_json and sys.stderr.isatty() and environment().get("TERM") != "dumb"


MOST_ASKED = 20_000
"""Characters of a step's inputs that a person is shown before it is done: what is run is what was
shown, so all of it, unless nobody would read it."""


def _file(file: Named) -> list[str]:
    """What lies where an input says."""
    made = f"sha256 {file.sha256}" if file.sha256 else "too large to be looked at"
    begin = [f"    {shown(line)}" for line in file.begin.splitlines()]
    return [f"  {shown(file.path)}: {file.size:,} bytes, {made}", *begin]


def question(asked: Approval) -> str:
    """What a person is asked about a step."""
    inputs = msgspec.json.encode(asked.inputs).decode()
    hidden = len(inputs) - MOST_ASKED
    inputs = shown(inputs[:MOST_ASKED], MOST_ASKED)
    rest = f"{hidden:,} more characters of that are not shown; its events have them"
    lines = [
        f"{asked.step} wants to do {shown(asked.action, 100)} with {inputs}",
        f"  {rest}" if hidden > 0 else "",
        *[line for file in asked.files for line in _file(file)],
        f"  {shown(asked.why)}" if asked.why else "",
        "May it? [y/N] ",
    ]
    return "\n".join(line for line in lines if line)
