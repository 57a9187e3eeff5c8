"""The routes that learn, as the configuration file wants them: `pick = "learned"`, and rules.

Everything that the tables cannot know by themselves is refused here: a target without a price, a
judge that is nowhere. numpy is needed to learn, not to read this.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from importlib.util import find_spec

from msgspec.structs import replace

from octoplex.assembly.caches import version_of
from octoplex.assembly.variants import Means, change_of, check_judges
from octoplex.optimizer.config import Learned, learned_of, spend_of, variants_of
from octoplex.optimizer.course import Course
from octoplex.optimizer.judges import INSTRUCTION, ROUTE, is_model
from octoplex.optimizer.rules import rule_of
from octoplex.routing import Candidate, Route
from octoplex.settings import ModelTable, Settings
from octoplex.upstreams.source import Source
from octoplex.wire.ask import Worst
from octoplex.wire.error import BadConfig

SOME = Worst(1_000, 1_000)


def courses_of(
    means: Means, routes: Mapping[str, Route], sources: Mapping[str, Source]
) -> dict[str, Course]:
    """The courses of routes that learn, by route. Files of prompts are read now.

    Raises:
        BadConfig: naming table and key; also of rules, which any route may have.
    """
    found: dict[str, Course] = {}
    settings = means.settings
    for name, model in settings.models.items():
        where = f"[models.{name}]"
        for rule in model.rules:
            rule_of(rule, f"{where} rules")
        learned = learned_of(model, model.try_, where)
        if learned is not None:
            _check(model, learned, settings, where)
            check_judges(learned.learn.judge, means, f"{where} learn.judge")
            course = _course(routes[name], model, learned, means, where)
            prompts = [change.prompt for change in course.changes if change]
            version = _version(model, learned, settings, sources, prompts)
            found[name] = replace(course, version=version)
    return found


def _version(
    model: ModelTable,
    learned: Learned,
    settings: Settings,
    sources: Mapping[str, Source],
    prompts: Iterable[str],
) -> str:
    """What stands for all that changes answers, and what is said of them: models that judge are
    told something, and lead somewhere."""
    version = version_of(model, settings, sources)
    told = [INSTRUCTION] if any(map(is_model, learned.learn.judge)) else []
    told += prompts
    verifiers = [judge for variant in learned.variants.values() for judge in variant.verify]
    for judge in filter(is_model, (*learned.learn.judge, *verifiers)):
        known = settings.models.get(judge.removeprefix(ROUTE)) if judge.startswith(ROUTE) else None
        told.append(version_of(known or ModelTable(try_=(judge,)), settings, sources))
    return blake2b("\n".join([version, *told]).encode()).hexdigest() if told else version


def _check(model: ModelTable, learned: Learned, settings: Settings, where: str) -> None:
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
    if learned.promise.each_segment and not learned.segments:
        raise BadConfig(
            f"{where} promise.each_segment: there are no segments; name some, as "
            'segments = ["key"].'
        )
    if learned.learn.shadow and not learned.learn.judge:
        raise BadConfig(
            f"{where} learn.judge: nobody says which of two answers is better; name verifiers, "
            'such as "json-schema", or a model, such as "models.judge".'
        )
    if learned.learn.labels and not any(map(is_model, learned.learn.judge)):
        raise BadConfig(
            f"{where} learn.labels: people say what a model may have judged wrongly, and none of "
            "learn.judge is one; leave it out."
        )


def _course(route: Route, model: ModelTable, learned: Learned, means: Means, where: str) -> Course:
    tables = learned.variants
    variants = variants_of(learned.reference, (*model.try_, *tables))
    changes = tuple(
        change_of(tables[name], route, means, f"{where} variants.{name}")
        if name in tables
        else None
        for name in variants
    )
    by_name = {f"{c.target.provider}/{c.target.model}": c for c in route.candidates}
    by_name |= {name: by_name[one.target] for name, one in tables.items() if one.target in by_name}
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
        changes=changes if tables else (),
        able=tuple(bool(c.lanes) for c in chosen),
        table=learned,
        spend=spend_of(learned.learn.spend, f"{where} learn.spend"),
    )
