"""The experiments of the file, compiled: who is tried where, and how answers are verified."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import blake2b
from importlib.util import find_spec

import msgspec

from octoplex.assembly.guards import JUDGED, judging
from octoplex.assembly.variants import Means, change_of
from octoplex.assembly.works import Works
from octoplex.optimizer.cascade import Cascading, Change
from octoplex.optimizer.config import Experiment, check_experiment
from octoplex.optimizer.standing import Standing
from octoplex.optimizer.trying import Test, Tries, Trying
from octoplex.routing import Route
from octoplex.wire.answer import Answerer
from octoplex.wire.ask import Ask
from octoplex.wire.error import BadConfig


def tests_of(means: Means, routes: Mapping[str, Route]) -> dict[str, Test]:
    """The experiments by the names of their routes. Files of prompts are read now.

    Raises:
        BadConfig: naming table and key.
    """
    found: dict[str, Test] = {}
    for name, table in means.settings.experiments.items():
        where = f"[experiments.{name}]"
        check_experiment(table, means.settings.models, where)
        if find_spec("numpy") is None:
            raise BadConfig(f'{where}: needs numpy: pip install "octoplex[optimizer]".')
        if table.route in found:
            other = found[table.route].name
            raise BadConfig(
                f'{where} route: "{other}" runs on "{table.route}" already; one at a time, for '
                "nobody could say whose doing a difference is."
            )
        learns = means.settings.models[table.route].pick == "learned"
        if learns and any(variant.escalate for variant in table.variants.values()):
            raise BadConfig(
                f'{where} variants: "{table.route}" learns, and pairs would be made of those only '
                f"that were escalated; write it under [models.{table.route}.variants] instead."
            )
        found[table.route] = _test(name, table, routes[table.route], means, where)
    return found


def _test(name: str, table: Experiment, route: Route, means: Means, where: str) -> Test:
    change = {
        variant: change_of(one, route, means, f"{where} variants.{variant}")
        for variant, one in table.variants.items()
    }
    prompts = {variant: one.prompt for variant, one in change.items()}
    said = msgspec.json.encode((table.route, table.unit, table.metric, table.guardrails,
                                table.confidence, table.variants, prompts))  # fmt: skip
    digest = blake2b(said, digest_size=4).hexdigest()
    first = next(iter(table.variants))
    begin = Standing("waiting", 1, first, dict.fromkeys(table.variants, 1.0))
    return Test(name, f"{name}#{digest}", table.unit, begin, change)


def tried(inner: Answerer, tests: Mapping[str, Test], works: Works) -> Answerer:
    """The layer that gives units their variants, where there is an experiment."""
    if not tests:
        return inner
    if works.tries is None:
        works.tries = Tries(works.data)
    return Trying(inner, tests, works.tries)


def verified(
    inner: Answerer,
    changes: Iterable[Change | None],
    works: Works,
    route_of: Callable[[Ask], Route],
) -> Answerer:
    """The layer that verifies answers and escalates, where a variant wants it."""
    if not any(change is not None and change.cascade for change in changes):
        return inner
    asked = partial(judging, works.faces[JUDGED]), inner
    return Cascading(inner, route_of, asked, works.metrics.cascaded)
