"""What a Gemini error means: one of our `UpstreamError`s.

Told by status and by the typed `details` (google.rpc): the `reason` of `ErrorInfo`, which
quota `QuotaFailure` names, how long `RetryInfo` asks to wait. Never by prose: a prompt that
is too long is told in English only (`INVALID_ARGUMENT`) and stays an `UpstreamRejected`.

A quota per minute is waited out as asked. One per day is counted for each model and project
until midnight in California, and its `RetryInfo` says seconds all the same: that target is
left alone for an hour, while another model or key may be asked.

A key that is not valid is a 400 here, and so is a country or plan that the key is not for.

Reference: https://ai.google.dev/gemini-api/docs/troubleshooting and
https://cloud.google.com/apis/design/errors

Not promised: that reasons outside these tables are known; then the status decides.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.by_status import by_status, denied
from octoplex.dialects.gemini.shapes import NOTHING, UNREADABLE
from octoplex.dialects.retry_after import LONGEST_S, retry_after
from octoplex.wire.error import (
    ModelGone,
    UpstreamBroken,
    UpstreamError,
    UpstreamFailed,
    UpstreamQuota,
    UpstreamRejected,
)
from octoplex.wire.redact import redact, snippet

DAILY_WAIT_S = 3_600.0
_LONGEST_MESSAGE = 2_000

_DENIED = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED"})
_QUOTA = frozenset({"BILLING_DISABLED", "BILLING_NOT_ENABLED"})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")
_STATUS_OF = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""The documented status of each word: for errors that come inside a 200 without a code."""


class _Violation(Struct, gc=False):
    quotaId: str = ""  # noqa: N815 - the wire's name


class _Detail(Struct):
    """Members of the kinds of detail that are looked at; `@type` is not needed to tell them."""

    reason: str = ""
    retryDelay: str = ""  # noqa: N815
    violations: list[_Violation] = []


class _Error(Struct):
    code: int | None = None
    status: str | None = None
    message: str | None = None
    details: list[Raw] | None = None


class _Body(Struct):
    error: Raw = NOTHING


_read_body = msgspec.json.Decoder(_Body).decode
_read_list = msgspec.json.Decoder(list[_Body]).decode
_read_error = msgspec.json.Decoder(_Error).decode
_read_string = msgspec.json.Decoder(str).decode
_read_detail = msgspec.json.Decoder(_Detail).decode


class Problem(Struct, frozen=True):
    """What an error body says."""

    message: str = ""
    status: str = ""
    code: int = 0
    reason: str = ""
    wait_s: float | None = None
    daily: bool = False


def read_problem(body: bytes) -> Problem | None:
    """Find the error in a body, which may be a list of one; None when there is none."""
    try:
        found = _read_list(body)[0] if body.lstrip()[:1] == b"[" else _read_body(body)
    except (*UNREADABLE, IndexError):
        return None
    if not found.error or bytes(found.error) == b"null":
        return None
    try:
        error = _read_error(found.error)
    except UNREADABLE:
        return Problem(_said(found.error))
    details = [d for raw in error.details or () if (d := _detail(raw)) is not None]
    waits = [float(w[1]) for d in details if (w := _DURATION.fullmatch(d.retryDelay))]
    return Problem(
        message=error.message or "",
        status=error.status or "",
        code=error.code or 0,
        reason=next((d.reason for d in details if d.reason), ""),
        wait_s=min(max(waits), LONGEST_S) if waits else None,
        daily=any("PerDay" in v.quotaId for d in details for v in d.violations),
    )


def _said(error: Raw) -> str:
    try:
        return _read_string(error)
    except UNREADABLE:
        return snippet(bytes(error))


def _detail(raw: Raw) -> _Detail | None:
    try:
        return _read_detail(raw)
    except UNREADABLE:
        return None


def judge_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """Classify a reply whose status is not 2xx. `now` is Unix time in seconds."""
    problem = read_problem(body) or Problem(message=snippet(body))
    wait_s = problem.wait_s
    return _judge(status, problem, retry_after(headers, now) if wait_s is None else wait_s)


def judge_in_band(body: bytes) -> UpstreamError:
    """Classify an error that came in a 200, or inside a stream, by what it says itself."""
    problem = read_problem(body)
    if problem is None:
        return UpstreamBroken(f"The provider sent an error without content: {snippet(body)!r}.")
    status = problem.code if 400 <= problem.code <= 599 else _STATUS_OF.get(problem.status, 500)
    error = _judge(status, problem, problem.wait_s)
    error.reached = True
    return error


def broken_stop(reason: str) -> UpstreamError:
    """The error for a finish reason that says that no answer came of it."""
    error = UpstreamFailed(f"The model stopped without an answer ({reason}).", provider_code=reason)
    error.reached = True
    return error


def _judge(status: int, problem: Problem, wait_s: float | None) -> UpstreamError:
    said = redact(problem.message or "no message")[:_LONGEST_MESSAGE]
    if problem.reason in _QUOTA or status == 402:
        return UpstreamQuota(
            "The provider's account behind our key is out of credit.", retry_after_s=wait_s
        )
    elsewhere = status == 400 and problem.status == "FAILED_PRECONDITION"
    if status in (401, 403) or problem.reason in _DENIED or elsewhere:
        return denied(status)
    if status == 404:
        return _quoting(ModelGone(said), problem)
    if status == 429 and problem.daily:
        wait_s = max(wait_s or 0.0, DAILY_WAIT_S)
    error = by_status(status, said, wait_s)
    return _quoting(error, problem) if isinstance(error, UpstreamRejected) else error


def _quoting(error: UpstreamError, problem: Problem) -> UpstreamError:
    facts = {"type": problem.status, "provider_code": problem.reason}
    error.facts |= {name: redact(value)[:200] for name, value in facts.items() if value}
    return error
