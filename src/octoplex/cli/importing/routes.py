"""Several targets under one name, as `[models.NAME]` says it.

Other gateways choose among the deployments of a name and fall back to other names only when all
of them failed. Here both are one list: what is only fallen back to has the weight 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

from octoplex.cli.importing.given import clean_text
from octoplex.routing.config import Pick

ONE = Decimal(1)
Weighted = Sequence[tuple[str, Decimal]]


def route(own: Weighted, then: Iterable[str], pick: Pick = "weighted") -> dict[str, Any]:
    """`try`, and with it `pick` and `weights` where they say something.

    `own` are the targets to choose among, `then` those for when they failed. A choice that is
    not by weight would take all of them for equals, and so gives way where there are `then`.
    """
    shares: dict[str, Decimal] = {}
    for target, weight in own:
        shares[target] = shares.get(target, Decimal(0)) + weight
    if not any(shares.values()):
        shares = dict.fromkeys(shares, ONE)
    after = [target for target in dict.fromkeys(then) if target not in shares]
    values: dict[str, Any] = {"try": [*shares, *after]}
    if len(shares) < 2:
        return values
    if pick != "weighted" and not after:
        return values | {"pick": pick}
    values["pick"] = "weighted"
    if after or len(set(shares.values())) > 1:
        values["weights"] = [*shares.values(), *[Decimal(0)] * len(after)]
    return values


def agreed(tables: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """What all tables say alike, and the names of what they do not."""
    names = list(dict.fromkeys(name for table in tables for name in table))
    same = [n for n in names if all(n in t and t[n] == tables[0][n] for t in tables)]
    return {n: tables[0][n] for n in same}, [n for n in names if n not in same]


def attempts(retries: Decimal | None, targets: int) -> dict[str, Any]:
    """`retry` for a number of retries that is spread over so many targets.

    Retries elsewhere are counted over the whole choice, here for each target: rounded up, so
    that a call is never tried less often than before.
    """
    if retries is None:
        return {}
    whole = min(int(retries), 99) + 1
    return {"retry": {"attempts": -(-whole // max(1, targets))}}


def defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those members of a request that a TOML file can say; what is null or endless is not."""
    return {name: value for name, value in given.items() if _plain(value, 4)}


def _plain(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return value == clean_text(value)
    if isinstance(value, int | float | Decimal):
        return isfinite(value) and -(2**53) <= value <= 2**53
    if isinstance(value, list):
        return depth > 0 and all(_plain(v, depth - 1) for v in value)
    if isinstance(value, dict):
        named = all(isinstance(name, str) for name in value)
        return depth > 0 and named and all(_plain(v, depth - 1) for v in value.values())
    return False
