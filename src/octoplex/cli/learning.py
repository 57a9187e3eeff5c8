"""`octoplex optimize status`, `explain`, `pause` and so on: routes that learn.

What is shown is read beside a running server. What is changed is done by the process that owns the
data folder, and noted in the audit log, as is all that the learner does.
"""

import subprocess
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from octoplex.assembly import optimizing
from octoplex.assembly.deeds import deed_of
from octoplex.cli.link import ask_server, operator
from octoplex.cli.place import (
    Place,
    config_option,
    force_option,
    json_option,
    place_of,
    refuse_over,
)
from octoplex.cli.show import clean, print_json, print_table
from octoplex.jobs.learning import of_learner, shown
from octoplex.ledger.allowance import dollars
from octoplex.ledger.audit import NAME, Audit, page
from octoplex.ledger.folder import Folder
from octoplex.optimizer.process import command, environment
from octoplex.wire.error import BadConfig, NotFound

COLUMNS = ("route", "reference", "moved", "certified since", "pairs", "saved, net", "judge")
RIGHT = frozenset({"moved", "pairs", "saved, net"})
TEACHING = """No route learns yet. To have one learn which model is good enough:

    [models.support]
    pick = "learned"
    reference = "openai/gpt-5"                       # whose quality is promised
    try = ["openai/gpt-5", "openai/gpt-5-mini"]
    promise = { quality_loss = 0.05, confidence = 0.95 }
    learn = { shadow = 0.01, judge = ["json-schema", "models.judge"] }

`octoplex optimize replay FILE` shows on judged answers what that would save."""
BATCH = 1_000


@click.command()
@click.argument("route", required=False, default="")
@config_option
@json_option
def status(route: str, config: str | None, as_json: bool) -> None:
    """Show how the routes that learn stand: what is certified, what was saved."""
    place = place_of(config)
    rows = optimizing.standing(place.data, place.settings, route)
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo(TEACHING)
    elif route:
        _show(rows[0])
    else:
        print_table(COLUMNS, [_cells(row) for row in rows], RIGHT)
        for row in rows:
            _say_next(row)


def _cells(row: dict[str, Any]) -> list[str]:
    since = row["certified_since_ms"]
    return [
        row["route"],
        row["reference"],
        "paused" if row["paused"] else f"{row['share']:.1%}",
        _moment(since) if since else "-",
        f"{row['pairs']:,}",
        _money(row["saved_net_nano"]),
        ", ".join(row["judge"]) or "-",
    ]


def _show(row: dict[str, Any]) -> None:
    since = row["certified_since_ms"]
    promise = (
        f"at most {row['quality_loss']:.1%} of the reference's quality is lost"
        f"{' in each segment' if row['each_segment'] else ''}, "
        f"with {row['confidence']:.1%} confidence"
    )
    lines = [
        ("reference", row["reference"]),
        ("candidates", ", ".join(row["candidates"])),
        ("promise", promise),
        ("certified", f"rung {row['rung']} of {optimizing.STEPS}: candidates may serve "
         f"{row['share']:.1%} of the traffic, since {_moment(since)}"
         if since else "nothing yet: the reference serves all"),
        ("paused", "yes: the reference serves all" if row["paused"] else ""),
        ("requests", f"{row['requests']:,}, of which candidates answered {row['moved']:,}"),
        ("judged", f"{row['pairs']:,} pairs, by {', '.join(row['judge']) or 'nobody'}"),
        ("saved", f"{_money(row['saved_nano'])}, less {_money(row['learning_nano'])} for learning: "
         f"{_money(row['saved_net_nano'])}"),
        ("shown", _shown(row["certificate"])),
        ("policy", f"version {row['version']}" if row["version"] else "none yet"),
    ]  # fmt: skip
    said = row["callers_say"]
    if said["said"]:
        who = f"{said['said']:,} scores of {said['tenants']:,} callers or tenants"
        lines.append(("callers say", f"{said['mean']:.3f} of 1, from {who} in 30 days"))
    if row["labels"]:
        lines += _labels(row["labels"], row["route"], row["confidence"])
    for name, value in lines:
        if value:
            click.echo(clean(f"{name:<12}{value}"))
    if row["certificate"] and row["certificate"]["segments"]:
        click.echo()
        _show_segments(row["certificate"]["segments"])
    if row["events"]:
        click.echo()
        cells = [
            [_moment(e["at_ms"]), e["kind"], f"{e['share']:.1%}", f"{e['pairs']:,}", e["why"]]
            for e in row["events"]
        ]
        print_table(("at", "what", "moved", "pairs", "why"), cells, frozenset({"moved", "pairs"}))
    else:
        _say_next(row)


