"""Budget windows: UTC calendar periods, as minutes or days since 1970-01-01.

Both are counted on the Unix clock, which has no leap seconds and no daylight saving
time (F51). A week begins on Monday; 1970-01-01 was a Thursday.
"""

from datetime import UTC, date, datetime, timedelta

from octoplex.ledger.rows import WindowKind

DAY_MS = 86_400_000
MINUTE_MS = 60_000
DAY, HOUR = 1_440, 60
"""Minutes."""
EPOCH = date(1970, 1, 1)
FOREVER = 10**9
"""The day on which a `total` window ends: never."""


def bounds(kind: WindowKind, day: int) -> tuple[int, int]:
    """The first day of the window that `day` is in, and the first day after it.

    Of a kind of at least a day; `span` has all.
    """
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


def span(kind: WindowKind, minute: int) -> tuple[int, int]:
    """The first minute of the window that `minute` is in, and the first one after it."""
    if kind == "minute":
        return minute, minute + 1
    if kind == "hour":
        first = minute - minute % HOUR
        return first, first + HOUR
    first, after = bounds(kind, minute // DAY)
    return first * DAY, after * DAY


def instant(minute: int) -> str:
    """RFC 3339 of the first instant of a minute."""
    day, rest = divmod(minute, DAY)
    if day >= FOREVER:
        return "never"
    return f"{day_text(day)}T{rest // HOUR:02}:{rest % HOUR:02}:00Z"


def levels(tenant: str) -> tuple[str, ...]:
    """A tenant and those above it, from the bottom: "acme.web" is also "acme"."""
    parts = tenant.split(".") if tenant else []
    return tuple([".".join(parts[:n]) for n in range(len(parts), 0, -1)])


def called(tenant: str) -> str:
    """A tenant in a sentence: "team acme.web", "organisation acme"."""
    return f"{'team' if '.' in tenant else 'organisation'} {tenant}"


def day_text(day: int) -> str:
    """YYYY-MM-DD."""
    return (EPOCH + timedelta(days=day)).isoformat()


def day_number(text: str) -> int:
    """Days since 1970 of a YYYY-MM-DD.

    Raises:
        ValueError: not a date.
    """
    return (date.fromisoformat(text) - EPOCH).days


def month_text(at_ms: int) -> str:
    """YYYYMM of an instant."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y%m")
