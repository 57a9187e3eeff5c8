"""A price list that an operator takes over: by the shell alone or by a running server.

The list lies beside the one in the data folder until its change has been noted.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from octoplex.catalog.prices import FILE
from octoplex.ledger.audit import Audit
from octoplex.wire.error import StoreFailed


def fresh_prices(data: Path) -> Path:
    """Where a list lies that is to be taken over."""
    return (data / FILE.name).with_suffix(".new")


def put_prices(data: Path, audit: Audit, order: Mapping[str, Any], who: str) -> None:
    """Put the fresh list in the place of the one before; `order` says what both are.

    Raises:
        StoreFailed: it could not be noted or moved; the one before counts.
    """
    before, after = order.get("before"), order.get("after")
    with audit.change(who, "prices.update", FILE.name, before=before, after=after):
        try:
            fresh_prices(data).replace(data / FILE.name)
        except OSError as error:
            raise StoreFailed(f"{data / FILE.name} cannot be written: {error.strerror}.") from None