def _shown(certificate: dict[str, Any] | None) -> str:
    """What pairs say of what serves, or of what would be the first to."""
    if certificate is None or not certificate["told"]["pairs"]:
        return ""
    rung, told = certificate["rung"] or "1, not certified yet,", certificate["told"]
    return (
        f"rung {rung} keeps {told['snips']:.1%} of the reference's quality by {told['pairs']:,} "
        f"pairs that it has not learned from (SNIPS; doubly robust {told['dr']:.1%}); it is at "
        f"least {told['lower']:+.4f} of a point above the promise"
    )


def _show_segments(segments: list[dict[str, Any]]) -> None:
    cells = [
        [
            one["segment"].replace("\n", " ") or "-",
            f"{one['rung'] / optimizing.STEPS:.1%}",
            f"{one['told']['pairs']:,}",
            f"{one['told']['snips']:.1%}",
            "held: it loses more" if one["is_held"]
            else "the promise, by itself" if one["certified"] >= max(1, one["rung"])
            else "too little yet",
        ]
        for one in segments
    ]  # fmt: skip
    names = ("segment", "moved", "pairs", "keeps", "shown")
    print_table(names, cells, frozenset({"moved", "pairs", "keeps"}))


def _labels(told: dict[str, Any], route: str, confidence: float) -> list[tuple[str, str]]:
    """What people say of pairs that a model has judged, and what it says otherwise."""
    missed = f", {told['lapsed']:,} in vain, which count as lost" if told["lapsed"] else ""
    said = f"{told['labelled']:,} pairs by people{missed}; {told['waiting']:,} wait"
    lines = [("labels", f"{said} (octoplex optimize label {route})" if told["waiting"] else said)]
    if told["mean"] is not None:
        between = f"{told['low']:+.3f} to {told['high']:+.3f} with {confidence:.0%} confidence"
        favours = f"finds candidates better by {told['mean']:+.3f} than people do ({between})"
        lines.append(("the judge", favours))
    return lines


def _say_next(row: dict[str, Any]) -> None:
    """What there is to wait for."""
    if row["share"] or row["paused"]:
        return
    if not row["requests"]:
        click.echo(clean(f"\n{row['route']}: no request has come yet."))
    elif row["pairs"] < optimizing.STEPS * 10:
        click.echo(
            clean(
                f"\n{row['route']}: {row['pairs']:,} pairs are judged; the first certificate takes "
                f"some hundred. {row['shadow']:.1%} of the requests make one (learn.shadow)."
            )
        )


@click.command()
@click.argument("request_id")
@config_option
@json_option
def explain(request_id: str, config: str | None, as_json: bool) -> None:
    """Explain who answered a request, and why, to the last number."""
    place = place_of(config)
    told = optimizing.explained(place.data, request_id)
    if as_json:
        print_json(told)
        return
    pair = told["pair"]
    lines = [
        ("route", f"{told['route']}, policy {told['policy']}"),
        ("decided", f"{told['variant']}, with probability {told['propensity']:.4f}"),
        ("why", told["reason"]),
        ("shown", _shown(told["certificate"])),
        ("proposed", told["proposed"] or ""),
        ("strain", "" if told["strain"] is None else
         f"{told['strain']:.6g} of quality per dollar saved; the cut is {told['cut']:.6g}"),
        ("pair", f"{'drawn' if pair['drawn'] else 'not drawn'}, with probability "
         f"{pair['probability']:.4f}, against {pair['rival']} ({pair['rival_propensity']:.2f})"),
    ]  # fmt: skip
    for name, value in lines:
        if value:
            click.echo(clean(f"{name:<10}{value}"))
    click.echo()
    scores = told["scores"]
    rows = [
        [name, f"${price:.6f}", f"{scores[name]:+.4f}" if name in scores else "-"]
        for name, price in told["prices"].items()
    ]
    print_table(("variant", "would cost", "quality beside the reference"), rows,
                frozenset({"would cost", "quality beside the reference"}))  # fmt: skip


