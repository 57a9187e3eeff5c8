"""Where the targets of a configuration answer, and which areas its file may demand.

What the catalogue knows holds for the URL of the catalogue only. Of any other URL, of a
provider that no row describes, and of a local server that is not on a private network
(`Source.private`), the file's own `region` is all that is known.

Not promised: that an operator's word is true.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from octoplex.catalog.provider import Provider as Row
from octoplex.catalog.provider import catalogue
from octoplex.catalog.regions import answers_in, region_names, regions, spread
from octoplex.settings import Settings
from octoplex.upstreams.source import Source
from octoplex.wire.error import BadConfig

UNION = "eu"
"""The one area that is made of countries."""
MOST = 8
"""Regions that are named as advice."""


def here(area: str) -> str:
    """A model on this machine answers where its owner runs it: in every area."""
    return ""


def outside(source: Source, row: Row | None, model: str, area: str) -> str:
    """Why a provider's model cannot be counted on to answer in an area; "" when it can."""
    if source.here and not source.region:
        return ""
    if row is None or row.local:
        return _outside_by_word(source, area)
    if source.moved and not source.region and row.residency:
        return "its base_url is not the catalogue's, so nobody says where it answers"
    if answers_in(row, source.region, area):
        return _outside_by_profile(row, model, area)
    if row.forwards:
        return "it hands requests on to others, wherever they are"
    if source.region:
        return f"it is asked in {source.region}"
    if row.residency:
        return f"it answers in {' and '.join(row.residency)}"
    fits = [name for name in region_names(row) if answers_in(row, name, area)][:MOST]
    said = "nobody says where it answers"
    if fits:
        said += f"; set [providers.{source.id}] region to one of: {', '.join(fits)}"
    return said


def _outside_by_profile(row: Row, model: str, area: str) -> str:
    """The same of a model whose id is an inference profile."""
    wide = spread(row, model)
    if wide is None or wide == area:
        return ""
    return f"its inference profile answers {f'anywhere in {wide}' if wide else 'in more regions'}"


def _outside_by_word(source: Source, area: str) -> str:
    """The same of one that the catalogue cannot place: the file's `region` is all there is."""
    region = source.region
    if not region:
        return f"nobody says where it answers; set [providers.{source.id}] region"
    every = [(name, set(areas)) for cloud in regions().values() for name, areas in cloud.items()]
    if region == area or any(region == name and area in areas for name, areas in every):
        return ""
    if area == UNION and any({region, UNION} <= areas for _, areas in every):
        return ""
    return f"it is asked in {region}"


def inside(source: Source | None, row: Row | None) -> str:
    """By what a provider that is admitted answers where it does."""
    if source is None or (source.here and not source.region):
        return "it runs where this gateway's owner runs it"
    if source.region:
        return f"it is asked in {source.region}"
    return f"it answers in {' and '.join(row.residency) if row else 'no known place'}"


def elsewhere(source: Source, row: Row | None) -> str:
    """That a region's host is not what is asked, because `base_url` names another; "" else."""
    usual = row.regions.get(source.region, "") if row and source.moved else ""
    if not usual:
        return ""
    return (
        f'base_url is asked, and region "{source.region}" only says where that is; without '
        f"base_url it would be {usual}"
    )


def misread(source: Source, row: Row | None, model: str) -> str:
    """That a target's `@REGION` is a part of the model's name, and what to write; "" else."""
    name, _, word = model.rpartition("@")
    if not name or row is None or word not in region_names(row):
        return ""
    return (
        f'"{source.id}/{model}": @{word} is a part of the model\'s name here; write "{source.id}/'
        f'{name}", and region = "{word}" under [providers.{source.id}]'
    )


def check_areas(settings: Settings) -> None:
    """Refuse an area that nothing can answer in: mostly a slip.

    Raises:
        BadConfig: naming the table and the nearest word.
    """
    demands = {f"[models.{name}] region": m.region for name, m in settings.models.items()}
    demands |= {f"[keys.{name}] region": key.region for name, key in settings.keys.items()}
    demands |= {f"[tenants.{name}] region": one.region for name, one in settings.tenants.items()}
    check_demanded(settings, demands)


def check_demanded(settings: Settings, demands: Mapping[str, str]) -> None:
    """The same of areas by where they are demanded; "" demands none.

    Raises:
        BadConfig: naming the place and the nearest word.
    """
    demands = {where: area for where, area in demands.items() if area}
    if not demands:
        return
    known = set(_areas()) | {p.region for p in settings.providers.values() if p.region}
    for where, area in demands.items():
        if area not in known:
            near = get_close_matches(area.lower(), sorted(known), 1)
            advice = f'did you mean "{near[0]}"?' if near else 'write such as "eu", "de" or "us".'
            raise BadConfig(f'{where}: "{area}" is no area that is known; {advice}')


def _areas() -> Iterable[str]:
    for cloud in regions().values():
        for name, areas in cloud.items():
            yield from (name, *areas)
    for row in catalogue().values():
        yield from (*row.residency, *row.regions)
