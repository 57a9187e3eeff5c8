"""Variants of a route's requests, compiled: what is changed, who is asked, how it is verified."""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from msgspec import Struct

from octoplex.assembly.testing import run_by
from octoplex.dialects.varied import Variation, varied
from octoplex.optimizer.cascade import Cascade
from octoplex.optimizer.checks import checks_of
from octoplex.optimizer.config import Variant
from octoplex.optimizer.judges import Fault
from octoplex.optimizer.trying import changed
from octoplex.routing import Route
from octoplex.sandbox import bubblewrap
from octoplex.settings import Settings, secret
from octoplex.wire.ask import BYTES_PER_TOKEN, Call
from octoplex.wire.error import BadConfig

FILE = "file:"
LONGEST = 100_000


class Means(Struct, frozen=True):
    """What variants are compiled with."""

    settings: Settings
    providers: Collection[str]
    """Those that may be asked to judge."""
    env: Mapping[str, str]
    fault: Fault
    """What is wrong with a reply by its caller's schema."""


class Change(Struct, frozen=True, eq=False):
    """A variant, compiled."""

    variation: Variation
    target: str
    """Who is asked first, as `Target.name` says it; "" as the route has it."""
    cascade: Cascade | None

    @property
    def targets(self) -> tuple[str, ...]:
        """Who may answer as this variant."""
        return (self.target, self.cascade.escalate) if self.cascade else (self.target,)

    @property
    def prompt(self) -> str:
        """What is put before what the caller tells the model."""
        return self.variation.prompt

    @property
    def added_tokens(self) -> int:
        """About how many the prompt has."""
        return -(-len(self.prompt.encode()) // BYTES_PER_TOKEN)

    def __call__(self, call: Call) -> Call:
        """The call as this variant has it.

        Raises:
            InvalidCall: what has to be changed is not what its dialect says.
        """
        if self.variation != Variation():
            fields = varied(call.face, call.fields, self.variation)
            call = changed(call, fields, self.variation.max_tokens)
        call.trail.first, call.trail.cascade = self.target, self.cascade
        call.trail.hidden = self.prompt
        return call


def change_of(variant: Variant, route: Route, means: Means, where: str) -> Change:
    """A variant of a route; the file of its prompt is read now.

    Raises:
        BadConfig: naming key and value.
    """
    target = _target(variant.target, route, f"{where} target")
    cascade = None
    if variant.escalate:
        check_judges(variant.verify, means, f"{where} verify")
        better = _target(variant.escalate, route, f"{where} escalate")
        tests = run_by(means.settings.sandbox) if "tests" in variant.verify else None
        verify = checks_of(variant.verify, means.fault, tests)
        cascade = Cascade(route.name, target, verify, better)
    told = ("temperature", "top_p", "max_tokens", "effort")
    variation = Variation(
        _prompt(variant.prompt, means.env, where), **{name: getattr(variant, name) for name in told}
    )
    return Change(variation, target, cascade)


def check_judges(judges: Iterable[str], means: Means, where: str) -> None:
    """Refuse verifiers and models that cannot be asked.

    Raises:
        BadConfig: naming the place and the judge.
    """
    settings, providers = means.settings, means.providers
    box = settings.sandbox
    is_fenced = box.unsafe or box.backend != "bubblewrap" or bubblewrap.found() is not None
    for judge in judges:
        if judge == "tests" and not is_fenced:
            raise BadConfig(
                f'{where}: "tests" runs code in the sandbox, which needs bubblewrap, and that is '
                "not installed: apt install bubblewrap."
            )
        kind, dot, name = judge.partition(".")
        if kind == "models" and dot:
            table = settings.models.get(name)
            if table is None:
                near = get_close_matches(name, settings.models, 1)
                advice = f'did you mean "models.{near[0]}"?' if near else f"add [models.{name}]."
                raise BadConfig(f'{where}: there is no route "{name}"; {advice}')
            if table.pick == "learned":
                raise BadConfig(f'{where}: "{judge}" learns itself; a judge must stay the same.')
        elif "/" in judge and judge.partition("/")[0] not in providers:
            provider = judge.partition("/")[0]
            raise BadConfig(f'{where}: there is no provider "{provider}".')


def _target(given: str, route: Route, where: str) -> str:
    names = [c.target.name for c in route.candidates]
    target = next((n for n in names if given in (n, n.partition("@")[0])), "")
    if given and not target:
        raise BadConfig(
            f'{where}: "{given}" is no target of {route.name}; valid: {", ".join(names)}.'
        )
    return target


def _prompt(text: str, env: Mapping[str, str], where: str) -> str:
    found = secret(text, env, f"{where} prompt").strip() if text.startswith(FILE) else text
    if len(found) > LONGEST or (text and not found):
        raise BadConfig(f"{where} prompt: is empty, or longer than {LONGEST:,} characters.")
    return found
