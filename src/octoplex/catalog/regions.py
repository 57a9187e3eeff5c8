"""Where a provider answers: whether a target may be asked that must answer in one area.

    answers_in(row, region, "eu") -> bool

An area is a country by its ISO 3166-1 code in lower case, "eu", or the very name of a
region. Yes is said only where something says so: the areas of the region that the target is
asked in (`regions.toml`), or, where none is named, the row's `residency`. So an unknown
region, a global host and a vendor that keeps silent are all a no.

- A provider that hands requests on (`forwards`) answers nowhere in particular.
- Of a local server no row knows where its owner runs it (`assembly/region.py`).
- An inference profile of Bedrock (`eu.`, `global.` before a model's id) spreads calls over more
  than the region that is asked, so both must be in the area (`spread`).
  https://docs.aws.amazon.com/bedrock/latest/userguide/geographic-cross-region-inference.html

Not promised: what a deployment's type says. An Azure deployment of a Global type may answer
outside the region that is asked.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from octoplex.catalog.provider import Provider
from octoplex.wire.error import BadConfig

FILE = Path(__file__).parent / "regions.toml"
_PROFILE = re.compile(r"([a-z]{2}(?:-[a-z]+)?|apac|global)\.")
_OPAQUE = re.compile(r"arn:.*:(?:application-inference-profile|(?:default-)?prompt-router)/")
_COUNTRIES = {"us-gov": "us"}
"""Where a profile is not named by its area."""


def answers_in(row: Provider, region: str | None, wanted: str) -> bool:
    """Whether a target of this row, asked in this region if any, surely answers in an area."""
    if row.forwards:
        return False
    if not region:
        return wanted in row.residency
    if region not in region_names(row):
        return False
    return wanted == region or wanted in _areas().get(region, ())


def spread(row: Provider, model: str) -> str | None:
    """The area over which a model's own id spreads its calls; None where it does not.

    "": an unknown one, or anywhere.
    """
    if row.cloud != "aws":
        return None
    if _OPAQUE.match(model):
        return ""
    found = _PROFILE.match(model.rpartition("/")[2])
    if found is None:
        return None
    area = _COUNTRIES.get(found[1], found[1])
    return area if any(area in areas for areas in _areas().values()) else ""


def region_names(row: Provider) -> tuple[str, ...]:
    """The regions in which a row can be asked: its own, then its cloud's."""
    clouds = regions().get(row.cloud, {}) if row.cloud else {}
    return tuple({**row.regions, **clouds})


@cache
def regions() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Cloud -> region -> the areas it is in, read once per process.

    Raises:
        BadConfig: the file is wrong.
    """
    try:
        tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
        return msgspec.convert(tables, dict[str, dict[str, tuple[str, ...]]])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadConfig(f"{FILE.name}: {error}.") from None


def narrower(one: str, other: str) -> str | None:
    """The area that lies in both, "" being everywhere; None where nothing is known to."""
    if not one or one == other:
        return other
    if not other or _inside(one, other):
        return one
    return other if _inside(other, one) else None


def _inside(area: str, wider: str) -> bool:
    """Whether each region that is known to be in an area is in a wider one, too."""
    regions_of = [areas for name, areas in _areas().items() if area in (name, *areas)]
    return bool(regions_of) and all(wider in areas for areas in regions_of)


@cache
def _areas() -> Mapping[str, tuple[str, ...]]:
    """Region -> areas; no two clouds use one name for regions in different areas."""
    every = {name: areas for cloud in regions().values() for name, areas in cloud.items()}
    return MappingProxyType(every)
