"""How the batches of a model are handed to its provider.

Only where a name leads to one target, whose provider takes batches by an API that we know
and whose answers nothing here would change: what is handed over is out of reach of fallback,
defaults and translation.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from octoplex.catalog.price import Price
from octoplex.catalog.provider import Batches, catalogue
from octoplex.routing import Route
from octoplex.settings import Settings
from octoplex.upstreams.local.fleet import LOCAL
from octoplex.upstreams.source import Source
from octoplex.wire.answer import Answerer

DIALECT: Mapping[Batches, str] = {"openai": "openai-chat", "anthropic": "anthropic"}


class Posting(Struct, frozen=True, kw_only=True):
    """Where the batches of a model go. `lanes` are the keys of the provider's pool by label.

    `price` is what a line costs in a batch, None where nobody says; `prefix` the path of
    the batches' dialect below the base URL.
    """

    route: str
    provider: str
    model: str
    style: Batches
    price: Callable[[], Price | None]
    output_cap: int | None
    prefix: str
    lanes: Mapping[str, Answerer]


def style_of(settings: Settings, source: Source) -> Batches | None:
    """By whose API a provider takes batches: what the file says, else the catalogue."""
    table, row = settings.providers.get(source.id), catalogue().get(source.id)
    said = table.batches if table else None
    if said is not None:
        return None if said == "none" else said
    return row.batches if row and not source.moved else None


def percent_of(source: Source) -> int:
    """What a line of a batch costs, in percent of the listed price."""
    row = catalogue().get(source.id)
    return row.batch_percent if row and row.batches else 50


def forwards(settings: Settings, route: Route) -> bool:
    """Whether the batches of a route may be handed to a provider at all."""
    if not settings.server.forward_batches or len(route.candidates) != 1:
        return False
    model = settings.models.get(route.name)
    if model is not None and (model.defaults or not model.forward_batches):
        return False
    return route.candidates[0].target.provider != LOCAL
