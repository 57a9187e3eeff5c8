"""What Bedrock's errors mean: each becomes one of our `UpstreamError`s.

Told by the name of the exception, in `x-amzn-errortype` or in the body's `__type`, and by
status; never by prose. In a stream the name is the frame's, with a small first letter.
What AWS says about our credentials is not repeated.

A prompt that is too long is told in English only (`ValidationException`, "Input is too
long"): it stays an `UpstreamRejected`.

Reference: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html

Not promised: that names outside these tables are known; then the status decides.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from octoplex.dialects.aws_events import AwsEvent
from octoplex.dialects.by_status import by_status, denied
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.retry_after import retry_after
from octoplex.wire.error import ModelGone, UpstreamError, UpstreamQuota, UpstreamRejected
from octoplex.wire.redact import redact, snippet

_LONGEST_MESSAGE = 2_000

_STATUS_OF = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "IncompleteSignature": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "UnrecognizedClientException": 403,
    "InternalServerException": 500,
    "InternalFailure": 500,
    "ModelErrorException": 500,
    "ModelNotReadyException": 503,
    "ModelStreamErrorException": 500,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "ValidationException": 400,
}
"""What each exception is worth, which is not always the status it comes with: a model that
failed is a 424, one that is not loaded yet a 429."""

_QUOTA = "ServiceQuotaExceededException"


class _Body(Struct):
    type: str = msgspec.field(name="__type", default="")
    message: str | None = None
    capital: str | None = msgspec.field(name="Message", default=None)


_read_body = msgspec.json.Decoder(_Body).decode


def judge_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """Classify a reply whose status is not 2xx. `now` is Unix time in seconds."""
    found = _read(body)
    name = _bare(headers.get("x-amzn-errortype") or found.type)
    said = found.message or found.capital or snippet(body)
    return _judge(_STATUS_OF.get(name, status), name, said, retry_after(headers, now))


def judge_in_band(told: AwsEvent) -> UpstreamError:
    """Classify an exception or an error inside a stream, by what it says itself."""
    found = _read(told.payload)
    name = told.name[:1].upper() + told.name[1:]
    said = found.message or found.capital or told.said or snippet(told.payload)
    error = _judge(_STATUS_OF.get(name, 500), name, said, None)
    error.reached = True
    return error


def _read(body: bytes) -> _Body:
    try:
        return _read_body(body)
    except UNREADABLE:
        return _Body()


def _bare(name: str) -> str:
    """`a.b#ThrottlingException` and `ThrottlingException:http://...` without the rest."""
    return name.partition(":")[0].rpartition("#")[2]


def _judge(status: int, name: str, message: str, wait: float | None) -> UpstreamError:
    said = redact(message or "no message")[:_LONGEST_MESSAGE]
    if name == _QUOTA:
        return UpstreamQuota(
            "The provider's quota of the account behind our key is used up.", retry_after_s=wait
        )
    if status in (401, 403):
        return denied(status)
    if status == 404:
        return _quoting(ModelGone(said), name)
    error = by_status(status, said, wait)
    return _quoting(error, name) if isinstance(error, UpstreamRejected) else error


def _quoting(error: UpstreamError, name: str) -> UpstreamError:
    if name:
        error.facts["type"] = redact(name)[:200]
    return error
