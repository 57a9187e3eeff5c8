"""`octoplex check`: everything a start would refuse, and what it would only regret.

The file is read, secrets are looked up, prices, keys and routes compiled, all as a start
does it; nothing is opened or asked. An error is the sentence a start would fail with.
"""

import asyncio

import click
from msgspec import Struct

from octoplex.assembly.assigning import check_agents, roles_of
from octoplex.assembly.callers import check_exposed
from octoplex.assembly.hosts import sharing_of
from octoplex.assembly.plan import Plan
from octoplex.assembly.region import elsewhere, misread
from octoplex.assembly.servable import blocked, check_routes, check_tls
from octoplex.assembly.state import database_of
from octoplex.assembly.testing import trouble
from octoplex.catalog.provider import catalogue
from octoplex.cli.look import keys_of, look, prepared
from octoplex.cli.place import Place, config_option, json_option, named, place_of
from octoplex.cli.show import print_json
from octoplex.reflex.keys import Key, weak
from octoplex.routing import Route
from octoplex.settings import DEFAULT_LISTEN, Settings, address, loopback, secret
from octoplex.upstreams.local.fleet import LOCAL
from octoplex.wire.error import BadConfig


class Findings(Struct, kw_only=True):
    """What was found."""

    file: str
    fine: list[str] = []
    warnings: list[str] = []


@click.command()
@config_option
@json_option
def check(config: str | None, as_json: bool) -> None:
    """Check the configuration without starting."""
    place = place_of(config)
    findings = examine(place)
    if as_json:
        print_json(findings)
        return
    for line in findings.fine:
        click.echo(f"fine     {line}")
    for line in findings.warnings:
        click.echo(f"warning  {line}")


def examine(place: Place) -> Findings:
    """Look at everything.

    Raises:
        BadConfig: the first thing that a start would refuse.
    """
    place, findings = prepared(place), Findings(file=place.origin)
    readable = f"{place.origin} can be read" if place.path else "no file: the defaults hold"
    findings.fine.append(readable)
    keys = keys_of(place)
    _keys(place, keys, findings)
    _server(place, findings)
    look(place, lambda plan: _plan(plan, keys, findings))
    if "tests" in _judges(place.settings) and (why := asyncio.run(trouble(place.settings.sandbox))):
        findings.warnings.append(f'[sandbox] the judge "tests" can say nothing: {why}')
    return findings


def _judges(settings: Settings) -> set[str]:
    """Who judges pairs, or verifies answers."""
    models, tried = settings.models.values(), settings.experiments.values()
    variants = [one for tables in (models, tried) for t in tables for one in t.variants.values()]
    pairs = [judge for model in models for judge in model.learn.judge]
    return {*pairs, *(judge for variant in variants for judge in variant.verify)}


def _keys(place: Place, keys: list[Key], findings: Findings) -> None:
    for name, table in place.settings.keys.items():
        why = weak(secret(table.secret, place.env, f"[keys.{name}] secret"))
        if why:
            findings.warnings.append(f"[keys.{name}] secret: {why}")
    if keys:
        findings.fine.append(f"keys: {', '.join(key.name for key in keys)}; every secret is there")


def _server(place: Place, findings: Findings) -> None:
    server = place.settings.server
    listen = server.listen or DEFAULT_LISTEN
    host, _ = address(listen)
    try:
        check_tls(place.settings)
        if not loopback(host):
            check_exposed(place.settings, place.env, host, made=_has_keys(place))
    except BadConfig as error:
        raise named(error, place.path) from None
    database = database_of(place.settings, place.env)
    redis = sharing_of(place.settings, place.env).redis
    beside = [one.shown for one in (database, redis) if one is not None]
    where = " and ".join([str(place.data), *beside])
    door = f", /admin on {server.admin}" if server.admin else ""
    findings.fine.append(f"listens on {listen}{door}, data in {where}")
    if server.admin and not any(key.role or key.user for key in place.settings.keys.values()):
        findings.warnings.append(
            '[server] admin: no key may use it; give one a role, [keys.NAME] role = "admin"'
        )


def _has_keys(place: Place) -> bool:
    reader = place.reader()
    try:
        rows = reader.keys()
    finally:
        reader.close()
    return any(row.revoked_at_ms is None for row in rows)


def _plan(plan: Plan, keys: list[Key], findings: Findings) -> None:
    usable = [s.id for s in plan.sources.values() if s.usable]
    findings.fine.append(f"providers that can be asked: {', '.join([*usable, LOCAL])}")
    for name in plan.settings.providers:
        source = plan.sources[name]
        if source.missing:
            findings.warnings.append(f"[providers.{name}] cannot be used: {source.missing}")
        if why := elsewhere(source, catalogue().get(name)):
            findings.warnings.append(f"[providers.{name}] {why}")
    check_routes(plan)
    budgeted = any(key.limits.caps for key in keys)
    for name, route in plan.routes.items():
        _route(plan, name, route, budgeted, findings)
    findings.warnings += check_agents(plan)
    for name in plan.settings.agents:
        findings.fine.append(
            f"agent {name}: {', '.join(roles_of(plan, plan.settings.agents[name]))}"
        )
    for name in plan.settings.prices:
        if name.partition("/")[0] not in plan.sources:
            findings.warnings.append(f'[prices] "{name}": there is no such provider')


def _route(plan: Plan, name: str, route: Route, budgeted: bool, findings: Findings) -> None:
    for candidate in route.candidates:
        target = candidate.target
        local = target.provider == LOCAL
        priced = local or plan.prices.price(target.provider, target.model) is not None
        allowed = plan.settings.models[name].allow_unpriced
        if not priced and budgeted and not allowed:
            findings.warnings.append(
                f"[models.{name}] {target.name} has no price: callers with a dollar budget are "
                "refused; add it to [prices], or set allow_unpriced = true"
            )
    for target in [c.target for c in route.candidates] + [b.target for b in route.barred]:
        source = plan.sources.get(target.provider)
        if source and (why := misread(source, catalogue().get(source.id), target.model)):
            findings.warnings.append(f"[models.{name}] {why}")
    findings.warnings += [f"[models.{name}] cannot ask {one}" for one in blocked(plan, route)]
    findings.fine.append(f"route {name}: {route.pick} over {len(route.candidates)} targets")
