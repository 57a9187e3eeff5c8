"""How long a provider asks us to wait, from whichever header it says so with.

Order, as the vendors' SDKs read them: `retry-after-ms`, `retry-after` (seconds, or an
HTTP date), then the reset of a limit that is used up: OpenAI's `x-ratelimit-reset-*`
("6m0s", seconds, or an epoch) and Anthropic's `anthropic-ratelimit-*-reset` (RFC 3339).
Where no limit says that nothing remains, the earliest reset counts.

The answer is clamped to [0, a day]: dates in the past and negative numbers mean "now",
1e9 means "not today". A header that cannot be read counts as absent.

Reference: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after and
https://developers.openai.com/api/docs/guides/rate-limits
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 86_400.0

_EPOCH_S = 1e9
"""A reset above this is a point in time: as a duration it would be 31 years."""
_EPOCH_MS = 1e12
_UNITS_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|d|h|m|s))+")
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_RESET = re.compile(
    r"(?:x-ratelimit-reset(?P<openai>-\w+)?|anthropic-ratelimit-(?P<anthropic>[\w-]+)-reset)"
)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, None when the headers do not say. `now` is Unix time in seconds.

    Header names are lower case.
    """
    wait = _number(headers.get("retry-after-ms"))
    if wait is not None:
        return _clamp(wait / 1000)
    asked = headers.get("retry-after")
    if asked is not None:
        wait = _number(asked)
        if wait is None:
            wait = _until(_http_date(asked), now)
        if wait is not None:
            return _clamp(wait)
    return _earliest_reset(headers, now)


def _earliest_reset(headers: Mapping[str, str], now: float) -> float | None:
    used_up: list[float] = []
    others: list[float] = []
    for name, value in headers.items():
        found = _RESET.fullmatch(name)
        wait = _reset(value, now) if found else None
        if found is None or wait is None:
            continue
        remaining = (
            f"anthropic-ratelimit-{found['anthropic']}-remaining"
            if found["anthropic"]
            else f"x-ratelimit-remaining{found['openai'] or ''}"
        )
        (used_up if headers.get(remaining, "").strip() == "0" else others).append(wait)
    if used_up:
        return _clamp(max(used_up))
    return _clamp(min(others)) if others else None


def _reset(value: str, now: float) -> float | None:
    """A reset in any of its forms, as seconds from now."""
    value = value.strip()
    number = _number(value)
    if number is not None:
        if number >= _EPOCH_MS:
            return number / 1000 - now
        return number - now if number >= _EPOCH_S else number
    if _DURATION.fullmatch(value):
        return sum(float(n) * _UNITS_S[unit] for n, unit in _PIECE.findall(value))
    return _until(_rfc3339(value), now)


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return None if number != number else number  # "nan" is a float and no time


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None


def _rfc3339(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _until(moment: datetime | None, now: float) -> float | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() - now


def _clamp(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_S)
