"""Where a `Source` comes from: the catalogue's row, the file's table, the environment.

    from_row(row, env)                              a provider of the catalogue as it is
    from_file(name, table, row, env, lookup)        one of the configuration file

A variable may hold a key or, for Google, the path of a file with one.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from octoplex.catalog.provider import Operation as RowOperation
from octoplex.catalog.provider import Provider as Row
from octoplex.catalog.regions import region_names
from octoplex.dialects.single import OPERATIONS
from octoplex.dialects.watsonx.request import ACCOUNT
from octoplex.secrets.reference import MARKS
from octoplex.transport.google import google_grant
from octoplex.transport.oci_sign import oci_key
from octoplex.transport.origin import NO_PROXIES, NOT_CARRIED, carried, header_block
from octoplex.transport.sigv4 import Credentials, Scope
from octoplex.upstreams import oracle
from octoplex.upstreams.config import Provider
from octoplex.upstreams.grants import GRANTED, grant_for
from octoplex.upstreams.source import Secret, Signer, Source
from octoplex.wire.error import BadConfig, InvalidCall
from octoplex.wire.redact import is_credential, redact

DOCUMENTED: tuple[RowOperation, ...] = ("embed", "rerank", "moderation")
KEY_HEADERS = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}
"""Where a dialect has the key, for a provider that has no row."""

_VARIABLE = re.compile(r"\$\{(\w+):-(.*)\}")
CHANGED = GRANTED | {"oci"}
"""The ways of authorisation whose key is never sent itself."""
REFERENCES = ("env:", "file:", *MARKS)
"""How a value of `headers` or `query` begins that is not meant as it stands there."""
UNKNOWN = Source(
    id="",
    title="",
    base_url="",
    paths={},
    auth="",
    keys=(),
    known=False,
    modalities=tuple(OPERATIONS.values()),
)
"""A provider of which no row says anything."""
Lookup = Callable[[str, str], str]
"""(a reference such as `env:NAME`, where it is written) -> the secret."""


def from_row(row: Row, env: Mapping[str, str], region: str = "") -> Source:
    """A provider of the catalogue with nothing but the environment, and a region of the file."""
    unreadable = ""
    if row.auth == "oci":
        env, unreadable = _with_oracles(env)
    moved = region not in row.regions and bool(env.get(row.base_url_env))
    region = region or ("" if moved else _set(row.variables.get("region", ()), env))
    base_url, missing = _filled(row, env, region, moved)
    token = next((name for name in row.bearer_env if env.get(name)), "")
    found = token or next((name for name in row.key_env if env.get(name)), "")
    keys: tuple[Secret, ...] = (Secret(found, env[found]),) if found else ()
    if keys and row.auth == "google" and not token:
        keys, unreadable = _from_key_file(keys[0])
    elif keys and row.auth == "oci":
        keys, unreadable = _from_oracles(keys[0], env) if not unreadable else ((), unreadable)
    elif keys and row.auth in GRANTED and not token:
        keys, unreadable = _to_change(row, keys[0], env)
    elif keys and not carried(keys[0].value):
        keys, unreadable = (), f"{found} {NOT_CARRIED}"
    signer = None
    if row.auth == "sigv4" and not token:
        signer = _signer(row, env, region)
        keys, found = (), found if signer else ""
        if signer and not all(map(carried, msgspec.structs.astuple(signer.credentials))):
            signer, unreadable = None, f"what AWS's variables say {NOT_CARRIED}"
    missing = unreadable or missing
    if not missing and not found and row.auth != "none" and not row.local:
        pairs = [" and ".join(pair) for pair in zip(row.key_env, row.secret_env, strict=False)]
        missing = f"set {' or '.join([*(pairs or row.key_env), *row.bearer_env])}"
    account = {n: v for n, variables in row.account.items() if (v := _set(variables, env))}
    return Source(
        id=row.id,
        title=row.title,
        base_url=base_url,
        paths={str(name): path for name, path in row.dialects.items()},
        auth="bearer" if token else row.auth,
        keys=keys,
        missing=row.obstacle or missing or _unpaid(row.dialects, account, row),
        signer=signer,
        operations=_operations(row),
        found=found,
        headers=row.headers,
        query={name: _set_or_usual(value, env) for name, value in row.query.items()},
        quirks=frozenset(row.quirks),
        refuses=frozenset(row.refuses),
        account=account,
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


def _with_oracles(env: Mapping[str, str]) -> tuple[Mapping[str, str], str]:
    """The variables with what Oracle's file adds to them, and what is wrong with it."""
    try:
        return oracle.with_config(env), ""
    except BadConfig as error:
        return env, str(error)


