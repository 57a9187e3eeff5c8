"""The price list: which price holds for a model at a provider, now.

`prices.json` is compiled from genai-prices by `make prices`, with `by_hand.toml` for what that
has not, and shipped, with its date and source; nothing is fetched at run time. An operator may
put a newer one into the data folder (`octoplex prices update`). `Prices` is a snapshot of it
with the operator's own prices laid over; reload makes a new one and swaps it whole, and every
`Price` carries the snapshot's version into the ledger.

A provider's table is decoded when first asked for, a model's row likewise, so that the
list costs 1 ms at start. Names are found as genai-prices finds them: exact names first
(resolved when compiled, so that its order holds), then rules in order, then the same
with a compact date (`-20251211`) written out, then the tables of `fallback` providers.

Prices that change on a known day or hour (announced increases, DeepSeek's peak hours,
all UTC) are schedules, so the clock decides at each look-up. A service tier
("priority", "flex", "batch", "fast") has its own price where the vendor lists one;
one that is not listed is priced as the ordinary service.

An unlisted model has no price (None), which is not zero; local servers are free.
Not promised: discounts of an account, taxes, credits, public holidays in peak hours.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from time import time
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from octoplex.catalog.own_price import own_price
from octoplex.catalog.price import FREE, Price, Tier
from octoplex.wire.error import BadConfig

__all__ = ["FREE", "Price", "Prices", "Tier"]

FILE = Path(__file__).parent / "prices.json"
DAY_S = 86_400
# What is remembered per (provider, model, tier); callers may make up model names.
REMEMBERED = 4_096
COMPACT_DATE = re.compile(r"(-)(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
LISTED_AS = MappingProxyType(
    {
        "azure-openai-deployments": "azure-openai",
        "vertex": "gemini",
        "vertex-anthropic": "gemini",
    }
)
"""Rows whose prices the list has under another's: genai-prices knows one Google and one Azure.
They list no names, or each of these would be at two providers."""

Clause = list[Any]
"""["is" | "starts" | "ends" | "has" | "regex", text] or ["any" | "all", [clauses]]."""


class Figures(Struct, frozen=True, array_like=True, gc=False):
    """A price as written in the file: pico-dollars per token, nano per request and per search."""

    input: int
    output: int = 0
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    request_nano: int = 0
    tiers: tuple[tuple[int, int, int, int | None, int | None, int | None, int | None], ...] = ()
    search_nano: int = 0


class Day(Struct, frozen=True, array_like=True):
    """From this day on (days since 1970, UTC): from which second of the day, what."""

    from_day: int
    hours: tuple[tuple[int, Figures], ...]


class Model(Struct, frozen=True, array_like=True):
    """A model's days in ascending order, and those of its service tiers."""

    days: tuple[Day, ...]
    tiers: dict[str, tuple[Day, ...]] = {}


class Table(Struct, frozen=True):
    """One provider: name -> index into `models`; rules for the names not listed.

    An index of -1 is a model that is known and not priced by tokens.
    """

    names: dict[str, int]
    rules: tuple[tuple[Clause, int], ...]
    models: tuple[Raw, ...]
    fallback: tuple[str, ...] = ()


class File(Struct, frozen=True):
    """The file, its tables still undecoded. `free` are providers, and `provider/model`s."""

    date: str
    digest: str
    source: str
    free: frozenset[str]
    providers: dict[str, Raw]


class Schedule(Struct, frozen=True):
    """Prices by day and second of the day."""

    days: tuple[tuple[int, tuple[tuple[int, Price], ...]], ...]

    def at(self, unix_s: float) -> Price:
        """Return the price that holds at a time in Unix seconds."""
        day, second = divmod(int(unix_s), DAY_S)
        hours = next((h for d, h in reversed(self.days) if d <= day), self.days[0][1])
        return next(price for start, price in reversed(hours) if start <= second)


