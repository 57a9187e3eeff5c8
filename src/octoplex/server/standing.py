"""How providers have done of late, from the records of requests.

    standing(records, now_ms) -> {provider: Standing}

Every attempt of the newest records counts for the provider it was made at, whichever process
made it. What counts against it is what a breaker counts (`FAILURES` in `wire/error.py`): that
a caller left, that a budget was spent, that a request was refused (4xx) or came too fast says
nothing of how well a provider does. Those of its answers that are no replies are in `errors`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from octoplex.ledger.rows import Record
from octoplex.wire.ask import Attempt
from octoplex.wire.error import FAILURES, UpstreamError

FAILED = frozenset({"cut", *(kind.code for kind in FAILURES)})
"""Outcomes that count against a provider, unless it sent a 4xx."""
ERRORS = FAILED | {kind.code for kind in UpstreamError.__subclasses__()}
"""Outcomes that are a provider's doing."""
OURS = frozenset({"cache", "replayed", "estimated"})
"""Answers that no provider was asked for."""


class Quantiles(Struct, frozen=True):
    """Seconds."""

    p50: float
    p95: float
    p99: float


class Standing(Struct, frozen=True, kw_only=True):
    """Of one provider. `success` is a part of 1, None where nothing was decided."""

    attempts: int
    failed: int
    success: float | None
    errors: dict[str, int]
    """How often which outcome that is no reply, whether it counts or not."""
    first_s: Quantiles | None
    """To the first content of what was answered."""
    duration_s: Quantiles | None
    nano: int
    since_ms: int
    """The oldest request that is counted."""


def standing(records: Iterable[Record]) -> dict[str, Standing]:
    """By provider, the busiest first."""
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    since: dict[str, int] = {}
    for record in records:
        for attempt in record.attempts:
            if attempt.outcome in OURS:
                continue
            provider = attempt.target.partition("/")[0]
            attempts[provider].append(attempt)
            since[provider] = min(since.get(provider, record.at_ms), record.at_ms)
    ordered = sorted(attempts.items(), key=lambda item: -len(item[1]))
    return {provider: _standing(made, since[provider]) for provider, made in ordered}


def _standing(attempts: Sequence[Attempt], since_ms: int) -> Standing:
    good = [a for a in attempts if a.outcome == "done"]
    failed = sum(a.outcome in FAILED and not 400 <= a.status < 500 for a in attempts)
    errors = Counter(a.outcome for a in attempts if a.outcome in ERRORS)
    decided = len(good) + failed
    return Standing(
        attempts=len(attempts),
        failed=failed,
        success=len(good) / decided if decided else None,
        errors=dict(errors.most_common()),
        first_s=_quantiles([a.first_s for a in good if a.first_s]),
        duration_s=_quantiles([a.duration_s for a in good]),
        nano=sum(a.nano for a in attempts),
        since_ms=since_ms,
    )


def _quantiles(values: list[float]) -> Quantiles | None:
    if not values:
        return None
    values.sort()
    last = len(values) - 1
    return Quantiles(*(values[round(part * last)] for part in (0.5, 0.95, 0.99)))
