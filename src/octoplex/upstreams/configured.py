"""Where a `Source` comes from: the catalogue's row, the file's table, the environment.

    from_row(row, env)                              a provider of the catalogue as it is
    from_file(name, table, row, env, lookup)        one of the configuration file

A variable may hold a key or, for Google, the path of a file with one.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from octoplex.catalog.provider import Operation as RowOperation
from octoplex.catalog.provider import Provider as Row
from octoplex.catalog.regions import region_names
from octoplex.dialects.single import OPERATIONS
from octoplex.transport.google import google_grant
from octoplex.transport.origin import NO_PROXIES
from octoplex.transport.sigv4 import Credentials, Scope
from octoplex.upstreams.config import Provider
from octoplex.upstreams.source import Secret, Signer, Source
from octoplex.wire.error import BadConfig

DOCUMENTED: tuple[RowOperation, ...] = ("embed", "rerank", "moderation")
KEY_HEADERS = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}
"""Where a dialect has the key, for a provider that has no row."""

Lookup = Callable[[str, str], str]
"""(`env:NAME` or `file:PATH`, where it is written) -> the secret."""


def from_row(row: Row, env: Mapping[str, str], region: str = "") -> Source:
    """A provider of the catalogue with nothing but the environment, and a region of the file."""
    moved = region not in row.regions and bool(env.get(row.base_url_env))
    region = region or ("" if moved else _set(row.variables.get("region", ()), env))
    base_url, missing = _filled(row, env, region, moved)
    token = next((name for name in row.bearer_env if env.get(name)), "")
    found = token or next((name for name in row.key_env if env.get(name)), "")
    keys: tuple[Secret, ...] = (Secret(found, env[found]),) if found else ()
    if keys and row.auth == "google" and not token:
        keys, unreadable = _from_key_file(keys[0])
        missing = missing or unreadable
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


def _from_key_file(named: Secret) -> tuple[tuple[Secret, ...], str]:
    """The content of the file that a variable names, and what is wrong with it."""
    try:
        text = Path(named.value).read_text(encoding="utf-8")
        google_grant(text, NO_PROXIES)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "") or "it is no text"
        return (), f"{named.label} names a file that cannot be read: {why}"
    except BadConfig as error:
        return (), f"{named.label}: {error}"
    return (Secret(named.label, text),), ""


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
