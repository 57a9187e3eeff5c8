"""Our errors in OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`.

Types and codes are those that OpenAI's SDKs and their users test for; what only we
know stands in the member `octoplex`. A provider's 401 is not the caller's: its key is
fine, so it sees a 502. 529 is Anthropic's own status; here it is a 503.

Reference: https://platform.openai.com/docs/guides/error-codes/api-errors

Not promised: the wording of messages; `octoplex.code` is the stable word.
"""

import msgspec

from octoplex.wire.error import (
    CallerSlow,
    ContentRefused,
    Forbidden,
    GatewayError,
    InvalidCall,
    ModelGone,
    NotFound,
    OutOfRegion,
    OverBudget,
    TooFast,
    Unauthorized,
    UpstreamBusy,
    UpstreamRejected,
)

_json = msgspec.json.Encoder().encode

_KINDS: tuple[tuple[type[GatewayError], str, str], ...] = (
    (Unauthorized, "authentication_error", "invalid_api_key"),
    (OverBudget, "insufficient_quota", "insufficient_quota"),
    (Forbidden, "permission_error", "forbidden"),
    (OutOfRegion, "permission_error", "out_of_region"),
    (NotFound, "not_found_error", "not_found"),
    (ModelGone, "not_found_error", "model_not_found"),
    (TooFast, "rate_limit_error", "rate_limit_exceeded"),
    (UpstreamBusy, "rate_limit_error", "rate_limit_exceeded"),
    (ContentRefused, "invalid_request_error", "content_policy_violation"),
    (CallerSlow, "invalid_request_error", "request_timeout"),
)
"""Class, type and code, where OpenAI has words of its own."""


def status_of(error: GatewayError) -> int:
    """The HTTP status on this face."""
    return 503 if error.status == 529 else error.status


def write_error(error: GatewayError, request_id: str) -> bytes:
    """The body of an error reply."""
    return _json({"error": error_members(error, request_id)})


def error_members(error: GatewayError, request_id: str) -> dict[str, object]:
    """The members of the `error` object."""
    kind, code = _words(error)
    facts = {k: v for k, v in error.facts.items() if k not in ("param", "type")}
    if error.retry_after_s is not None:
        facts["retry_after_ms"] = round(error.retry_after_s * 1000)
    return {
        "message": str(error),
        "type": kind,
        "param": error.facts.get("param"),
        "code": code,
        "octoplex": {"code": error.code, "request_id": request_id, **facts},
    }


def write_fail_event(error: GatewayError, request_id: str) -> bytes:
    """The in-band failure: an error event, and no `[DONE]` after it."""
    return b"data: " + write_error(error, request_id) + b"\n\n"


def _words(error: GatewayError) -> tuple[str, str | None]:
    if isinstance(error, UpstreamRejected):
        # The provider's verdict in the provider's words.
        kind = str(error.facts.get("type") or "invalid_request_error")
        code = error.facts.get("provider_code")
        return kind, None if code is None else str(code)
    for cls, kind, code in _KINDS:
        if isinstance(error, cls):
            return kind, code
    if type(error) is InvalidCall:
        return "invalid_request_error", None
    return ("invalid_request_error" if error.status < 500 else "server_error"), error.code
