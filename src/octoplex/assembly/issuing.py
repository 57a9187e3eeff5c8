"""Keys made, replaced and revoked at run time, by the shell or by a running server.

Only `new` and `rotated` ever have a secret in their hands; what they return is shown once.
"""

import re
import time
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from octoplex.assembly.callers import check_tenant
from octoplex.assembly.region import check_demanded
from octoplex.ledger.rows import KeyRow, Turned
from octoplex.ledger.store import Store
from octoplex.reflex.keys import Hasher, KeySpec, new_key, new_secret
from octoplex.reflex.tenants import check_person, compiled
from octoplex.settings import Settings
from octoplex.wire.error import BadConfig, InvalidCall, NotFound

LONGEST_OVERLAP_MS = 90 * 86_400_000
LATEST_MS = 253_402_300_799_000
"""The end of the year 9999, beyond which nothing shows a time."""
LONGEST_NAME = 128
REVOKED = {"revoked": True}
"""What the audit log says of a key that was revoked."""
_ID = re.compile(r"key_[0-9a-f]{12}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def new(
    store: Store, hasher: Hasher, settings: Settings, spec: KeySpec
) -> tuple[str, KeyRow]:
    """Make a key: its secret, and what is kept of it.

    Raises:
        InvalidCall: the name is none or in use, or a limit, region, tenant, person or pattern is.
    """
    _check_name(spec.name)
    if spec.name in settings.keys:
        raise InvalidCall(f'There is a key "{spec.name}" in the file; choose another name.')
    _check_times(spec)
    try:
        check_demanded(settings, {"region": spec.region})
        check_tenant(spec.tenant, compiled(settings.tenants), spec.name)
        if spec.user:
            check_person(settings.tenants, spec.tenant, spec.user, f"The key {spec.name}")
        secret, row = new_key(spec, hasher, _now_ms())
    except BadConfig as error:
        raise InvalidCall(str(error)) from None
    except ValueError as error:
        raise InvalidCall(f"The key {spec.name}: {error}.") from None
    await store.add_key(row)
    return secret, row


async def rotated(store: Store, hasher: Hasher, name: str, overlap_ms: int) -> tuple[str, KeyRow]:
    """Give a key another secret; the one before opens it so much longer.

    Id, spend and limits stay. The secret before that one opens nothing any more.

    Raises:
        InvalidCall: nobody should have two secrets for so long.
        NotFound: there is no such key in use.
    """
    if not 0 <= overlap_ms <= LONGEST_OVERLAP_MS:
        raise InvalidCall('The overlap must be at most "90 days".')
    made = new_secret(hasher)
    turned = Turned(
        name=name,
        hash=made.hash,
        prefix=made.prefix,
        last4=made.last4,
        former_until_ms=_now_ms() + overlap_ms,
    )
    row = await store.rotate_key(turned)
    if row is None:
        raise _absent(name)
    return made.secret, row


async def revoked(store: Store, name: str) -> KeyRow:
    """Revoke a key, with both of its secrets.

    Raises:
        NotFound: there is no such key in use.
    """
    row = await store.revoke_key(name, _now_ms())
    if row is None:
        raise _absent(name)
    return row


async def before(store: Store, name: str) -> dict[str, Any] | None:
    """A key in use of this name or id, as the audit log may show it; None where there is none."""
    rows = [row for row in await store.keys() if row.revoked_at_ms is None]
    found = next((row for row in rows if row.id == name), None)
    found = found or next((row for row in rows if row.name == name), None)
    return None if found is None else shown(found)


def shown(row: KeyRow) -> dict[str, Any]:
    """What is kept of a key, without its hashes."""
    found: dict[str, Any] = to_builtins(replace(row, hash=b"", former=None))
    return {k: v for k, v in found.items() if k not in ("hash", "former")}


def _check_times(spec: KeySpec) -> None:
    """A key has a time, after now and before the end of all dates."""
    begins, ends = spec.begins_at_ms, spec.expires_at_ms
    if ends is not None and ends <= _now_ms():
        raise InvalidCall(f"The key {spec.name} would have expired before it was made.")
    if begins is not None and ends is not None and begins >= ends:
        raise InvalidCall(f"The key {spec.name} would expire before it begins.")
    if max(begins or 0, ends or 0) > LATEST_MS:
        raise InvalidCall(f"The key {spec.name} would begin or expire after the year 9999.")
    if begins is not None and begins < 0:
        raise InvalidCall(f"The key {spec.name} would begin before the year 1970.")


def _check_name(name: str) -> None:
    """A name is written in commands, paths and tables, and is not taken for an id."""
    wrong = not name or not name.isprintable() or name != name.strip() or "/" in name
    if wrong or len(name) > LONGEST_NAME or _ID.fullmatch(name):
        raise InvalidCall(f"{name[:LONGEST_NAME]!r} is no name for a key; write a word: app.")


def _absent(name: str) -> NotFound:
    return NotFound(f'There is no key "{name}" in use; `octoplex keys list` shows them.')
