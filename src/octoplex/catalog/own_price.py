"""The operator's own prices: `[prices]` in `octoplex.toml`, read as exact decimals.

    "backup/qwen3" = { input = 0.20, output = 0.60 }      dollars per million tokens

A TOML float must reach us as a Decimal (`tomllib.loads(text, parse_float=Decimal)`): a
binary float has already lost the figure, so one is refused, as are negative figures and
those finer than a pico-dollar per token. `input` and `output` are both required: a
forgotten output would otherwise be free.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from octoplex.catalog.price import Price
from octoplex.wire.error import BadConfig

PICO_PER_DOLLAR_PER_MILLION = 10**6
NANO_PER_DOLLAR = 10**9
TOKENS = ("input", "output", "cached_input", "cache_write", "cache_write_1h", "reasoning")
CALLS = ("request", "search")
"""What is in dollars each, and not per million tokens."""


def own_price(name: str, table: Mapping[str, Any]) -> Price:
    """Read one entry of `[prices]`.

    Raises:
        BadConfig: naming the entry, the key, the value and what to write.
    """
    if "/" not in name.strip("/"):
        raise BadConfig(f'[prices] "{name}": write it as "provider/model".')
    if not isinstance(table, Mapping):
        raise BadConfig(f'[prices] "{name}": write {{ input = 0.20, output = 0.60 }}.')
    known = [*TOKENS, *CALLS]
    for key in table:
        if key not in known:
            raise BadConfig(f'[prices] "{name}" {key}: unknown; known are {", ".join(known)}.')
    for key in ("input", "output"):
        if key not in table:
            raise BadConfig(f'[prices] "{name}": {key} is missing; write 0 if it is free.')
    pico = {
        key: _whole(name, key, table[key], PICO_PER_DOLLAR_PER_MILLION)
        for key in TOKENS
        if key in table
    }
    return Price(
        input_pico=pico["input"],
        output_pico=pico["output"],
        cache_read_pico=pico.get("cached_input"),
        cache_write_pico=pico.get("cache_write"),
        cache_write_1h_pico=pico.get("cache_write_1h"),
        reasoning_pico=pico.get("reasoning"),
        request_nano=_whole(name, "request", table.get("request", 0), NANO_PER_DOLLAR),
        search_nano=_whole(name, "search", table.get("search", 0), NANO_PER_DOLLAR),
    )


def _whole(name: str, key: str, value: object, factor: int) -> int:
    """Turn dollars into the small unit, exactly."""
    where = f'[prices] "{name}" {key} = {value!r}'
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise BadConfig(f"{where}: write a decimal number or a string of one, never a float.")
    try:
        dollars = Decimal(value)
    except InvalidOperation:
        raise BadConfig(f"{where}: is not a number.") from None
    if not dollars.is_finite() or dollars < 0:
        raise BadConfig(f"{where}: must be zero or more.")
    units = dollars * factor
    if units != int(units):
        raise BadConfig(f"{where}: is finer than can be billed; round it to 6 decimals.")
    return int(units)
