"""`octoplex cache`: what is kept to be given again, and forgetting it.

A running server is asked, because memory and file are its own; otherwise this process takes
the data folder for as long as it looks or deletes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import click

from octoplex.assembly.hosts import READY_S, Hosts, sharing_of
from octoplex.cli.link import ask_server, operator
from octoplex.cli.place import Place, config_option, json_option, place_of
from octoplex.cli.show import clean, print_json, print_table
from octoplex.cli.switching import tell_others
from octoplex.ledger import dollars
from octoplex.ledger.audit import Audit
from octoplex.ledger.folder import Folder
from octoplex.ledger.stock_disk import NAME, DiskStock
from octoplex.reflex.cache.layer import Cache
from octoplex.reflex.keys import Hasher
from octoplex.wire.error import NotFound

T = TypeVar("T")


@click.group()
def cache() -> None:
    """Show and empty the caches of routes."""


@cache.command()
@config_option
@json_option
def stats(config: str | None, as_json: bool) -> None:
    """Show what is kept, and what it saved since the server started."""
    place = place_of(config)
    found = ask_server(place.data, {"do": "cache.stats"})
    served = found is not None
    if found is None:
        found = _offline(place, Cache.stats)
    if as_json:
        print_json({"running": served, **found})
    else:
        _print(found, served, "in Redis" if place.settings.server.redis else "in the file")


@cache.command()
@click.option("--model", metavar="NAME", help="Only what this route keeps.")
@config_option
@json_option
def purge(model: str | None, config: str | None, as_json: bool) -> None:
    """Forget what is kept, at once."""
    place = place_of(config)
    count = ask_server(place.data, {"do": "cache.purge", "model": model})
    served = count is not None
    if count is None:
        count = _offline(place, partial(_purged, place, model))
    if not count and model is not None and model not in place.settings.models:
        raise NotFound(f'Nothing is kept for "{model}", and there is no route of this name.')
    if not (served or place.settings.server.redis):  # which would know
        tell_others(place, lambda common: common.say("cache"))
    if as_json:
        print_json({"purged": count})
    else:
        click.echo(f"Forgotten: {count:,} {'reply' if count == 1 else 'replies'}.")


async def _purged(place: Place, model: str | None, cache: Cache) -> int:
    """Purge here, and note it where there is a cache."""
    if not _is_there(place):
        return await cache.purge(model)
    before = await cache.kept(model)
    with Audit(place.data).change(operator(), "cache.purge", model or "", before=before, after={}):
        return await cache.purge(model)


def _offline(place: Place, work: Callable[[Cache], Awaitable[T]]) -> T:
    """Work on the file that no server holds; what it would say without one where there is none."""
    place = place.opened()
    sharing = sharing_of(place.settings, place.env)
    redis, peppered = sharing.redis, sharing.pepper or b""
    folder = Folder(place.data)
    if _is_there(place):
        folder.lock()

    async def run() -> T:
        hosts = Hosts(redis, Hasher(peppered).hash) if redis is not None else None
        cache = Cache(hosts.stock if hosts else DiskStock(place.data), bytes, {})
        try:
            if hosts is not None:
                hosts.begin()
                await hosts.link.ready(READY_S)
            return await work(cache)
        finally:
            await cache.close()
            if hosts is not None:
                await hosts.close()

    try:
        return asyncio.run(run())
    finally:
        folder.unlock()


def _is_there(place: Place) -> bool:
    return bool(place.settings.server.redis) or (place.data / NAME).exists()


def _rejected(found: dict[str, Any]) -> str:
    if not found.get("rejected"):
        return ""
    return f"{found['rejected']:,} semantic hits, scores up to {found['rejected_up_to']:.3f}"


def _print(found: dict[str, Any], served: bool, beside: str) -> None:
    disk, memory = found["disk"], found["memory"]
    lines = [(beside, f"{disk['entries']:,} replies, {disk['bytes']:,} bytes")]
    if served:
        alike = found.get("semantic", 0)
        hits = found["hits"] + alike
        asked = hits + found["misses"]
        share = f" ({hits / asked:.0%})" if asked else ""
        lines += [
            ("in memory", f"{memory['entries']:,} replies, {memory['bytes']:,} bytes"),
            ("hits", f"{hits:,} of {asked:,}{share} since the start"),
            ("semantic", f"{alike:,} of them" if alike else ""),
            ("rejected", _rejected(found)),
            ("saved", dollars(found["saved_nano"])),
        ]
    if found["dropped"]:
        lines.append(("not written", f"{found['dropped']:,} replies; the server's log says why"))
    if silent := found.get("silent"):
        lines.append(("not counted", f"{', '.join(silent)}: no answer"))
    for name, value in lines:
        if value:
            click.echo(clean(f"{name:<13}{value}"))
    if found["models"]:
        click.echo()
        rows = [(m["model"], f"{m['entries']:,}", f"{m['bytes']:,}") for m in found["models"]]
        print_table(("model", "replies", "bytes"), rows, frozenset({"replies", "bytes"}))
