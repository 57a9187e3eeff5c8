"""The experiments of the file, compiled: who is tried where, and how requests are changed."""

from collections.abc import Mapping
from hashlib import blake2b
from importlib.util import find_spec

import msgspec

from octoplex.assembly.works import Works
from octoplex.dialects.varied import Variation, varied
from octoplex.optimizer.config import Experiment, Variant, check_experiment
from octoplex.optimizer.standing import Standing
from octoplex.optimizer.trying import Test, Tries, Trying, aimed, changed
from octoplex.routing import Route
from octoplex.settings import Settings, secret
from octoplex.wire.answer import Answerer
from octoplex.wire.ask import Call
from octoplex.wire.error import BadConfig

FILE = "file:"
LONGEST = 100_000


def tests_of(
    settings: Settings, routes: Mapping[str, Route], env: Mapping[str, str]
) -> dict[str, Test]:
    """The experiments by the names of their routes. Files of prompts are read now.

    Raises:
        BadConfig: naming table and key.
    """
    found: dict[str, Test] = {}
    for name, table in settings.experiments.items():
        where = f"[experiments.{name}]"
        check_experiment(table, settings.models, where)
        if find_spec("numpy") is None:
            raise BadConfig(f'{where}: needs numpy: pip install "octoplex[optimizer]".')
        if table.route in found:
            other = found[table.route].name
            raise BadConfig(
                f'{where} route: "{other}" runs on "{table.route}" already; one at a time, for '
                "nobody could say whose doing a difference is."
            )
        found[table.route] = _test(name, table, routes[table.route], env, where)
    return found


def _test(name: str, table: Experiment, route: Route, env: Mapping[str, str], where: str) -> Test:
    prompts = {
        variant: _prompt(one.prompt, env, f"{where} variants.{variant}")
        for variant, one in table.variants.items()
    }
    said = msgspec.json.encode((table.route, table.unit, table.metric, table.guardrails,
                                table.confidence, table.variants, prompts))  # fmt: skip
    digest = blake2b(said, digest_size=4).hexdigest()
    change = {
        variant: _change(one, prompts[variant], route, f"{where} variants.{variant}")
        for variant, one in table.variants.items()
    }
    first = next(iter(table.variants))
    begin = Standing("waiting", 1, first, dict.fromkeys(table.variants, 1.0))
    return Test(name, f"{name}#{digest}", table.unit, begin, change)


def _change(variant: Variant, prompt: str, route: Route, where: str) -> "_Change":
    if variant.verify or variant.escalate:
        raise BadConfig(f"{where}: verify and escalate cannot be tried yet; leave them out.")
    names = [c.target.name for c in route.candidates]
    target = next((n for n in names if variant.target in (n, n.partition("@")[0])), "")
    if variant.target and not target:
        raise BadConfig(
            f'{where} target: "{variant.target}" is no target of {route.name}; '
            f"valid: {', '.join(names)}."
        )
    effort, most = variant.effort, variant.max_tokens
    return _Change(Variation(prompt, variant.temperature, variant.top_p, most, effort), target)


class _Change:
    __slots__ = ("_plain", "_target", "_variation")

    def __init__(self, variation: Variation, target: str) -> None:
        self._variation, self._target = variation, target
        self._plain = variation == Variation()

    def __call__(self, call: Call) -> Call:
        """The call as this variant has it."""
        if not self._plain:
            fields = varied(call.face, call.fields, self._variation)
            call = changed(call, fields, self._variation.max_tokens)
        return aimed(call, self._target) if self._target else call


def _prompt(text: str, env: Mapping[str, str], where: str) -> str:
    found = secret(text, env, f"{where} prompt").strip() if text.startswith(FILE) else text
    if len(found) > LONGEST or (text and not found):
        raise BadConfig(f"{where} prompt: is empty, or longer than {LONGEST:,} characters.")
    return found


def tried(inner: Answerer, tests: Mapping[str, Test], works: Works) -> Answerer:
    """The layer that gives units their variants, where there is an experiment."""
    if not tests:
        return inner
    if works.tries is None:
        works.tries = Tries(works.data)
    return Trying(inner, tests, works.tries)
