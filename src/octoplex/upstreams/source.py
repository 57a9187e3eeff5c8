"""A provider as this installation can use it: the catalogue's row, the file's table, keys.

    row (catalog/providers/NAME.toml)  +  [providers.NAME]  +  environment  ->  Source

A Source is usable when it has every key and variable it needs; otherwise it says what is
missing, by name. It turns a model id into the `Spec` of an `Upstream`, once per target.

The path of an operation follows each vendor's own custom for base URLs: OpenAI's hold the
`/v1`, Anthropic's do not; a prefix that ends in `/v1` is taken as it is either way.
"""

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from octoplex.catalog.families import Family, family
from octoplex.catalog.provider import Operation as RowOperation
from octoplex.catalog.provider import Provider as Row
from octoplex.catalog.regions import region_names
from octoplex.dialects.dialect import Counter, Dialect, Traits
from octoplex.dialects.single import ALWAYS, OPERATIONS, choose, shape_of
from octoplex.transport import sigv4
from octoplex.transport.origin import Origin, Proxies
from octoplex.transport.sigv4 import Credentials, Scope, Unsigned
from octoplex.upstreams.config import Provider, Timeouts
from octoplex.upstreams.count import Counting
from octoplex.upstreams.passing import Way
from octoplex.upstreams.single import SingleSpec
from octoplex.upstreams.upstream import Sign, Spec, Wait, Wire
from octoplex.wire.ask import Operation
from octoplex.wire.error import BadConfig, InvalidCall

ANTHROPIC_VERSION = "2023-06-01"
USER_AGENT = "octoplex/0.1"
SILENT_FIRST_S, SILENT_IDLE_S = 300.0, 120.0
KEY_HEADERS = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}
"""Where a dialect has the key, for a provider that has no row."""
DOCUMENTED: tuple[RowOperation, ...] = ("embed", "rerank", "moderation")
COUNT_IN = ("anthropic", "gemini", "openai-responses")
"""The dialects in which tokens are counted, the one most callers ask in first."""


class Secret(Struct, frozen=True):
    """One key of a pool. `label` names where it came from; only `value` is secret."""

    label: str
    value: str

    def __repr__(self) -> str:
        return f"Secret({self.label!r})"


class Signer(Struct, frozen=True):
    """Whose AWS signature, and what it is good for."""

    credentials: Credentials
    scope: Scope


