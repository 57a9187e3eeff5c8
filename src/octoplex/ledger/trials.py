"""What experiments have measured, in `learning.db` beside what routes learn from.

    file = TrialsFile.open(data)
    file.add([Result(...)])                    the first of each unit and round stays
    file.waiting("short#ab12cd34", most=500)   those that nobody has counted yet, oldest first

Workers append results; the owner of the data folder alone counts them and says where an experiment
is. Counting them again in the order of `counted` gives the same again.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from octoplex.ledger.connect import Transaction
from octoplex.ledger.learning import Rows


class Result(Struct, frozen=True, array_like=True):
    """One request of a unit under a variant."""

    experiment: str
    round: int
    variant: str
    unit: str
    """A hash of it."""
    request_id: str
    at_ms: int
    nano: int
    """What it cost, in nano-dollars."""
    latency_s: float
    failed: bool


class Counted(Struct, frozen=True):
    """A result as it was, or may be, counted; `quality` is what was said of it, 0..1."""

    seq: int
    result: Result
    quality: float | None


_RESULT = "experiment, round, variant, unit, request_id, at_ms, nano, latency_s, failed"
_OF = ", ".join(f"r.{name}" for name in _RESULT.split(", "))


class TrialsFile(Rows):
    """The tables of experiments."""

    def add(self, results: Sequence[Result]) -> None:
        """Append; of a unit that has one in this round already, the earlier one counts."""
        with Transaction(self._db) as db:
            text = f"insert or ignore into results ({_RESULT}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            db.executemany(text, [astuple(one) for one in results])

    def waiting(self, experiment: str, most: int, *, scored: bool = False) -> list[Counted]:
        """Results that were not counted; `scored`: only those of which callers said something."""
        join = "join" if scored else "left join"
        text = f"""select r.seq, {_OF}, avg(f.score) from results r
            {join} feedback f on f.request_id = r.request_id and f.score is not null
            where r.experiment = ? and r.seq not in (select result from counted)
            group by r.seq order by r.seq limit ?"""
        rows = self._db.execute(text, (experiment, most))  # nosemgrep: value-in-statement
        return [_counted(row) for row in rows]

    def count(self, experiment: str, some: Sequence[Counted]) -> None:
        """Note that these were counted, in this order."""
        with Transaction(self._db) as db:
            text = "insert into counted (experiment, result, quality) values (?, ?, ?)"
            db.executemany(text, [(experiment, one.seq, one.quality) for one in some])

    def counted(self, experiment: str, after: int, most: int) -> list[tuple[int, Counted]]:
        """(place, result) in the order in which they were counted."""
        text = f"""select c.seq, r.seq, {_OF}, c.quality from counted c
            join results r on r.seq = c.result
            where c.experiment = ? and c.seq > ? order by c.seq limit ?"""
        rows = self._db.execute(text, (experiment, after, most))  # nosemgrep: value-in-statement
        return [(row[0], _counted(row[1:])) for row in rows]

    def stand(self, experiment: str, at_ms: int, standing: bytes, design: bytes) -> None:
        """Say where an experiment is now."""
        text = "insert into trials (experiment, at_ms, standing, design) values (?, ?, ?, ?)"
        self._db.execute(text, (experiment, at_ms, standing, design))

    def standings(self) -> dict[str, tuple[int, bytes, bytes]]:
        """When each experiment's place was last said, the place, and its design."""
        text = """select experiment, at_ms, standing, design from trials
            where seq in (select max(seq) from trials group by experiment) order by seq"""
        return {name: (at_ms, *rest) for name, at_ms, *rest in self._db.execute(text)}


def _counted(row: Sequence[Any]) -> Counted:
    seq, *members, failed, quality = row
    return Counted(seq, msgspec.convert((*members, bool(failed)), Result), quality)
