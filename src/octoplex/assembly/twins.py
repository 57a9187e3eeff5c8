"""The other name of a model that thinks by it, and who may be led there.

Reference: `upstreams/by_model.py`, which does it.
"""

from collections.abc import Callable, Collection

import msgspec

from octoplex.catalog.families import family
from octoplex.catalog.prices import Price
from octoplex.dialects.openai_chat.thinking import BY_MODEL
from octoplex.reflex.gate import Desk
from octoplex.upstreams.metered import Tariff
from octoplex.wire.ask import Ask


def thinks(model: str) -> bool:
    """Whether this is the name that thinks."""
    return model == BY_MODEL[True]


def twin_of(
    tariff: Tariff, price_of: Callable[[str], Callable[[str], Price | None]]
) -> Tariff | None:
    """What the other name costs, by the prices of its provider; None where there is none."""
    provider, model = tariff.provider, tariff.model
    if "thinking_by_model" not in family(provider, model).quirks:
        return None
    other = BY_MODEL[not thinks(model)]
    cap = family(provider, other).output_cap
    return msgspec.structs.replace(tariff, model=other, price=price_of(other), output_cap=cap)


def may_switch(desk: Desk, routes: Collection[str], name: str, ask: Ask) -> bool:
    """Whether an ask may be led to a target that it does not name.

    A key may be given a route, wherever it leads; one that was given a target is given no other.
    """
    guest = desk.guest(ask.caller.id)
    if guest is None or guest.models.every or ask.trail.route in routes:
        return True
    return guest.models.allows(name) or guest.models.allows(name.partition("/")[2])
