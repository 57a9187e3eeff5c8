"""What the configuration file says of routes: `[models.NAME]`."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast, get_args

from msgspec import Meta, Struct, field

from octoplex.routing.policy import DEFAULT, Breaking, Ejecting, Policy
from octoplex.routing.route import Hedge, Rescues
from octoplex.upstreams.config import Timeouts
from octoplex.wire.error import BadConfig

Pick = Literal["in-order", "weighted", "fastest", "cheapest", "least-busy", "learned"]
_TIME = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", re.ASCII)


Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]


class Retry(Struct, frozen=True, kw_only=True):
    """`[models.NAME.retry]`, and for one target `[models.NAME.targets."provider/model"]`.

    `attempts` counts the first and is per target. So does `json_attempts`, of those at JSON that
    a target does not enforce itself. The rest is `Policy`'s.
    """

    attempts: int = 3
    json_attempts: int = 3
    wait_max_s: float = DEFAULT.wait_max_s
    backoff_s: float = DEFAULT.backoff_s
    jitter: Share = DEFAULT.jitter
    retry_budget: Share = DEFAULT.retry_budget
    retry_floor_per_s: Seconds = DEFAULT.retry_floor_per_s
    pace: Annotated[int, Meta(ge=1)] = DEFAULT.pace
    pace_s: Seconds = DEFAULT.pace_s
    attempt_min_s: Seconds = DEFAULT.attempt_min_s
    first_content_s: float | None = None
    first_content_p99: Seconds = DEFAULT.first_content_p99
    first_content_min_s: Seconds = DEFAULT.first_content_min_s
    hedge_share: float = DEFAULT.hedge_share
    key_rest_s: Seconds = DEFAULT.key_rest_s
    rest_max_s: Seconds = DEFAULT.rest_max_s
    breaker: Breaking | None = None

    def policy(self, breaker: Breaking) -> Policy:
        """What routing goes by, with a target's breaker."""
        same = set(Policy.__struct_fields__) & set(self.__struct_fields__)
        same -= {"breaker", "first_content_s"}
        return Policy(
            retries_per_target=self.attempts - 1,
            first_content_always_s=self.first_content_s,
            breaker=breaker,
            **{name: getattr(self, name) for name in same},
        )


def check_retry(retry: Retry, where: str) -> None:
    """Refuse numbers of attempts that do not count the first.

    Raises:
        BadConfig: they do not.
    """
    for name in ("attempts", "json_attempts"):
        if getattr(retry, name) < 1:
            raise BadConfig(f"{where}.{name} counts the first: at least 1.")


class Model(Struct, frozen=True, kw_only=True):
    """`[models.NAME]`: a name that callers use."""

    try_: tuple[str, ...] = field(name="try")
    pick: Pick = "in-order"
    weights: tuple[float, ...] = ()
    retry: Retry = Retry()
    targets: dict[str, Retry] = {}
    """By `provider/model`: what holds there in place of all of `retry`."""
    timeouts: Timeouts = Timeouts()
    defaults: dict[str, Any] = {}
    drop_unsupported: bool = False
    allow_unpriced: bool = False
    rescue: Rescues = "splice"
    fall_over_on_refusal: bool = False
    cheaper_when_over_budget: bool = False
    region: str = ""
    forward_batches: bool = True
    hedge: str = ""
    deadline_s: Annotated[float, Meta(gt=0)] | None = None
    affinity: bool = False
    health: Ejecting = Ejecting()


def breakers_of(models: Mapping[str, Model]) -> dict[str, Breaking]:
    """The breaker of each target that the file gives one, by `provider/model`.

    Raises:
        BadConfig: two routes give one target different breakers: all routes share it.
    """
    found: dict[str, Breaking] = {}
    for name, model in models.items():
        for target in model.try_:
            breaker = model.targets.get(target, model.retry).breaker
            if breaker is not None and breaker.failures > breaker.of:
                raise BadConfig(
                    f"[models.{name}] breaker: {breaker.failures} failures of {breaker.of} calls "
                    "there never are; write a larger `of`."
                )
            if breaker is not None and found.setdefault(target, breaker) != breaker:
                raise BadConfig(
                    f'[models.{name}] breaker: "{target}" has another one on another route; '
                    "a target has one for all, so write the same twice, or it once."
                )
    return found


def hedge_of(text: str, where: str) -> Hedge | float:
    """What a route's `hedge` says: a word, or a time in seconds.

    Raises:
        BadConfig: neither.
    """
    if text in get_args(Hedge):
        return cast(Hedge, text)
    match = _TIME.fullmatch(text)
    seconds = float(match[1]) * (0.001 if match[2] == "ms" else 1.0) if match else 0.0
    if not seconds:
        raise BadConfig(f'{where} hedge: "{text}" is none; write "p95", "p99", "2 s" or "off".')
    return seconds