def change(place: Place, how: str, **order: Any) -> Any:
    """Have a deed done, and noted, by the process that owns the data folder: the server, or this
    one where none runs. What came of it.

    Raises: as `deed_of`.
    """
    done = ask_server(place.data, {"do": f"optimizer.{how}", **order})
    if done is not None:
        return done["done"]
    folder, who = Folder(place.data), operator()
    folder.lock()
    try:
        deed = deed_of(place.data, place.settings, how, order, who)
        audit = Audit(place.data)
        with audit.change(who, deed.what, deed.route, before=deed.before, after=deed.after):
            return deed.do()
    finally:
        folder.unlock()


def _lever(name: str, says: str, done: str) -> click.Command:
    @click.argument("route")
    @click.option("--why", default="", metavar="TEXT", help="The reason, for the audit log.")
    @config_option
    def pull(route: str, why: str, config: str | None) -> None:
        change(place_of(config), name, route=route, why=why)
        click.echo(clean(done.format(route)))

    return click.command(name, help=says)(pull)


pause = _lever(
    "pause",
    "Have the reference of a route serve all, until it is resumed.",
    "Paused: the reference of {} serves all from now on; nothing is asked to learn.",
)
resume = _lever(
    "resume",
    "Let candidates of a route serve again, as far as they are certified.",
    "Resumed: candidates of {} serve what is certified.",
)
rollback = _lever(
    "rollback",
    "Go back to what was certified before, else to the reference, until it is resumed.",
    "Rolled back: {} serves what was certified before, and goes no further until it is resumed.",
)


@click.command()
@click.argument("route")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@force_option
@config_option
def export(route: str, file: Path, force: bool, config: str | None) -> None:
    """Write all that a route has learned from into FILE, JSON on each line; - prints it."""
    place = place_of(config)
    refuse_over(file, force)
    count, last = 0, 0
    with ExitStack() as open_:
        kept = open_.enter_context(optimizing.reading(place.data))
        if kept is None or not kept.newest_note(route):
            raise NotFound(f'Nothing is kept that a route "{route}" has learned from.')
        from octoplex.optimizer.notes import decode, kind_of

        target = open_.enter_context(click.open_file(str(file), "wb"))
        while notes := kept.notes(route, last, BATCH):
            for last, body in notes:
                with suppress(msgspec.MsgspecError):  # the learner says what it makes of such
                    note = decode(body)
                    row = {"id": last, "kind": kind_of(note), "note": msgspec.to_builtins(note)}
                    target.write(msgspec.json.encode(row) + b"\n")
                    count += 1
    click.echo(f"Written: {count:,} notes.", err=True)


@click.command()
@click.argument("route", required=False, default="")
@config_option
@json_option
def audit(route: str, config: str | None, as_json: bool) -> None:
    """Make every policy again from what it was learned from, and compare byte for byte.

    Also with what the audit log says of each. Ends with 1 where anything differs.
    """
    place = place_of(config)
    with optimizing.reading(place.data) as file:
        routes = [name for name in (file.learned() if file else []) if route in ("", name)]
        if not routes:
            raise NotFound(f"Nothing was learned{f' of {route!r}' if route else ''} here.")
        found = _recomputed(place.data, routes)
        for name in routes:
            kept = {} if file is None else {row.seq: shown(row) for row in file.each(name)}
            found[name]["differences"] += _unlike(place.data, name, kept)
    if as_json:
        print_json(found)
    else:
        for name, said in found.items():
            for one in said["differences"]:
                click.echo(clean(f"{name}: policy {one['version']}: {one['why']}"))
            wrong = len(said["differences"])
            verdict = f"{wrong:,} differ" if wrong else "all are the same, byte for byte"
            click.echo(clean(f"{name}: {said['policies']:,} policies made again; {verdict}."))
    if any(said["differences"] for said in found.values()):
        raise click.exceptions.Exit(1)


def _recomputed(data: Path, routes: list[str]) -> dict[str, Any]:
    """In a process as the learner's, whose sums come out as its own."""
    done = subprocess.run(
        command(data, *routes), env=environment(), capture_output=True, check=False
    )
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise BadConfig(f"The policies cannot be made again: {last}")
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found


def _unlike(data: Path, route: str, kept: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """What the audit log says otherwise."""
    lines = page(data / NAME, 1 << 30, None, of_learner)
    found = []
    for line in lines:
        row = kept.get(line.after["seq"], {})
        if line.about == route and any(row.get(k) != told for k, told in line.after.items()):
            version, note = line.after["version"], line.after["note"]
            why = f"line {line.seq} of the audit log says otherwise"
            found.append({"route": route, "version": version, "note": note, "why": why})
    return found


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _money(nano: int) -> str:
    return f"-{dollars(-nano)}" if nano < 0 else dollars(nano)