class Prices:
    """One immutable snapshot. What it remembers is only what it already looked up."""

    def __init__(self, file: File, own: Mapping[str, Price], now: Callable[[], float]) -> None:
        self._file, self._own, self._now = file, own, now
        self._tables: dict[str, Table | None] = {}
        self._memo: dict[tuple[str, str, str], Price | Schedule | None] = {}
        versions = {p.version for p in own.values()}
        self.version = versions.pop() if versions else f"{file.date}.{file.digest}"
        self._free = replace(FREE, version=self.version)

    @classmethod
    def load(cls, path: Path = FILE, now: Callable[[], float] = time) -> "Prices":
        """Read a compiled price list, by default the one shipped.

        Raises:
            BadConfig: the file is not a price list.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadConfig(f"{path}: cannot be read: {error.strerror}.") from None
        return cls.read(content, str(path), now)

    @classmethod
    def read(cls, content: bytes, name: str, now: Callable[[], float] = time) -> "Prices":
        """The same out of a file's content; `name` stands in errors.

        Raises:
            BadConfig: it is not a price list.
        """
        try:
            return cls(msgspec.json.decode(content, type=File), {}, now)
        except msgspec.MsgspecError as error:
            raise BadConfig(f"{name}: is not a price list: {error}.") from None

    @classmethod
    def newest(cls, folder: Path) -> "Prices":
        """The list in a data folder, unless there is none or the one shipped is newer.

        Raises:
            BadConfig: the one in the folder is not a price list.
        """
        shipped, own = cls.load(), folder / FILE.name
        if not own.is_file():
            return shipped
        put = cls.load(own)
        return put if put.date >= shipped.date else shipped

    def check(self) -> int:
        """Decode every row, which otherwise waits until it is asked for; how many there are.

        Raises:
            BadConfig: naming the first provider with a row that is none, or is below zero.
        """
        count = 0
        for provider in self._file.providers:
            try:
                table = self._table(provider)
                models = [msgspec.json.decode(r, type=Model) for r in table.models] if table else ()
            except msgspec.MsgspecError as error:
                raise BadConfig(f"{provider}: is not a table of prices: {error}.") from None
            if any(figure < 0 for model in models for figure in _figures(model)):
                raise BadConfig(f"{provider}: a price is below zero.")
            count += len(models)
        return count

    @property
    def date(self) -> str:
        """The day it was compiled, YYYY-MM-DD."""
        return self._file.date

    @property
    def source(self) -> str:
        """Where the list came from and the day it was compiled."""
        return f"{self._file.source}, {self._file.date}"

    def with_own(self, own: Mapping[str, Mapping[str, Any]]) -> "Prices":
        """Return a snapshot in which the operator's `[prices]` come first.

        Keys are `provider/model`. Figures are dollars per million tokens (`input`,
        `output`, `cached_input`, `cache_write`, `cache_write_1h`, `reasoning`) and
        dollars per call (`request`) or search (`search`), as Decimal, int or str.

        Raises:
            BadConfig: naming the entry and the key.
        """
        if not own:
            return self
        prices = {name: own_price(name, table) for name, table in own.items()}
        canon = msgspec.json.encode(sorted(prices.items()))
        base = f"{self._file.date}.{self._file.digest}"
        version = f"{base}+own.{hashlib.sha256(canon).hexdigest()[:8]}"
        named = {n: replace(p, version=version) for n, p in prices.items()}
        return Prices(self._file, named, self._now)

    def not_free(self, provider_ids: Iterable[str]) -> "Prices":
        """Return a snapshot in which only `[prices]` may say that these cost nothing."""
        file = replace(self._file, free=self._file.free.difference(provider_ids))
        return Prices(file, self._own, self._now)

    def price(self, provider_id: str, model_id: str, service_tier: str = "") -> Price | None:
        """Return what a model costs at a provider now; None when nobody has said.

        `service_tier` is the provider's own word for how it served the call.
        """
        key = (provider_id, model_id, service_tier)
        try:
            found = self._memo[key]
        except KeyError:
            found = self._find(provider_id, model_id, service_tier)
            if len(self._memo) >= REMEMBERED:
                self._memo.clear()
            self._memo[key] = found
        return found.at(self._now()) if isinstance(found, Schedule) else found

    def models(self, provider_id: str) -> Sequence[str]:
        """The names the list knows at a provider, in alphabetical order."""
        table = self._table(provider_id)
        return sorted(n for n, i in table.names.items() if i >= 0) if table else ()

    def _find(self, provider_id: str, model_id: str, tier: str) -> Price | Schedule | None:
        own = self._own.get(f"{provider_id}/{model_id}")
        if own is not None:
            return own
        name, listed = model_id.lower(), LISTED_AS.get(provider_id, provider_id)
        if not self._file.free.isdisjoint((provider_id, f"{provider_id}/{name}")):
            return self._free
        found = self._match(listed, name)
        if found is None and (spelled := _with_long_date(name)) != name:
            found = self._match(listed, spelled)
        return None if found is None else _schedule(found, tier, self.version)

    def _match(self, provider_id: str, name: str) -> Model | None:
        table = self._table(provider_id)
        if table is None:
            return None
        for one in (table, *(self._table(p) for p in table.fallback)):
            if one is not None and (index := _index(one, name)) is not None:
                # Known, but not sold by tokens: no other table may answer for it.
                return msgspec.json.decode(one.models[index], type=Model) if index >= 0 else None
        return None

    def _table(self, provider_id: str) -> Table | None:
        if provider_id not in self._tables:
            raw = self._file.providers.get(provider_id)
            if raw is None:
                return None
            self._tables[provider_id] = msgspec.json.decode(raw, type=Table)
        return self._tables[provider_id]


def matches(clause: Clause, name: str) -> bool:
    """Whether a lower-case name satisfies a rule's clause."""
    kind, arg = clause
    match kind:
        case "is":
            return bool(name == arg)
        case "starts":
            return name.startswith(arg)
        case "ends":
            return name.endswith(arg)
        case "has":
            return arg in name
        case "regex":
            return re.search(arg, name) is not None
        case "any":
            return any(matches(c, name) for c in arg)
        case _:
            return all(matches(c, name) for c in arg)


