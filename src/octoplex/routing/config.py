"""What the configuration file says of routes: `[models.NAME]`."""

from typing import Any, Literal

from msgspec import Struct, field

from octoplex.upstreams.config import Timeouts

Pick = Literal["in-order", "weighted", "fastest", "cheapest", "least-busy"]


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
    fall_over_on_refusal: bool = False
    cheaper_when_over_budget: bool = False
    region: str = ""
    forward_batches: bool = True
