"""Where a model is asked: a provider of the catalogue, or a copy of one under another name.

A foreign file says address and key of each model; here they belong to a table `[providers.NAME]`.
The first endpoint of a vendor becomes the table of the catalogue's own name, so that its prices
and everything else that the row knows hold. Each further one (another key, another address)
becomes a copy: what the row says is written out, and the listed price of each model with it.

Some rows cannot be copied, because their requests are signed or their keys are changed for
tokens, which only the catalogue's name does: the caller is told so.
"""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.catalog.prices import Prices
from octoplex.catalog.provider import Auth, Provider, catalogue
from octoplex.catalog.regions import region_names
from octoplex.cli.importing.draft import Draft, Entry, free, slug
from octoplex.upstreams.local.fleet import LOCAL

IN_HEADER: dict[Auth, str] = {
    "api-key": "api-key",
    "authorization": "authorization",
    "x-portkey-api-key": "x-portkey-api-key",
}
"""How the key of a copy travels where the dialect's own custom is another."""
CUSTOM: dict[str, Auth] = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}
"""Where a dialect has the key; elsewhere it is a bearer."""
PICO = 10**6
FIGURES = {
    "input": "input_pico",
    "output": "output_pico",
    "cached_input": "cache_read_pico",
    "cache_write": "cache_write_pico",
    "cache_write_1h": "cache_write_1h_pico",
    "reasoning": "reasoning_pico",
}


class Endpoint(Struct, frozen=True, kw_only=True):
    """What tells one endpoint from another. Keys and header values are references already.

    `row` is a catalogue id, or "" for a server that speaks `dialect`. A `bearer` is a key that
    goes as one whatever the row says. Seconds in `timeouts`.
    """

    row: str = ""
    dialect: str = "openai-chat"
    base_url: str = ""
    region: str = ""
    keys: tuple[str, ...] = ()
    bearer: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    account: tuple[tuple[str, str], ...] = ()
    timeouts: tuple[tuple[str, Decimal], ...] = ()


class Endpoints:
    """The provider tables of a draft, one for each endpoint."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._names: dict[Endpoint, str] = {}
        self._rows: dict[str, str] = {}
        self._prices = Prices.load()

    def target(self, endpoint: Endpoint, model: str, wanted: str, where: str) -> str:
        """`provider/model` for a model at an endpoint; "" with a note where it cannot be asked."""
        if not model:
            self._draft.left_out(where, "it names no model.")
            return ""
        name = self.name(endpoint, wanted, where)
        if not name:
            return ""
        self.priced(endpoint.row, model, f"{name}/{model}")
        return f"{name}/{model}"

    def name(self, endpoint: Endpoint, wanted: str, where: str) -> str:
        """The table of an endpoint, made when it is first asked for; "" where none can be."""
        row = catalogue().get(endpoint.row)
        usual = (f"env:{row.key_env[0]}",) if row and row.key_env else ()
        said = endpoint.keys
        if said == usual and not endpoint.base_url:  # the row finds it unasked
            endpoint = msgspec.structs.replace(endpoint, keys=())
        if endpoint not in self._names:
            self._names[endpoint] = self._made(endpoint, wanted, where)
        name = self._names[endpoint]
        if name == endpoint.row and said == usual:
            self._draft.providers[name].values |= _keyed(said)
        if name and where not in self._draft.providers[name].came_from:
            self._draft.providers[name].came_from.append(where)
        return name

    def copyable(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint may have a table of another name than its row's."""
        return _copied(endpoint, catalogue().get(endpoint.row)) is not None

    def _made(self, endpoint: Endpoint, wanted: str, where: str) -> str:
        row, taken = catalogue().get(endpoint.row), self._draft.providers
        if row is not None and row.obstacle:
            self._draft.left_out(where, f"{row.id} cannot be asked here: {row.obstacle}")
            return ""
        if row and row.id not in taken and wanted in ("", row.id) and not endpoint.bearer:
            taken[row.id] = Entry(_of_row(endpoint, row), [])
            return row.id
        if row and _copied(endpoint, row) is None:
            return self._one_more(endpoint, row, where)
        if row and row.key_env and not (endpoint.keys or endpoint.base_url):
            # Only the row itself finds its key unasked.
            key = self._draft.named(row.key_env[0])
            endpoint = msgspec.structs.replace(endpoint, keys=(key,))
        values = _copied(endpoint, row) or {}
        name = free(slug(wanted or endpoint.row) or "server", {*taken, LOCAL, *catalogue()})
        taken[name] = Entry(values, [])
        return name

    def _one_more(self, endpoint: Endpoint, row: Provider, where: str) -> str:
        """An endpoint of a row that is there once; where one leaves the region open they join."""
        entry = self._draft.providers.get(row.id)
        said = {} if entry is None else entry.values
        joined = {**said, **_of_row(endpoint, row)}
        if entry is not None and {**joined, **said} == joined:
            if said != _of_row(endpoint, row):
                says = f"all models of {row.id} are asked in one region, which one of them names."
                self._draft.differs(where, says)
            entry.values = joined
            return row.id
        self._draft.left_out(where, _no_copy(row))
        return ""

    def priced(self, row: str, model: str, target: str) -> None:
        """Copy a listed price where the list does not know the target's table by its name."""
        if not row or target.startswith(f"{row}/") or target in self._draft.listed:
            return
        price = self._prices.price(row, model)
        if price is not None and (price.tiers or price.request_nano):
            says = "its listed price has steps, which [prices] cannot say: add one if keys have $."
            self._draft.to_set(target, says)
        elif price is not None:
            pico = {name: getattr(price, figure) for name, figure in FIGURES.items()}
            figures = {name: Decimal(p) / PICO for name, p in pico.items() if p is not None}
            self._draft.listed[target] = figures


