"""One file of configuration, read into one frozen tree.

`octoplex.toml` is the authority. Each table is a struct here; an unknown key is an
error that names file, table, key and the nearest valid name. Secrets stay references
(`env:NAME`, `file:PATH`) until `secret` resolves them; the tree itself never holds one,
so it may be printed.

This is the only module that reads the environment. `load` is a pure function of the
file and the environment it is handed: reload builds a new tree and swaps it whole.

`python -m octoplex.settings` prints the JSON Schema that editors read
(`docs/octoplex.schema.json`); the structs are its only source.
"""

import datetime
import difflib
import ipaddress
import os
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct

from octoplex.agents.config import AgentTable
from octoplex.agents.mcp.config import McpTable
from octoplex.agents.memory.config import MemoryTable
from octoplex.catalog.own_price import CALLS, TOKENS
from octoplex.catalog.provider import DialectName
from octoplex.optimizer.config import Experiment, Learn, Promise, RuleTable, Variant
from octoplex.reflex.cache.config import Caching
from octoplex.reflex.guard.config import Guard
from octoplex.reflex.tenants import TenantTable, flat
from octoplex.routing.config import Model
from octoplex.sandbox.config import SandboxTable
from octoplex.secrets import fetched, is_reference
from octoplex.upstreams.config import Local, Media, Provider, Timeouts
from octoplex.wire.error import BadConfig
from octoplex.wire.size import size

Environment = Mapping[str, str]
DEFAULT_LISTEN = "127.0.0.1:8080"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_WORKERS = 64
MOST_PORTS = 65_535
HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where this machine reaches what listens on every address."""
_HOST = re.compile(r"(\*\.)?[0-9A-Za-z][0-9A-Za-z.\-]*(:[0-9]{1,5})?")


Role = Literal["", "viewer", "admin"]
"""What a key may do at `/admin`: nothing, look, change."""


class Tls(Struct, frozen=True, kw_only=True):
    """PEM files for serving HTTPS."""

    cert: str
    key: str


class Server(Struct, frozen=True, kw_only=True):
    """`[server]`. Without `listen` it is 127.0.0.1:8080, or the next free port."""

    listen: str | None = None
    admin: str | None = None
    workers: Annotated[int, msgspec.Meta(ge=1, le=MOST_WORKERS)] | Literal["auto"] = 1
    data: str = ""
    database: str = ""
    database_password: str = ""
    redis: str = ""
    redis_password: str = ""
    redis_prefix: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "octoplex:"
    pepper: str = ""
    max_body: str = "32 MB"
    max_bodies: str = "512 MB"
    log: Literal["text", "json"] = "text"
    tls: Tls | None = None
    trusted_proxies: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    timeouts: Timeouts = Timeouts()
    media: Media = Media()
    keep_alive_s: Annotated[float, msgspec.Meta(gt=0)] = 75.0
    drain_s: float = 30.0
    hang_s: Annotated[float, msgspec.Meta(ge=0)] = 20.0
    seal: str | tuple[str, ...] = ""
    budget_wait_s: float = 2.0
    responses_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 30
    files_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 30
    tasks_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 30
    task_concurrency: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 8
    batch_concurrency: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 8
    forward_batches: bool = True

    @property
    def max_body_bytes(self) -> int:
        """`max_body` in bytes."""
        return size(self.max_body)

    @property
    def max_bodies_bytes(self) -> int:
        """`max_bodies` in bytes."""
        return size(self.max_bodies)


class Key(Struct, frozen=True, kw_only=True):
    """`[keys.NAME]`: a caller."""

    secret: str
    role: Role = ""
    models: tuple[str, ...] = ()
    limits: str = ""
    tenant: str = ""
    user: str = ""
    region: str = ""
    begins: datetime.datetime | None = None
    expires: datetime.datetime | None = None


class ModelTable(Model, frozen=True, kw_only=True):
    """`[models.NAME]`: the route, what stands before it, and what it learns (`Learned`)."""

    guard: Guard | None = None
    cache: Caching | None = None
    reference: str = ""
    promise: Promise = Promise()
    learn: Learn = Learn()
    segments: tuple[str, ...] = ()
    rules: tuple[RuleTable, ...] = ()
    variants: dict[str, Variant] = msgspec.field(default_factory=dict)


class Settings(Struct, frozen=True, kw_only=True):
    """The whole file. `origin` is where it came from, "" when there is none."""

    server: Server = Server()
    providers: dict[str, Provider] = {}
    models: dict[str, ModelTable] = {}
    guard: Guard = Guard()
    experiments: dict[str, Experiment] = {}
    prices: dict[str, dict[str, Any]] = {}
    keys: dict[str, Key] = {}
    tenants: dict[str, TenantTable] = {}
    """Teams too, as "organisation.team"."""
    local: dict[str, Local] = {}
    sandbox: SandboxTable = SandboxTable()
    agents: dict[str, AgentTable] = {}
    mcp: dict[str, McpTable] = {}
    memory: MemoryTable = MemoryTable()
    origin: str = ""


def wanted_workers(text: str | None) -> int | Literal["auto"] | None:
    """`workers` as a command line says it; None is what the file says.

    Raises:
        BadConfig: it is neither a number nor "auto".
    """
    if text is None or text == "auto":
        return "auto" if text else None
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise BadConfig(f'--workers "{text[:20]}" must be 1 to {MOST_WORKERS}, or auto.')
    return int(text)


def address(text: str) -> tuple[str, int]:
    """Host and port of `"host:port"`; an IPv6 address stands in brackets.

    Raises:
        ValueError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > MOST_PORTS:
        raise ValueError(f'"{text}" must be "host:port"')
    return host.strip("[]"), int(port)