def _from_oracles(named: Secret, env: Mapping[str, str]) -> tuple[tuple[Secret, ...], str]:
    """The key that Oracle's variables say, and what is wrong with it."""
    try:
        return (Secret(named.label, oracle.key_in(env)),), ""
    except BadConfig as error:
        return (), str(error)


def _to_change(row: Row, named: Secret, env: Mapping[str, str]) -> tuple[tuple[Secret, ...], str]:
    """The key that a vendor changes for tokens, and what is wrong with it."""
    second = row.secret_env[row.key_env.index(named.label)] if row.secret_env else ""
    value = named.value
    if second and ":" not in value:
        if not env.get(second):
            return (), f"set {second}"
        value = f"{value}:{env[second]}"
    try:
        grant_for(row.auth, value, {}, NO_PROXIES)
    except BadConfig as error:
        return (), f"{named.label}: {error}"
    return (Secret(named.label, value),), ""


def _unpaid(dialects: Collection[str], account: Mapping[str, str], row: Row | None) -> str:
    """What watsonx must be told beside a key, where nothing says it."""
    if "watsonx" not in dialects or any(name in account for name in ACCOUNT):
        return ""
    if row is None:
        return f"set {' or '.join(ACCOUNT)} in account"
    return f"set {' or '.join(v for name in ACCOUNT for v in row.account.get(name, ()))}"


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


def _set_or_usual(value: str, env: Mapping[str, str]) -> str:
    """`${NAME:-usual}` as a shell has it; any other value is itself."""
    named = _VARIABLE.fullmatch(value)
    return value if named is None else env.get(named[1]) or named[2]


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
        base_url = base_url.replace(place, value.rstrip("/"))
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
    if table.region and row and not row.local and table.region not in region_names(row):
        known = ", ".join(region_names(row)) or "none"
        raise BadConfig(f'{where} region: "{table.region}" is not one of: {known}.')
    source = from_row(row, env, table.region or "") if row else UNKNOWN
    paths = _paths(where, table) or dict(source.paths)
    # What is written is asked, whatever `region` says: that is then only where it is.
    base_url = _url(table.base_url, source.local) if table.base_url else source.base_url
    own_url = base_url != source.base_url
    if not base_url or not (paths or source.operations):
        why = row.obstacle if row else "It is not in the catalogue."
        raise BadConfig(f"{where}: {why} Write base_url and dialect.")
    keys = _keys(where, table, row, lookup)
    # A key belongs to the host it was made for: another host must be given its own.
    found = keys or (() if table.base_url else source.keys)
    keyless = source.signer or row is None or row.auth == "none" or row.local or table.base_url
    missing = "" if found or keyless or table.headers else source.missing
    auth = source.auth or KEY_HEADERS.get(next(iter(paths)), "bearer")
    if keys and row and row.auth in GRANTED:
        auth = row.auth
    account = {**_home(auth, keys), **source.account, **table.account}
    headers = resolved(f"{where} headers", table.headers, lookup)
    query = resolved(f"{where} query", table.query, lookup)
    hidden = [headers[n] for n in headers if headers[n] != table.headers[n]]
    hidden += [query[n] for n in query if query[n] != table.query[n]]
    if auth in GRANTED:
        _check_grants(where, auth, keys, account)
    _check_headers(where, keys if auth not in CHANGED else (), headers)
    return msgspec.structs.replace(
        source,
        id=name,
        title=source.title or name,
        base_url=base_url,
        paths=paths,
        auth="bearer" if keys and auth == "sigv4" else auth,
        keys=found,
        missing=missing or _unfilled(base_url, row) or _unpaid(paths, account, row),
        signer=None if keys or own_url else source.signer,
        found=where,
        headers={**source.headers, **_lower(headers)},
        query={**source.query, **query},
        hidden=tuple(hidden),
        quirks=frozenset(table.quirks) | source.quirks,
        account=account,
        models=table.models,
        timeouts=table.timeouts,
        region=table.region or ("" if own_url else source.region),
        percent=source.percent if table.region or not own_url else 100,
        moved=own_url or source.moved,
    )


