"""Who is asking: secrets in, keys out, in half a microsecond and constant time.

    credentials(headers, query) -> bytes | None     the one secret a request carries
    ring.find(secret) -> Key                        or Unauthorized
    ring.replace(entries)                           swap the whole snapshot: a reload, a revocation
    hasher = Hasher(pepper(folder)); hasher.hash(secret)
    new_key(...) -> (secret, KeyRow)                shown once, then only its hash exists
    from_config(...), from_row(row) -> Entry        both kinds of key share this path
    weak(secret) -> why | None

A secret is kept as its keyed BLAKE2b (a MAC, RFC 7693; 0.4 us against 1.9 for
HMAC-SHA256: `docs/decisions/key-hash.md`) under a pepper that never leaves its 0600
file. The snapshot is a dict from the *full* hash to the entry. Whoever times the
lookup learns about hashes under a key they do not have. An unknown secret, a revoked
one and an expired one get the same words.

Not promised: any protection of a secret that people can guess; `weak` refuses those.
"""

import base64
import hashlib
import hmac
import math
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qsl

from msgspec import Struct
from msgspec.structs import replace

from octoplex.ledger import KeyRow
from octoplex.reflex.limit import NO_LIMITS, Limits, Rate, parse
from octoplex.reflex.models import EVERY, Models
from octoplex.wire.ask import Caller
from octoplex.wire.error import BadConfig, InvalidCall, StoreFailed, Unauthorized

LONGEST = 512
"""Bytes. No secret is longer; what is, is refused without being hashed."""
SHORTEST = 16
CARRIERS = frozenset({b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key"})
COMMON = ("sk-1234", "changeme", "password", "secret", "admin", "test", "letmein", "master-key")
HOW = "send it as `Authorization: Bearer KEY` or `x-api-key: KEY`"


class Key(Struct, frozen=True, kw_only=True):
    """A key that is in force. `caller` is what travels in the Ask."""

    id: str
    name: str
    caller: Caller
    models: Models = EVERY
    limits: Limits = NO_LIMITS
    origin: str = "config"
    begins_at: float = 0.0
    expires_at: float | None = None
    """Unix clock, seconds: it opens nothing before the one and after the other."""
    above: tuple[tuple[str, tuple[Rate, ...]], ...] = ()
    """Its team, then its organisation, with their rates."""
    crowds: tuple[tuple[str, int], ...] = ()
    """The same with how many of their requests may run at the same time."""

    def allows(self, model: str) -> bool:
        """Whether the key may ask for a model or route of this name."""
        return self.models.allows(model)

    @property
    def rated(self) -> bool:
        """Whether any rate binds it."""
        return bool(self.limits.rates) or any(rates for _, rates in self.above)


class Entry(Struct, frozen=True):
    """A key and the hash that opens it; `former` opened it before, and does so until then."""

    hash: bytes
    key: Key
    former: bytes = b""
    former_until: float = 0.0
    """Unix clock, seconds."""


class Hasher:
    """Hashes secrets under a pepper."""

    __slots__ = ("_fresh",)

    def __init__(self, pepper: bytes) -> None:
        self._fresh = hashlib.blake2b(key=pepper, digest_size=32)

    def hash(self, secret: bytes) -> bytes:
        """The keyed hash, 32 bytes."""
        state = self._fresh.copy()
        state.update(secret)
        return state.digest()


class Keyring:
    """The keys in force, one immutable snapshot at a time."""

    __slots__ = ("_entries", "_hash", "_keys", "_now", "_unsure")

    def __init__(
        self,
        hasher: Hasher,
        entries: Iterable[Entry] = (),
        now: Callable[[], float] = time.time,
        unsure: Callable[[], bool] = bool,
    ) -> None:
        """`unsure` says whether there may be keys that are not known here now."""
        self._hash, self._now, self._unsure = hasher.hash, now, unsure
        self._entries: dict[bytes, Entry] = {}
        self._keys: dict[str, Key] = {}
        self.replace(entries)

    def replace(self, entries: Iterable[Entry]) -> None:
        """Put these keys in force instead, at once.

        Raises:
            BadConfig: two keys with one id, or one secret for two keys; nothing has changed.
        """
        fresh: dict[bytes, Entry] = {}
        keys: dict[str, Key] = {}
        for given in entries:
            if given.key.id in keys:
                raise BadConfig(f"keys.{given.key.name}: the id {given.key.id!r} is taken")
            keys[given.key.id] = given.key
            for entry in (given, *_former(given)):
                other = fresh.setdefault(entry.hash, entry)
                if other is not entry:
                    raise BadConfig(
                        f"keys.{entry.key.name} and keys.{other.key.name} have the same secret; "
                        "give each its own"
                    )
        self._entries, self._keys = fresh, keys

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._keys.values()))

    def find(self, secret: bytes | None) -> Key:
        """The key that this secret opens.

        Raises:
            Unauthorized: none given, unknown, revoked or expired.
        """
        return self.opened_by(self.proof(secret))

    def proof(self, secret: bytes | None) -> bytes:
        """What stands for a secret: its hash; b"" for none."""
        if not secret:
            return b""
        return self._hash(secret) if len(secret) <= LONGEST else b"too long"

    def opened_by(self, proof: bytes) -> Key:
        """The key in force whose secret this is the proof of.

        Raises:
            Unauthorized: as `find`.
            StoreFailed: it may be a key that cannot be looked for now.
        """
        entry = self._entries.get(proof)
        if entry is not None and hmac.compare_digest(entry.hash, proof):
            key = entry.key
            if key.expires_at is None and not key.begins_at:
                return key
            if key.begins_at <= self._now() < (key.expires_at or math.inf):
                return key
        if not proof:
            raise Unauthorized(f"A key is needed here; {HOW}")
        if entry is None and self._unsure():
            raise StoreFailed("The database of keys cannot be reached; try again.", retry_after_s=1)
        raise Unauthorized(f"This key is not known here, or no longer valid; {HOW}")


