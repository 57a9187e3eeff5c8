"""What an HTTP status alone says of a provider's failure, in every dialect.

A dialect looks at its own structured body first; what is left is judged here.
"""

from octoplex.wire.error import (
    UpstreamBroken,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRejected,
)


def denied(status: int) -> UpstreamDenied:
    """Our key is not accepted. A 403 rests it for this target only."""
    return UpstreamDenied(
        f"The provider does not accept our key (it answered {status}).", provider_status=status
    )


def by_status(status: int, said: str, wait_s: float | None) -> UpstreamError:
    """Judge a status that is not 2xx. `said` is the provider's message, redacted."""
    if status == 429:
        return UpstreamBusy(f"The provider limits our rate: {said}", retry_after_s=wait_s)
    if status in (503, 529):
        return UpstreamOverloaded(f"The provider is overloaded: {said}", retry_after_s=wait_s)
    error: UpstreamError
    if status in (408, 409) or 500 <= status < 600:
        error = UpstreamFailed(f"The provider failed with {status}: {said}", retry_after_s=wait_s)
    elif 400 <= status < 500:
        error = UpstreamRejected(said)
    else:
        return UpstreamBroken(f"The provider answered with status {status}: {said}")
    error.status = status
    return error