def loopback(host: str) -> bool:
    """Whether this address or name can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def environment() -> Environment:
    """The process's environment: the one place where it is read."""
    return dict(os.environ)


def find(env: Environment, given: str | None = None) -> Path | None:
    """The file to use: the one given, `./octoplex.toml`, the XDG place, or None.

    Raises:
        BadConfig: a file was given and is not there.
    """
    if given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise BadConfig(f"There is no configuration file {path}.")
        return path
    home = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME", "~")) / ".config")
    places = [Path("octoplex.toml"), home.expanduser() / "octoplex" / "octoplex.toml"]
    return next((p for p in places if p.is_file()), None)


def data_folder(settings: Settings, env: Environment) -> Path:
    """Where state lives: `[server] data`, else the XDG data folder."""
    if settings.server.data:
        return Path(settings.server.data).expanduser()
    home = env.get("XDG_DATA_HOME") or str(Path(env.get("HOME", "~")) / ".local" / "share")
    return Path(home).expanduser() / "octoplex"


def load(path: Path | None) -> Settings:
    """Read a file into a frozen tree; None gives the defaults.

    Raises:
        BadConfig: naming file, table, key and what to write instead.
    """
    return Settings(origin="") if path is None else parse(source(path), str(path))


def source(path: Path) -> str:
    """The text of a file.

    Raises:
        BadConfig: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: cannot be read: {error}.") from None


def parse(text: str, origin: str = "octoplex.toml") -> Settings:
    """Read the text of a file. `origin` names it in errors.

    Raises:
        BadConfig: as `load`.
    """
    try:
        return _parsed(text, origin)
    except RecursionError:
        raise BadConfig(f"{origin}: tables or arrays lie too deep in each other.") from None


def _parsed(text: str, origin: str) -> Settings:
    try:
        tree = tomllib.loads(text)
        # Prices are money: a float would round them before we ever see them.
        exact = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{origin}: not valid TOML: {error}.") from None
    if "tenants" in tree:
        tree["tenants"] = flat(tree["tenants"], origin)
    _refuse_unknown(tree, Settings, origin, "")
    tree["prices"] = exact.get("prices", {})
    tables = {f.encode_name: f.type for f in msgspec.structs.fields(Settings)}
    tables.pop("origin")
    parts = {name: _table(value, tables[name], origin, name) for name, value in tree.items()}
    settings = Settings(origin=origin, **parts)
    _check_server(settings.server, origin)
    return settings


def _check_server(server: Server, origin: str) -> None:
    """Refuse addresses, sizes, networks and hosts that cannot be read."""
    for key, text in (("listen", server.listen), ("admin", server.admin)):
        try:
            address(text or DEFAULT_LISTEN)
        except ValueError as error:
            raise BadConfig(f"{origin}: [server] {key}: {error}.") from None
    media = server.media
    sizes = {"[server] max_body": server.max_body, "[server] max_bodies": server.max_bodies}
    sizes |= {"[server.media] max": media.max, "[server.media] total": media.total}
    for key, text in sizes.items():
        try:
            size(text)
        except BadConfig as error:
            raise BadConfig(f"{origin}: {key}: {error}") from None
    listed = {"[server] trusted_proxies": server.trusted_proxies}
    listed |= {"[server.media] networks": media.networks}
    for key, texts in listed.items():
        try:
            networks(texts)
        except ValueError as error:
            raise BadConfig(
                f'{origin}: {key}: {error}; write addresses or networks, such as "10.0.0.0/8".'
            ) from None
    for host in media.hosts:
        if not _HOST.fullmatch(host):
            raise BadConfig(
                f'{origin}: [server.media] hosts: "{host}" is no host; '
                'write "files.example.com", "*.example.com" or "files.example.com:8443".'
            )


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks, as `trusted_proxies` lists them.

    Raises:
        ValueError: one is neither.
    """
    return tuple(ipaddress.ip_network(text) for text in texts)


