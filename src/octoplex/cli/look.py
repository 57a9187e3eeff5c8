"""The configuration as a start would compile it, to be looked at (`assembly/sketch.py`)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from octoplex.assembly.plan import Plan
from octoplex.assembly.sketch import Sketch
from octoplex.cli.place import Place, named
from octoplex.reflex.keys import Key
from octoplex.upstreams.detect import detect
from octoplex.wire.error import BadConfig

T = TypeVar("T")


def look(place: Place, at: Callable[[Plan], T]) -> T:
    """Compile, and return what `at` makes of it.

    Raises:
        BadConfig: a start would fail with this.
    """

    async def run() -> T:
        found = await detect()
        return at(Sketch(place.env, place.data).plan(place.settings, found))

    return _run(run(), place)


def keys_of(place: Place) -> list[Key]:
    """The file's keys, compiled.

    Raises:
        BadConfig: a secret is not there, or a limit cannot be read.
    """

    async def run() -> list[Key]:
        return Sketch(place.env, place.data).keys(place.settings)

    return _run(run(), place)


def _run(work: Coroutine[Any, Any, T], place: Place) -> T:
    try:
        return asyncio.run(work)
    except BadConfig as error:
        raise named(error, place.path) from None
