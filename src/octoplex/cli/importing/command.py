"""`octoplex import litellm|bifrost|tensorzero FILE`: another gateway's configuration, carried over.

What is written goes to standard output or `--output`, the notes on what could not be carried to
standard error. Nothing of the file is executed, nothing is asked, and no secret is printed.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import click
from msgspec import Struct

from octoplex.cli.importing import bifrost, litellm, tensorzero
from octoplex.cli.importing.draft import Draft, Note
from octoplex.cli.importing.given import MOST_BYTES, Given, clean_text, read
from octoplex.cli.place import json_option
from octoplex.cli.show import clean, print_json
from octoplex.settings import Environment, environment
from octoplex.wire.error import BadConfig, InvalidCall


class Source(Struct, frozen=True):
    """One gateway: what its file is called and written in, and how it names a variable."""

    title: str
    form: str
    variable: re.Pattern[str]
    mention: re.Pattern[str]
    carry: Callable[[Given, Draft], None]


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "litellm": Source(
            "a config.yaml of LiteLLM",
            "yaml",
            litellm.VARIABLE,
            re.compile(r"os\.environ/(\w+)"),
            litellm.carry,
        ),
        "bifrost": Source(
            "a config.json of Bifrost",
            "json",
            bifrost.VARIABLE,
            re.compile(r"\benv\.(\w+)"),
            bifrost.carry,
        ),
        "tensorzero": Source(
            "a tensorzero.toml",
            "toml",
            tensorzero.VARIABLE,
            re.compile(r"env::?(\w+)"),
            tensorzero.carry,
        ),
    }
)


class Carried(Struct, frozen=True):
    """What came of a file: the text to be written, and the notes."""

    octoplex_toml: str
    notes: list[Note]


@click.command("import")
@click.argument("gateway", type=click.Choice(list(SOURCES)))
@click.argument("file")
@click.option("--output", metavar="FILE", help="Write it there; otherwise it is printed.")
@click.option("--force", is_flag=True, help="Write over an existing file.")
@json_option
def import_(gateway: str, file: str, output: str | None, force: bool, as_json: bool) -> None:
    """Carry over another gateway's configuration.

    FILE is LiteLLM's config.yaml, Bifrost's config.json or tensorzero.toml, or - for the pipe.
    What cannot be carried is named on standard error, with the reason and what to do instead.
    """
    carried = carry(gateway, _content(file), file, environment())
    if output is not None:
        _write(Path(output), carried.octoplex_toml, force)
    if as_json:
        print_json(carried)
        return
    if output is None:
        click.echo(carried.octoplex_toml, nl=False)
    for note in carried.notes:
        place = f"{clean(note.where)}: " if note.where else ""
        click.echo(f"{note.kind:<10}{place}{clean(note.says)}", err=True)
    if output is not None:
        click.echo(f"{output} is written; octoplex check --config {output} looks at it.")


def carry(gateway: str, content: bytes, name: str, env: Environment) -> Carried:
    """Carry a file over. `name` stands in errors; `env` is looked up for addresses only.

    Raises:
        BadConfig: it cannot be read, or nothing in it can be carried.
    """
    source = SOURCES[gateway]
    given = read(content, source.form, name)
    mentioned = frozenset(source.mention.findall(content.decode("utf-8", "replace")))
    draft = Draft(source.title, source.variable, mentioned, env)
    for key in given.twice:
        draft.left_out(clean_text(key), "it stands twice in one table, where the last one counts.")
    source.carry(given, draft)
    if not draft.providers and not draft.models:
        raise BadConfig(f"{name}: names no model or provider that can be asked here.")
    return Carried(draft.text(), draft.notes())


def _content(file: str) -> bytes:
    """The file's first bytes, or the pipe's; one more than may be there."""
    if file == "-":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    with Path(file).open("rb") as stream:
        return stream.read(MOST_BYTES + 1)


def _write(path: Path, text: str, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise InvalidCall(f"{path} is there already; --force writes over it.") from None
