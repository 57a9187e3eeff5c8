"""What the configuration file says of routes: `[models.NAME]`."""

import re
from typing import Annotated, Any, Literal, cast, get_args

from msgspec import Meta, Struct, field

from octoplex.routing.policy import Ejecting
from octoplex.routing.route import Hedge, Rescues
from octoplex.upstreams.config import Timeouts
from octoplex.wire.error import BadConfig

Pick = Literal["in-order", "weighted", "fastest", "cheapest", "least-busy"]
_TIME = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", re.ASCII)


class Retry(Struct, frozen=True, kw_only=True):
    """`[models.NAME.retry]`. `attempts` counts the first and is per target.

    So does `json_attempts`, of those at JSON that a target does not enforce itself.
    """

    attempts: int = 3
    wait_max_s: float = 3.0
    backoff_s: float = 0.5
    json_attempts: int = 3
    first_content_s: float | None = None
    hedge_share: float = 0.1


class Model(Struct, frozen=True, kw_only=True):
    """`[models.NAME]`: a name that callers use."""

    try_: tuple[str, ...] = field(name="try")
    pick: Pick = "in-order"
    weights: tuple[float, ...] = ()
    retry: Retry = Retry()
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
