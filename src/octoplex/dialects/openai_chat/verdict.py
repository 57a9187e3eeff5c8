"""What a provider's error body means: one of our `UpstreamError`s.

Told by status and by structured members (`type`, `code`), never by prose: prose is
translated, reworded and quoted. The tables hold the codes that vendors document. The
provider's own message is kept, without secrets, where the caller can act on it, and
left out where it speaks about our key.

Reference: https://platform.openai.com/docs/guides/error-codes/api-errors

Not promised: that an undocumented code of a small vendor is known; then the status decides.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from octoplex.dialects.by_status import by_status, denied
from octoplex.dialects.openai_chat.shapes import UNREADABLE
from octoplex.dialects.retry_after import retry_after
from octoplex.wire.error import (
    ContentRefused,
    ContextTooLong,
    ModelGone,
    UpstreamBroken,
    UpstreamError,
    UpstreamFailed,
    UpstreamQuota,
    UpstreamRejected,
)
from octoplex.wire.redact import redact, snippet

_LONGEST_MESSAGE = 2_000

_CONTEXT = frozenset(
    {"context_length_exceeded", "context_window_exceeded", "exceed_context_size_error"}
)
_POLICY = frozenset(
    {
        "bio_policy",
        "content_filter",
        "content_policy_violation",
        "data_inspection_failed",
        "image_content_policy_violation",
        "invalid_prompt",
        "misalignment_policy_violation",
        "moderation_blocked",
        "responsibleaipolicyviolation",
    }
)
_QUOTA = frozenset(
    {
        "arrearage",
        "billing_hard_limit_reached",
        "billing_not_active",
        "exceeded_current_quota_error",
        "insufficient_balance",
        "insufficient_quota",
        "payment_required",
        "token_quota_reached",
    }
)
_MODEL = frozenset(
    {
        "deploymentnotfound",
        "model_decommissioned",
        "model_not_exist",
        "model_not_found",
        "model_not_supported",
        "resource_not_found_error",
    }
)
_BUSY = frozenset({"rate_limit_error", "rate_limit_exceeded", "rate_limit_reached_error"})
_OVERLOADED = frozenset({"engine_overloaded_error", "overloaded", "overloaded_error"})
_DENIED = frozenset({"authentication_error", "invalid_api_key", "invalid_authentication_error"})
_REJECTED = frozenset(
    {
        "badrequesterror",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
        "image_file_too_large",
        "image_parse_error",
        "image_too_large",
        "image_too_small",
        "invalid_base64_image",
        "invalid_image",
        "invalid_image_format",
        "invalid_image_mode",
        "invalid_image_url",
        "invalid_request_error",
        "unsupported_image_media_type",
    }
)


class Problem(Struct, frozen=True):
    """What an error body says, in whichever of the vendors' envelopes."""

    message: str = ""
    type: str = ""
    param: str = ""
    code: str = ""
    status: int = 0
    """The status inside the body, for errors that come dressed as a 200."""

    def is_one_of(self, words: frozenset[str]) -> bool:
        """Whether its code or type is among the words."""
        return self.code.lower() in words or self.type.lower() in words


def read_problem(body: bytes) -> Problem | None:
    """Find the error in a body; None when there is none that can be read."""
    try:
        found: object = msgspec.json.decode(body)
    except UNREADABLE:
        return None
    if isinstance(found, list) and found:
        found = found[0]  # Gemini's Chat endpoint wraps its error in a list
    if not isinstance(found, dict):
        return None
    error = found.get("error") or found.get("errors") or found.get("base_resp")
    beside = {"status": found.get("status_code")}  # watsonx has it beside its list of errors
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, str):
        error = {"message": error} | {k: v for k, v in found.items() if k != "error"}
    return _problem({**beside, **(error if isinstance(error, dict) else found)})


def _problem(error: dict[str, object]) -> Problem | None:
    message = error.get("message") or error.get("detail") or error.get("status_msg") or ""
    code = error.get("code") or error.get("status_code")
    inner = error.get("innererror")
    if isinstance(inner, dict) and inner.get("code"):
        code = inner["code"]  # Azure: the policy's name is inside
    if not message and not code and not error.get("type"):
        return None
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    return Problem(
        message=redact(text)[:_LONGEST_MESSAGE],
        type=_word(error.get("type")),
        param=_word(error.get("param")),
        code=_word(code),
        status=_status(error.get("status") or code),
    )


def _word(value: object) -> str:
    return redact(str(value))[:200] if isinstance(value, str | int) else ""


def _status(value: object) -> int:
    number = int(value) if isinstance(value, int | str) and str(value).isdecimal() else 0
    return number if 400 <= number <= 599 else 0


def judge_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """Classify a reply whose status is not 2xx."""
    problem = read_problem(body)
    if problem is None:
        problem = Problem(message=snippet(body))
    return judge(status, problem, retry_after(headers, now))


def judge_in_band(body: bytes, reason: str = "") -> UpstreamError:
    """Classify an error that came in a 200, or inside a stream, by what it says itself.

    `reason` is the finish reason, where that is what says that the server gave up.
    """
    problem = read_problem(body)
    if problem is None and reason:
        return UpstreamFailed(f"The provider gave up with the finish reason {reason!r}.")
    if problem is None:
        return UpstreamBroken(f"The provider sent an error without content: {snippet(body)!r}.")
    return judge(problem.status or _implied_status(problem), problem, None)


def _implied_status(problem: Problem) -> int:
    for words, status in (
        (_BUSY, 429),
        (_OVERLOADED, 503),
        (_DENIED, 401),
        (_REJECTED | _POLICY | _CONTEXT, 400),
    ):
        if problem.is_one_of(words):
            return status
    return 500


def judge(status: int, problem: Problem, wait: float | None) -> UpstreamError:
    """Classify a problem by its codes, else by the status. `wait` is in seconds."""
    said = problem.message or "no message"
    if problem.is_one_of(_POLICY):
        return _quoting(ContentRefused(said), problem)
    if problem.is_one_of(_CONTEXT):
        return _quoting(ContextTooLong(said), problem)
    if problem.is_one_of(_QUOTA) or status == 402:
        return UpstreamQuota(
            "The provider's account behind our key is out of credit.", retry_after_s=wait
        )
    if status in (401, 403):
        return denied(status)
    if status == 404 or problem.is_one_of(_MODEL):
        return _quoting(ModelGone(said), problem)
    if status == 413 and problem.is_one_of(_BUSY):
        status = 429
    error = by_status(status, said, wait)
    return _quoting(error, problem) if isinstance(error, UpstreamRejected) else error


def _quoting(error: UpstreamError, problem: Problem) -> UpstreamError:
    """Add the provider's own type, param and code, those that are not empty."""
    facts = {"type": problem.type, "param": problem.param, "provider_code": problem.code}
    error.facts |= {name: value for name, value in facts.items() if value}
    return error
