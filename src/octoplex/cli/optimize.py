"""`octoplex optimize`: routes that learn (`learning.py`), and what learning would save, shown on a
file of judged answers."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from octoplex.cli import labelling, learning, prompting
from octoplex.cli.place import force_option, json_option, refuse_over
from octoplex.cli.show import print_json, print_table
from octoplex.wire.error import BadConfig

Reported = Any
"""A `Report`. numpy is an extra, so what needs it is imported when it is used."""
SHOWN = 20
"""Segments that are printed."""
FIGURES = ("saving", "loss", "saving_total", "loss_total", "loss_certified", "share", "judged")


@click.group()
def optimize() -> None:
    """Learn which model is good enough for what."""


for _command in (
    *(learning.status, learning.explain, learning.pause, learning.resume, learning.rollback),
    *(learning.export, learning.audit, labelling.label, labelling.warm, prompting.prompts),
):
    optimize.add_command(_command)


@optimize.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--reference", required=True, metavar="COL", help="Quality of the model to compare with."
)
@click.option("--candidate", "candidates", required=True, multiple=True, metavar="COL",
              help="Quality of a cheaper one; may be given several times.")  # fmt: skip
@click.option("--cost", "costs", multiple=True, metavar="COL=DOLLARS",
              help="What a model costs per request; @COLUMN reads it from the file. "
              "Without any, saved calls of the reference are counted.")  # fmt: skip
@click.option("--prompt", default="prompt", show_default=True, metavar="COL")
@click.option("--segment", metavar="COL", help="A column that says what kind of request it is.")
@click.option("--each-segment", is_flag=True,
              help="Keep the promise in each segment, not on average over all.")  # fmt: skip
@click.option("--reply", metavar="COL", help="What the candidate answered. It is always asked "
              "first then, the reference where prompt and reply look as if it erred.")  # fmt: skip
@click.option("--quality-loss", default=0.05, show_default=True, type=click.FloatRange(0, 0.5),
              help="Share of the reference's quality that may be lost.")  # fmt: skip
@click.option("--confidence", default=0.95, show_default=True, type=click.FloatRange(0.5, 0.9999))
@click.option("--feedback", default=0.01, show_default=True,
              type=click.FloatRange(0, 1, min_open=True),
              help="Share of the requests that are judged.")  # fmt: skip
@click.option(
    "--judge-cost", default=0.0, type=click.FloatRange(0), help="Dollars per judged pair."
)
@click.option("--requests", type=click.IntRange(1), metavar="N",
              help="Draw N rows at random; otherwise the file is read once, in order.")  # fmt: skip
@click.option("--seed", default=1, show_default=True)
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1), metavar="N",
              help="Replay N times, with this seed and those after it, in parallel.")  # fmt: skip
@click.option("--plot", "picture", type=click.Path(path_type=Path, dir_okay=False), metavar="SVG",
              help="Draw saving and loss over time.")  # fmt: skip
@force_option
@json_option
def replay(file: Path, as_json: bool, picture: Path | None, force: bool, **given: Any) -> None:
    """Replay a CSV file (or .csv.gz) of judged answers through the loop that serves traffic.

    FILE has a prompt and one column of quality per model: 0 to 1, or true and false.
    """
    if picture is not None:
        refuse_over(picture, force)
    optimizer = _optimizer()
    pairs = [_cost(said) for said in given["costs"]]
    columns = optimizer.Columns(
        given["reference"],
        given["candidates"],
        given["prompt"],
        given["segment"],
        dict(pairs),
        given["reply"],
    )
    _check_names(columns.reference, columns.candidates)
    table = optimizer.read(file, columns)
    if given["each_segment"] and not columns.segment:
        raise BadConfig("--each-segment: say with --segment which column tells them apart.")
    plan = optimizer.Plan(
        table.variants,
        given["quality_loss"],
        given["confidence"],
        given["feedback"],
        "each" if given["each_segment"] else "watched" if columns.segment else "",
    )
    rows = given["requests"] or len(table.features)
    seeds = range(given["seed"], given["seed"] + given["seeds"])
    one = partial(_replayed, table, plan, given["requests"], given["judge_cost"])
    reports = _one(one, seeds[0], rows) if len(seeds) == 1 else _several(one, seeds)
    if picture is not None:
        picture.write_text(_picture(reports[0], plan.loss))
    if as_json:
        print_json(reports[0] if len(reports) == 1 else _summary(reports))
    else:
        _print(reports, plan)


def _optimizer() -> Any:
    try:
        from octoplex.optimizer import replay
    except ImportError:
        raise BadConfig(
            "Learning needs the numpy package: pip install 'octoplex[optimizer]'."
        ) from None
    return replay


def _cost(said: str) -> tuple[str, str]:
    name, sign, value = said.rpartition("=")
    if not sign or not name or not value:
        raise BadConfig(f'--cost "{said}": write COLUMN=DOLLARS, or COLUMN=@COLUMN.')
    return name, value


def _check_names(reference: str, candidates: Sequence[str]) -> None:
    names = [reference, *candidates]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadConfig(f'"{twice[0]}" is named twice; each model has one column.')


def _replayed(
    table: Any, plan: Any, requests: int | None, judge_cost: float, seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Reported:  # fmt: skip
    from octoplex.optimizer.replay import replay

    return replay(
        table, plan, seed=seed, requests=requests, judge_cost=judge_cost, progress=progress
    )


def _one(replayed: Callable[..., Reported], seed: int, rows: int) -> list[Reported]:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        work = bar.add_task("replaying", total=rows)
        return [replayed(seed, lambda done: bar.update(work, completed=done))]


def _several(replayed: Callable[..., Reported], seeds: Sequence[int]) -> list[Reported]:
    """One process per core."""
    workers = ProcessPoolExecutor(mp_context=get_context("spawn"))
    with workers as pool, Progress(console=Console(stderr=True), transient=True) as bar:
        told = pool.map(replayed, seeds)
        return list(bar.track(told, total=len(seeds), description="replaying"))


def _summary(reports: Sequence[Reported]) -> dict[str, Any]:
    told = {name: [float(getattr(one, name)) for one in reports] for name in FIGURES}
    return {
        "seeds": len(reports),
        "violations": sum(one.violated for one in reports),
        **{name: mean(values) for name, values in told.items()},
        "runs": [{**msgspec.to_builtins(one), "curve": []} for one in reports],
    }


def _print(reports: Sequence[Reported], plan: Any) -> None:
    names = {
        "saving": "saved, second half",
        "loss": "quality lost, second half",
        "saving_total": "saved, in all",
        "loss_certified": "quality lost since the first certificate",
        "share": "moved to candidates, second half",
    }
    rows = []
    for name, says in names.items():
        values = [getattr(one, name) for one in reports]
        rows.append([says, _percent(median(values)), _percent(min(values)), _percent(max(values))])
    judged = [one.judged for one in reports]
    rows.append(["judged pairs", f"{median(judged):,.0f}", f"{min(judged):,}", f"{max(judged):,}"])
    if len(reports) == 1:
        print_table(["", "value"], [row[:2] for row in rows], frozenset({"value"}))
    else:
        print_table(["", "median", "least", "most"], rows, frozenset({"median", "least", "most"}))
    _print_ranking([one.ranking for one in reports if one.ranking is not None])
    broken = sum(one.violated for one in reports)
    click.echo(
        f"\nPromise: at most {_percent(plan.loss)} of the quality lost, with "
        f"{_percent(plan.confidence)} confidence. Broken in {broken} of {len(reports)}."
    )
    first = reports[0]
    _print_known(first)
    _print_segments(reports)
    click.echo("\nBeside it, on the second half" + (":" if len(reports) == 1 else ", first seed:"))
    beside = [[name, _percent(b.saving), _percent(b.loss)] for name, b in first.baselines.items()]
    print_table(["rule", "saved", "quality lost"], beside, frozenset({"saved", "quality lost"}))
    if not first.certificates:
        click.echo(
            "\nNothing was certified: the reference served all. It takes some hundred judged "
            f"pairs; there were {first.judged:,}. Raise --feedback or --requests."
        )


def _print_ranking(told: Sequence[Any]) -> None:
    if told:
        half, most, area = (mean(getattr(one, f) for one in told) for f in ("half", "most", "area"))
        click.echo(
            f"\nOn rows that were never judged: {half:.1f} % calls of the reference for half of "
            f"the gap, {most:.1f} % for four fifths; {area:.3f} of it on average (by chance 50, "
            "80, 0.5)."
        )


def _print_known(report: Reported) -> None:
    """What the loop knew of what it let serve last."""
    known = next((c.told for c in reversed(report.certificates) if c.told is not None), None)
    if known is not None:
        click.echo(
            f"The last certificate: {_percent(known.snips)} of the quality kept by "
            f"{known.pairs:,} pairs that were not learned from (SNIPS; doubly robust "
            f"{_percent(known.dr)}), at least {known.lower:+.4f} of a point above the promise."
        )


def _print_segments(reports: Sequence[Reported]) -> None:
    told = [one for report in reports for one in report.segments]
    if not told:
        return
    broken = sum(one.violated for one in told)
    click.echo(f"\nBy segment; more was lost than promised in {broken:,} of {len(told):,}:")
    columns = ("segment", "requests", "moved", "saved", "quality lost", "since certified")
    rows = [
        [
            one.segment,
            f"{one.requests:,}",
            _percent(one.share),
            _percent(one.saving),
            _percent(one.loss),
            _percent(one.loss_certified),
        ]
        for one in reports[0].segments[:SHOWN]
    ]
    print_table(columns, rows, frozenset(columns[1:]))


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _picture(report: Reported, promised: float) -> str:
    from octoplex.optimizer.plot import Line, Plot, Series, plot

    at = [float(point[0]) for point in report.curve]
    return plot(
        Plot("Saving and loss so far", "requests", "share of the reference", percent=True),
        [
            Series("saved", at, [point[1] for point in report.curve]),
            Series("quality lost", at, [point[2] for point in report.curve]),
        ],
        [Line("promised loss", promised)],
    )
