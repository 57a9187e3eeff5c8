"""Values that SQLite and JSON do not take, made so that they do: one must not lose a batch."""

from typing import TypeVar

from msgspec import Struct

S = TypeVar("S", bound=Struct)

REFUSED = (OverflowError, UnicodeError)
"""What a single bad value raises."""

MOST = 2**53 - 1
"""The largest count that is kept: above it a number is not a count, and sums could overflow."""


def cleaned(value: object) -> object:
    """The nearest value that SQLite takes: no lone surrogates, no number above `MOST`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return min(max(int(value), -MOST), MOST)
    return value


def clean(struct: S) -> S:
    """The same with values that SQLite and JSON take."""
    return type(struct)(*[cleaned(getattr(struct, name)) for name in struct.__struct_fields__])