def _of_row(endpoint: Endpoint, row: Provider) -> dict[str, Any]:
    """What is said of a row beside its name."""
    values: dict[str, Any] = {}
    if endpoint.base_url and endpoint.base_url != row.base_url:
        values["base_url"] = endpoint.base_url
    if endpoint.region:
        values["region"] = endpoint.region
    return values | _keyed(endpoint.keys) | _rest(endpoint)


def _copied(endpoint: Endpoint, row: Provider | None) -> dict[str, Any] | None:
    """A row written out under another name; None where that cannot be."""
    values: dict[str, Any] = {}
    headers, query, keys = dict(endpoint.headers), dict(endpoint.query), endpoint.keys
    if row is None:
        values |= {"dialect": endpoint.dialect, "base_url": endpoint.base_url}
    else:
        first = next(iter(row.dialects), "")
        base_url = endpoint.base_url or row.base_url_in(endpoint.region)
        custom = CUSTOM.get(first, "bearer")
        sent = "bearer" if endpoint.bearer else row.auth
        if not first or "{" in base_url:
            return None
        if sent in IN_HEADER and len(keys) <= 1:
            headers |= dict.fromkeys([IN_HEADER[sent]] if keys else [], "".join(keys))
            keys = ()
        elif sent not in (custom, "none"):
            return None
        values |= {"dialect": first} if dict(row.dialects) == {first: ""} else {}
        values |= {} if values else {"dialects": dict(row.dialects)}
        values["base_url"] = base_url
        headers = {**row.headers, **headers}
        query = {**{k: v for k, v in row.query.items() if not v.startswith("${")}, **query}
        if row.quirks:
            values["quirks"] = sorted(row.quirks)
    return values | _keyed(keys) | _rest(endpoint, headers, query)


def _keyed(keys: tuple[str, ...]) -> dict[str, Any]:
    return {"api_key": keys[0] if len(keys) == 1 else list(keys)} if keys else {}


def _rest(
    endpoint: Endpoint, headers: dict[str, str] | None = None, query: dict[str, str] | None = None
) -> dict[str, Any]:
    said = {
        "headers": dict(endpoint.headers) if headers is None else headers,
        "query": dict(endpoint.query) if query is None else query,
        "account": dict(endpoint.account),
        "timeouts": dict(endpoint.timeouts),
    }
    return {name: value for name, value in said.items() if value}


def _no_copy(row: Provider) -> str:
    says = f"[providers.{row.id}] is there once, and this is another key, region or address of it"
    if row.auth == "sigv4":
        return f"{says}: a table of its own can have its base_url, and a bearer token as api_key."
    return f"{says}: start a second octoplex for this one."


def region_of(row: str, region: str) -> str:
    """The region, if the row can be asked there; else ""."""
    return region if row in catalogue() and region in region_names(catalogue()[row]) else ""


def base_of(row: str, url: str) -> str:
    """An address of theirs, cut where the catalogue's own is cut.

    People write it with the path of a version, of an operation or of neither.
    """
    url = url.rstrip("/")
    for operation in ("/chat/completions", "/messages", "/responses", "/embeddings"):
        url = url.removesuffix(operation)
    known = catalogue().get(row)
    for prefix in known.dialects.values() if known else ():
        if prefix and "{" not in prefix and url.endswith(prefix):
            return url.removesuffix(prefix)
    return url
