"""`octoplex providers disable`, `enable`, `set-key`, ...: providers as an operator wants them now.

A running server is asked, which notes the change and puts it in force at once; without one this
process takes the data folder for as long as that takes.
"""

import asyncio
import getpass
import sys
from collections.abc import Callable
from typing import Any

import click

from octoplex.assembly.hosts import sharing_of, tell_hosts
from octoplex.assembly.state import database_of
from octoplex.assembly.switching import Switchboard
from octoplex.cli.link import ask_server, operator
from octoplex.cli.look import prepared
from octoplex.cli.place import Place, config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.ledger import dollars
from octoplex.ledger.audit import Audit
from octoplex.ledger.common import Common
from octoplex.ledger.folder import Folder
from octoplex.ledger.rows import Page
from octoplex.ledger.switches import Switches
from octoplex.server.standing import Quantiles, Standing, standing
from octoplex.wire.error import StoreFailed

RECENT = 1_000


def _switch(config: str | None, order: dict[str, Any]) -> tuple[Any, bool]:
    """Have it done by the server, else here; and whether a server did it."""
    place = place_of(config)
    done = ask_server(place.data, {**order})
    if done is not None:
        return done, True
    folder = Folder(place.data)
    folder.lock()
    try:
        place = prepared(place) if place.settings.server.seal else place.opened()
        board = Switchboard(place.data, Audit(place.data), place.settings, place.env)
        how = str(order["do"]).removeprefix("providers.")
        done = board.do(how, order, operator())
        _tell_hosts(place, str(order.get("id", "")))
        return done, False
    finally:
        folder.unlock()


def _tell_hosts(place: Place, id_: str) -> None:
    """Have the other hosts switch a provider, too; without an id all for which keys are stored."""
    switches = Switches.read(place.data)

    def put(common: Common) -> None:
        for one in [id_] if id_ else switches.keys:
            common.put(one, switches)

    else_ = ", and what they have is in force here, too, once this host reaches it"
    tell_others(place, put, else_)


def tell_others(place: Place, said: Callable[[Common], None], else_: str = "") -> None:
    """Tell the other hosts something, if there may be any; or people that they were not told."""
    place = place.opened()
    redis = sharing_of(place.settings, place.env).redis
    try:
        asyncio.run(tell_hosts(redis, database_of(place.settings, place.env), said))
    except StoreFailed as error:
        click.echo(f"{error} Other hosts are not told{else_}.", err=True)


def _told(sentence: str, served: bool) -> None:
    click.echo(f"{sentence}; {'in force now' if served else 'in force from the next start'}")


@click.command()
@click.argument("name")
@config_option
def disable(name: str, config: str | None) -> None:
    """Ask a provider no more, until it is enabled again."""
    _, served = _switch(config, {"do": "providers.disable", "id": name})
    _told(f"{name} is not asked any more", served)


@click.command()
@click.argument("name")
@config_option
def enable(name: str, config: str | None) -> None:
    """Let a provider be asked again."""
    _, served = _switch(config, {"do": "providers.enable", "id": name})
    _told(f"{name} may be asked again", served)


@click.command("set-key")
@click.argument("name")
@config_option
def set_key(name: str, config: str | None) -> None:
    """Store a provider's key, sealed, in the place of the file's.

    It is read from the terminal without being shown, or from a pipe. `seal` under [server] names
    the secret that it is sealed with.
    """
    text = getpass.getpass(f"key of {name}: ") if sys.stdin.isatty() else sys.stdin.readline()
    done, served = _switch(config, {"do": "providers.store_key", "id": name, "key": text.strip()})
    _told(f"{name} is asked with the key that ends in {done['key']['last4']}", served)


@click.command("forget-key")
@click.argument("name")
@config_option
def forget_key(name: str, config: str | None) -> None:
    """Ask a provider with the file's key again."""
    _, served = _switch(config, {"do": "providers.forget_key", "id": name})
    _told(f"{name} is asked with the key of the file", served)


@click.command()
@config_option
def reseal(config: str | None) -> None:
    """Seal every stored key with the first secret of `seal`, so that the others can go."""
    done, _ = _switch(config, {"do": "providers.reseal"})
    click.echo(f"{done['resealed']} keys are sealed anew")


@click.command()
@config_option
@json_option
def status(config: str | None, as_json: bool) -> None:
    """Show how providers did in the last thousand requests."""
    place = place_of(config)
    reader = place.reader()
    try:
        found = standing(reader.requests(Page(limit=RECENT)))
    finally:
        reader.close()
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("No request has been answered yet.")
        return
    columns = ("provider", "attempts", "success", "first p50", "p95", "p99", "spent", "errors")
    print_table(columns, [_cells(id_, one) for id_, one in found.items()], frozenset())


def _cells(id_: str, one: Standing) -> tuple[str, ...]:
    share = "-" if one.success is None else f"{one.success:.1%}"
    times = one.first_s or one.duration_s or Quantiles(0, 0, 0)
    shown = [f"{value * 1000:,.0f} ms" for value in (times.p50, times.p95, times.p99)]
    errors = ", ".join(f"{count} {name}" for name, count in one.errors.items())
    return (id_, f"{one.attempts:,}", share, *shown, dollars(one.nano), errors)
