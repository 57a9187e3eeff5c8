"""`[memory]` of the configuration file."""

from typing import Annotated

from msgspec import Meta, Struct


class MemoryTable(Struct, frozen=True, kw_only=True):
    """How agents remember. `embed` is a route or "provider/model" that makes vectors; "" nobody:
    n-grams. `days` is how long what is kept stays, where nobody says it."""

    embed: str = ""
    days: Annotated[int, Meta(ge=1, le=36_500)] = 90
