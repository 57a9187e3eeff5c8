"""`octoplex explain MODEL`: where a name leads, and where every value on the way is from.

An origin is a table of the file, a row of the catalogue, the name of an environment
variable, or "default". Nothing is asked: this is the plan, not the health of its targets.

Where the route demands a region, or the key given as `--key`, every target says whether it
is admitted and why. A key that may not ask for the name may ask no target of it.
"""

import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import click
import msgspec
from msgspec import Struct

from octoplex.agents.config import with_usual
from octoplex.assembly.agent_route import AGENT
from octoplex.assembly.assigning import ROLES, roles_of
from octoplex.assembly.plan import Plan
from octoplex.assembly.region import elsewhere, inside, misread
from octoplex.catalog.families import family
from octoplex.catalog.provider import providers as catalogue
from octoplex.cli.look import look
from octoplex.cli.models import per_million
from octoplex.cli.place import Place, config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.ledger.rows import KeyRow
from octoplex.optimizer.config import Variant
from octoplex.reflex.cache.config import Caching
from octoplex.reflex.keys import Key
from octoplex.reflex.models import EVERY, Models
from octoplex.reflex.tenants import compiled, placed
from octoplex.routing import Route, Target
from octoplex.routing.config import Model, Retry
from octoplex.routing.policy import Breaking, Ejecting
from octoplex.routing.region import narrowed
from octoplex.routing.route import Barred
from octoplex.settings import Key as KeyTable
from octoplex.settings import ModelTable
from octoplex.transport.origin import NO_PROXIES
from octoplex.upstreams.config import Provider, Timeouts
from octoplex.upstreams.local.fleet import LOCAL
from octoplex.upstreams.local.models import find
from octoplex.upstreams.source import Making, Source
from octoplex.wire.ask import Caller
from octoplex.wire.error import BadConfig, NotFound

DEFAULT = "default"
WAITS = {"connect_s": "connect_s", "first_s": "header_s", "idle_s": "idle_s", "plain_s": "total_s"}
"""Our name of a wait -> its name in a `timeouts` table."""


class Value(Struct, frozen=True):
    """A value and where it is from."""

    what: str
    value: Any
    origin: str


class Leg(Struct, frozen=True, kw_only=True):
    """A target on the way. `admitted` is None where no region is demanded."""

    name: str
    usable: bool
    why: str
    admitted: bool | None = None
    where: str = ""
    values: list[Value]


class Way(Struct, frozen=True, kw_only=True):
    """Where a name leads."""

    model: str
    means: str
    region: str
    route: list[Value]
    targets: list[Leg]


class Asker(Struct, frozen=True):
    """The key that asks, as far as it says who may be asked."""

    name: str = ""
    region: str = ""
    models: Models = EVERY


@click.command()
@click.argument("model")
@click.option("--key", metavar="NAME", help="As for a caller with this key.")
@config_option
@json_option
def explain(model: str, key: str | None, config: str | None, as_json: bool) -> None:
    """Show where a model name leads, and why."""
    place = place_of(config)
    asker = _asker(key, place)
    way = look(place, lambda plan: Explainer(plan, place).way(model, asker))
    if as_json:
        print_json(way)
        return
    click.echo(f"{way.model}: {way.means}")
    _print(way.route)
    if way.region:
        click.echo(f"\nIts targets must answer in {way.region}.")
    for number, leg in enumerate(way.targets, 1):
        click.echo(f"\n{number}. {leg.name}{'' if leg.usable else f': cannot be asked: {leg.why}'}")
        if leg.admitted:
            click.echo(f"admitted: {leg.where}")
        _print(leg.values)


