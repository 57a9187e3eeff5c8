"""Twenty small goals with the built-in model alone: how many plans hold, how many are reached.

    python -m bench.goals [--seconds 60] [--only N]

The built-in model plans (its answer is held to the plan's schema token by token), writes, judges.
Each goal has a folder of its own, and a check here that no model has a say in. Nothing is retried
and nothing canned: the figures are what it can do.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

import octoplex
from octoplex.agents.task import Event
from octoplex.agents.view import View
from octoplex.wire.error import GatewayError

MODEL = "octoplex/smollm2"
NOTES = "Buy milk.\nCall Ana.\nPay rent.\n"
SALES = "month,amount\nApril,10\nMay,32\nJune,8\n"
Check = Callable[[View, Path], bool]


class Goal(Struct, frozen=True):
    """What is to be done, and how one sees that it was."""

    text: str
    check: Check


def says(*words: str) -> Check:
    """The answer has these words."""
    return lambda view, _: all(word in f"{view.text} {view.answer}".lower() for word in words)


def wrote(name: str, *words: str) -> Check:
    """A file has these words."""

    def check(_: View, folder: Path) -> bool:
        path = folder / name
        return path.is_file() and all(word in path.read_text().lower() for word in words)

    return check


def gone(name: str) -> Check:
    """A file is not there any more."""
    return lambda _, folder: not (folder / name).exists()


GOALS = (
    Goal("Read the file notes.txt.", says("milk", "ana", "rent")),
    Goal("Write the word hello into the file hello.txt.", wrote("hello.txt", "hello")),
    Goal("List the files of the workspace.", says("notes.txt", "sales.csv")),
    Goal("Run Python that prints 6 * 7.", says("42")),
    Goal("Count the lines of notes.txt.", says("3")),
    Goal("Find the passages about rent in the files.", says("rent")),
    Goal("Read sales.csv and answer with its rows.", says("april", "32")),
    Goal("Delete the file old.txt.", gone("old.txt")),
    Goal("Move old.txt to new.txt.", wrote("new.txt", "old")),
    Goal("Write a haiku about the sea into sea.txt.", wrote("sea.txt", "")),
    Goal("Compute 17 times 23 with Python.", says("391")),
    Goal("Show the first line of notes.txt with the program head.", says("milk")),
    Goal("Sort the lines of notes.txt with the program sort.", says("ana", "milk", "rent")),
    Goal("Copy notes.txt to copy.txt.", wrote("copy.txt", "milk")),
    Goal("Say what the capital of France is.", says("paris")),
    Goal("Translate the word house to French.", says("maison")),
    Goal("Compute the sum of the amounts in sales.csv.", says("50")),
    Goal("Write the numbers from 1 to 5 into numbers.txt.", wrote("numbers.txt", "1", "5")),
    Goal("Count the words of notes.txt with the program wc.", says("6")),
    Goal(
        "Write the month with the highest amount of sales.csv into best.txt.",
        wrote("best.txt", "may"),
    ),
)


async def tried(goal: Goal, seconds: float, data: Path, folder: Path) -> tuple[bool, bool, str]:
    """Whether a plan held, whether the goal was reached, and why not."""
    (folder / "notes.txt").write_text(NOTES)
    (folder / "sales.csv").write_text(SALES)
    (folder / "old.txt").write_text("old\n")
    kinds: list[str] = []

    def tell(event: Event) -> None:
        kinds.append(event.kind)

    try:
        view = await octoplex.run(
            goal.text,
            workspace=str(folder),
            model=MODEL,
            budget=f"$0, {seconds:g} s",
            approve=lambda one: True,
            tell=tell,
            data=str(data),
        )
    except GatewayError as error:
        return "plan.made" in kinds, False, str(error).partition(" See `octoplex")[0]
    return True, goal.check(view, folder), "" if goal.check(view, folder) else f"says {view.text!r}"


async def main() -> None:
    """Try them all, one after the other."""
    read = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    read.add_argument("--seconds", type=float, default=60.0, help="for each goal")
    read.add_argument("--only", type=int, default=len(GOALS), help="the first so many")
    given = read.parse_args()
    planned = reached = 0
    goals = GOALS[: given.only]
    with tempfile.TemporaryDirectory() as home:
        for number, goal in enumerate(goals, 1):
            folder = Path(home) / str(number)
            folder.mkdir()
            began = time.monotonic()
            made, done, why = await tried(goal, given.seconds, Path(home) / "data", folder)
            planned, reached = planned + made, reached + done
            took_s, word = time.monotonic() - began, "reached" if done else "missed"
            said = "planned" if made else "no plan"
            print(
                f"{number:2}  {word}  {said}  {took_s:5.1f} s  {goal.text}  {why[:200]}", flush=True
            )
    print(f"{planned} of {len(goals)} planned, {reached} of {len(goals)} reached")


if __name__ == "__main__":
    asyncio.run(main())
