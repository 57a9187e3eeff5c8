"""Budget windows: UTC calendar periods, as days since 1970-01-01.

Days are counted on the Unix clock, which has no leap seconds and no daylight saving
time (F51). A week begins on Monday; 1970-01-01 was a Thursday.
"""

from datetime import UTC, date, datetime, timedelta

from octoplex.ledger.rows import WindowKind

DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1)
FOREVER = 10**9
"""The day on which a `total` window ends: never."""


def bounds(kind: WindowKind, day: int) -> tuple[int, int]:
    """The first day of the window that `day` is in, and the first day after it."""
    if kind == "day":
        return day, day + 1
    if kind == "week":
        monday = day - (day + 3) % 7
        return monday, monday + 7
    if kind == "month":
        first = (EPOCH + timedelta(days=day)).replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
        return (first - EPOCH).days, (after - EPOCH).days
    return -FOREVER, FOREVER


def day_text(day: int) -> str:
    """YYYY-MM-DD."""
    return (EPOCH + timedelta(days=day)).isoformat()


def day_number(text: str) -> int:
    """Days since 1970 of a YYYY-MM-DD.

    Raises:
        ValueError: not a date.
    """
    return (date.fromisoformat(text) - EPOCH).days


def rfc3339(day: int) -> str:
    """The first instant of a UTC day."""
    return "never" if day >= FOREVER else f"{day_text(day)}T00:00:00Z"


def month_text(at_ms: int) -> str:
    """YYYYMM of an instant."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y%m")
