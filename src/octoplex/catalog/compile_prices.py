"""Compile genai-prices into `prices.json`: what `make prices` runs.

    python -m octoplex.catalog.compile_prices [--date YYYY-MM-DD]

genai-prices is a development dependency; at run time only the compiled file is read
(`prices.py`, which holds its shape). Decimals become integers without ever being
floats. What genai-prices decides at run time is asked of it here at every moment where
its answer may change (start dates from today on, hours of the day), for the ordinary
service and each service tier, so the compiled schedules agree with it by construction.

Left out: providers that are not in our catalogue, or that nobody can use; models that are
not priced by tokens; prices of things that `Usage` does not count (searches, audio, images,
pages).
Figures finer than a pico-dollar per token (float noise in some sources) are rounded. What
genai-prices has not at all is in `by_hand.toml`, each with its source.
"""

import argparse
import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from copy import copy
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from typing import Any

import msgspec
from genai_prices import types as genai
from genai_prices.data import providers as genai_providers

from octoplex.catalog.prices import FILE, Clause
from octoplex.catalog.provider import catalogue

RENAMED = {
    "aws": "bedrock",
    "azure": "azure-openai",
    "google": "gemini",
    "meta": "meta-ai",
    "modal": "",  # the models it shares; our row is for apps of one's own
    "moonshotai": "moonshot",
    "voyageai": "voyage",
    "x-ai": "xai",
    "zhipuai": "zhipu",
}
HUGGINGFACE = "huggingface_"
BY_HAND = FILE.with_name("by_hand.toml")
BUILT_IN = "octoplex"
FREE_MODELS = ("openai/omni-moderation-2024-09-26", "openai/omni-moderation-latest")
"""What its vendor gives away: https://developers.openai.com/api/docs/models/omni-moderation-latest"""
SERVICES = ("service_tier", "processing", "speed")
PARTS = ("cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "output_reasoning_mtok")
EPOCH = date(1970, 1, 1)
Days = list[Any]
Figure = Decimal | genai.TieredPrices


def main() -> None:
    """Write the file, unless only its date would change."""
    parser = argparse.ArgumentParser(description="Compile genai-prices into prices.json.")
    parser.add_argument("--date", type=date.fromisoformat, default=datetime.now(UTC).date())
    today: date = parser.parse_args().date
    made = compiled(genai_providers, today)
    if FILE.exists() and msgspec.json.decode(FILE.read_bytes())["digest"] == made["digest"]:
        print(f"{FILE.name} is up to date")
        return
    FILE.write_bytes(msgspec.json.encode(made) + b"\n")
    models = sum(len(t["models"]) for t in made["providers"].values())
    print(f"{FILE.name}: {models} models, {FILE.stat().st_size} bytes, {made['source']}")


def compiled(source: Iterable[genai.Provider], today: date) -> dict[str, Any]:
    """Compile the list that holds from `today` on."""
    ours = {id_: row for id_, row in catalogue().items() if not row.unusable}
    tables: dict[str, Any] = {}
    for provider in source:
        if provider.id.startswith(HUGGINGFACE):
            _add_route(tables.setdefault("huggingface", _empty()), provider, today)
            continue
        name = RENAMED.get(provider.id, provider.id)
        if name in ours:
            tables[name] = _table(provider, today)
    for name, told in tomllib.loads(BY_HAND.read_text(), parse_float=Decimal).items():
        _add_by_hand(tables.setdefault(name, _empty()), told["models"])
    free = sorted([BUILT_IN, *FREE_MODELS, *(p.id for p in ours.values() if p.local)])
    digest = hashlib.sha256(msgspec.json.encode([free, tables], order="sorted")).hexdigest()[:8]
    return {
        "date": today.isoformat(),
        "digest": digest,
        "source": f"genai-prices {version('genai-prices')}",
        "free": free,
        "providers": dict(sorted(tables.items())),
    }


def _empty() -> dict[str, Any]:
    return {"names": {}, "rules": [], "models": []}


def _table(provider: genai.Provider, today: date) -> dict[str, Any]:
    """Compile one provider. Exact names are resolved in genai-prices' own order."""
    table = _empty()
    index: dict[str, int] = {}
    for model in provider.models:
        row = _model(model, today)
        index[model.id] = len(table["models"]) if row else -1
        if row:
            table["models"].append(row)
        rule = _rule(_clause(model.match))
        if rule:
            # A model without a token price keeps its rule: it must not fall through to another.
            table["rules"].append([rule, index[model.id]])
    for name in {n for m in provider.models for n in _names(_clause(m.match))}:
        found = provider.find_model(name)
        if found is not None:
            table["names"][name] = index[found.id]
    table["names"] = dict(sorted(table["names"].items()))
    if provider.fallback_model_providers:
        table["fallback"] = [RENAMED.get(p, p) for p in provider.fallback_model_providers]
    return table


def _add_route(table: dict[str, Any], provider: genai.Provider, today: date) -> None:
    """Add one host behind Hugging Face: its models are called `MODEL:HOST`."""
    host = provider.id.removeprefix(HUGGINGFACE)
    made = _table(provider, today)
    start = len(table["models"])
    table["models"] += made["models"]
    for name, i in made["names"].items():
        table["names"][f"{name}:{host}"] = i if i < 0 else i + start


def _add_by_hand(table: dict[str, Any], models: Mapping[str, Mapping[str, Decimal]]) -> None:
    """Add models of `by_hand.toml`.

    Raises:
        ValueError: genai-prices has one of them, which counts.
    """
    for name, told in models.items():
        if name in table["names"]:
            raise ValueError(f"genai-prices has {name} by now: take it out of {BY_HAND.name}.")
        row: list[Any] = [_whole(told.get("input", Decimal()), 10**6)]
        if "search" in told:
            row += [0, None, None, None, None, 0, [], _whole(told["search"], 10**9)]
        table["names"][name] = len(table["models"])
        table["models"].append([[[0, [[0, row]]]]])
    table["names"] = dict(sorted(table["names"].items()))


def _clause(logic: Any) -> Clause:
    """Write a match clause as data, in lower case as genai-prices compares it."""
    match logic:
        case genai.ClauseEquals(equals=text):
            return ["is", text.lower()]
        case genai.ClauseStartsWith(starts_with=text):
            return ["starts", text.lower()]
        case genai.ClauseEndsWith(ends_with=text):
            return ["ends", text.lower()]
        case genai.ClauseContains(contains=text):
            return ["has", text.lower()]
        case genai.ClauseRegex(regex=pattern):
            return ["regex", pattern]
        case genai.ClauseOr(or_=parts):
            return ["any", [_clause(p) for p in parts]]
        case genai.ClauseAnd(and_=parts):
            return ["all", [_clause(p) for p in parts]]
    raise TypeError(f"genai-prices has a new kind of clause: {logic!r}")


def _names(clause: Clause) -> list[str]:
    """List the exact names in a clause."""
    kind, arg = clause
    if kind in ("any", "all"):
        return [name for part in arg for name in _names(part)]
    return [arg] if kind == "is" else []


def _rule(clause: Clause) -> Clause | None:
    """Drop what exact names settle already; None when nothing is left."""
    kind, arg = clause
    if kind == "is":
        return None
    if kind == "any":
        left = [r for part in arg if (r := _rule(part))]
        return (left[0] if len(left) == 1 else ["any", left]) if left else None
    return clause


def _model(model: genai.ModelInfo, today: date) -> list[Any] | None:
    """Compile the ordinary days and those of each service tier; None without a token price."""
    days = _days(model, today, None)
    if days is None:
        return None
    tiers = {}
    for variant in model.price_variants or ():
        if len(variant.when) == 1 and (key := next(iter(variant.when))) in SERVICES:
            theirs = _days(model, today, variant.when)
            if theirs is not None and theirs != days:
                tiers[variant.when[key]] = theirs
    return [days, tiers] if tiers else [days]


def _days(model: genai.ModelInfo, today: date, context: Mapping[str, str] | None) -> Days | None:
    """Ask for the price at every moment from today on where it may change."""
    listed = model.prices if isinstance(model.prices, list) else []
    limits = [c.constraint for c in listed] + [v.constraint for v in model.price_variants or ()]
    starts = {c.start_date for c in limits if isinstance(c, genai.StartDateConstraint)}
    hours = {time(0, tzinfo=UTC)}
    for c in limits:
        if isinstance(c, genai.TimeOfDateConstraint):
            hours |= {_utc(c.start_time), _utc(c.end_time)}
    days: Days = []
    for day in [today, *sorted(s for s in starts if s > today)]:
        told: list[Any] = []
        for hour in sorted(hours):
            figures = _figures(_priced(model, datetime.combine(day, hour), context))
            if figures is None:
                return None
            if not told or told[-1][1] != figures:
                told.append([hour.hour * 3600 + hour.minute * 60 + hour.second, figures])
        if not days or days[-1][1] != told:
            days.append([(day - EPOCH).days if days else 0, told])
    return days


def _priced(
    model: genai.ModelInfo, at: datetime, context: Mapping[str, str] | None
) -> genai.ModelPrice:
    """Give the price at a moment, with Anthropic's hour-long cache writes where left out.

    They cost twice the input wherever Claude is sold (platform.claude.com/docs/en/
    build-with-claude/prompt-caching#pricing, openrouter.ai/docs/features/prompt-caching).
    """
    price = model.get_prices(at, context)
    if "claude" in model.id and price.cache_write_mtok and not price.cache_write_1h_mtok:
        price = copy(price)
        price.__dict__["cache_write_1h_mtok"] = _doubled(price.input_mtok)
    return price


def _doubled(figure: Figure | None) -> Figure | None:
    if isinstance(figure, genai.TieredPrices):
        tiers = [genai.Tier(start=t.start, price=t.price * 2) for t in figure.tiers]
        return genai.TieredPrices(base=figure.base * 2, tiers=tiers)
    return None if figure is None else figure * 2


def _utc(clock: time) -> time:
    aware = clock if clock.tzinfo else clock.replace(tzinfo=UTC)
    moment = datetime.combine(EPOCH + timedelta(days=1), aware)
    return moment.astimezone(UTC).timetz()


def _figures(price: genai.ModelPrice) -> list[Any] | None:
    """Write a price as `Figures` in prices.py, without the empty end."""
    if price.input_mtok is None:
        return None
    keys = ("input_mtok", "output_mtok", *PARTS)
    at: list[Figure | None] = [getattr(price, key) for key in keys]
    starts = sorted({t.start for x in at if isinstance(x, genai.TieredPrices) for t in x.tiers})
    thousand = price.requests_kcount
    request_nano = 0 if thousand is None else _whole(_at(thousand, 0), 10**6)
    tiers = [[start, *_pico(at, start + 1)] for start in starts]
    row: list[Any] = [*_pico(at, 0), request_nano, tiers]
    if not tiers:
        del row[7:]
        if not request_nano:
            del row[6:]
    # Only what says nothing is cut off: a cached token at price 0 is a figure.
    while row[-1] is None:
        row.pop()
    return row


def _pico(figures: list[Figure | None], tokens: int) -> list[int | None]:
    """Give the figures for an input of this size; no output price means none is sold."""
    found = [None if f is None else _whole(_at(f, tokens), 10**6) for f in figures]
    return [found[0], found[1] or 0, *found[2:]]


def _at(figure: Figure, tokens: int) -> Decimal:
    if isinstance(figure, Decimal):
        return figure
    reached = [t.price for t in figure.tiers if tokens > t.start]
    return reached[-1] if reached else figure.base


def _whole(dollars: Decimal, factor: int) -> int:
    return int((dollars * factor).to_integral_value(ROUND_HALF_EVEN))


if __name__ == "__main__":
    main()
