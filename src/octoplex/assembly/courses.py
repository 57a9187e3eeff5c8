"""The routes that learn, as the configuration file wants them: `pick = "learned"`, and rules.

Everything that the tables cannot know by themselves is refused here: a target without a price, a
judge that is nowhere. numpy is needed to learn, not to read this.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from importlib.util import find_spec

from msgspec.structs import replace

from octoplex.assembly.caches import version_of
from octoplex.optimizer.config import Learned, learned_of, spend_of, variants_of
from octoplex.optimizer.course import Course
from octoplex.optimizer.rules import rule_of
from octoplex.routing import Candidate, Route
from octoplex.settings import ModelTable, Settings
from octoplex.upstreams.local.fleet import LOCAL
from octoplex.upstreams.source import Source
from octoplex.wire.ask import Worst
from octoplex.wire.error import BadConfig

SOME = Worst(1_000, 1_000)


def courses_of(
    settings: Settings, routes: Mapping[str, Route], sources: Mapping[str, Source]
) -> dict[str, Course]:
    """The courses of routes that learn, by route.

    Raises:
        BadConfig: naming table and key; also of rules, which any route may have.
    """
    found: dict[str, Course] = {}
    for name, model in settings.models.items():
        where = f"[models.{name}]"
        for rule in model.rules:
            rule_of(rule, f"{where} rules")
        learned = learned_of(model, model.try_, where)
        if learned is not None:
            _check(model, learned, where)
            _check_judges(learned, settings, {*sources, LOCAL}, where)
            course = _course(routes[name], model, learned, where)
            found[name] = replace(course, version=version_of(model, settings, sources))
    return found


def _check(model: ModelTable, learned: Learned, where: str) -> None:
    if find_spec("numpy") is None:
        raise BadConfig(
            f'{where} pick: "learned" needs numpy, which is not installed: '
            'pip install "octoplex[optimizer]".'
        )
    if model.affinity:
        raise BadConfig(
            f'{where} affinity: pick = "learned" keeps conversations together by itself, and may '
            "promise nothing of where others would keep them; leave it out."
        )
    if learned.learn.shadow and not learned.learn.judge:
        raise BadConfig(
            f"{where} learn.judge: nobody says which of two answers is better; name verifiers, "
            'such as "json-schema", or a model, such as "models.judge".'
        )


def _check_judges(
    learned: Learned, settings: Settings, providers: Collection[str], where: str
) -> None:
    if "tests" in learned.learn.judge:
        raise BadConfig(f'{where} learn.judge: "tests" needs a sandbox, which is not there yet.')
    for judge in learned.learn.judge:
        kind, dot, name = judge.partition(".")
        if kind == "models" and dot:
            table = settings.models.get(name)
            if table is None:
                near = get_close_matches(name, settings.models, 1)
                advice = f'did you mean "models.{near[0]}"?' if near else f"add [models.{name}]."
                raise BadConfig(f'{where} learn.judge: there is no route "{name}"; {advice}')
            if table.pick == "learned":
                raise BadConfig(
                    f'{where} learn.judge: "{judge}" learns itself; a judge must stay the same.'
                )
        elif "/" in judge and judge.partition("/")[0] not in providers:
            provider = judge.partition("/")[0]
            raise BadConfig(f'{where} learn.judge: there is no provider "{provider}".')


def _course(route: Route, model: ModelTable, learned: Learned, where: str) -> Course:
    variants = variants_of(learned.reference, model.try_)
    by_name = {f"{c.target.provider}/{c.target.model}": c for c in route.candidates}
    chosen: list[Candidate] = []
    for name in variants:
        candidate = by_name.get(name)
        if candidate is None:
            why = next((b.why for b in route.barred if b.target.name.startswith(name)), "")
            raise BadConfig(
                f'{where} try: "{name}" cannot be learned of, for it may not be asked: {why}.'
            )
        if candidate.target.cost(SOME) is None:
            raise BadConfig(
                f'{where} try: "{name}" has no price, so nobody knows what it would save; '
                "give it one under [prices]."
            )
        chosen.append(candidate)
    return Course(
        route=route.name,
        variants=variants,
        targets=tuple(c.target for c in chosen),
        able=tuple(bool(c.lanes) for c in chosen),
        table=learned,
        spend=spend_of(learned.learn.spend, f"{where} learn.spend"),
    )
