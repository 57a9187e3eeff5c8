"""What a host gives back into the till, as the database is asked to take it.

A gift belongs to one life of its host (`till.py`) and is given in that one or not at all.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.ledger.shared.till import Part, RatePart

GIVE = "select octoplex.give($1, $2, $3, $4, $5, $6)"
NARROW = "select octoplex.narrow($1, $2, $3, $4, $5, $6, $7, $8)"


class Gift(Struct, frozen=True):
    """A statement and its columns, and the accounts of rates in it."""

    life: int
    text: str
    columns: list[list[Any]]
    accounts: tuple[str, ...] = ()


def of_budgets(life: int, parts: Sequence[Part]) -> Gift:
    """What was taken of budgets."""
    return Gift(life, GIVE, columns_of(parts))


def of_rates(life: int, parts: Sequence[RatePart]) -> Gift:
    """Parts of rates."""
    return Gift(life, NARROW, columns_of(parts), tuple([part.account for part in parts]))


def columns_of(rows: Iterable[Struct]) -> list[list[Any]]:
    """The fields of all rows, one list each."""
    return [list(column) for column in zip(*map(msgspec.structs.astuple, rows), strict=True)]
