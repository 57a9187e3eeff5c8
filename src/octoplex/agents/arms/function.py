"""A Python function as an arm: its arguments' types are the schema of its inputs.

    @arm(needs=("net:api.weather.example",), effect="none")
    async def forecast(city: str, days: int = 1) -> dict[str, float]:
        "Say how warm it will be."

    [agents.scout]
    arms = ["our_arms:forecast"]                 # or the name of an entry point of `octoplex.arms`

The action is MODULE.FUNCTION ("our_arms.forecast"). Arguments may have any type that msgspec knows;
one that is annotated `World` or `Order` is given these. What it returns is the output. A function
that is not async runs in a thread.

It is code of whoever writes the configuration: it runs in this process, not in the sandbox, and
what it does is bounded by nothing. So what it leaves is taken to be done once for all, and what it
says to be by strangers, unless `arm(...)` says otherwise. Nothing is loaded that the file does not
name.
"""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, get_type_hints

import msgspec

from octoplex.agents.arms.actions import Actions, Doing, short
from octoplex.agents.capability import Checker, narrowed
from octoplex.agents.schemas import schema_from
from octoplex.agents.words import Effect, Failed, Offer, Order, Outcome, World
from octoplex.wire.error import BadConfig

GROUP = "octoplex.arms"
_TOLD = "__octoplex_arm__"


def arm(
    function: Callable[..., Any] | None = None,
    *,
    needs: Sequence[str] = (),
    effect: Effect = "once",
    brings_untrusted: bool = True,
    timeout_s: float = 60.0,
) -> Any:
    """Say of a function what it needs and leaves; a decorator, with or without arguments."""
    told = {
        "needs": tuple(needs),
        "effect": effect,
        "brings_untrusted": brings_untrusted,
        "timeout_s": timeout_s,
    }

    def mark(one: Callable[..., Any]) -> Callable[..., Any]:
        setattr(one, _TOLD, told)
        return one

    return mark if function is None else mark(function)


def function_arm(function: Callable[..., Any], checker: Checker | None = None) -> Actions:
    """An arm with one action.

    Raises:
        BadConfig: an argument has no type, or one that no JSON can be.
    """
    module = function.__module__.rpartition(".")[2]
    try:
        inputs, given = _arguments(function)
        offer = Offer(
            f"{module}.{function.__name__}",
            inspect.cleandoc(function.__doc__ or function.__name__).splitlines()[0],
            schema_from(inputs),
            _returned(function),
            **getattr(function, _TOLD, {"effect": "once", "brings_untrusted": True}),
        )
        narrowed((), [f"{need.removesuffix('?')}?" for need in offer.needs], {})
    except (TypeError, NameError, Failed) as error:
        raise BadConfig(f"{function.__module__}:{function.__name__} is no arm: {error}") from None

    async def act(doing: Doing) -> Outcome:
        told = msgspec.convert(doing.inputs, inputs)
        arguments = {one: getattr(told, one) for one in inputs.__struct_fields__}
        for one, kind in given.items():
            arguments[one] = doing.world if kind is World else doing.order
        return _outcome(await _called(function, arguments), offer)

    return Actions([(offer, act)], checker)


def loaded(text: str, checker: Checker | None = None) -> Actions:
    """The arm of "package.module:function", or of an entry point's name.

    Raises:
        BadConfig: there is none.
    """
    try:
        if ":" in text:
            module, _, name = text.partition(":")
            found = getattr(import_module(module), name)
        else:
            (point,) = entry_points(group=GROUP, name=text)
            found = point.load()
    except (ImportError, AttributeError, ValueError) as error:
        raise BadConfig(
            f'arms: "{text}" cannot be loaded ({error}); write an arm\'s name, '
            f'"package.module:function", or an entry point of {GROUP}.'
        ) from None
    if isinstance(found, Actions):
        return found
    if not callable(found) or not hasattr(found, "__name__"):
        raise BadConfig(f'arms: "{text}" is no function.')
    return function_arm(found, checker)


def _arguments(function: Callable[..., Any]) -> tuple[type[msgspec.Struct], dict[str, Any]]:
    """What its inputs are, and arguments that are given by us."""
    hints = get_type_hints(function, include_extras=True)
    fields: list[Any] = []
    given = {}
    for name, one in inspect.signature(function).parameters.items():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
            raise TypeError(f"{name} must be an argument with a name of its own")
        if name not in hints:
            raise TypeError(f"{name} has no type")
        if hints[name] in (World, Order):
            given[name] = hints[name]
        elif one.default is one.empty:
            fields.append((name, hints[name]))
        else:
            fields.append((name, hints[name], one.default))
    made = msgspec.defstruct("inputs", fields, kw_only=True, forbid_unknown_fields=True)
    return made, given


def _returned(function: Callable[..., Any]) -> dict[str, Any]:
    kind = get_type_hints(function, include_extras=True).get("return", Any)
    return {} if kind in (Any, Outcome) else schema_from(kind)


async def _called(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        if inspect.iscoroutinefunction(function):
            return await function(**arguments)
        return await asyncio.to_thread(function, **arguments)
    except Failed:
        raise
    except Exception as error:
        raise Failed("failed", f"{type(error).__name__}: {str(error)[:1_000]}") from error


def _outcome(value: Any, offer: Offer) -> Outcome:
    if isinstance(value, Outcome):
        return value
    try:
        output = msgspec.to_builtins(value, str_keys=True)
    except (TypeError, ValueError) as error:
        raise Failed("failed", f"{offer.name} returned what is no JSON: {error}") from None
    text = output if isinstance(output, str) else msgspec.json.encode(output).decode()
    return Outcome(output=output, text=short(text), is_untrusted=offer.brings_untrusted)
