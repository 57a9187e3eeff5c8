"""A gateway before one scripted provider, with the two routes of the guides.

with behind("gemini", folder) as at:
    at.plays(script)            # what it answers, decided by what it was asked
    ...                         # a client does its task at at.url with KEY
    at.asked                    # everything that reached the provider
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.asked import Asked, read
from tests.clients.told import Blocks, told
from tests.sdk.house import KEYS, Vendor, running
from tests.upstream_server import Exchange, says

KEY = KEYS["app"]
DIALECTS = ("openai-chat", "openai-responses", "anthropic", "gemini")
PREFIX = {"gemini": "/v1beta"}
ROUTES = [
    f'[models.{name}]\ntry = ["up/model-nobody-knows"]\nretry = {{ attempts = 1 }}\n{more}'
    for name, more in (("main", ""), ("agent", "drop_unsupported = true\n"))
]
Script = Callable[[Asked], Blocks]


class World:
    """The provider's side of one gateway."""

    def __init__(self, dialect: str, vendor: Vendor) -> None:
        self.dialect, self.vendor = dialect, vendor
        self.url = ""
        self.asked: list[Asked] = []
        self.failed: list[str] = []

    def plays(self, script: Script) -> "World":
        """Answer every request as the script says; forget what was."""
        self.asked, self.failed = [], []

        async def play(exchange: Exchange) -> None:
            entry = exchange.entry
            try:
                asked = read(self.dialect, entry.path, entry.body)
                self.asked.append(asked)
                blocks = script(asked)
            except Exception as error:  # noqa: BLE001  # the test says it
                self.failed.append(f"{error!r} at {entry.path} {entry.body[:2000]!r}")
                await says(b"the script failed", 400)(exchange)
                return
            await told(self.dialect, blocks, asked.stream)(exchange)

        self.vendor.plays(play)
        return self


def configured(folder: Path, dialect: str, port: int) -> str:
    """Any other name is a 404, so a client must send the one that it was given."""
    return (
        f'[server]\ndata = "{folder}/data"\ndrain_s = 1.0\n'
        f'[providers.up]\ndialect = "{dialect}"\napi_key = "env:VENDOR_KEY"\n'
        f'base_url = "http://127.0.0.1:{port}{PREFIX.get(dialect, "/v1")}"\n'
        f"{''.join(ROUTES)}"
        '[keys.app]\nsecret = "env:KEY_APP"\n'
    )


def others(face: str) -> pytest.MarkDecorator:
    """Once for each dialect of an upstream that is not the client's own."""
    return pytest.mark.parametrize("dialect", [d for d in DIALECTS if d != face])


@contextlib.contextmanager
def behind(dialect: str, folder: Path) -> Iterator[World]:
    """The gateway and its provider, while they live."""
    vendor = Vendor()
    world = World(dialect, vendor)
    text = configured(folder, dialect, vendor.port)
    try:
        with running(folder, text) as url:
            world.url = url
            yield world
    finally:
        vendor.close()