def _figures(model: Model) -> Iterator[int]:
    """Every figure of a model, of any day, hour and tier."""
    for day in (*model.days, *(d for days in model.tiers.values() for d in days)):
        for _, figures in day.hours:
            *plain, tiers, search = msgspec.structs.astuple(figures)
            yield from (f for row in (plain, *tiers, (search,)) for f in row if f is not None)


def _index(table: Table, name: str) -> int | None:
    if name in table.names:
        return table.names[name]
    return next((i for clause, i in table.rules if matches(clause, name)), None)


def _with_long_date(name: str) -> str:
    """Write `-20251211` as `-2025-12-11`, if it is a date."""

    def spell(found: re.Match[str]) -> str:
        try:
            return "-" + date(int(found[2]), int(found[3]), int(found[4])).isoformat()
        except ValueError:
            return found[0]

    return COMPACT_DATE.sub(spell, name)


def _schedule(model: Model, tier: str, version: str) -> Price | Schedule:
    """Return one price if it never changes, else all of them by time."""
    days = model.tiers.get(tier, model.days)
    told = tuple(
        (d.from_day, tuple((start, _price(f, version)) for start, f in d.hours)) for d in days
    )
    if len(told) == 1 and len(told[0][1]) == 1:
        return told[0][1][0][1]
    return Schedule(told)


def _price(f: Figures, version: str) -> Price:
    return Price(
        input_pico=f.input,
        output_pico=f.output,
        cache_read_pico=f.cache_read,
        cache_write_pico=f.cache_write,
        cache_write_1h_pico=f.cache_write_1h,
        reasoning_pico=f.reasoning,
        request_nano=f.request_nano,
        tiers=tuple(_tier(*tier) for tier in f.tiers),
        search_nano=f.search_nano,
        version=version,
    )


def _tier(above: int, *figures: int | None) -> Tier:
    names = (
        "input_pico",
        "output_pico",
        "cache_read_pico",
        "cache_write_pico",
        "cache_write_1h_pico",
        "reasoning_pico",
    )
    return msgspec.convert({"above_tokens": above, **dict(zip(names, figures, strict=True))}, Tier)