def _unfilled(base_url: str, row: Row | None) -> str:
    """The variables that a base URL still wants, whatever key there is; "" for none."""
    wanted = [v for name, v in row.variables.items() if "{" + name + "}" in base_url] if row else []
    return f"set {' or '.join(wanted[0])}" if wanted else ""


def _check_grants(
    where: str, auth: str, keys: Sequence[Secret], account: Mapping[str, str]
) -> None:
    """Refuse a key that is not of the form its vendor hands out.

    Raises:
        BadConfig: saying what is wrong with it.
    """
    for key in keys:
        try:
            grant_for(auth, key.value, account, NO_PROXIES)
        except BadConfig as error:
            raise BadConfig(f"{where} api_key ({key.label}): {error}") from None


def _check_headers(where: str, keys: Sequence[Secret], headers: Mapping[str, str]) -> None:
    """Refuse what would be no header: a key with a line break in it, a name that decides framing.

    Raises:
        BadConfig: naming it, never its value.
    """
    for key in keys:
        if not carried(key.value):
            raise BadConfig(f"{where} api_key ({key.label}): it {NOT_CARRIED}.")
    try:
        header_block(headers.items())
    except InvalidCall as error:
        raise BadConfig(f"{where} headers: {error}.") from None


def resolved(where: str, given: Mapping[str, str], lookup: Lookup) -> dict[str, str]:
    """Values as they stand there, and the secrets behind those that are references.

    Raises:
        BadConfig: one that stands there is a secret, by its name or its looks.
    """
    return {
        name: lookup(value, f"{where}.{name}") if _is_secret(name, value) else value
        for name, value in given.items()
    }


def _is_secret(name: str, value: str) -> bool:
    return bool(value) and (
        value.startswith(REFERENCES) or is_credential(name) or redact(value) != value
    )


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    """By lower-case name, so that a header of a caller's does not stand beside it."""
    return {name.lower(): value for name, value in headers.items()}


def _paths(where: str, table: Provider) -> dict[str, str]:
    if table.dialect and table.dialects:
        raise BadConfig(f"{where}: write dialect or dialects, not both.")
    return {table.dialect: ""} if table.dialect else {str(n): p for n, p in table.dialects.items()}


def _keys(where: str, table: Provider, row: Row | None, lookup: Lookup) -> tuple[Secret, ...]:
    given = table.api_key
    if given is None:
        return ()
    references = (given,) if isinstance(given, str) else given
    keys = tuple(Secret(r, lookup(r, f"{where} api_key")) for r in references)
    if row is None or row.auth != "oci":
        return keys
    try:
        return tuple(Secret(key.label, oracle.completed(key.value)) for key in keys)
    except BadConfig as error:
        raise BadConfig(f"{where} api_key: {error}") from None


def _home(auth: str, keys: Sequence[Secret]) -> dict[str, str]:
    """Whose account a key itself says that it is."""
    return {"compartment": oci_key(keys[0].value).tenancy} if keys and auth == "oci" else {}
