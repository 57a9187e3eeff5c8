"""One gateway per upstream dialect and test process."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.clients.world import Script, World, behind


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], World]]:
    made: dict[str, World] = {}
    with contextlib.ExitStack() as stack:

        def world(dialect: str) -> World:
            if dialect not in made:
                folder = tmp_path_factory.mktemp(dialect)
                made[dialect] = stack.enter_context(behind(dialect, folder))
            return made[dialect]

        yield world


@pytest.fixture
def at(worlds: Callable[[str], World]) -> Iterator[Callable[[str, Script], World]]:
    """A world by its dialect, with its script; afterwards nothing may have gone wrong in it."""
    used: list[World] = []

    def world(dialect: str, script: Script) -> World:
        used.append(worlds(dialect).plays(script))
        return used[-1]

    yield world
    for one in used:
        assert not one.failed, one.failed[0]
        assert one.asked
