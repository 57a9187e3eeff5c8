"""What was known of answers before a route began to learn: a file of judged answers as lessons.

    lessons(path, {0: "gpt-5", 1: "gpt-5-mini"}, "prompt", None)    -> Lesson, ...

A file has what `replay.py` reads. What traffic has beside words (who asks, turns, tools) it does
not have, so that is learned by pairs alone. Lessons are learned from like judged pairs, older than
all of them, and are evidence for nothing: nobody knows how they were drawn, or whether the file
is of the same models. An alarm forgets them, as it does all from before the change that it found.

What callers say of an answer is no such lesson: it is of one answer, and who says something is not
drawn by lot; a lesson is the difference of two.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from octoplex.optimizer.notes import Lesson
from octoplex.optimizer.replay import Columns, opened, read


def columns(path: Path) -> tuple[str, ...]:
    """How the columns of a file are called.

    Raises:
        BadConfig: it cannot be read.
    """
    with opened(path) as lines:
        return tuple(next(csv.reader(lines), ()))


def lessons(
    path: Path, named: Mapping[int, str], prompt: str, segment: str | None
) -> Iterator[Lesson]:
    """Each row's, by candidate; `named` are columns by the number of a variant, 0 the reference's.

    Raises:
        BadConfig: a column is missing, or a value is no number from 0 to 1; with its line.
    """
    numbers = [number for number in sorted(named) if number]
    others = tuple(named[number] for number in numbers)
    table = read(path, Columns(named[0], others, prompt, segment))
    for features, (reference, *rest) in zip(table.features, table.quality.tolist(), strict=True):
        for number, other in zip(numbers, rest, strict=True):
            yield Lesson(features, number, other - reference)