class Source(Struct, frozen=True, kw_only=True):
    """One provider, resolved. `missing` says what keeps it from being used, "" if nothing."""

    id: str
    title: str
    base_url: str
    paths: Mapping[str, str]
    """Dialect -> path prefix below `base_url`, the preferred one first."""
    auth: str
    keys: tuple[Secret, ...]
    missing: str = ""
    evidence: str = ""
    """Where its key was found: a variable's name, the file, or a server that answered."""
    headers: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    quirks: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    timeouts: Timeouts = Timeouts()
    region: str = ""
    local: bool = False
    modalities: tuple[str, ...] = ("chat",)
    regions: tuple[str, ...] = ()
    percent: int = 100
    """What the region charges in percent of the listed price."""
    moved: bool = False
    """Its URL is not the catalogue's, so that nothing is known of where that is."""
    signer: Signer | None = None
    operations: Mapping[str, tuple[str, str]] = {}
    """Modality -> path below `base_url` and shape of the body, where they are documented."""
    known: bool = True
    """It has a row: what that does not say, it does not do."""
    counts: str | None = None
    """Path prefix of the token count, where it does not follow from `paths`."""

    @property
    def usable(self) -> bool:
        """Whether it can be asked now."""
        return not self.missing

    @property
    def private(self) -> bool:
        """Whether its server is on a loopback or private address, and so may load models."""
        host = self.base_url.partition("://")[2].partition("/")[0].rpartition("@")[2]
        name = host.rsplit(":", 1)[0].strip("[]") if host.count(":") != 1 else host.split(":")[0]
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == "localhost" or name.endswith(".localhost")
        return address.is_loopback or address.is_private

    def spec(self, model: str, key: Secret | None, make: "Making") -> Spec:
        """Everything that can be known about this model and key before a call."""
        kind = family(self.id, model)
        origin = Origin.parse(self.base_url, make.proxies)
        wires = {}
        for name, prefix in self.paths.items():
            dialect = make.dialects.get(name)
            if dialect is not None:
                wires[name] = self._wire(origin, prefix, dialect, model, key)
        traits = self._traits(model, kind, make)
        return Spec(
            provider=self.id,
            origin=origin,
            wires=wires,
            traits=traits,
            wait=self._wait(kind, make),
            sign=self._sign(origin),
            usage_on_request="no_stream_options" not in traits.quirks,
        )

    def single(
        self, op: Operation, model: str, key: Secret | None, make: "Making"
    ) -> SingleSpec | None:
        """How this provider does an operation of one body; None where it does not."""
        modality = OPERATIONS[op]
        if modality not in self.modalities:
            return None
        origin = Origin.parse(self.base_url, make.proxies)
        path, body = self.operations.get(modality, ("", ""))
        path = self._path("", origin, "", path)
        shape, dialect = shape_of(op, body), ""
        if shape is None and (not self.known or op in ALWAYS):
            shapes = ((name, choose(op, name)) for name in self.paths)
            dialect, shape = next(((n, s) for n, s in shapes if s is not None), ("", None))
            if shape is not None:
                path = self._path(dialect, origin, self.paths[dialect], shape.path_for(model))
        if shape is None:
            return None
        return SingleSpec(
            provider=self.id,
            origin=origin,
            shape=shape,
            head=self._head(origin, dialect, path, key),
            model=model,
            wait=self._wait(family(self.id, model), make),
        )

    def passing(self, key: Secret | None, make: "Making") -> Way | None:
        """How requests for paths that nobody here understands reach this provider.

        None where each must be signed for what it is.
        """
        if self.signer is not None:
            return None
        origin = Origin.parse(self.base_url, make.proxies)
        usual = {"user-agent": USER_AGENT}
        if "anthropic" in self.paths:
            usual["anthropic-version"] = ANTHROPIC_VERSION
        ours = self._credentials(key)

        def head(method: str, path: str, sent: tuple[tuple[str, str], ...]) -> bytes:
            if self.query:
                path += ("&" if "?" in path else "?") + urlencode(self.query)
            try:
                return origin.head(method, path, {**usual, **dict(sent), **ours}.items())
            except BadConfig as error:
                raise InvalidCall(f"This path or header cannot be passed on: {error}") from None

        wait = self._wait(family(self.id, ""), make)
        return Way(provider=self.id, origin=origin, head=head, wait=wait)

    def counting(self, model: str, key: Secret | None, make: "Making") -> Counting | None:
        """How this provider counts tokens; None where it does not."""
        counting = [name for name in COUNT_IN if name in self.paths]
        if "counts_input" not in self.quirks and "openai-responses" in counting:
            counting.remove("openai-responses")  # a path of OpenAI's own, which others lack
        found = counting[0] if counting else COUNT_IN[0]
        prefix = self.paths.get(found) if self.counts is None else self.counts
        dialect = make.dialects.get(found)
        if prefix is None or not isinstance(dialect, Counter):
            return None
        kind = family(self.id, model)
        origin = Origin.parse(self.base_url, make.proxies)
        wait, count = self._wait(kind, make), dialect.count_path_for(model)
        return Counting(
            provider=self.id,
            origin=origin,
            dialect=dialect,
            head=self._head(origin, found, self._path(found, origin, prefix, count), key),
            traits=self._traits(model, kind, make),
            connect_s=wait.connect_s,
            wait_s=wait.first_s,
        )

    def _traits(self, model: str, kind: Family, make: "Making") -> Traits:
        return Traits(
            model=model,
            output_cap=kind.output_cap,
            thinking=kind.thinking,
            quirks=self.quirks | kind.quirks,
            drop_unsupported=make.drop_unsupported,
        )

    def _wire(
        self, origin: Origin, prefix: str, dialect: Dialect, model: str, key: Secret | None
    ) -> Wire:
        def made(stream: bool) -> tuple[bytes, str]:
            operation = dialect.path_for(model, stream=stream)
            path = self._path(dialect.name, origin, prefix, operation)
            return self._head(origin, dialect.name, path, key), origin.path + path

        (head, path), (stream_head, stream_path) = made(False), made(True)
        if head == stream_head:
            stream_head = head
        return Wire(
            dialect=dialect,
            head=head,
            stream_head=stream_head,
            path=path,
            stream_path=stream_path,
        )

    def _path(self, dialect: str, origin: Origin, prefix: str, operation: str) -> str:
        """Path and query of an operation below the base URL."""
        prefix = prefix.rstrip("/")
        if dialect == "anthropic" and not (origin.path + prefix).endswith("/v1"):
            operation = "/v1" + operation
        path = prefix + operation
        if self.query:
            path += ("&" if "?" in path else "?") + urlencode(self.query)
        return path

    def _sign(self, origin: Origin) -> Sign | None:
        """AWS signs each request; nobody else does."""
        signer = self.signer
        if signer is None:
            return None

        def sign(target: str, body: bytes) -> Sequence[tuple[str, str]]:
            path, _, query = target.partition("?")
            headers = (("content-type", "application/json"),)
            unsigned = Unsigned(
                method="POST",
                host=origin.authority,
                path=path,
                query=query,
                headers=headers,
                body=body,
            )
            return sigv4.sign(unsigned, signer.credentials, signer.scope, time.time())

        return sign

    def _head(self, origin: Origin, dialect: str, path: str, key: Secret | None) -> bytes:
        headers = {"content-type": "application/json", "user-agent": USER_AGENT}
        if dialect == "anthropic":
            headers["anthropic-version"] = ANTHROPIC_VERSION
        return origin.head("POST", path, {**headers, **self._credentials(key)}.items())

    def _credentials(self, key: Secret | None) -> dict[str, str]:
        """The header with the key, and those that the operator gives."""
        if key is None or self.auth in {"none", "sigv4"}:
            return dict(self.headers)
        if self.auth == "bearer":
            return {"authorization": f"Bearer {key.value}", **self.headers}
        return {self.auth: key.value, **self.headers}

    def _wait(self, kind: Family, make: "Making") -> Wait:
        """The contract's defaults, then the server's, the provider's own, the route's."""
        slow = kind.reasons_silently or self.private
        wait = Wait(first_s=SILENT_FIRST_S, idle_s=SILENT_IDLE_S) if slow else Wait()
        for given in (make.usual, self.timeouts, make.timeouts):
            changes = {
                "connect_s": given.connect_s,
                "first_s": given.header_s,
                "idle_s": given.idle_s,
                "plain_s": given.total_s,
                "stream_s": given.total_s,
            }
            kept = {name: value for name, value in changes.items() if value is not None}
            wait = msgspec.structs.replace(wait, **kept)
        return wait


