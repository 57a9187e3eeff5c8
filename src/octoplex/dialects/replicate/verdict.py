"""What Replicate's errors mean: each becomes one of our `UpstreamError`s.

A body holds a title, a detail and the status, and no code, so the status alone tells. A
prediction that failed tells why in prose only: it is an `UpstreamFailed`, whatever it says.

Reference: https://replicate.com/docs/reference/http#errors and
https://replicate.com/docs/topics/predictions/lifecycle
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from octoplex.dialects.by_status import by_status, denied
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.retry_after import retry_after
from octoplex.wire.error import ModelGone, UpstreamError, UpstreamFailed, UpstreamQuota
from octoplex.wire.redact import redact, snippet

_LONGEST_MESSAGE = 2_000


class _Body(Struct):
    title: str | None = None
    detail: str | None = None


_read_body = msgspec.json.Decoder(_Body).decode


def judge_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """Classify a reply whose status is not 2xx. `now` is Unix time in seconds."""
    try:
        found = _read_body(body)
    except UNREADABLE:
        found = _Body()
    said = _shown(found.detail or found.title or snippet(body))
    wait = retry_after(headers, now)
    match status:
        case 401 | 403:
            return denied(status)
        case 402:
            return UpstreamQuota(
                "The provider's account behind our key is out of credit.", retry_after_s=wait
            )
        case 404:
            return ModelGone(said)
    return by_status(status, said, wait)


def failed(status: str, message: str) -> UpstreamFailed:
    """A prediction that did not succeed."""
    said = f": {_shown(message)}" if message else "."
    error = UpstreamFailed(f"The provider's prediction ended as {status[:40]!r}{said}")
    error.reached = True
    return error


def _shown(message: str) -> str:
    return redact(message)[:_LONGEST_MESSAGE] or "no message"
