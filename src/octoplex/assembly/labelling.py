"""What people say of pairs that a model has judged: the same at the shell and over HTTP.

    questions(data, settings, "support", 1)                  the oldest that wait, blind
    say(data, Said("support", "req_...", ("a",), who))       only A is good
    forget(data, "support")                                  delete all texts now

numpy is an extra: what needs it is imported when a route learns.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.assembly.optimizing import check, failing, reading
from octoplex.ledger.labels import Held, LabelsFile
from octoplex.ledger.learning import LABEL, NAME, Noted
from octoplex.settings import Settings
from octoplex.wire.error import InvalidCall, NotFound

ANSWERS = ("a", "b")


class Said(Struct, frozen=True):
    """What somebody says of a pair: which answers are good, "a", "b", both or none."""

    route: str
    request_id: str
    good: tuple[str, ...]
    who: str


def questions(data: Path, settings: Settings, route: str, most: int) -> list[dict[str, Any]]:
    """Pairs of which nobody has said anything, the oldest first; which answer is whose is not said.

    Raises:
        NotFound: no route of this name learns.
        StoreFailed: they cannot be read.
    """
    check(settings, route)
    with _file(data) as file:
        rows = file.waiting(route, most) if file else []
    from octoplex.optimizer.labels import question_of

    return [
        msgspec.to_builtins(question_of(row.request_id, row.texts, row.until_ms)) for row in rows
    ]


def check_waits(data: Path, settings: Settings, said: Said) -> None:
    """Refuse what cannot be said.

    Raises:
        NotFound: there is no such route; or no such pair waits.
        InvalidCall: an answer is neither "a" nor "b".
        StoreFailed: it cannot be read whether one does.
    """
    check(settings, said.route)
    if set(said.good) - set(ANSWERS):
        raise InvalidCall('What is good is "a", "b", both or nothing.', param="good")
    with _file(data) as file:
        if file is None or not file.waits(said.route, said.request_id):
            raise _known(said)


def say(data: Path, said: Said) -> None:
    """Note what somebody says of a pair (`check_waits` has looked at it).

    Raises:
        NotFound: somebody else was faster.
        StoreFailed: it cannot be written.
    """
    from octoplex.optimizer.labels import label_of
    from octoplex.optimizer.notes import encode

    note = encode(label_of(said.request_id, said.good, said.who or "somebody"))
    with _file(data) as file:
        row = Noted(said.route, _now_ms(), LABEL, note)
        if file is None or not file.say(row, said.request_id):
            raise _known(said)


def _known(said: Said) -> NotFound:
    return NotFound(
        f'No pair "{said.request_id[:128]}" of {said.route} waits for a label: somebody has said '
        "something of it, or its time is over."
    )


def count(data: Path, settings: Settings, route: str) -> int:
    """Of how many pairs of a route texts are kept; it may be in the file no more.

    Raises:
        NotFound: of none, and no such route learns.
        StoreFailed: it cannot be read.
    """
    with reading(data) as file:
        found = 0 if file is None else file.asked().get(route, 0)
    if not found:
        check(settings, route)
    return found


def forget(data: Path, route: str) -> int:
    """Delete all texts that are kept of a route; how many pairs. Those of which nobody has said
    anything count as the worst for the rival.

    Raises:
        StoreFailed: they cannot be deleted.
    """
    with _file(data) as file:
        return 0 if file is None else file.forget(route, _now_ms())


def lapse(data: Path) -> None:
    """Delete the texts whose time is over, where no route learns any more that would do so.

    Raises:
        StoreFailed: they cannot be deleted.
    """
    with _file(data):
        pass


def kept(data: Path, route: str) -> list[Held]:
    """All pairs of a route whose texts are kept.

    Raises:
        StoreFailed: they cannot be read.
    """
    with _file(data) as file:
        return [] if file is None else file.kept(route)


@contextmanager
def _file(data: Path) -> Iterator[LabelsFile | None]:
    """The file, without what is over by now; None where there is none."""
    with failing():
        if not (data / NAME).exists():
            yield None
            return
        with closing(LabelsFile.open(data)) as file:
            file.lapse(_now_ms())
            yield file


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
