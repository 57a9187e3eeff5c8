"""Our errors in Anthropic's envelope: `{"type": "error", "error": {...}, "request_id"}`.

Types are those that Anthropic documents, and SDKs choose their exception by status. Our
own stable word stands in `error.details.error_code`, where the API puts its own. A
provider's 401, 402 or 403 is not the caller's: its key is fine, so it sees a 502.

Reference: https://platform.claude.com/docs/en/api/errors

Not promised: the wording of messages; `error_code` is the stable word.
"""

import msgspec

from octoplex.wire.error import (
    DeadlinePassed,
    Forbidden,
    GatewayError,
    ModelGone,
    NotFound,
    OutOfRegion,
    OverBudget,
    TooFast,
    Unauthorized,
    Unsupported,
    UpstreamBusy,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamSlow,
)
from octoplex.wire.redact import redact

_json = msgspec.json.Encoder().encode

_TYPES: tuple[tuple[type[GatewayError], str], ...] = (
    (Unauthorized, "authentication_error"),
    (OverBudget, "billing_error"),
    (Forbidden, "permission_error"),
    (OutOfRegion, "permission_error"),
    (NotFound, "not_found_error"),
    (ModelGone, "not_found_error"),
    (TooFast, "rate_limit_error"),
    (UpstreamBusy, "rate_limit_error"),
    (UpstreamOverloaded, "overloaded_error"),
    (UpstreamSlow, "timeout_error"),
    (DeadlinePassed, "timeout_error"),
)
_NOT_THE_CALLERS = frozenset({401, 402, 403})


def status_of(error: GatewayError) -> int:
    """The HTTP status on this face."""
    if isinstance(error, UpstreamError) and error.status in _NOT_THE_CALLERS:
        return 502
    return error.status


def write_error(error: GatewayError, request_id: str) -> bytes:
    """The body of an error reply."""
    facts = {k: v for k, v in error.facts.items() if k not in ("type", "error_code")}
    if error.retry_after_s is not None:
        facts["retry_after_ms"] = round(error.retry_after_s * 1000)
    return _json(
        {
            "type": "error",
            "error": {
                "type": _type(error),
                "message": redact(str(error)),
                "details": {"error_code": _code(error), **facts},
            },
            "request_id": request_id,
        }
    )


def write_fail_event(error: GatewayError, request_id: str) -> bytes:
    """The in-band failure: an error event, and no `message_stop` after it."""
    return b"event: error\ndata: " + write_error(error, request_id) + b"\n\n"


def _code(error: GatewayError) -> str:
    """Our word, but for the one refusal that Anthropic's clients know a way around."""
    if isinstance(error, Unsupported) and error.facts.get("param") == "thread":
        return "thread_unsupported_request"
    return error.code


def _type(error: GatewayError) -> str:
    for cls, name in _TYPES:
        if isinstance(error, cls):
            return name
    status = status_of(error)
    if status == 413:
        return "request_too_large"
    return "invalid_request_error" if status < 500 else "api_error"
