"""The configuration as a start would compile it, to be looked at (`assembly/sketch.py`)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from octoplex.assembly.plan import Plan
from octoplex.assembly.sketch import Sketch
from octoplex.cli.place import Place, named
from octoplex.reflex.keys import Key
from octoplex.settings import with_secrets
from octoplex.upstreams.detect import detect
from octoplex.wire.error import BadConfig

T = TypeVar("T")


def look(place: Place, at: Callable[[Plan], T]) -> T:
    """Compile, and return what `at` makes of it.

    Raises:
        BadConfig: a start would fail with this.
    """

    async def run() -> T:
        found, env = await detect(), await with_secrets(place.settings, place.env)
        return at(Sketch(env, place.data).plan(place.settings, found))

    return _run(run(), place)


def keys_of(place: Place) -> list[Key]:
    """The file's keys, compiled.

    Raises:
        BadConfig: a secret is not there, or a limit cannot be read.
    """

    async def run() -> list[Key]:
        env = await with_secrets(place.settings, place.env)
        return Sketch(env, place.data).keys(place.settings)

    return _run(run(), place)


def prepared(place: Place) -> Place:
    """The same, with the secrets fetched that lie elsewhere.

    Raises:
        BadConfig: one cannot be had.
    """
    env = _run(with_secrets(place.settings, place.env), place)
    return msgspec.structs.replace(place, env=env)


def _run(work: Coroutine[Any, Any, T], place: Place) -> T:
    try:
        return asyncio.run(work)
    except BadConfig as error:
        raise named(error, place.path) from None
