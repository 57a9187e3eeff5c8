"""`octoplex optimize prompts`: a better prompt for a cheaper model, to be tried on traffic."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from octoplex.assembly import labelling, optimizing
from octoplex.cli.chat import client_of, hint_at_key
from octoplex.cli.place import Place, config_option, force_option, place_of, refuse_over
from octoplex.cli.show import clean
from octoplex.client import Octoplex
from octoplex.optimizer.judges import AskModel, bare, is_model, judges_of
from octoplex.settings import ModelTable
from octoplex.upstreams.judge import Judge as Checker
from octoplex.wire.chat import Chat, Message, Role, TextPart
from octoplex.wire.error import BadConfig, InvalidCall
from octoplex.wire.event import Reply, Text, Usage

ROLES = ("system", "assistant")
MOST = 40
"""Kept pairs that are looked at: those first that the candidate has lost."""


@click.command()
@click.argument("route")
@click.option("--data", type=click.Path(path_type=Path), metavar="CSV",
              help="Questions with good answers; unless said, pairs kept for labels.")  # fmt: skip
@click.option("--prompt", "column", default="prompt", show_default=True, metavar="COL")
@click.option("--expected", default="expected", show_default=True, metavar="COL")
@click.option(
    "--target", help="Whose prompt it is; unless said, the first one's beside the reference."
)
@click.option("--from", "begin", type=click.Path(path_type=Path), metavar="FILE",
              help="The prompt to begin with; unless said, none.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Where to write it; unless said, prompts/ROUTE.md.")  # fmt: skip
@force_option
@click.option("--calls", default=200, show_default=True, type=click.IntRange(10, 100_000),
              metavar="N", help="Answers that are asked for, and judged.")  # fmt: skip
@config_option
def prompts(route: str, data: Path | None, calls: int, config: str | None, **given: Any) -> None:
    """Look for a prompt with which a cheaper model answers better (GEPA).

    The reference of ROUTE reads what went wrong and writes other prompts. The best one is written
    into a file, and the tables are printed that try it on traffic.
    """
    from octoplex.optimizer import prompts as searching

    place = place_of(config)
    optimizing.check(place.settings, route)
    table = place.settings.models[route]
    target = _target(table, given["target"])
    path = given["out"] or Path("prompts") / f"{route}.md"
    refuse_over(path, given["force"])
    if data is not None:
        cases = searching.read_cases(data, given["column"], given["expected"])
    else:
        cases = _kept(place, route)
    begin = _text(given["begin"]) if given["begin"] else ""
    many = f"{len(cases):,} cases, up to {calls:,} answers of {target} and what judging them costs"
    click.echo(clean(f"Looking for a prompt: {many}."), err=True)
    with client_of(place.env, config, None) as client, hint_at_key():
        cast = searching.Cast(
            answer=_answering(client, target),
            judge=_judging(client, table),
            reflect=lambda asked: client.chat(table.reference, asked).text,
        )
        found = searching.search(cases, begin, cast, calls)
    told = f"{found.tried:,} prompts were tried on {len(cases):,} cases with {target}"
    if not found.prompt:
        click.echo(clean(f"{told}; none is better than what there is ({found.before:.3f} of 1)."))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(found.prompt, encoding="utf-8")
    click.echo(clean(f"{told}: {found.before:.3f} of 1 before, {found.after:.3f} with {path}."))
    click.echo(_tables(route, target, path))


def _target(table: ModelTable, named: str | None) -> str:
    """Whose prompt is looked for.

    Raises:
        InvalidCall: it is no target of the route.
    """
    others = [one for one in table.try_ if one != table.reference]
    if named is not None and named not in table.try_:
        raise InvalidCall(f'--target "{named}": the route has {", ".join(table.try_)}.')
    return named or (others or table.try_)[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path} cannot be read: {error}") from None


def _kept(place: Place, route: str) -> list[Any]:
    """What is kept of the route's pairs, as cases.

    Raises:
        InvalidCall: nothing is.
    """
    from octoplex.optimizer.notes import Label, Pair, decode
    from octoplex.optimizer.prompts import kept_cases

    texts = {row.request_id: row.texts for row in labelling.kept(place.data, route)}
    worth: dict[str, tuple[float, float]] = {}
    with optimizing.reading(place.data) as file:
        for body in file.about(route, ("pair", "label"), 0) if file and texts else ():
            note = decode(body)
            if isinstance(note, Pair) or (isinstance(note, Label) and note.who):
                worth[note.request_id] = note.reference, note.rival
    if not worth:
        raise InvalidCall(
            f"No pair of {route} is kept: [models.{route}] learn.labels keeps some, and --data "
            "takes a CSV file of questions with good answers."
        )
    return kept_cases(texts, worth, MOST)


def _answering(client: Octoplex, target: str) -> Callable[[str, Any], Any]:
    async def answer(prompt: str, case: Any) -> str:
        turns = [
            {"role": one["role"] if one["role"] in ROLES else "user", "content": one["text"]}
            for one in case.turns
        ]
        told = [{"role": "system", "content": prompt}, *turns] if prompt else turns
        return (await asyncio.to_thread(client.chat, target, told)).text

    return answer


def _judging(client: Octoplex, table: ModelTable) -> Callable[[Any, str], Any]:
    """Says what an answer is worth beside a good one: the same words, or what a model says."""
    models = tuple(filter(is_model, table.learn.judge))

    async def ask(model: str, body: bytes) -> tuple[Reply, int]:
        said = msgspec.json.decode(body)
        more = {"max_completion_tokens": said["max_completion_tokens"]}
        reply = await asyncio.to_thread(lambda: client.chat(model, said["messages"], extra=more))
        return reply, reply.cost_nano or 0

    asks: AskModel = ask
    judge = judges_of(models[:1], asks, Checker().fault)

    async def worth(case: Any, text: str) -> float:
        if bare(text) == bare(case.good):
            return 1.0
        if case.is_exact or not models:
            return 0.0
        chat = Chat(model="", messages=tuple(map(_turn, case.turns)))
        verdict = await judge(chat, _reply(case.good), _reply(text))
        return verdict.rival if verdict is not None and verdict.rival >= 0 else 0.0

    return worth


def _turn(one: dict[str, str]) -> Message:
    role: Role = "assistant" if one["role"] == "assistant" else "user"
    return Message(role, (TextPart(one["text"]),))


def _reply(text: str) -> Reply:
    return Reply(id="", model="", blocks=(Text(text),), stop="end", usage=Usage())


def _tables(route: str, target: str, path: Path) -> str:
    """What to add to the file, so that traffic says what the prompt is worth."""

    def quoted(text: str) -> str:
        return msgspec.json.encode(text).decode()

    name, new = quoted(f"{route}-prompt"), f"target = {quoted(target)}"
    prompt = f"prompt = {quoted(f'file:{path.resolve()}')}"
    return f"""
# A candidate of the route, certified as any other (where it learns):
[models.{quoted(route)}.variants.{name}]
{new}
{prompt}

# Or an experiment:
[experiments.{name}]
route = {quoted(route)}
unit = "request"
variants = {{ today = {{ {new} }}, found = {{ {new}, {prompt} }} }}
metric = "quality"
guardrails = ["cost_per_call"]"""
