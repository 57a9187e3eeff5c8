"""How patient a route is: every default of contracts.md 'Attempts', as data.

Each number can be set per route and per target; a target's own policy wins over its
route's, because it was written for that one target. The breaker belongs to the target
alone (all routes share its state), so it is read from the target's policy.

Durations are in seconds.
"""

from typing import Annotated

from msgspec import Meta, Struct

REMEMBERED = 100
"""Calls that are remembered of a provider in trouble."""


class Breaking(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`breaker` under `[models.NAME.retry]`: when a target that keeps failing is left alone.

    After `failures` of the last `of` calls within `within_s`, for `open_s`, then twice as long
    each time, at most `open_max_s`.
    """

    failures: Annotated[int, Meta(ge=1, le=REMEMBERED)] = 5
    of: Annotated[int, Meta(ge=1, le=REMEMBERED)] = 10
    within_s: Annotated[float, Meta(gt=0)] = 60.0
    open_s: Annotated[float, Meta(gt=0)] = 5.0
    open_max_s: Annotated[float, Meta(gt=0)] = 30.0
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.1
    """An opening lasts between 1 - jitter and 1 + jitter times its length."""


class Ejecting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.NAME.health]`: when a provider is set aside on a route, and how it comes back.

    The words are Envoy's (outlier detection, panic threshold, slow start); its defaults are for
    clusters of many equal hosts, these for a few providers.
    """

    min_calls: Annotated[int, Meta(ge=1, le=REMEMBERED)] = 10
    """With fewer calls in the last minute nothing is said about a provider."""
    failure_share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """Ejected when so many of its calls failed, and at least twice as many as the others'."""
    eject_s: Annotated[float, Meta(gt=0, le=3_600)] = 30.0
    """For how long; so much longer each time it comes back and fails again."""
    eject_max_s: Annotated[float, Meta(gt=0, le=3_600)] = 300.0
    max_ejected: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """The share of a route's providers that may be ejected, at least one, never all; 0: none."""
    panic: Annotated[float, Meta(ge=0, le=1)] = 0.5
    """With a smaller share of the route's targets healthy, ejections do not count."""
    slow_start_s: Annotated[float, Meta(ge=0, le=300)] = 30.0
    """How long a target that comes back gets less than its share; 0: its whole share at once."""


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often and when a target is asked again, and when another is asked beside it."""

    retries_per_target: int = 2
    retry_budget: float = 0.2
    """Retries as a share of the calls of the last 10 s, over all traffic."""
    retry_floor_per_s: float = 3.0
    wait_max_s: float = 3.0
    """The longest Retry-After that is waited out."""
    backoff_s: float = 0.5
    """The first wait where the provider names none; doubles with every retry."""
    jitter: float = 0.25
    """A wait is up to this share longer than asked for, never shorter."""
    pace: int = 2
    pace_s: float = 1.5
    """Never more than `pace` attempts within `pace_s` on one target, for one call."""
    attempt_min_s: float = 0.5
    """With less time than this before the caller's deadline nothing more is tried."""
    first_content_always_s: float | None = None
    """The first-content limit, in place of all that follows."""
    first_content_s: float = 10.0
    silent_first_content_s: float = 120.0
    """The first-content limit of families that reason silently."""
    first_content_p99: float = 3.0
    """Once a target's p99 is known its limit is this many times that."""
    first_content_min_s: float = 2.0
    hedge_share: float = 0.1
    """The share of a route's calls that may be asked twice at once."""
    key_rest_s: float = 60.0
    """How long a key rests that is out of quota or not accepted."""
    rest_max_s: float = 600.0
    """No provider's Retry-After makes a key rest longer than this."""
    breaker: Breaking = Breaking()


DEFAULT = Policy()
