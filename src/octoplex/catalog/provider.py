"""Who can be asked: one small TOML file per provider, read into frozen rows.

`providers/NAME.toml` is the row of provider NAME. A provider that speaks a known
dialect is a file and no code. Every fact in a row comes from the vendor's page
named in `docs`; nothing here was tried against a live endpoint.

    request URL = base_url + dialects[dialect] + operation

where operation is `/chat/completions` (openai-chat) or `/messages` (anthropic), and
the dialect preferred for callers of neither comes first. `base_url` never ends in a
slash; a value of `base_url_env`, or a region's URL, takes its place unchanged, so a
row is cut where the vendor's own environment variable is cut (OPENAI_BASE_URL holds
the `/v1`, ANTHROPIC_BASE_URL does not). Names in braces in `base_url` are filled
from the environment variables in `variables`.

Not promised: that a provider offers every model it names in every dialect. Where
the vendor offers the second dialect for some models only, the row leaves it out.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec
from msgspec import Struct

from octoplex.catalog.quirk import Quirk
from octoplex.wire.error import BadConfig

DialectName = Literal["openai-chat", "anthropic"]
Auth = Literal["bearer", "x-api-key", "api-key", "none"]
"""How the key travels: `Authorization: Bearer`, the header of that name, or not at all."""
Modality = Literal[
    "chat", "embed", "rerank", "moderation", "image", "video", "stt", "tts", "realtime", "ocr"
]

# Path(__file__), not importlib.resources: importing that costs 10 ms of the start.
FOLDER = Path(__file__).parent / "providers"


class Detect(Struct, frozen=True, forbid_unknown_fields=True):
    """How to find a local server: GET `path` on loopback `port` answers 200."""

    port: int
    path: str


class Provider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row. `id` is the file's name.

    The first of `key_env` that is set wins. A `local` server needs no key, costs
    nothing, and sends one only if it is there. `region_percent` is what a region
    charges in percent of the listed price, 100 where it says nothing.
    """

    id: str = ""
    title: str
    docs: str
    base_url: str
    dialects: dict[DialectName, str]
    modalities: tuple[Modality, ...]
    key_env: tuple[str, ...] = ()
    base_url_env: str = ""
    variables: dict[str, tuple[str, ...]] = {}
    auth: Auth = "bearer"
    headers: dict[str, str] = {}
    regions: dict[str, str] = {}
    region_percent: dict[str, int] = {}
    quirks: frozenset[Quirk] = frozenset()
    local: bool = False
    detect: Detect | None = None

    def url(self, dialect: DialectName, operation: str, base_url: str = "") -> str:
        """Join the URL of an operation such as `/messages`; `base_url` replaces the row's."""
        return (base_url or self.base_url) + self.dialects[dialect] + operation


@cache
def providers() -> Mapping[str, Provider]:
    """Every shipped provider by id, in alphabetical order, read once per process.

    Raises:
        BadConfig: a row is wrong; names the file and the key.
    """
    rows = {p.stem: read(p) for p in sorted(FOLDER.glob("*.toml"))}
    return MappingProxyType(rows)


def read(path: Path) -> Provider:
    """Read one row.

    Raises:
        BadConfig: it is no TOML, a key is unknown or missing, or a value is wrong.
    """
    try:
        row = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert({**row, "id": path.stem}, Provider)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadConfig(f"providers/{path.name}: {error}.") from None