def _former(entry: Entry) -> list[Entry]:
    """The secret that was replaced, as long as it still opens the key."""
    if not entry.former:
        return []
    until, key = entry.former_until, entry.key
    ends_at = until if key.expires_at is None else min(until, key.expires_at)
    return [Entry(entry.former, replace(key, expires_at=ends_at))]


def credentials(
    headers: Mapping[bytes, bytes],
    query: bytes = b"",
    repeated: Sequence[tuple[bytes, bytes]] = (),
) -> bytes | None:
    """The secret a request carries, from whichever place; None if it carries none.

    `headers` have lower-case names; `repeated` holds every line of those that came more than
    once; `query` is the raw query string.

    Raises:
        InvalidCall: two different ones; it is not ours to choose.
    """
    places = CARRIERS.intersection(headers)
    if len(places) < 2 and not repeated and b"key=" not in query and b"%" not in query:
        if not places:
            return None
        (name,) = places
        return _secret(name, headers[name])
    single = [(name, headers[name]) for name in places if name not in dict(repeated)]
    found = {_secret(n, v) for n, v in (*single, *repeated) if n in CARRIERS}
    if query:
        pairs = parse_qsl(query.decode("latin-1"))
        found |= {text.encode("utf-8", "replace") for name, text in pairs if name == "key"}
    found.discard(b"")
    if len(found) > 1:
        raise _two()
    return found.pop() if found else None


def _secret(name: bytes, value: bytes) -> bytes:
    """What one header carries; b"" when that is nothing."""
    return _bearer(value) if name == b"authorization" else value.strip()


def _bearer(value: bytes) -> bytes:
    """The token of a Bearer header. Any other scheme stays whole, and so opens nothing."""
    return value[7:].strip() if value[:7].lower() == b"bearer " else _bare(value.strip())


def _bare(value: bytes) -> bytes:
    return b"" if value.lower() == b"bearer" else value


def _two() -> InvalidCall:
    return InvalidCall(
        "The request carries two different keys (Authorization, x-api-key, x-goog-api-key, "
        "api-key or ?key=); send one",
        param="authorization",
    )


class KeySpec(Struct, frozen=True, kw_only=True):
    """A key as an operator describes it."""

    name: str
    tenant: str = ""
    models: tuple[str, ...] = ()
    limits: str = ""
    region: str = ""
    expires_at_ms: int | None = None
    begins_at_ms: int | None = None
    role: str = ""
    """What it may do at `/admin`; the file alone gives one."""
    user: str = ""
    """The person it is for, who has a role in its tenant."""