class Making(Struct, frozen=True, kw_only=True):
    """What a route says of the targets it makes; `usual` are the timeouts of every provider."""

    dialects: Mapping[str, Dialect]
    proxies: Proxies
    usual: Timeouts = Timeouts()
    timeouts: Timeouts = Timeouts()
    drop_unsupported: bool = False


Lookup = Callable[[str, str], str]
"""(`env:NAME` or `file:PATH`, where it is written) -> the secret."""


def from_row(row: Row, env: Mapping[str, str], region: str = "") -> Source:
    """A provider of the catalogue with nothing but the environment, and a region of the file."""
    moved = region not in row.regions and bool(env.get(row.base_url_env))
    region = region or ("" if moved else _set(row.variables.get("region", ()), env))
    base_url, missing = _filled(row, env, region, moved)
    token = next((name for name in row.bearer_env if env.get(name)), "")
    found = token or next((name for name in row.key_env if env.get(name)), "")
    keys = (Secret(found, env[found]),) if found else ()
    signer = None
    if row.auth == "sigv4" and not token:
        signer = _signer(row, env, region)
        keys, found = (), found if signer else ""
    if not missing and not found and row.auth != "none" and not row.local:
        missing = f"set {' or '.join(row.key_env + row.bearer_env)}"
    return Source(
        id=row.id,
        title=row.title,
        base_url=base_url,
        paths={str(name): path for name, path in row.dialects.items()},
        auth="bearer" if token else row.auth,
        keys=keys,
        missing=row.obstacle or missing,
        signer=signer,
        operations=_operations(row),
        evidence=found,
        headers=row.headers,
        quirks=frozenset(row.quirks),
        local=row.local,
        modalities=tuple(row.modalities),
        region=region,
        regions=tuple(row.regions),
        percent=row.region_percent.get(region, 100),
        moved=moved,
    )


def _signer(row: Row, env: Mapping[str, str], region: str) -> Signer | None:
    """AWS's own three variables, where they are set."""
    key, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        return None
    return Signer(
        Credentials(key, secret, env.get("AWS_SESSION_TOKEN", "")), Scope(region, row.service)
    )


