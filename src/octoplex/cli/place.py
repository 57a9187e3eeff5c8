"""Which configuration and data folder a command is about, and `--config` itself."""

import asyncio
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace

from octoplex.assembly.state import reader_of
from octoplex.ledger.store import Reads
from octoplex.settings import (
    Server,
    Settings,
    data_folder,
    environment,
    find,
    kept_elsewhere,
    load,
    source,
    with_secrets,
)
from octoplex.wire.error import BadConfig, InvalidCall


class Place(Struct, frozen=True, kw_only=True):
    """The file (None when there is none), what it says, the environment, the data folder."""

    path: Path | None
    settings: Settings
    env: Mapping[str, str]
    data: Path

    @property
    def origin(self) -> str:
        """The file's name for people."""
        return self.settings.origin or "no configuration file"

    def opened(self) -> "Place":
        """The same, with the secrets fetched that `[server]` names, such as the database's.

        Raises:
            BadConfig: one cannot be had.
        """
        needed = Settings(server=self.settings.server)
        if not kept_elsewhere(needed):
            return self
        return replace(self, env=asyncio.run(with_secrets(needed, self.env)))

    def reader(self) -> Reads:
        """What is kept, to be read beside a running server. Close it."""
        return reader_of(self.settings, self.opened().env, self.data)


def place_of(config: str | None) -> Place:
    """Find and read the configuration.

    Raises:
        BadConfig: there is none where it was said to be, or it is wrong.
    """
    env = environment()
    path = find(env, config)
    settings = load(path)
    return Place(path=path, settings=settings, env=env, data=data_folder(settings, env))


def folder_named_by(path: Path, env: Mapping[str, str]) -> Path:
    """The data folder that a file names which is wrong elsewhere.

    Raises:
        BadConfig: it cannot be read.
    """
    lines = source(path).splitlines()
    said: object = None
    while lines and said is None:
        try:
            said = tomllib.loads("\n".join(lines))
        except tomllib.TOMLDecodeError:
            lines.pop()  # what stands above the mistake can be read
    server = said.get("server") if isinstance(said, dict) else None
    data = server.get("data") if isinstance(server, dict) else None
    return data_folder(Settings(server=Server(data=data if isinstance(data, str) else "")), env)


def named(error: BadConfig, path: Path | None) -> BadConfig:
    """The same error, naming the file whose table it speaks of."""
    said = str(error)
    return BadConfig(f"{path}: {said}") if path is not None and said.startswith("[") else error


def config_option(command: Any) -> Any:
    """Give a command `--config`."""
    says = "The file to use instead of ./octoplex.toml."
    return click.option("--config", metavar="FILE", help=says)(command)


def force_option(command: Any) -> Any:
    """Give a command that writes a file `--force`."""
    return click.option("--force", is_flag=True, help="Write over the file where there is one.")(
        command
    )


def refuse_over(path: Path, force: bool) -> None:
    """See that nothing is written over unasked.

    Raises:
        InvalidCall: there is something of this name.
    """
    if not force and path.name != "-" and path.exists() and not path.is_char_device():
        raise InvalidCall(f"{path} is there already: name another file, or --force.")


def json_option(command: Any) -> Any:
    """Give a listing `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