def _table(tree: Any, kind: Any, origin: str, table: str) -> Any:
    """One table as its type; a table of named tables entry by entry, so that errors name them."""
    if typing.get_origin(kind) is dict and isinstance(tree, dict) and table != "prices":
        inner = typing.get_args(kind)[1]
        return {k: _table(v, inner, origin, f"{table}.{k}") for k, v in tree.items()}
    try:
        return msgspec.convert(tree, kind)
    except BadConfig as error:  # of what a table checks by itself; most do not know their place
        said, head = str(error), f"[{table.partition('.')[0]}"
        said = said if said[:1] == "[" else f"[{table}] {said}"
        said = said.replace(f"{head}.NAME]", f"[{table}]")
        raise BadConfig(f"{origin}: {said}") from None
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `")
        key = where.rstrip("`").removeprefix("key` in `").lstrip("$.")
        place = f"[{table}] {key}".rstrip()
        wrong = re.fullmatch("Invalid enum value '?(.*?)'?", what)
        if wrong:
            what = f'"{wrong[1]}" is not valid; {_nearest(wrong[1], _words(kind, key))}'
        end = "" if what.endswith("?") else "."
        raise BadConfig(f"{origin}: {place}: {what[0].lower()}{what[1:]}{end}") from None


def _words(kind: Any, key: str) -> list[str]:
    """Every word that a field may hold; `key` is its path as errors write it."""
    for name in key.replace("[...]", "").split("."):
        kind = _struct_in(kind)
        if isinstance(kind, type) and issubclass(kind, Struct):
            fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
            kind = fields[name.partition("[")[0]]
    return _literals(kind)


def _literals(kind: Any) -> list[str]:
    parts = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return [str(word) for word in parts]
    return [word for part in parts for word in _literals(part)]


def _nearest(given: str, valid: Iterable[str]) -> str:
    """What to write instead."""
    near = difflib.get_close_matches(given, valid, 1)
    return f'did you mean "{near[0]}"?' if near else f"valid: {', '.join(valid)}"


def _refuse_unknown(tree: object, kind: Any, origin: str, table: str) -> None:
    """Walk the file beside its types; the first key that no table has is the error."""
    kind = _struct_in(kind)
    if isinstance(tree, dict) and isinstance(kind, type) and issubclass(kind, Struct):
        fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
        fields.pop("origin", None)
        for key, value in tree.items():
            if key not in fields:
                raise BadConfig(
                    f'{origin}: [{table or "top level"}] has no key "{key}"; '
                    f"{_nearest(key, fields)}"
                )
            _refuse_unknown(value, fields[key], origin, f"{table}.{key}".lstrip("."))
    elif isinstance(tree, dict) and typing.get_origin(kind) is dict:
        for key, value in tree.items():
            _refuse_unknown(value, typing.get_args(kind)[1], origin, f"{table}.{key}")
    elif isinstance(tree, list) and typing.get_origin(kind) is tuple:
        for value in tree:
            _refuse_unknown(value, typing.get_args(kind)[0], origin, table)