def _operations(row: Row) -> dict[str, tuple[str, str]]:
    """Path and shape of the operations of one body that the vendor documents."""
    found = {op: (row.path_of(op), row.body_of(op)) for op in DOCUMENTED}
    return {op: (path, body) for op, (path, body) in found.items() if path is not None}


def _set(variables: Sequence[str], env: Mapping[str, str]) -> str:
    return next((env[v] for v in variables if env.get(v)), "")


def _filled(row: Row, env: Mapping[str, str], region: str, moved: bool) -> tuple[str, str]:
    """The base URL with its variables filled in, and what is missing for that."""
    if moved:
        return _url(env[row.base_url_env], row.local), ""
    base_url = row.base_url_in(region) if region else row.base_url
    for name, variables in row.variables.items():
        place = "{" + name + "}"
        if place not in base_url:
            continue
        value = _set(variables, env)
        if not value:
            return base_url, f"set {' or '.join(variables)}"
        base_url = base_url.replace(place, value)
    return base_url, ""


def _url(given: str, local: bool) -> str:
    """A base URL as people write it: `OLLAMA_HOST` is often only a host and a port.

    Only a server on this machine is spoken to in the clear for want of a scheme.
    """
    scheme = "http" if local else "https"
    return (given if "://" in given else f"{scheme}://{given}").rstrip("/")


def from_file(
    name: str, table: Provider, row: Row | None, env: Mapping[str, str], lookup: Lookup
) -> Source:
    """A provider of the configuration file; the catalogue's row, if any, fills the gaps.

    Raises:
        BadConfig: neither the file nor the catalogue says where it is or what it speaks.
    """
    where = f"[providers.{name}]"
    if table.region and row and table.region not in region_names(row):
        known = ", ".join(region_names(row)) or "none"
        raise BadConfig(f'{where} region: "{table.region}" is not one of: {known}.')
    source = from_row(row, env, table.region or "") if row else None
    own_url = bool(table.base_url) and not (row and table.region in row.regions)
    paths = _paths(where, table) or (dict(source.paths) if source else {})
    base_url = (
        _url(table.base_url, bool(row and row.local))
        if table.base_url and own_url
        else source.base_url
        if source
        else ""
    )
    if not base_url or not paths:
        raise BadConfig(f"{where}: not in the catalogue; write base_url and dialect.")
    keys = _keys(where, table, lookup)
    # A key belongs to the host it was made for: another host must be given its own.
    found = keys or (source.keys if source and not table.base_url else ())
    signed = bool(source and source.signer)
    keyless = signed or row is None or row.auth == "none" or row.local or bool(table.base_url)
    missing = "" if found or keyless or table.headers else (source.missing if source else "")
    auth = source.auth if source else KEY_HEADERS.get(next(iter(paths)), "bearer")
    return Source(
        id=name,
        title=row.title if row else name,
        base_url=base_url,
        paths=paths,
        auth="bearer" if keys and auth == "sigv4" else auth,
        keys=found,
        missing=missing,
        signer=source.signer if source and not keys and not own_url else None,
        operations=source.operations if source else {},
        known=row is not None,
        evidence=f"octoplex.toml {where}",
        headers={**(row.headers if row else {}), **table.headers},
        query=table.query,
        quirks=frozenset(table.quirks) | (frozenset(row.quirks) if row else frozenset()),
        models=table.models,
        timeouts=table.timeouts,
        region=table.region or ("" if own_url or source is None else source.region),
        local=bool(row and row.local),
        modalities=tuple(row.modalities) if row else tuple(OPERATIONS.values()),
        regions=tuple(row.regions) if row else (),
        percent=source.percent if source and (table.region or not own_url) else 100,
        moved=own_url or bool(source and source.moved),
    )


def _paths(where: str, table: Provider) -> dict[str, str]:
    if table.dialect and table.dialects:
        raise BadConfig(f"{where}: write dialect or dialects, not both.")
    return {table.dialect: ""} if table.dialect else {str(n): p for n, p in table.dialects.items()}


def _keys(where: str, table: Provider, lookup: Lookup) -> tuple[Secret, ...]:
    given = table.api_key
    if given is None:
        return ()
    references = (given,) if isinstance(given, str) else given
    return tuple(Secret(r, lookup(r, f"{where} api_key")) for r in references)
