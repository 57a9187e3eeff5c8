"""Values that SQLite and JSON do not take, made so that they do: one must not lose a batch."""

MOST = 2**53 - 1
"""The largest count that is kept: above it a number is not a count, and sums could overflow."""


def cleaned(value: object) -> object:
    """The nearest value that SQLite takes: no lone surrogates, no number above `MOST`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return min(max(int(value), -MOST), MOST)
    return value
