"""`octoplex audit`: what operators changed, and whether the log of it is whole."""

import click

from octoplex.cli.place import config_option, json_option, place_of
from octoplex.cli.show import clean, print_json, print_table
from octoplex.ledger.audit import NAME, Line, page, verify
from octoplex.wire.error import StoreFailed


@click.group(invoke_without_command=True)
@click.option("--limit", default=50, show_default=True, help="How many lines.")
@config_option
@json_option
@click.pass_context
def audit(context: click.Context, limit: int, config: str | None, as_json: bool) -> None:
    """Show what operators changed, newest first."""
    if context.invoked_subcommand is not None:
        return
    lines = page(place_of(config).data / NAME, limit)
    if as_json:
        print_json(lines)
        return
    if not lines:
        click.echo("Nothing has been changed yet: keys, providers and caches are noted here.")
        return
    columns = ("seq", "at", "who", "what", "about", "outcome")
    rows = [
        (str(n.seq), n.at, clean(n.who), n.what, clean(n.about), clean(_outcome(n))) for n in lines
    ]
    print_table(columns, rows, frozenset())


def _outcome(line: Line) -> str:
    """How a change that was noted before came to nothing."""
    return line.after if isinstance(line.after, str) else ""


@audit.command("verify")
@config_option
def verify_(config: str | None) -> None:
    """See that no line was changed, moved or cut out."""
    path = place_of(config).data / NAME
    count, last, broken = verify(path)
    if broken is not None:
        raise StoreFailed(f"{path}: line {broken.line} does not hold: {broken.why}.")
    click.echo(f"{count} lines hold; the last hash is {last}")
