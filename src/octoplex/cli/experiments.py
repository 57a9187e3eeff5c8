"""`octoplex experiments`: what is tried on which route, and what it has shown so far.

Everything is counted again from `learning.db`, so it may be looked at as often as one likes; the
bounds hold whenever and however often that is.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from octoplex.cli.look import look
from octoplex.cli.place import (
    Place,
    config_option,
    force_option,
    json_option,
    place_of,
    refuse_over,
)
from octoplex.cli.show import print_json, print_table
from octoplex.jobs.trials import all_counted, trial_of, values_of
from octoplex.ledger.learning import NAME
from octoplex.ledger.trials import Counted, TrialsFile
from octoplex.optimizer.standing import Standing
from octoplex.optimizer.trying import Test, read_standing
from octoplex.wire.error import NotFound

POINTS = 80
NONE_YET = """No experiment is in the file. One looks like this:

[experiments.shorter-prompt]
route = "support"
variants = { today = {}, short = { prompt = "Answer in two sentences." } }
metric = "cost_per_call"
guardrails = ["quality"]"""


@click.group()
def experiments() -> None:
    """Show experiments, and what they have found."""


@experiments.command("list")
@config_option
@json_option
def list_(config: str | None, as_json: bool) -> None:
    """List the experiments of the file."""
    place = place_of(config)
    tests = sorted(_tests(place).values(), key=lambda test: test.name)
    file = _opened(place)
    standings = {test.name: _standing(file, test) for test in tests}
    counts = {test.name: len(all_counted(file, test.key)) if file else 0 for test in tests}
    tables = place.settings.experiments
    if as_json:
        print_json(
            [
                {
                    "name": n,
                    "route": tables[n].route,
                    "phase": s.phase,
                    "winner": s.winner,
                    "units": counts[n],
                    "metric": tables[n].metric,
                }
                for n, s in standings.items()
            ]
        )
    elif not tests:
        click.echo(NONE_YET)
    else:
        rows = [
            [n, tables[n].route, tables[n].metric, s.phase, s.winner or "-", f"{counts[n]:,}"]
            for n, s in standings.items()
        ]
        heads = ["experiment", "route", "metric", "phase", "winner", "units"]
        print_table(heads, rows, frozenset({"units"}))


@experiments.command()
@click.argument("name")
@click.option("--plot", "picture", type=click.Path(path_type=Path, dir_okay=False), metavar="SVG",
              help="Draw the metric of each variant, with its bounds, as units came.")  # fmt: skip
@force_option
@config_option
@json_option
def show(name: str, picture: Path | None, force: bool, config: str | None, as_json: bool) -> None:
    """Show what an experiment has found."""
    place = place_of(config)
    if picture is not None:
        refuse_over(picture, force)
    test = next((test for test in _tests(place).values() if test.name == name), None)
    if test is None:
        raise NotFound(f'There is no experiment "{name}"; `octoplex experiments list` shows them.')
    file = _opened(place)
    standing = _standing(file, test)
    if file is None or standing.phase == "waiting":
        had = len(file.waiting(test.key, 1_000)) if file else 0
        if as_json:
            print_json({"name": name, "phase": "waiting", "units": had})
        else:
            click.echo(f"waiting: what is usual is being measured, {had} of 100 units so far.")
        return
    results = [one for _, one in all_counted(file, test.key)]
    metrics = (
        place.settings.experiments[name].metric,
        *place.settings.experiments[name].guardrails,
    )
    trial, points = _counted_again(file, test, results, metrics)
    if picture is not None:
        picture.write_text(_drawn(name, metrics[0], points, trial.design.variants))
    if as_json:
        print_json({"name": name, **_plain(trial.state())})
        return
    from octoplex.optimizer.experiments import table

    click.echo(table(trial.state()))
    late = len(file.waiting(test.key, 1_000))
    if late and "quality" in metrics and not standing.is_over:
        click.echo(f"\n{late:,} units wait for somebody to say what their answers were worth.")


def _tests(place: Place) -> dict[str, Test]:
    return look(place, lambda plan: plan.tests)


def _opened(place: Place) -> TrialsFile | None:
    return TrialsFile.open(place.data) if (place.data / NAME).exists() else None


def _standing(file: TrialsFile | None, test: Test) -> Standing:
    found = file.standings().get(test.key) if file else None
    return test.begin if found is None else read_standing(found[1])


def _counted_again(
    file: TrialsFile, test: Test, results: Sequence[Counted], metrics: Sequence[str]
) -> tuple[Any, list[tuple[int, Any]]]:
    """The trial after all results, and how it looked on the way."""
    trial = trial_of(file.standings()[test.key][2])
    step = max(1, len(results) // POINTS)
    points: list[tuple[int, Any]] = []
    for number, one in enumerate(results, 1):
        trial.told(one.result.variant, values_of(one, metrics), one.result.round)
        if number % step == 0 or number == len(results):
            points.append((number, trial.state()))
    return trial, points


def _drawn(
    name: str, metric: str, points: Sequence[tuple[int, Any]], variants: Sequence[str]
) -> str:
    from octoplex.optimizer.plot import Plot, Series, plot

    series: list[Series] = []
    for variant in variants:
        told = [(x, row.shown[0].mean) for x, state in points for row in state.rows
                if row.variant == variant and row.units]  # fmt: skip
        xs = [float(x) for x, _ in told]
        means = [mean for _, mean in told]
        if xs:
            series.append(
                Series(
                    variant,
                    xs,
                    [mean.estimate for mean in means],
                    [mean.lower for mean in means],
                    [mean.upper for mean in means],
                )
            )
    return plot(Plot(name, "units", metric), series)


def _plain(state: Any) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(state)
    return found
