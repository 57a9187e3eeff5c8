"""`octoplex optimize label` and `warm`: what people know, for routes that learn.

What is said of a pair is a note that the learner reads, as those of the server are; so both work
beside a running server and without one. All of it is noted in the audit log before it is done.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from octoplex.assembly import labelling, optimizing
from octoplex.cli.learning import change
from octoplex.cli.place import Place, config_option, place_of
from octoplex.cli.show import clean
from octoplex.ledger.audit import outcome
from octoplex.optimizer.config import variants_of
from octoplex.wire.error import BadConfig, InvalidCall, NotFound, StoreFailed

GOOD = {"a": ("a",), "b": ("b",), "s": ("a", "b"), "n": ()}
ASKED = "Which is good? a, b, s (both), n (neither); q stops"
LONGEST = 6_000
"""Characters of a text that are shown."""


@click.command()
@click.argument("route")
@click.option("--most", default=20, show_default=True, type=click.IntRange(1, 1_000), metavar="N")
@click.option("--forget", is_flag=True, help="Delete all texts that are kept of the route, now.")
@config_option
def label(route: str, most: int, forget: bool, config: str | None) -> None:
    """Say of some answers whether they are good: how far a model that judges may be trusted.

    Shows what was asked and two answers, without saying whose they are. Needs learn.labels.
    """
    place = place_of(config)
    if forget:
        count = change(place, "forget", route=route)
        click.echo(clean(f"Deleted: the texts of {count:,} pairs of {route}."))
        return
    asked = labelling.questions(place.data, place.settings, route, most)
    if not asked:
        click.echo(clean(_nothing(place, route)))
    said = 0
    for number, question in enumerate(asked, 1):
        _show(question, f"{number} of {len(asked)}")
        told = click.prompt(ASKED, type=click.Choice([*GOOD, "q"]), show_choices=False)
        if told == "q":
            break
        try:
            change(place, "label", route=route, request_id=question["request_id"], good=GOOD[told])
            said += 1
        except NotFound as error:  # somebody else was faster, or took longer
            click.echo(clean(str(error)))
    if asked:
        click.echo(clean(f"Thank you: {said:,} labels."))


def _nothing(place: Place, route: str) -> str:
    if not place.settings.models[route].learn.labels:
        return (
            f"{route} asks nobody: [models.{route}] learn.labels = 0.2 would ask of a fifth of the "
            "pairs that a model judges, and keep their texts for it."
        )
    return f"No pair of {route} waits for a label."


def _show(question: dict[str, Any], number: str) -> None:
    click.echo(f"\n=== {number} ===")
    for turn in question["conversation"]:
        click.echo(f"\n{clean(turn['role'])}:\n{_short(turn['text'])}")
    for name in ("a", "b"):
        answer = question[name]
        click.echo(f"\n--- answer {name.upper()} ---\n{_short(answer['text'])}")
        for call in answer.get("calls", ()):
            click.echo(_short(f"[calls {call['tool']}: {call['arguments']}]"))
        if answer.get("cut_off"):
            click.echo("[cut off]")
    click.echo()


def _short(text: str) -> str:
    shown = "\n".join(clean(line) for line in text[:LONGEST].split("\n"))
    return shown + (" [...]" if len(text) > LONGEST else "")


@click.command()
@click.argument("route")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--quality", "named", multiple=True, metavar="TARGET=COL",
              help="Whose quality a column is; unless said, those that are called as targets. "
              "May be given several times.")  # fmt: skip
@click.option("--prompt", default="prompt", show_default=True, metavar="COL")
@click.option("--segment", metavar="COL", help="What `segments` of the route are for a row.")
@config_option
def warm(
    route: str,
    file: Path,
    named: tuple[str, ...],
    prompt: str,
    segment: str | None,
    config: str | None,
) -> None:
    """Let a route begin with what is known of answers: FILE is CSV (or .csv.gz), as for replay.

    It is learned from, so that less is learned by trying. It certifies nothing: only traffic does.
    """
    place = place_of(config)
    optimizing.check(place.settings, route)
    table = place.settings.models[route]
    targets = list(variants_of(table.reference, (*table.try_, *table.variants)))
    try:
        from octoplex.optimizer import warm as warming
    except ImportError:
        raise BadConfig("It needs the numpy package: pip install 'octoplex[optimizer]'.") from None
    columns = _columns(named, targets, () if named else warming.columns(file))
    lessons = list(warming.lessons(file, columns, prompt, segment))
    notes = optimizing.lessons(place.data, route, lessons)
    digest = sha256(b"".join(note.body for note in notes)).hexdigest()
    change(place, "warm", route=route, lessons=len(notes), digest=digest)
    try:
        optimizing.teach(place.data, notes)
    except StoreFailed as error:
        change(place, "warm", route=route, failed=outcome(error))
        raise
    click.echo(clean(f"{route} has {len(notes):,} lessons more; they count from its next fit on."))


def _columns(named: Sequence[str], targets: Sequence[str], there: Sequence[str]) -> dict[int, str]:
    """The column of each target that has one, by its number; the reference's is 0. `there` are
    columns that may be called as targets are.

    Raises:
        InvalidCall: a target is not the route's, or the reference or all others have none.
    """
    told = {target: target for target in targets if target in there}
    for one in named:
        target, sign, column = one.partition("=")
        if not sign or target not in targets:
            raise InvalidCall(
                f'--quality "{one}": write TARGET=COLUMN, with a target of {", ".join(targets)}.'
            )
        told[target] = column
    if targets[0] not in told or len(told) < 2:
        said = f"; there is {', '.join(there)}" if there else ""
        raise InvalidCall(
            f"--quality: name the columns of {targets[0]}, the reference, and of another "
            f"target{said}."
        )
    return {number: told[target] for number, target in enumerate(targets) if target in told}
