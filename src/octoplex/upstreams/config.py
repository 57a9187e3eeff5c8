"""What the configuration file says of providers and of models on this machine."""

from typing import Literal

from msgspec import Struct

from octoplex.catalog.provider import Batches, DialectName
from octoplex.catalog.quirk import Quirk


class Timeouts(Struct, frozen=True, kw_only=True):
    """Seconds; None means the contract's default for the kind of call."""

    connect_s: float | None = None
    header_s: float | None = None
    idle_s: float | None = None
    total_s: float | None = None


class Media(Struct, frozen=True, kw_only=True):
    """`[server.media]`: what is fetched that callers name by URL."""

    fetch: bool = True
    max: str = "20 MB"
    total: str = "50 MB"
    wait_s: float = 20.0
    hosts: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    http: bool = False


class Provider(Struct, frozen=True, kw_only=True):
    """`[providers.NAME]`: a row of the catalogue, or anything that speaks a known dialect."""

    dialect: DialectName | None = None
    dialects: dict[DialectName, str] = {}
    base_url: str | None = None
    api_key: str | tuple[str, ...] | None = None
    region: str | None = None
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    account: dict[str, str] = {}
    models: tuple[str, ...] = ()
    quirks: tuple[Quirk, ...] = ()
    timeouts: Timeouts = Timeouts()
    batches: Batches | Literal["none"] | None = None


class Local(Struct, frozen=True, kw_only=True):
    """`[local.NAME]`: a GGUF on this machine, callable as `octoplex/NAME`."""

    path: str
    context: int = 0
    threads: int = 0
