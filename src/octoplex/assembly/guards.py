"""The guards that the configuration file asks for: `[guard]`, and `[models.NAME.guard]` over it."""

from collections.abc import Callable, Mapping
from functools import cached_property, partial

from msgspec.structs import replace

from octoplex.reflex.guard.config import Guard
from octoplex.reflex.guard.layer import RulingOf
from octoplex.reflex.guard.masks import Hash
from octoplex.reflex.guard.ruling import Ruling, compile_ruling
from octoplex.routing import Route
from octoplex.settings import Settings, secret
from octoplex.wire.ask import Ask, Call, fallback_models
from octoplex.wire.error import InvalidCall

ALL = Guard(pii="flag", secrets="flag", injection="flag")


class Guards:
    """The ruling of each route; `usual` that of all others. None lets everything pass."""

    def __init__(self, settings: Settings, env: Mapping[str, str], keyed: Hash) -> None:
        """Compile.

        Raises:
            BadConfig: a type, a pattern or a list of words is wrong.
        """
        self._keyed = keyed
        self.usual = _ruling(settings.guard, env, keyed, "[guard]")
        self._own = {
            name: _ruling(model.guard.over(settings.guard), env, keyed, f"[models.{name}.guard]")
            for name, model in settings.models.items()
            if model.guard is not None
        }

    def __bool__(self) -> bool:
        """Whether anything is looked for at all."""
        return self.usual is not None or any(self._own.values())

    @cached_property
    def looking(self) -> Ruling:
        """The ruling that flags whatever is known."""
        found = compile_ruling(ALL, self._keyed, _no_file)
        assert found is not None
        return found

    def of(self, route: str) -> Ruling | None:
        """The ruling of a route."""
        return self._own.get(route, self.usual)

    def for_asks(self, route_of: Callable[[Ask], Route]) -> RulingOf:
        """The ruling of an ask, by its route.

        Raises (what is returned):
            GatewayError: the ask's model leads nowhere.
            InvalidCall: the models it names have different guards.
        """
        if not self._own:
            return lambda ask: self.usual

        def ruling_of(ask: Ask) -> Ruling | None:
            if not isinstance(ask, Call) or "models" not in ask.fields:
                return self.of(route_of(ask).name)
            names = [ask.model, *fallback_models(ask)]
            alone = {k: v for k, v in ask.fields.items() if k != "models"}
            asks = [replace(ask, model=name, fields=alone) for name in names]
            first, *others = [self.of(route_of(one).name) for one in asks]
            if any(other is not first for other in others):
                raise InvalidCall(
                    f"The models {', '.join(names)} have different guards; name those of one.",
                    param="models",
                )
            return first

        return ruling_of


def _no_file(reference: str) -> str:
    raise AssertionError(f"{reference} is no word")


def _ruling(guard: Guard, env: Mapping[str, str], keyed: Hash, where: str) -> Ruling | None:
    return compile_ruling(guard, keyed, partial(secret, env=env, where=f"{where} words"))
