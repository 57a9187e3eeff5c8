"""How a task looks in a shell: a tree on a terminal, lines in a pipe, and its result.

What models and tools say in it is other people's text; nothing of it reaches a terminal that could
command it (`agents/lines.py`).
"""

import sys
import time
from collections.abc import Mapping
from typing import Protocol, Self

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree as Branches

from octoplex.agents.lines import line_of, shown
from octoplex.agents.task import Event
from octoplex.agents.view import StepView, View
from octoplex.ledger import dollars

_MARKS = {
    "waiting": (".", "dim"),
    "running": (">", "cyan"),
    "asking": ("?", "yellow"),
    "done": ("+", "green"),
    "failed": ("!", "red"),
    "skipped": ("-", "dim"),
    "replaced": ("~", "dim"),
}
FRAMES_PER_S = 4


class Screen(Protocol):
    """Where a task is shown while it is worked on."""

    def hear(self, event: Event, view: View, *, is_old: bool) -> None:
        """Something happened; `is_old`: before this command was given."""
        ...

    def note(self, text: str) -> None:
        """Say something beside it."""
        ...

    def pause(self) -> None:
        """Leave the terminal to a question."""
        ...

    def go_on(self) -> None:
        """Take it back."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class Lines:
    """A line for each thing that happens, on stderr."""

    def __init__(self, id_: str) -> None:
        self._id = id_

    def __enter__(self) -> Self:
        click.echo(f"task {self._id}", err=True)
        return self

    def __exit__(self, *_: object) -> None:
        """All is written."""

    def hear(self, event: Event, view: View, *, is_old: bool) -> None:
        """Print its line."""
        line = line_of(event)
        if line and not is_old:
            click.echo(line, err=True)

    def note(self, text: str) -> None:
        """Print it."""
        click.echo(text, err=True)

    def pause(self) -> None:
        """A question is a line, too."""

    def go_on(self) -> None:
        """So is what follows."""


class Tree:
    """The steps as a tree that is drawn anew, on the terminal behind stderr."""

    def __init__(self, id_: str, env: Mapping[str, str]) -> None:
        self._id, self._view, self._notes = id_, View(), [""]
        console = Console(stderr=True, no_color=bool(env.get("NO_COLOR")), highlight=False)
        self._live = Live(
            console=console, refresh_per_second=FRAMES_PER_S, get_renderable=self._drawn
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def hear(self, event: Event, view: View, *, is_old: bool) -> None:
        """Draw how it stands now."""
        self._view = view
        if event.kind in ("plan.rejected", "repair.begun", "step.retried"):
            self._notes[0] = line_of(event)
        self._live.refresh()

    def note(self, text: str) -> None:
        """Say something under the tree."""
        self._notes[0] = text
        self._live.refresh()

    def pause(self) -> None:
        """Leave the terminal to a question."""
        self._live.stop()

    def go_on(self) -> None:
        """Draw it again below."""
        self._live.start()

    def _drawn(self) -> Branches:
        view = self._view
        root = Branches(Text.assemble((shown(view.goal or "...", 100), "bold"), *_spent(view)))
        for step in view.steps:
            branch = root.add(_row(step))
            said = step.why if step.state == "failed" else step.text
            if said and step.state in ("running", "failed", "asking"):
                branch.add(Text(shown(said, 160), style="dim"))
            for file in step.artifacts:
                branch.add(Text(f"{shown(file.path, 120)} ({file.size:,} bytes)", style="dim"))
        if self._notes[0]:
            root.add(Text(shown(self._notes[0], 200), style="yellow"))
        return root


def _spent(view: View) -> list[tuple[str, str]]:
    return [(f"  {view.status}, {view.seconds:.1f} s, {dollars(view.nanos)}", "dim")]


def _row(step: StepView) -> Text:
    mark, style = _MARKS[step.state]
    seconds = step.seconds
    if step.state == "running" and step.begun_ms:
        seconds += max(0.0, time.time() - step.begun_ms / 1000)
    row = Text.assemble((f"{mark} {shown(step.id, 40)}", style), f"  {shown(step.action, 60)}")
    if seconds or step.nanos:
        row.append(f"  {seconds:.1f} s{f', {dollars(step.nanos)}' if step.nanos else ''}", "dim")
    if step.attempt > 1:
        row.append(f"  attempt {step.attempt}", "yellow")
    return row


def conclude(view: View) -> None:
    """Print what came of a task: its answer on stdout, the rest on stderr."""
    if view.status == "done" and view.plan is not None and not view.text and view.answer is None:
        show_plan(view)
    text = view.text or _json(view.answer)
    if text and view.status == "done":
        click.echo(_safe(text.rstrip("\n")))
    for one in view.artifacts:
        click.echo(f"file      {shown(one.path, 200)}  {one.size:,} bytes", err=True)
    for criterion in view.criteria:
        met = "met      " if criterion.passed else "NOT MET  "
        of = f"{shown(criterion.step, 40)}: " if criterion.step else ""
        why = f": {shown(criterion.why)}" if criterion.why else ""
        by = f" (by {shown(criterion.by, 60)}{why})"
        click.echo(f"{met} {of}{shown(criterion.what)}{by}", err=True)
    if view.status == "failed":
        click.echo(f"octoplex: {shown(view.why or view.failure, 1_000)}", err=True)
    tokens = f"{view.tokens:,} tokens, " if view.tokens else ""
    click.echo(f"{view.status} in {view.seconds:.1f} s, {tokens}{dollars(view.nanos)}", err=True)


def show_plan(view: View) -> None:
    """Print a plan, a step a line."""
    for step in (view.plan or {}).get("steps", ()):
        after = ", ".join(next((s.after for s in view.steps if s.id == step["id"]), ()))
        behind = f"  after {after}" if after else ""
        why = f"  {shown(step['why'], 120)}" if step.get("why") else ""
        click.echo(f"{shown(step['id'], 40)}  {shown(step['arm'], 60)}{behind}{why}")


def _json(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _safe(text: str) -> str:
    """An answer; on a terminal without what could command it."""
    if not sys.stdout.isatty():
        return text
    return "\n".join(
        shown(line, len(line) + 1) if line.strip() else "" for line in text.split("\n")
    )