def from_config(spec: KeySpec, secret: str, hasher: Hasher) -> Entry:
    """A key of the configuration. Its id is its name, so its spend survives a new secret.

    Raises:
        ValueError: the limits or a model pattern cannot be read.
    """
    expires_at = None if spec.expires_at_ms is None else spec.expires_at_ms / 1000
    key = Key(
        id=spec.name,
        name=spec.name,
        caller=Caller(
            spec.name,
            spec.name,
            spec.tenant,
            bool(parse(spec.limits).caps),
            spec.region,
            spec.role,
            spec.user,
        ),
        models=Models(spec.models),
        limits=parse(spec.limits),
        begins_at=(spec.begins_at_ms or 0) / 1000,
        expires_at=expires_at,
    )
    return Entry(hasher.hash(secret.encode()), key)


def from_row(row: KeyRow) -> Entry:
    """A key made at run time; give `Keyring` only rows that are not revoked.

    Raises:
        ValueError: the limits or a model pattern cannot be read.
    """
    expires_at = None if row.expires_at_ms is None else row.expires_at_ms / 1000
    key = Key(
        id=row.id,
        name=row.name,
        caller=Caller(
            row.id,
            row.name,
            row.tenant,
            bool(parse(row.limits).caps),
            row.region,
            user=row.user,
        ),
        models=Models(row.models),
        limits=parse(row.limits),
        origin="run-time",
        begins_at=(row.begins_at_ms or 0) / 1000,
        expires_at=expires_at,
    )
    return Entry(row.hash, key, row.former or b"", (row.former_until_ms or 0) / 1000)


def in_force(rows: Iterable[KeyRow]) -> list[Entry]:
    """The entries of those run-time keys that are not revoked."""
    return [from_row(row) for row in rows if row.revoked_at_ms is None]


def new_key(
    spec: KeySpec,
    hasher: Hasher,
    at_ms: int,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[str, KeyRow]:
    """Make a key of 160 random bits: the secret, to be shown once, and what is kept of it.

    Raises:
        ValueError: the limits or a model pattern cannot be read.
    """
    parse(spec.limits)
    Models(spec.models)
    made = new_secret(hasher, entropy)
    row = KeyRow(
        id=f"key_{entropy(6).hex()}",
        name=spec.name,
        hash=made.hash,
        prefix=made.prefix,
        last4=made.last4,
        tenant=spec.tenant,
        models=spec.models,
        limits=spec.limits,
        created_at_ms=at_ms,
        expires_at_ms=spec.expires_at_ms,
        region=spec.region,
        begins_at_ms=spec.begins_at_ms,
        user=spec.user,
    )
    return made.secret, row


def new_secret(hasher: Hasher, entropy: Callable[[int], bytes] = secrets.token_bytes) -> "Secret":
    """Make the secret of a key."""
    secret = "oct-" + base64.b32encode(entropy(20)).decode().lower()
    return Secret(secret, hasher.hash(secret.encode()), secret[:8], secret[-4:])


class Secret(Struct, frozen=True):
    """A secret, to be shown once, and what is kept of it."""

    secret: str
    hash: bytes
    prefix: str
    last4: str


def weak(secret: str) -> str | None:
    """Why this secret must not guard an open port, or None."""
    if len(secret) < SHORTEST:
        return f"it has fewer than {SHORTEST} characters"
    if len(set(secret)) < 8:
        return "it repeats too few different characters"
    plain = secret.lower().removeprefix("sk-").strip("-_")
    if any(plain.startswith(word.removeprefix("sk-")) for word in COMMON):
        return "it begins like a common default"
    return None


def pepper(folder: Path, entropy: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """The folder's pepper, made at the first call. Without it no stored hash opens anything.

    Raises:
        BadConfig: the file is not what was written, or cannot be read.
    """
    path = folder / "pepper"
    try:
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            path.chmod(0o600)
        else:
            with os.fdopen(made, "wb") as file:
                file.write(entropy(32))
                file.flush()
                os.fsync(file.fileno())
        value = path.read_bytes()
    except OSError as error:
        raise BadConfig(f"{path} cannot be used: {error.strerror}") from error
    if len(value) != 32:
        raise BadConfig(f"{path} must hold 32 bytes; restore it, or delete it and make new keys")
    return value
