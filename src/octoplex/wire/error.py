"""Everything that can go wrong, and what it means for who must act.

GatewayError
  CallerError            the caller must change something
    InvalidCall          400  malformed, or asks for what nobody offers
    Unsupported          400  a field that changes the answer and the target cannot express
    Blocked              400  the guard found what may not pass
    Unauthorized         401  no key, an unknown key, a revoked key
    OverBudget           402  the caller's own budget is spent
    Forbidden            403  the key may not do this
    ApprovalNeeded       403  the reply calls a tool that somebody must approve first
    OutOfRegion          403  no target answers in the area that the route or the key demands
    NotFound             404  no such route, model or record
    WrongMethod          405  the path exists, this method does not
    CallerSlow           408  the caller's body did not arrive in time
    TooLarge             413  a body, a header or a line above its cap
    KeyReused            422  an idempotency key that was another request's
    TaskFailed           422  an agent did not reach its goal; says why
    TooFast              429  the caller's own limit
    CallerLeft           499  the caller went away
  UpstreamError          a provider failed; routing decides what is asked next
    UpstreamUnreachable  502  no connection, or it broke before a reply
    UpstreamBroken       502  a reply that cannot be read, or a stream that broke off
    OutputInvalid        502  a reply that is not in the form that was asked for
    UpstreamDenied       502  the provider does not accept our key
    UpstreamQuota        502  the account behind our key is out of credit
    UpstreamFailed       502  408, 409 or 5xx from the provider
    UpstreamOverloaded   529  the provider sheds load
    UpstreamSlow         504  nothing came within the limit
    UpstreamBusy         429  the provider limits our rate
    ModelGone            404  the provider does not know the model
    ContextTooLong       400  more tokens than the model takes
    ContentRefused       400  the provider's policy refuses the content
    UpstreamRejected     400  any other 4xx: the provider's verdict on the request
    NoTarget             503  every target is resting; says when the first one is back
  OurError               we failed
    BadConfig            500  the configuration is wrong; names file, table and key
    StoreFailed          503  the ledger cannot take the call
    ServerBusy           503  other requests take the room that this one needs
    Stopping             503  the server is shutting down
    DeadlinePassed       504  the caller's own deadline ran out

A class fixes `code` (a promise to callers), `status` and `retryable`. A message
says what was wrong, with which value, and what to do; it never holds a secret.
Dialects turn these into their own bodies at the border (`dialects/*/face.py`).
"""

from typing import ClassVar, Literal

Next = Literal["retry", "key", "target", "larger", "end"]
"""What routing may try after an upstream failed: the same target again, the next
key of its pool, the next target, a target with a larger context, or nothing."""


class GatewayError(Exception):
    """The root. `facts` are short machine-readable details, shown to the caller."""

    code: ClassVar[str] = "internal"
    status: int = 500
    retryable: bool = False

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, **facts: str | int
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.facts = facts


class CallerError(GatewayError):
    """The caller must change something; trying again unchanged will not help."""

    code, status = "invalid_call", 400


class InvalidCall(CallerError):
    """The request is malformed or asks for something nobody offers. Fact: `param`."""


class Unsupported(CallerError):
    """The target's dialect cannot express this field, and dropping it would change the answer."""

    code = "unsupported"


class Blocked(CallerError):
    """The guard found what may not pass. `types` are what, never the text."""

    code = "guard_blocked"


class Unauthorized(CallerError):
    """No key, or one we do not know."""

    code, status = "unauthorized", 401


class OverBudget(CallerError):
    """The caller's budget for this window is spent. Facts: `left_nano`, `window_ends_at`."""

    code, status = "over_budget", 402


class Forbidden(CallerError):
    """The key is good but may not do this."""

    code, status = "forbidden", 403


class ApprovalNeeded(CallerError):
    """The reply calls a tool after untrusted text was read. Facts: `approve`, `calls`."""

    code, status = "approval_needed", 403


class OutOfRegion(CallerError):
    """No target of the route answers in the area that it, or the caller's key, demands.

    The message says why of each. Facts: `param`, `region`.
    """

    code, status = "out_of_region", 403


class NotFound(CallerError):
    """No such path, model or record."""

    code, status = "not_found", 404


class WrongMethod(CallerError):
    """The path exists, but not with this method. Fact: `allow`."""

    code, status = "wrong_method", 405


class CallerSlow(CallerError):
    """The caller's body did not arrive in time."""

    code, status = "caller_slow", 408


class TooLarge(CallerError):
    """The body is above the server's cap."""

    code, status = "too_large", 413


