"""`octoplex doctor`: is everything there that a gateway on this machine needs.

Every check says what is so; what is broken makes the status 1, what may surprise is a
warning. Nothing is changed, and nothing beyond this machine is asked.
"""

import asyncio
import os
import shutil
import socket
import sqlite3
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import click
import msgspec
from msgspec import Struct

from octoplex.assembly.hosts import greeted, sharing_of
from octoplex.catalog.provider import catalogue
from octoplex.cli.look import look
from octoplex.cli.place import Place, config_option, json_option, place_of
from octoplex.cli.show import print_json
from octoplex.ledger.folder import Folder, Holder
from octoplex.ledger.spool import NAME as SPOOL
from octoplex.secrets.reference import EXPERIMENTAL
from octoplex.settings import HERE, Server, Tls, address, kept_elsewhere
from octoplex.upstreams.detect import detect
from octoplex.upstreams.local.models import available, has_engine
from octoplex.upstreams.source import Source
from octoplex.wire.error import GatewayError, StoreFailed

Level = Literal["ok", "note", "broken"]
WAL_FIX = (3, 51, 3)
MB = 1_000_000
LITTLE_MB, TOO_LITTLE_MB = 1_000, 50
BUILT_AT = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
WAIT_S = 2.0


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    level: Level
    says: str


Check = Callable[[Place], Iterator[Finding]]


@click.command()
@config_option
@json_option
def doctor(config: str | None, as_json: bool) -> None:
    """Look for what is broken."""
    findings = [*_without_file(), *_with_file(config)]
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            click.echo(f"{finding.level:<7} {finding.what:<12} {finding.says}")
    if any(finding.level == "broken" for finding in findings):
        sys.exit(1)


def _without_file() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", "ok", f"{python} at {sys.executable}")
    yield _sqlite()
    yield _clock()
    yield Finding("packages", "ok", ", ".join(_packages()))


def _with_file(config: str | None) -> Iterator[Finding]:
    try:
        place = place_of(config)
    except GatewayError as error:
        yield Finding("config", "broken", str(error))
        return
    checks: tuple[Check, ...] = (_config, _folder, _space, _holder, _ledger, _redis, _local)
    for check in checks:
        yield from check(place)


def _sqlite() -> Finding:
    says = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < WAL_FIX:
        says += " (has the WAL-reset bug fixed in 3.51.3; one writer per file keeps clear of it)"
    return Finding("sqlite", "ok", says)


def _clock() -> Finding:
    now = time.time()
    shown = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if now < BUILT_AT:
        return Finding("clock", "broken", f"{shown} is long past: budgets and TLS need the time")
    return Finding("clock", "ok", shown)


def _packages() -> Iterator[str]:
    for name in ("octoplex", "uvicorn", "uvloop", "httptools", "msgspec", "xllamacpp"):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} not installed"


def _config(place: Place) -> Iterator[Finding]:
    try:
        sources = look(place, lambda plan: list(plan.sources.values()))
    except GatewayError as error:
        yield Finding("config", "broken", str(error))
        return
    yield Finding("config", "ok", place.origin)
    for scheme in sorted(kept_elsewhere(place.settings) & EXPERIMENTAL):
        says = f"{scheme} is experimental: tried against scripted servers only"
        yield Finding("secrets", "note", says)
    box = place.settings.sandbox
    if box.is_experimental:
        tried = "never run on a cluster" if box.namespace else "tried by hand"
        says = f"{box.backend} is experimental: {tried}, and by tests without a daemon"
        yield Finding("sandbox", "note", says)
    names = [f"{s.id} ({s.found})" if s.found else s.id for s in sources if s.usable]
    none = "none usable; set a key such as OPENAI_API_KEY (octoplex providers lists them)"
    yield Finding("providers", "ok" if names else "note", ", ".join(names) or none)
    yield from _half_set(sources)


def _half_set(sources: Sequence[Source]) -> Iterator[Finding]:
    """Providers whose key is there and which cannot be asked for want of something else."""
    rows, lacking = catalogue(), dict[str, list[str]]()
    for source in sources:
        row = rows.get(source.id)
        if source.found and source.missing and not (row and row.obstacle):
            lacking.setdefault(source.missing, []).append(source.id)
    for missing, names in lacking.items():
        yield Finding("providers", "note", f"{', '.join(names)} cannot be used: {missing}")


