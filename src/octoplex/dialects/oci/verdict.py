"""What OCI's errors mean: each becomes one of our `UpstreamError`s.

Told by `code` and status; never by prose. A 404 `NotAuthorizedOrNotFound` says either, and is
taken for a model that is not there: then the next target is asked, and the key is not rested.

Reference: https://docs.oracle.com/en-us/iaas/Content/API/References/apierrors.htm

Not promised: that codes outside this table are known; then the status decides.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from octoplex.dialects.by_status import by_status, denied
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.oci.shapes import Told
from octoplex.dialects.retry_after import retry_after
from octoplex.wire.error import ModelGone, UpstreamError, UpstreamQuota, UpstreamRejected
from octoplex.wire.redact import redact, snippet

_LONGEST_MESSAGE = 2_000
_STATUS_OF = {
    "NotAuthenticated": 401,
    "NotAuthorized": 403,
    "SignUpRequired": 403,
    "NotAuthorizedOrNotFound": 404,
    "RelatedResourceNotAuthorizedOrNotFound": 404,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
}
_QUOTA = frozenset({"LimitExceeded", "QuotaExceeded"})


class _Body(Struct):
    code: str | int | None = None
    message: str | None = None


_read_body = msgspec.json.Decoder(_Body).decode


def judge_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """Classify a reply whose status is not 2xx. `now` is Unix time in seconds."""
    try:
        found = _read_body(body)
    except UNREADABLE:
        found = _Body()
    said = found.message or snippet(body)
    code = str(found.code or "")
    return _judge(_STATUS_OF.get(code, status), code, said, retry_after(headers, now))


def judge_in_band(told: Told) -> UpstreamError:
    """Classify an error inside a 200, by what it says itself."""
    code = str(told.code or "")
    number = int(code) if code.isdecimal() and 400 <= int(code) <= 599 else 500
    said = told.message if isinstance(told.message, str) else told.error_message
    if not said:
        said = f"it gave up with the finish reason {told.finish_reason!r}"
    error = _judge(_STATUS_OF.get(code, number), code, said, None)
    error.reached = True
    return error


def _judge(status: int, code: str, message: str, wait: float | None) -> UpstreamError:
    said = redact(message or "no message")[:_LONGEST_MESSAGE]
    if code in _QUOTA:
        return UpstreamQuota(
            "The provider's limit or quota of the account behind our key is used up.",
            retry_after_s=wait,
        )
    if status in (401, 403):
        return denied(status)
    error = ModelGone(said) if status == 404 else by_status(status, said, wait)
    if code and isinstance(error, ModelGone | UpstreamRejected):
        error.facts["type"] = redact(code)[:200]
    return error