class KeyReused(CallerError):
    """The idempotency key was sent with another request. Fact: `param`."""

    code, status = "idempotency_key_reused", 422


class TaskFailed(CallerError):
    """An agent did not reach its goal, or was stopped. Facts: `task_id`, `task_status`."""

    code, status = "task_failed", 422


class TooFast(CallerError):
    """The caller exceeded its own rate limit. Wait `retry_after_s`, then repeat unchanged."""

    code, status, retryable = "too_fast", 429, True


class CallerLeft(CallerError):
    """The caller closed the connection. Nobody reads this; it names the record."""

    code, status = "caller_left", 499


class UpstreamError(GatewayError):
    """A provider failed.

    `reached` says that the request may have been processed, so that it may be billed
    although no usage ever came back. `next` is what routing may do. `received` is about how
    many tokens of a reply had come, None where nobody knows.
    """

    code, status, retryable = "upstream_error", 502, True
    next: Next = "retry"
    reached: bool = False
    received: int | None = None
    target: str = ""


class UpstreamUnreachable(UpstreamError):
    """Refused, unresolvable, TLS failed, or the connection broke before a reply."""

    code = "upstream_unavailable"


class UpstreamBroken(UpstreamError):
    """A reply that cannot be read, or a stream that broke off."""

    code = "bad_upstream_response"


class OutputInvalid(UpstreamError):
    """No attempt gave JSON as it was asked for. The message names the first thing wrong."""

    code, retryable = "invalid_output", False
    next: Next = "target"


class UpstreamDenied(UpstreamError):
    """The provider does not accept our key (401, 403). Never shown to the caller as 401."""

    code = "upstream_denied"
    next: Next = "key"


class UpstreamQuota(UpstreamError):
    """The account behind our key is out of credit."""

    code = "upstream_quota"
    next: Next = "key"


class UpstreamFailed(UpstreamError):
    """408, 409 or 5xx from the provider."""

    code = "upstream_failed"


class UpstreamOverloaded(UpstreamError):
    """The provider sheds load (503 or 529)."""

    code, status = "upstream_overloaded", 529


class UpstreamSlow(UpstreamError):
    """Nothing came within the limit."""

    code, status = "upstream_slow", 504
    next: Next = "target"


class UpstreamBusy(UpstreamError):
    """The provider limits our rate. `retry_after_s` is what it asked for, None if nothing."""

    code, status = "upstream_busy", 429


class ModelGone(UpstreamError):
    """The provider does not know the model."""

    code, status, retryable = "model_not_found", 404, False
    next: Next = "target"


class ContextTooLong(UpstreamError):
    """More tokens than the model takes."""

    code, status, retryable = "context_length_exceeded", 400, False
    next: Next = "larger"


class ContentRefused(UpstreamError):
    """The provider's policy refuses the content."""

    code, status, retryable = "content_refused", 400, False
    next: Next = "end"


class UpstreamRejected(UpstreamError):
    """Any other 4xx: the provider's verdict on the request. Facts: its `type`, `param`."""

    code, status, retryable = "upstream_rejected", 400, False
    next: Next = "end"


class NoTarget(UpstreamError):
    """Every target is resting. `retry_after_s` is when the first one may be asked again."""

    code, status = "no_target", 503
    next: Next = "end"


class OurError(GatewayError):
    """We failed."""


class BadConfig(OurError):
    """The configuration is wrong. The message names file, table, key and what to write."""

    code = "bad_config"


class StoreFailed(OurError):
    """The ledger cannot take the call, so the call is not made."""

    code, status, retryable = "store_failed", 503, True


class ServerBusy(OurError):
    """Other requests take the room that this one needs; soon there will be some."""

    code, status, retryable = "server_busy", 503, True


class Stopping(OurError):
    """The server is shutting down."""

    code, status, retryable = "stopping", 503, True


class DeadlinePassed(OurError):
    """The caller's own deadline ran out. `reached`: a provider may bill what it was asked."""

    code, status = "deadline_passed", 504
    reached: bool = False


FAILURES = (
    UpstreamUnreachable,
    UpstreamBroken,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamSlow,
)
"""What a breaker counts, unless the provider sent a 4xx: its target answered."""


def is_failure(error: GatewayError) -> bool:
    """Whether a target failed, whatever it was asked."""
    return isinstance(error, FAILURES) and not 400 <= provider_status(error) < 500


def provider_status(error: GatewayError) -> int:
    """The status the provider sent: dialects note it where the error's own is another."""
    status = error.facts.get("provider_status", error.status)
    return status if isinstance(status, int) else error.status
