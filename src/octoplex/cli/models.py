"""`octoplex models`: what can be asked for; `octoplex models add` fetches a built-in model."""

from decimal import Decimal
from typing import Any

import click

from octoplex.assembly.plan import Plan
from octoplex.catalog.families import family
from octoplex.catalog.prices import Price
from octoplex.cli.look import look
from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.upstreams.local.fleet import LOCAL
from octoplex.upstreams.local.install import add as install

COLUMNS = ("model", "in $/M", "out $/M", "context", "")
FIGURES = frozenset({"in $/M", "out $/M", "context"})
PICO_PER_DOLLAR_PER_MILLION = 10**6


@click.group(invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def models(ctx: click.Context, config: str | None, as_json: bool) -> None:
    """List models and routes, or add a built-in model."""
    if ctx.invoked_subcommand is not None:
        return
    rows = look(place_of(config), rows_of)
    if as_json:
        print_json(rows)
        return
    print_table(COLUMNS, [_cells(row) for row in rows], FIGURES)
    if all(row["provider"] == LOCAL for row in rows):
        click.echo("Set a provider's key to see its models: octoplex providers")


@models.command()
@click.argument("name")
@config_option
def add(name: str, config: str | None) -> None:
    """Fetch a built-in model and its engine, pinned by hash."""
    place = place_of(config)
    found = install(name, place.data, lambda line: click.echo(line, err=True))
    click.echo(f"Ask it: octoplex chat -m {LOCAL}/{found.id} Say hello")


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    """Routes first, then models by full name."""
    routes = [_route(plan, name) for name in plan.routes]
    return routes + [_model(plan, name) for name in dict.fromkeys(plan.listed())]


def _route(plan: Plan, name: str) -> dict[str, Any]:
    route = plan.routes[name]
    return {
        "id": name,
        "kind": "route",
        "provider": "",
        "available": any(_usable(plan, c.target.provider) for c in route.candidates),
        "why": "",
        "pick": route.pick,
        "targets": [c.target.name for c in route.candidates],
    }


def _usable(plan: Plan, provider: str) -> bool:
    return provider == LOCAL or plan.sources[provider].usable


def _model(plan: Plan, name: str) -> dict[str, Any]:
    provider, _, model = name.partition("/")
    why = plan.unavailable(name)
    price = plan.prices.price(provider, model)
    free = provider == LOCAL
    return {
        "id": name,
        "kind": "model",
        "provider": provider,
        "available": not why,
        "why": why,
        "context": family(provider, model).context,
        "input_per_million": "0" if free else per_million(price, "input_pico"),
        "output_per_million": "0" if free else per_million(price, "output_pico"),
    }


def per_million(price: Price | None, figure: str) -> str | None:
    """A figure in dollars per million tokens, exact; None when it has no price."""
    pico = None if price is None else getattr(price, figure)
    if pico is None:
        return None
    return format((Decimal(pico) / PICO_PER_DOLLAR_PER_MILLION).normalize(), "f")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if row["kind"] == "route":
        return (row["id"], "", "", "", f"{row['pick']}: {', '.join(row['targets'])}")
    context = row["context"]
    return (
        row["id"],
        row["input_per_million"] or "unpriced",
        row["output_per_million"] or "",
        f"{context:,}" if context else "",
        row["why"],
    )
