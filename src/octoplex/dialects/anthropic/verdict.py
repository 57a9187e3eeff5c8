"""What an Anthropic error body means: one of our `UpstreamError`s.

Told by status, `error.type` and `error.details.error_code`, never by prose. The
provider's own message is kept, without secrets, where the caller can act on it, and
left out where it speaks about our key or our account.

A prompt that is too long is told by Anthropic in English only (`invalid_request_error`,
"prompt is too long"): it stays an `UpstreamRejected`.

Reference: https://platform.claude.com/docs/en/api/errors

Not promised: that codes outside these tables are known; then the status decides.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.anthropic.shapes import NOTHING, UNREADABLE
from octoplex.dialects.by_status import by_status, denied
from octoplex.dialects.retry_after import retry_after
from octoplex.wire.error import (
    ModelGone,
    UpstreamBroken,
    UpstreamError,
    UpstreamQuota,
    UpstreamRejected,
)
from octoplex.wire.redact import redact, snippet

_LONGEST_MESSAGE = 2_000

_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The documented status of each type: for errors that come inside a 200."""

_QUOTA = frozenset(
    {
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
        "user_profile_billing_not_authorized",
        "user_profile_not_billable",
    }
)
_ACCOUNT = frozenset({"organization_on_hold", "api_key_scope_missing"})


class _Details(Struct, gc=False):
    error_code: str | None = None


class Problem(Struct, frozen=True):
    """The `error` object. Providers that imitate Anthropic may leave members out."""

    type: str | None = None
    message: str | None = None
    details: _Details | None = None

    @property
    def detail(self) -> str:
        """The stable code that names the cause, "" without one."""
        return (self.details.error_code or "") if self.details else ""


class _Body(Struct):
    error: Raw = NOTHING


_read_body = msgspec.json.Decoder(_Body).decode
_read_problem = msgspec.json.Decoder(Problem).decode
_read_string = msgspec.json.Decoder(str).decode


def _problem(body: bytes) -> Problem | None:
    try:
        error = _read_body(body).error
    except UNREADABLE:
        return None
    if not error or bytes(error) == b"null":
        return None
    try:
        return _read_problem(error)
    except UNREADABLE:
        pass
    try:
        return Problem(message=_read_string(error))
    except UNREADABLE:
        return Problem(message=snippet(bytes(error)))


def judge_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """Classify a reply whose status is not 2xx. `now` is Unix time in seconds."""
    problem = _problem(body) or Problem(message=snippet(body))
    return _judge(status, problem, retry_after(headers, now))


def judge_in_band(body: bytes) -> UpstreamError:
    """Classify an error that came in a 200, or inside a stream, by what it says itself."""
    problem = _problem(body)
    if problem is None:
        return UpstreamBroken(f"The provider sent an error without content: {snippet(body)!r}.")
    error = _judge(_STATUS_OF.get(problem.type or "", 500), problem, None)
    error.reached = True
    return error


def _judge(status: int, problem: Problem, wait: float | None) -> UpstreamError:
    said = redact(problem.message or "no message")[:_LONGEST_MESSAGE]
    if status == 402 or problem.type == "billing_error" or problem.detail in _QUOTA:
        return UpstreamQuota(
            "The provider's account behind our key is out of credit.", retry_after_s=wait
        )
    if status in (401, 403) or problem.detail in _ACCOUNT:
        return denied(status)
    if status == 404:
        return _quoting(ModelGone(said), problem)
    if problem.type == "overloaded_error" and status != 429:
        status = 529
    error = by_status(status, said, wait)
    return _quoting(error, problem) if isinstance(error, UpstreamRejected) else error


def _quoting(error: UpstreamError, problem: Problem) -> UpstreamError:
    facts = {"type": problem.type or "", "provider_code": problem.detail}
    error.facts |= {name: redact(value)[:200] for name, value in facts.items() if value}
    return error
