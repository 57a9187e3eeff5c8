"""The guards that the configuration file asks for: `[guard]`, and `[models.NAME.guard]` over it."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cached_property, partial

from msgspec import Raw
from msgspec.structs import replace

from octoplex.assembly.arrival import Arrival, Patience, read_call
from octoplex.dialects.dialect import Face
from octoplex.reflex.guard.config import Guard
from octoplex.reflex.guard.layer import RulingOf, is_clean
from octoplex.reflex.guard.masks import Hash
from octoplex.reflex.guard.referee import Referee
from octoplex.reflex.guard.ruling import Ruling, Verdict, compile_ruling
from octoplex.reflex.record import Screened
from octoplex.routing import Route
from octoplex.settings import Settings, secret
from octoplex.wire.ask import Ask, Call, fallback_models
from octoplex.wire.error import BadConfig, GatewayError, InvalidCall

JUDGED = "openai-chat"
"""The dialect in which judges are asked."""
ALL = Guard(pii="flag", secrets="flag", injection="flag")


def prepared(settings: Settings, env: Mapping[str, str], keyed: Hash) -> None:
    """Compile what the guards look for, for whoever asks next; may run in a thread.

    It takes 0.1 to 0.4 s, in which the server goes on: what is compiled is shared (`ruling.py`).

    Raises:
        BadConfig: as `Guards`, but for judges.
    """
    for where, guard in [
        ("[guard]", settings.guard),
        *((f"[models.{n}.guard]", m.guard) for n, m in settings.models.items() if m.guard),
    ]:
        read = partial(secret, env=env, where=f"{where} words")
        compile_ruling(guard.over(settings.guard), keyed, read)


class Guards:
    """The ruling of each route; `usual` that of all others. None lets everything pass."""

    def __init__(self, settings: Settings, env: Mapping[str, str], keyed: Hash, face: Face) -> None:
        """Compile. `face` is that of `JUDGED`.

        Raises:
            BadConfig: a type, a pattern, a list of words or a judge is wrong.
        """
        self._keyed, self._settings, self._env, self._face = keyed, settings, env, face
        self.usual = self._ruling(settings.guard, "[guard]")
        self._own = {
            name: self._ruling(model.guard.over(settings.guard), f"[models.{name}.guard]")
            for name, model in settings.models.items()
            if model.guard is not None
        }

    def _ruling(self, guard: Guard, where: str) -> Ruling | None:
        read = partial(secret, env=self._env, where=f"{where} words")
        return compile_ruling(guard, self._keyed, read, self._referee(guard, where))

    def _referee(self, guard: Guard, where: str) -> Referee | None:
        if not guard.judge:
            return None
        kind, _, name = guard.judge.partition(".")
        if kind == "models" and name not in self._settings.models:
            near = get_close_matches(name, self._settings.models, 1)
            advice = f'did you mean "models.{near[0]}"?' if near else f"add [models.{name}]."
            raise BadConfig(f'{where} judge: there is no route "{name}"; {advice}')
        if kind != "models" and "/" not in guard.judge:
            raise BadConfig(
                f'{where} judge: "{guard.judge}" must be "models.NAME" or "provider/model".'
            )
        return Referee(
            name if kind == "models" else guard.judge,
            guard.judge_action or "block",
            guard.judge_fails or "pass",
            guard.judge_s or 5.0,
            partial(judging, self._face),
        )

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

    def passing(self, ruling_of: RulingOf) -> Callable[[Ask, str], bool]:
        """Whether a text may go to a provider as it is."""

        def passes(ask: Ask, text: str) -> bool:
            ruling = ruling_of(ask)
            if ruling is None or ruling.asked is None:
                return True
            return Verdict(ruling).told(text, "", ruling.asked) == text

        return passes

    def screened(self, ruling_of: RulingOf) -> Screened:
        """What a record may hold of a request's members: what a provider would be told."""

        def screen(ask: Ask, name: str, raw: Raw) -> Raw:
            try:
                ruling = ruling_of(ask)
            except GatewayError:  # it leads nowhere
                ruling = self.usual
            if ruling is None or ruling.asked is None:
                return raw
            told = bytes(raw)
            clean = is_clean(told, name.encode(), ruling.asked)
            return raw if clean else Raw(Verdict(ruling).asked(told, name))

        return screen


def _no_file(reference: str) -> str:
    raise AssertionError(f"{reference} is no word")


def judging(face: Face, ask: Ask, model: str, body: bytes, deadline_at: float) -> Call:
    """The call that asks a judge about an ask: of its caller, in its trail, and never kept."""
    patience = Patience(deadline_at - ask.started_at, deadline_at - ask.started_at)
    headers = {"cache-control": "no-store"}
    call = read_call(Arrival(ask.id, face, ask.started_at, patience, ask.caller, headers), body)
    return replace(call, model=model, trail=ask.trail)
