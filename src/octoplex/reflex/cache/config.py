"""What the configuration file says of caches: `[models.NAME.cache]`."""

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from octoplex.reflex.limit import PERIODS_S
from octoplex.wire.error import BadConfig

Speed = Literal["at once", "natural"]
LONGEST_S = 365 * 86_400
NGRAMS = "local/ngrams"
"""No model: how alike two texts are written."""
FLOOR = 0.8
"""Below it two texts have little more than their subject in common, whatever the model."""
USUAL, USUAL_NGRAMS = 0.95, 0.9
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", re.ASCII)


class Semantic(Struct, frozen=True, kw_only=True):
    """`semantic` of a cache: what means the same is the same.

    `model` is "provider/model", "models.NAME" or "local/ngrams"; `min` the least cosine of two
    last turns, by default `USUAL`, of n-grams `USUAL_NGRAMS`; `wait_s` how long their vector
    is waited for.
    """

    model: str
    min: Annotated[float, Meta(ge=FLOOR, le=1.0)] | None = None
    wait_s: Annotated[float, Meta(gt=0, le=10.0)] = 1.0

    @property
    def least(self) -> float:
        """`min`, or what it is unless said."""
        return self.min or (USUAL_NGRAMS if self.model == NGRAMS else USUAL)


class Caching(Struct, frozen=True, kw_only=True):
    """`[models.NAME.cache]`: for how long the same ask of the same caller gets the same reply.

    `replay` is how fast a stream is given again; `tool_calls` says that replies in which
    tools are called, or were run by the provider, are kept too, and compared by `semantic`.
    """

    ttl: str
    replay: Speed = "at once"
    tool_calls: bool = False
    semantic: Semantic | None = None


def duration_ms(text: str) -> int:
    """Milliseconds in `"10 min"`, `"30 s"`, `"1.5 hours"` or `"7 days"`.

    Raises:
        BadConfig: it is not a duration, or not one above 0 and up to a year.
    """
    match = _DURATION.fullmatch(text)
    unit = match[2].lower() if match else ""
    one_s = PERIODS_S.get(unit.removesuffix("s") if len(unit) > 3 else unit)
    if match is None or one_s is None:
        raise BadConfig(f'"{text}" is not a duration; write it like "10 min" or "7 days".')
    seconds = float(match[1]) * one_s
    if not 0.001 <= seconds <= LONGEST_S:
        raise BadConfig(f'"{text}" is out of range; write more than 0 and at most "365 days".')
    return int(seconds * 1000)