def _struct_in(kind: Any) -> Any:
    """The struct of an optional field, else the kind itself."""
    if isinstance(kind, types.UnionType):
        return next((k for k in typing.get_args(kind) if k is not type(None)), kind)
    return kind


def secret(reference: str, env: Environment, where: str) -> str:
    """The value behind `env:NAME`, `file:PATH` or what `with_secrets` has fetched.

    Raises:
        BadConfig: it is not set, not readable, empty, or a literal secret in the file.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "env" and rest:
        value = env.get(rest, "")
        problem = f"the environment variable {rest} is not set"
    elif scheme == "file" and rest:
        path = Path(rest).expanduser()
        try:
            value = path.read_text().strip() if path.is_file() else ""
        except (OSError, UnicodeDecodeError):
            value = ""
        problem = f"the file {path} is not there, cannot be read or is empty"
    elif is_reference(reference):
        value, problem = env.get(reference, ""), f"{reference} was not fetched"
    else:
        raise BadConfig(
            f'{where}: write "env:NAME", "file:PATH" or a reference to a secret manager '
            "(docs/secrets.md); a secret itself does not belong here."
        )
    if not value:
        raise BadConfig(f"{where}: {problem}.")
    return value


def url(text: str, env: Environment, where: str) -> str:
    """A URL as it stands there, or the one behind a reference: some hold a secret themselves.

    Raises:
        BadConfig: see `secret`.
    """
    return text if text.startswith(("https://", "http://")) else secret(text, env, where)


async def with_secrets(settings: Settings, env: Environment) -> Environment:
    """The environment, and in it the secrets that the file wants fetched and are not there yet.

    Raises:
        BadConfig: one cannot be had.
    """
    texts = [text for text in _texts(msgspec.to_builtins(settings)) if text not in env]
    return {**env, **await fetched(texts, env)}


def kept_elsewhere(settings: Settings) -> set[str]:
    """The kinds of keepers that the file wants secrets of."""
    texts = _texts(msgspec.to_builtins(settings))
    return {text.partition(":")[0] for text in texts if is_reference(text)}


def _texts(tree: Any) -> Iterable[str]:
    """Every text in it that stands as a value."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for inner in tree.values() if isinstance(tree, dict) else tree:
            yield from _texts(inner)


def schema() -> dict[str, Any]:
    """The file as JSON Schema, draft 2020-12. A key that it does not know is an error."""
    tables = msgspec.json.schema(Settings)["$defs"]
    dollars = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}
    tables["Price"] = {
        "title": "Price",
        "description": "Dollars per million tokens; `request` and `search` are dollars each.",
        "type": "object",
        "properties": dict.fromkeys((*TOKENS, *CALLS), dollars),
        "required": ["input", "output"],
    }
    # msgspec says nothing of a table's keys.
    words = {"enum": sorted(typing.get_args(DialectName))}
    tables["Provider"]["properties"]["dialects"]["propertyNames"] = words
    tables["Team"] = {**tables["TenantTable"], "title": "Team"}
    tables["TenantTable"]["additionalProperties"] = {"$ref": "#/$defs/Team"}
    whole = tables.pop("Settings")
    whole["properties"].pop("origin")
    whole["properties"]["prices"]["additionalProperties"] = {"$ref": "#/$defs/Price"}
    whole |= {"title": "octoplex.toml", "description": "Every key: docs/configuration.md."}
    start = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    strict: dict[str, Any] = _strict({**whole, "$defs": dict(sorted(tables.items()))})
    return start | strict


def _strict(node: Any) -> Any:
    """Without what TOML cannot say (null), and with every unknown key refused."""
    if isinstance(node, list):
        return [_strict(item) for item in node if item != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    kept = {key: _strict(value) for key, value in node.items()}
    if isinstance(kept.get("default", 0), dict | types.NoneType):
        del kept["default"]
    if kept.get("required") == []:
        del kept["required"]
    if len(kept.get("anyOf", ())) == 1:
        kept |= kept.pop("anyOf")[0]
    if "title" in kept and kept.get("type") == "object":
        kept.setdefault("additionalProperties", False)
    return kept


if __name__ == "__main__":
    print(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode())
