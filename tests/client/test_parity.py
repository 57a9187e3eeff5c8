"""Four clients, one set of semantics: {sync, async} x {in process, URL}."""

import asyncio
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from octoplex.client import AsyncChatStream, AsyncOctoplex, ChatStream, Octoplex
from tests.client.scenarios import SCENARIOS, Awaited, Book, Scenario
from tests.shell import Home, Mocked, mocked, providers, serving


def own_targets(mock: Mocked) -> str:
    """What fails rests for a while, so each client has a target and a provider to fail with."""
    return "".join(
        f"""
[providers.deny-{tag}]
dialect = "openai-chat"
base_url = "{mock.url}/v1"
[models.once-{tag}]
try = ["mock/overloaded-{tag}"]
[models.once-{tag}.retry]
attempts = 1
"""
        for tag in range(4)
    )


@pytest.fixture(scope="module")
def mock() -> Iterator[Mocked]:
    with mocked() as mock:
        yield mock


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mock: Mocked) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    home.config(providers(mock) + own_targets(mock))
    return home


@pytest.fixture(scope="module")
def url(home: Home) -> Iterator[str]:
    with serving(home) as (_, url):
        yield url


async def play(scenario: Scenario, mock: Mocked, tag: int, **where: Any) -> Any:
    mock.app.play(scenario.script)
    book = Book(lambda: mock.app.book, tag)
    if tag % 2:
        async with AsyncOctoplex(**where) as client:
            return await scenario.play(client, book)
    client = Octoplex(**where)
    try:
        return await scenario.play(Awaited(client), book)
    finally:
        await asyncio.to_thread(client.close)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_all_four_clients_agree(
    scenario: Scenario, mock: Mocked, home: Home, url: str, tmp_path: Path
) -> None:
    inside = {"config": str(home.path / "octoplex.toml"), "data": str(tmp_path), "env": home.env}
    outside = {"url": url, "env": home.env}
    results = [
        asyncio.run(asyncio.wait_for(play(scenario, mock, tag, **where), 20))
        for tag, where in enumerate((inside, inside, outside, outside))
    ]
    assert results[1:] == results[:1] * 3


def surface(kind: type) -> dict[str, tuple[str, str]]:
    """Public members with their signatures and docstrings, asynchrony taken away."""
    found = {}
    for name, member in vars(kind).items():
        if name.startswith("_") and name != "__init__":
            continue
        function = member.fget if isinstance(member, property) else member
        signature = re.sub(
            r"[\w.]*\bAsync|octoplex[\w.]*\.|Self|'", "", str(inspect.signature(function))
        )
        if isinstance(member, property):
            signature = "property"
        found[name] = (signature, inspect.getdoc(function) or "")
    return found


@pytest.mark.parametrize(("sync", "other"), [(Octoplex, AsyncOctoplex),
                                             (ChatStream, AsyncChatStream)])  # fmt: skip
def test_the_faces_are_alike(sync: type, other: type) -> None:
    mine, theirs = surface(sync), surface(other)
    if sync is ChatStream:  # made by `chat`, never by hand
        mine.pop("__init__")
        theirs.pop("__init__")
    assert mine == theirs
    assert all(doc for _, doc in mine.values())
    for name in mine:
        asynchronous = inspect.iscoroutinefunction(vars(other)[name])
        assert asynchronous == (name not in ("__init__", "text", "receipt"))
