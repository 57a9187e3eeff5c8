"""Our errors in Google's envelope: `{"error": {"code", "message", "status", "details"}}`.

`code` is the HTTP status and `status` its word among Google's canonical codes. Our own
stable word is the `reason` of an `ErrorInfo` in the domain `octoplex`; how long to wait is a
`RetryInfo`. A provider's 401, 402 or 403 is not the caller's: its key is fine, so it sees a
502. 529 is Anthropic's own status; here it is a 503.

Reference: https://cloud.google.com/apis/design/errors

Not promised: the wording of messages; `reason` is the stable word.
"""

import msgspec

from octoplex.wire.error import GatewayError, UpstreamError
from octoplex.wire.redact import redact

_json = msgspec.json.Encoder().encode

_NOT_THE_CALLERS = frozenset({401, 402, 403})
_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def status_of(error: GatewayError) -> int:
    """The HTTP status on this face."""
    if isinstance(error, UpstreamError) and error.status in _NOT_THE_CALLERS:
        return 502
    return 503 if error.status == 529 else error.status


def write_error(error: GatewayError, request_id: str) -> bytes:
    """The body of an error reply."""
    status = status_of(error)
    unlisted = "INVALID_ARGUMENT" if status < 500 else "INTERNAL"
    about = {"request_id": request_id, **{k: str(v) for k, v in error.facts.items()}}
    details: list[dict[str, object]] = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": error.code.upper(),
            "domain": "octoplex",
            "metadata": about,
        }
    ]
    if error.retry_after_s is not None:
        wait = {"retryDelay": f"{error.retry_after_s:g}s"}
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", **wait})
    said = {
        "code": status,
        "message": redact(str(error)),
        "status": _WORDS.get(status, unlisted),
        "details": details,
    }
    return _json({"error": said})


def write_fail_event(error: GatewayError, request_id: str) -> bytes:
    """The in-band failure: an event that is an error, and no finish reason after it."""
    return b"data: " + write_error(error, request_id) + b"\n\n"
