"""`octoplex memory`: what agents remember, read beside a running server.

    octoplex memory list                                whose facts there are
    octoplex memory list "tenant acme"                  the newest of one owner
    octoplex memory find "tenant acme" backup times
    octoplex memory forget "tenant acme" --id mem_... | --thread TASK | --all

What is forgotten is deleted by the process that has the data folder, and noted in the audit log.
A search here goes by words, and by n-grams where no model makes the vectors: nobody is asked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import click

from octoplex.agents.memory.file import NAME
from octoplex.agents.memory.memory import Memory
from octoplex.agents.memory.rows import Which
from octoplex.assembly import forgetting
from octoplex.assembly.state import facts_of
from octoplex.cli.link import ask_server, operator
from octoplex.cli.place import Place, config_option, json_option, place_of
from octoplex.cli.show import print_json, print_table
from octoplex.ledger.audit import Audit
from octoplex.ledger.folder import Folder
from octoplex.wire.error import InvalidCall, NotFound

T = TypeVar("T")
COLUMNS = ("id", "kept", "kind", "from", "trusted", "text")


class _Nobody:
    """Makes no vectors."""

    def __init__(self, model: str) -> None:
        self.model = model

    async def __call__(self, texts: Sequence[str]) -> Sequence[bytes | None]:
        return [None] * len(texts)


@click.group()
def memory() -> None:
    """Show what agents remember, and have it forgotten."""


@memory.command("list")
@click.argument("owner", required=False)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), metavar="N")
@config_option
@json_option
def list_(owner: str | None, limit: int, config: str | None, as_json: bool) -> None:
    """Show whose facts there are, or the newest of one owner."""
    if owner is None:
        owners = _done(config, lambda memory, _: memory.facts.owners())
        if as_json:
            print_json([{"owner": name, "facts": many} for name, many in owners])
        else:
            rows = [(name, f"{many:,}") for name, many in owners]
            print_table(("owner", "facts"), rows, frozenset({"facts"}))
        return
    which = Which(owner=owner)
    found = _done(config, lambda memory, _: memory.facts.listed(which, limit, memory.now_ms()))
    _print([fact.shown() for fact in found], as_json)


@memory.command()
@click.argument("owner")
@click.argument("query", nargs=-1, required=True)
@click.option("--notes-of", default="", metavar="ARM", help="In the notes of one arm.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100), metavar="N")
@config_option
@json_option
def find(
    owner: str,
    query: tuple[str, ...],
    notes_of: str,
    limit: int,
    config: str | None,
    as_json: bool,
) -> None:
    """Search the memory of one owner, best first."""

    def work(memory: Memory, embed: _Nobody | None) -> Awaitable[list[dict[str, Any]]]:
        mine = memory.of(owner, screen=_as_it_is, embed=embed)
        return mine.find(" ".join(query), limit=limit, notes_of=notes_of)

    _print(_done(config, work), as_json)


@memory.command()
@click.argument("owner")
@click.option("--id", "id_", default="", metavar="ID", help="One fact.")
@click.option("--thread", default="", metavar="ID", help="A conversation, or all of a task.")
@click.option("--all", "all_", is_flag=True, help="All of the owner.")
@config_option
def forget(owner: str, id_: str, thread: str, all_: bool, config: str | None) -> None:
    """Delete for good what one owner's agents remember."""
    if sum(map(bool, (id_, thread, all_))) != 1:
        raise InvalidCall("Say what is to be forgotten: --id ID, --thread ID or --all.")
    place = _remembered(config)
    said = {"owner": owner, "id": id_, "thread": thread}
    many = ask_server(place.data, {"do": "memory.forget", **said})
    if many is None:
        many = _forgotten(place, said)
    click.echo(f"Forgotten: {many:,} facts.")


def _forgotten(place: Place, said: dict[str, str]) -> int:
    """Do what a server would, with the folder's lock."""
    folder = Folder(place.data)
    folder.lock()
    try:
        deed = forgetting.forget(
            place.settings, place.env, place.data, Audit(place.data), said, operator()
        )
        return asyncio.run(deed)
    finally:
        folder.unlock()


def _remembered(config: str | None) -> Place:
    """Where it is.

    Raises:
        NotFound: nothing is.
    """
    place = place_of(config).opened()
    if not place.settings.server.database and not (place.data / NAME).exists():
        raise NotFound(f"Nothing is remembered in {place.data}.")
    return place


def _done(config: str | None, work: Callable[[Memory, _Nobody | None], Awaitable[T]]) -> T:
    place = _remembered(config)
    embed = place.settings.memory.embed

    async def run() -> T:
        memory = Memory(facts_of(place.settings, place.env, place.data))
        try:
            return await work(memory, _Nobody(embed) if embed else None)
        finally:
            await memory.close()

    return asyncio.run(run())


async def _as_it_is(text: str, way: Literal["in", "out"]) -> str:
    return text


def _print(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["id"],
            datetime.fromtimestamp(one["at_ms"] // 1_000, UTC).strftime("%Y-%m-%d %H:%M"),
            one["kind"],
            one["source"],
            "no" if one["is_untrusted"] else "yes",
            one["text"],
        )
        for one in found
    ]
    print_table(COLUMNS, rows, frozenset())