def _folder(place: Place) -> Iterator[Finding]:
    data = place.data
    if not data.exists():
        parent = _existing(data)
        good = os.access(parent, os.W_OK | os.X_OK)
        says = "is made at the first start" if good else f"cannot be made: {parent} is not writable"
        yield Finding("data", "ok" if good else "broken", f"{data} {says}")
    elif not data.is_dir():
        yield Finding("data", "broken", f"{data} is not a folder; set [server] data")
    elif not os.access(data, os.W_OK | os.X_OK):
        yield Finding("data", "broken", f"{data} is not writable for this user")
    elif data.stat().st_mode & 0o077:
        yield Finding("data", "note", f"{data} can be read by others; the next start closes it")
    else:
        yield Finding("data", "ok", str(data))
    for path in sorted(data.glob("*.damaged-*")) if data.is_dir() else ():
        yield Finding("data", "note", f"{path.name} was damaged and put aside")


def _existing(path: Path) -> Path:
    return next((p for p in path.parents if p.exists()), Path("/"))


def _space(place: Place) -> Iterator[Finding]:
    free_mb = shutil.disk_usage(_existing(place.data / "x")).free // MB
    level: Level = "ok" if free_mb >= LITTLE_MB else "note"
    if free_mb < TOO_LITTLE_MB:
        level = "broken"
    yield Finding("disk", level, f"{free_mb:,} MB free for {place.data}")


def _holder(place: Place) -> Iterator[Finding]:
    holder = Folder(place.data).held_by()
    if holder is None:
        yield Finding("server", "ok", "none runs on this data folder")
        return
    where = f" at {holder.address}" if holder.address else ", not serving"
    yield Finding("server", "ok", f"process {holder.pid}{where}")
    if holder.address:
        yield from _ready(holder, place.settings.server.tls)
        yield from _admin(place.settings.server)


def _ready(holder: Holder, tls: Tls | None) -> Iterator[Finding]:
    """Ask the running server, on this machine, how it is."""
    # The certificate is the file's own, and need not name the loopback.
    trusting = ssl.create_default_context(cafile=tls.cert if tls else None)
    trusting.check_hostname = False  # nosemgrep: trust-any-certificate
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting)
    )
    try:
        with opener.open(f"{holder.address}/health/ready", timeout=WAIT_S) as reply:
            body = reply.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except OSError as error:
        yield Finding("health", "broken", f"{holder.address} does not answer: {error}")
        return
    try:
        said: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        yield Finding("health", "broken", f"{holder.address} answers, but not as Octoplex does")
        return
    good = said.get("status") == "ready"
    says = f"{said.get('status', 'not ready')}, ledger {said.get('ledger', 'unknown')}"
    yield Finding("health", "ok" if good else "broken", says)
    if said.get("config_error"):
        yield Finding("reload", "broken", f"the last one was refused: {said['config_error']}")


def _admin(server: Server) -> Iterator[Finding]:
    """Whether anybody listens at the address of `/admin`."""
    if not server.admin:
        return
    host, port = address(server.admin)
    try:
        socket.create_connection((HERE.get(host, host), port), WAIT_S).close()
    except OSError as error:
        yield Finding("admin", "broken", f"{server.admin} does not answer: {error}")
        return
    yield Finding("admin", "ok", f"/admin is at {server.admin} alone")


def _ledger(place: Place) -> Iterator[Finding]:
    reader = place.reader()
    try:
        rows = reader.keys()
        reader.balances(0)
    except (sqlite3.Error, StoreFailed) as error:
        yield Finding("ledger", "broken", f"cannot be read: {error}")
        return
    finally:
        reader.close()
    spool = place.data / SPOOL
    if spool.exists() and (size := spool.stat().st_size):
        yield Finding("spool", "note", f"{size:,} bytes in {spool} wait for the database")
    count = sum(row.revoked_at_ms is None for row in rows) + len(place.settings.keys)
    none = "readable; no keys, so anyone on this machine may ask"
    yield Finding("ledger", "ok", f"readable; keys in force: {count}" if count else none)


def _redis(place: Place) -> Iterator[Finding]:
    """Whether the Redis of several hosts answers, and how soon."""
    if not place.settings.server.redis:
        return
    try:
        place = place.opened()
        address = sharing_of(place.settings, place.env).redis
        assert address is not None
        greeting = asyncio.run(greeted(address))
    except GatewayError as error:
        yield Finding("redis", "broken", str(error))
        return
    says = f"{greeting.version} at {address.shown} answers in {greeting.took_s * 1000:.1f} ms"
    yield Finding("redis", "ok", says)
    if greeting.losing:
        yield Finding("redis", "note", greeting.losing)


def _local(place: Place) -> Iterator[Finding]:
    yield Finding("engine", "ok" if has_engine() else "note", _engine())
    for model in available(place.data):
        says = f"run `{model.command}`" if model.command else "can run"
        yield Finding("model", "note" if model.command else "ok", f"octoplex/{model.id}: {says}")
    found = ", ".join(sorted(asyncio.run(detect())))
    yield Finding("servers", "ok", found or "no model server of another kind on this machine")


def _engine() -> str:
    return "xllamacpp is installed" if has_engine() else "xllamacpp is not installed"
