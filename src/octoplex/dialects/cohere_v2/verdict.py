"""What Cohere's errors mean: each becomes one of our `UpstreamError`s.

A body holds a message and an id, and no code: the status alone tells, never the prose.
498 is said of content with a token on the deny list, 499 of a request that was cancelled
at their side, 501 of what is not implemented.

A prompt that is too long is a plain 400, so it stays an `UpstreamRejected`.

Reference: https://docs.cohere.com/reference/errors
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from octoplex.dialects.by_status import by_status, denied
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.retry_after import retry_after
from octoplex.wire.error import (
    ContentRefused,
    ModelGone,
    UpstreamError,
    UpstreamFailed,
    UpstreamQuota,
    UpstreamRejected,
)
from octoplex.wire.redact import redact, snippet

_LONGEST_MESSAGE = 2_000


class _Body(Struct):
    message: str | None = None


_read_body = msgspec.json.Decoder(_Body).decode


def judge_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """Classify a reply whose status is not 2xx. `now` is Unix time in seconds."""
    try:
        message = _read_body(body).message
    except UNREADABLE:
        message = None
    said = _shown(message or snippet(body))
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
        case 498:
            return ContentRefused(said)
        case 499:
            return UpstreamFailed(f"The provider cancelled the request: {said}")
        case 501:
            return UpstreamRejected(said)
    return by_status(status, said, wait)


def judge_in_band(message: str) -> UpstreamError:
    """An error inside a 200; it does not say of which kind."""
    return _failed(f"The provider failed: {_shown(message)}")


def gave_up(reason: str, message: str) -> UpstreamError:
    """A finish reason that is no end."""
    return _failed(f"The provider gave up with the finish reason {reason!r}: {_shown(message)}")


def _failed(message: str) -> UpstreamFailed:
    error = UpstreamFailed(message)
    error.reached = True
    return error


def _shown(message: str) -> str:
    return redact(message)[:_LONGEST_MESSAGE] or "no message"