def _asker(key: str | None, place: Place) -> Asker:
    """A key of the file, or made at run time."""
    if key is None:
        return Asker()
    reader = place.reader()
    try:
        made = reader.keys()
    finally:
        reader.close()
    in_force = {row.name: row for row in made if row.revoked_at_ms is None}
    tenants = compiled(place.settings.tenants)
    askers: dict[str, KeyTable | KeyRow] = {**place.settings.keys, **in_force}
    if key not in askers:
        known = ", ".join(askers) or "none"
        raise NotFound(f'There is no key "{key}"; there are: {known}.')
    row = askers[key]
    try:
        models = Models(row.models)
    except ValueError as error:
        raise BadConfig(f"[keys.{key}] models: {error}.") from None
    own = Key(
        id=key, name=key, caller=Caller(key, key, row.tenant, region=row.region), models=models
    )
    bound = placed(own, tenants)
    return Asker(key, bound.caller.region, bound.models)


def _print(values: list[Value]) -> None:
    rows = [(v.what, _plain(v.value), v.origin) for v in values]
    if rows:
        print_table(("", "value", "from"), rows, frozenset())


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)


class Explainer:
    """Reads a plan beside the file it was compiled from."""

    def __init__(self, plan: Plan, place: Place) -> None:
        self._plan, self._place = plan, place
        text = place.path.read_text(encoding="utf-8") if place.path else ""
        self._file: Mapping[str, Any] = tomllib.loads(text)

    def way(self, name: str, asker: Asker) -> Way:
        """The way of a name, for callers with a key.

        Raises:
            NotFound: it leads nowhere, and why.
        """
        try:
            route = self._plan.resolver.find(name)
        except NotFound:
            source = self._plan.sources.get(name.partition("/")[0])
            if source is None or "/" not in name or source.usable:
                raise
            raise NotFound(f"{source.id} cannot be asked: {source.missing}.") from None
        if asker.region:
            route = narrowed(route, asker.region)
        agent = name.startswith(f"{AGENT}/")
        model = self._plan.settings.models.get(route.name)
        legs = [] if agent else [self._leg(c.target, route) for c in route.candidates]
        legs += [self._barred(b, route) for b in route.barred]
        if why := self._refused(name, asker):
            legs = [msgspec.structs.replace(leg, usable=False, why=why) for leg in legs]
        return Way(
            model=name,
            means=self._means(name, route),
            region=route.region,
            route=list(self._agent(name) if agent else self._route(route, model) if model else ()),
            targets=legs,
        )

    def _refused(self, name: str, asker: Asker) -> str:
        """Why a key may not ask for this name; "" when it may."""
        if asker.models.allows(name, *self._plan.other_names(name)):
            return ""
        return f'the key "{asker.name}" may not ask for {name}; it may ask for {asker.models}'

    def _means(self, name: str, route: Route) -> str:
        if name in self._plan.routes:
            return f"the route [models.{name}]"
        if route.name in self._plan.routes:
            return f'the route [models."{route.name}"], whose pattern it fits'
        if name.startswith(f"{AGENT}/"):
            return "an agent, which runs a task and answers with what came of it"
        if name == route.name and name.startswith(f"{LOCAL}/"):
            return "a model on this machine"
        if name == route.name:
            return "a provider's model by its full name"
        return f"offered by one usable provider only: {route.name}"

    def _origin(self, *path: str) -> str:
        """The table that says it, or default."""
        tree: Any = self._file
        for part in path:
            if not isinstance(tree, Mapping) or part not in tree:
                return DEFAULT
            tree = tree[part]
        return f"{self._place.origin} [{'.'.join(path[:-1])}]"

    def _route(self, route: Route, model: ModelTable) -> Iterator[Value]:
        table = ("models", route.name)
        for name in Model.__struct_fields__:
            if name not in ("try_", "retry", "targets", "timeouts", "health"):
                value = getattr(model, name)
                if value or self._origin(*table, name) != DEFAULT:
                    yield Value(name, value, self._origin(*table, name))
        yield from self._retry("retry", (*table, "retry"), model.retry)
        for target, retry in model.targets.items():
            yield from self._retry(f'targets."{target}"', (*table, "targets", target), retry)
        for name in Ejecting.__struct_fields__:
            yield Value(
                f"health.{name}",
                getattr(model.health, name),
                self._origin(*table, "health", name),
            )
        if model.cache is not None:
            yield from self._cache((*table, "cache"), model.cache)
        if route.name in self._plan.courses:
            yield from self._learned(table, model)
        if route.name in self._plan.tests:
            name = self._plan.tests[route.name].name
            tables = self._plan.settings.experiments[name].variants
            yield from self._variants(f"{name}: ", tables, ("experiments", name, "variants"))
        yield from self._variants("variants.", model.variants, (*table, "variants"))

    def _agent(self, name: str) -> Iterator[Value]:
        own = name.partition("/")[2]
        table = with_usual(self._plan.settings.agents)[own]
        roles = dict(zip(ROLES, roles_of(self._plan, table), strict=True))
        for key in table.__struct_fields__:
            value = roles.get(key, getattr(table, key))
            if isinstance(value, msgspec.Struct):
                value = msgspec.to_builtins(value)
            yield Value(key, value, self._origin("agents", own, key))

    def _variants(
        self, said: str, tables: Mapping[str, Variant], table: tuple[str, ...]
    ) -> Iterator[Value]:
        """Each by what is different there."""
        for name, one in tables.items():
            told = {key: getattr(one, key) for key in one.__struct_fields__}
            values = [
                f"{key} {', '.join(value) if isinstance(value, tuple) else str(value)[:80]}"
                for key, value in told.items()
                if value not in ("", (), None)
            ]
            told_so = "; ".join(values) or "as it comes"
            yield Value(f"{said}{name}", told_so, self._origin(*table, name))

    def _learned(self, table: tuple[str, ...], model: ModelTable) -> Iterator[Value]:
        for name in ("reference", "segments"):
            yield Value(name, getattr(model, name), self._origin(*table, name))
        for part in ("promise", "learn"):
            for name in getattr(model, part).__struct_fields__:
                value = getattr(getattr(model, part), name)
                yield Value(f"{part}.{name}", value, self._origin(*table, part, name))

    def _retry(self, said: str, table: tuple[str, ...], retry: Retry) -> Iterator[Value]:
        for name in Retry.__struct_fields__:
            value = getattr(retry, name)
            if name != "breaker":
                # Without one it follows from the target's own times as they are learned.
                shown = "computed" if value is None else value
                yield Value(f"{said}.{name}", shown, self._origin(*table, name))
        for name in Breaking.__struct_fields__:
            value = getattr(retry.breaker or Breaking(), name)
            yield Value(f"{said}.breaker.{name}", value, self._origin(*table, "breaker", name))

    def _cache(self, table: tuple[str, ...], cache: Caching) -> Iterator[Value]:
        for name in Caching.__struct_fields__:
            if name != "semantic":
                origin = self._origin(*table, name)
                yield Value(f"cache.{name}", getattr(cache, name), origin)
        semantic = cache.semantic
        if semantic is not None:
            found = {"model": semantic.model, "min": semantic.least, "wait_s": semantic.wait_s}
            for name, value in found.items():
                origin = self._origin(*table, "semantic", name)
                yield Value(f"cache.semantic.{name}", value, origin)

    def _leg(self, target: Target, route: Route) -> Leg:
        if target.provider == LOCAL:
            why = self._plan.unavailable(target.name)
            values = self._local(target)
        else:
            source = self._plan.sources[target.provider]
            why = source.missing
            values = list(self._remote(source, target, route))
        leg = Leg(name=target.name, usable=not why, why=why, values=values)
        if not route.region:
            return leg
        where = inside(self._plan.sources.get(target.provider), catalogue().get(target.provider))
        return msgspec.structs.replace(leg, admitted=True, where=where)

    def _barred(self, barred: Barred, route: Route) -> Leg:
        """A target that is left out because of where it answers."""
        leg = self._leg(barred.target, route)
        why = f"it must answer in {route.region}, and {barred.why}"
        return msgspec.structs.replace(leg, usable=False, why=why, admitted=False, where=barred.why)

    def _local(self, target: Target) -> list[Value]:
        table = self._plan.settings.local.get(target.model)
        origin = f"{self._place.origin} [local.{target.model}]" if table else "built in"
        found = find(target.model, self._place.data)
        path = table.path if table else str(found.path) if found else None
        return [Value("file", path, origin), Value("price", "free", "it runs on this machine")]

    def _remote(self, source: Source, target: Target, route: Route) -> Iterator[Value]:
        table = ("providers", source.id)
        known = source.id in catalogue()
        row = f"catalogue providers/{source.id}.toml" if known else self._place.origin
        yield Value("base_url", source.base_url, self._base_url(source, row))
        found = catalogue().get(source.id)
        if why := elsewhere(source, found):
            yield Value("region", source.region, why)
        if why := misread(source, found, target.model):
            yield Value("warning", target.model, why)
        dialects = self._origin(*table, "dialects"), self._origin(*table, "dialect")
        said = next((o for o in dialects if o != DEFAULT), row)
        yield Value("dialects", list(source.paths), said)
        keys = [key.label for key in source.keys]
        said = self._origin(*table, "api_key")
        yield Value("keys", keys, said if said != DEFAULT else source.found or "none found")
        yield from self._family(source, target)
        yield from self._price(source, target)
        yield from self._waits(source, target, route)
        if source.quirks:
            yield Value("quirks", sorted(source.quirks), row)

    def _base_url(self, source: Source, row: str) -> str:
        table = ("providers", source.id)
        for name in ("base_url", "region"):
            if self._origin(*table, name) != DEFAULT:
                return self._origin(*table, name)
        known = catalogue().get(source.id)
        if known and known.base_url_env and self._place.env.get(known.base_url_env):
            return f"environment {known.base_url_env}"
        return row

    def _family(self, source: Source, target: Target) -> Iterator[Value]:
        kind = family(source.id, target.model)
        origin = f"catalogue families.toml {kind.name}" if kind.name else "no family known"
        yield Value("context", kind.context, origin)
        yield Value("output cap", kind.output_cap, origin)
        for name, can in (("images", kind.vision), ("tools", kind.tools)):
            if can is False:
                yield Value(name, "none: passed over where another target takes them", origin)

    def _price(self, source: Source, target: Target) -> Iterator[Value]:
        own = f"{source.id}/{target.model}" in self._plan.settings.prices
        origin = f"{self._place.origin} [prices]" if own else self._plan.prices.source
        price = self._plan.prices.price(source.id, target.model)
        if source.percent != 100:
            price = None if price is None else price.scaled(source.percent)
            origin += f", {source.percent} % in {source.region}"
        for name, figure in (("input $/M", "input_pico"), ("output $/M", "output_pico")):
            value = per_million(price, figure)
            yield Value(name, value, origin if value else "no price known")
        if price is not None and price.search_nano:
            yield Value("search $", format(Decimal(price.search_nano) / 10**9, "f"), origin)

    def _waits(self, source: Source, target: Target, route: Route) -> Iterator[Value]:
        model = self._plan.settings.models.get(route.name)
        timeouts = model.timeouts if model else Timeouts()
        usual = msgspec.structs.replace(self._plan.settings.server.timeouts, total_s=None)
        making = Making(dialects={}, proxies=NO_PROXIES, usual=usual, timeouts=timeouts)
        wait = source.wait(target.model, making)
        table = self._plan.settings.providers.get(source.id, Provider())
        slow = "silent reasoning" if target.reasons_silently else "a private network"
        for name, key in WAITS.items():
            origin = slow if target.reasons_silently or target.slow_start else DEFAULT
            if name in ("connect_s", "plain_s"):
                origin = DEFAULT
            if getattr(usual, key) is not None:
                origin = self._origin("server", "timeouts", key)
            if getattr(table.timeouts, key) is not None:
                origin = self._origin("providers", source.id, "timeouts", key)
            if getattr(timeouts, key) is not None:
                origin = self._origin("models", route.name, "timeouts", key)
            yield Value(f"timeouts.{key}", getattr(wait, name), origin)
