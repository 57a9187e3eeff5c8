"""What a batch of rows is found by: one small row per key and per moment, not per row.

Rows are stored as one JSON array per batch, because an index entry for each costs more
than the row itself. A batch is marked with what is in it: `id req_0199a1b2` stands for
all ids that begin so. Ids begin with their time (`ids.py`), so a batch has few marks,
and a mark few batches: those written within the 4 s, and those in which a longer call
of that moment ended. Ids of another kind are found too, only with more to look through.
"""

from collections.abc import Iterable, Sequence

PREFIX = 12
"""`req_` and 8 of 11 hexadecimal digits of milliseconds: 4.096 s."""

WITH_ID = """from batches where seq in (select seq from marks where mark = :mark)
    and first_id <= :id and last_id >= :id"""
"""Batches that may hold an id; bind `sought(id)`."""


def marks_of(ids: Sequence[str], first: str, last: str, more: Iterable[str] = ()) -> list[str]:
    """What to mark a batch with: the beginnings of its ids, and `more`: `key ID`, `task ID`.

    `first` and `last` of the ids in the order of text; where they begin alike, all do.
    """
    start = first[:PREFIX]
    starts = {start} if last[:PREFIX] == start else {id_[:PREFIX] for id_ in ids}
    return [f"id {start}" for start in starts] + list(more)


def sought(id_: str) -> dict[str, str]:
    """What `WITH_ID` binds."""
    return {"mark": f"id {id_[:PREFIX]}", "id": id_}
