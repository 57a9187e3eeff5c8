"""Providers put out of use and keys stored for them: by the shell or by a running server.

Every change is noted in the audit log before it is made; `reload` puts it in force. What a
provider's name may be is the catalogue's and the file's to say.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from octoplex.catalog.provider import catalogue
from octoplex.ledger.audit import Audit
from octoplex.ledger.switches import Off, StoredKey, Switches
from octoplex.secrets.seal import Seal
from octoplex.settings import Settings, secret
from octoplex.transport.origin import Origin
from octoplex.upstreams.config import Provider
from octoplex.upstreams.configured import from_file
from octoplex.wire.error import BadConfig, InvalidCall, NotFound

SHORTEST_KEY = 8


class Switchboard:
    """The switches of a data folder, for the process that has it locked."""

    def __init__(
        self, data: Path, audit: Audit, settings: Settings, env: Mapping[str, str]
    ) -> None:
        self._data, self._audit, self._settings, self._env = data, audit, settings, env

    def do(self, how: str, order: Mapping[str, Any], who: str) -> dict[str, Any]:
        """What an order `providers.HOW` asks for.

        Raises: as the method of that name.
        """
        id_ = str(order.get("id", ""))
        if how == "reseal":
            return self.reseal(who)
        if how == "store_key":
            return self.store_key(id_, str(order.get("key", "")), who)
        turns = {"disable": self.disable, "enable": self.enable, "forget_key": self.forget_key}
        return turns[how](id_, who)

    def disable(self, id_: str, who: str) -> dict[str, Any]:
        """Ask a provider no more.

        Raises:
            NotFound: there is no such provider.
            StoreFailed: it could not be written down; nothing has changed.
        """
        return self._turn(id_, who, Off(who, _now()))

    def enable(self, id_: str, who: str) -> dict[str, Any]:
        """Let a provider be asked again.

        Raises: as `disable`.
        """
        return self._turn(id_, who, None)

    def store_key(self, id_: str, key: str, who: str) -> dict[str, Any]:
        """Ask a provider with this key instead of the file's.

        Raises:
            InvalidCall: there is no [server] seal, or the key is none, or none of this vendor.
            NotFound, StoreFailed: as `disable`.
        """
        switches, key = self._switches(id_), key.strip()
        if len(key) < SHORTEST_KEY or not key.isprintable() or not key.isascii():
            raise InvalidCall(f"That is no key: send at least {SHORTEST_KEY} printable characters.")
        seal = seal_of(self._settings, self._env)
        origin = origin_of(self._base_url(id_, key))
        stored = StoredKey(
            sealed=seal.close(key, _about(id_, origin)),
            last4=key[-4:],
            who=who,
            at=_now(),
            origin=origin,
        )
        after = {"last4": stored.last4}
        before = _key(switches, id_)
        with self._audit.change(who, "providers.store_key", id_, before=before, after=after):
            switches.with_key(id_, stored).write(self._data)
        return {"id": id_, "key": after}

    def forget_key(self, id_: str, who: str) -> dict[str, Any]:
        """Ask a provider with the file's key again.

        Raises:
            NotFound: no key is stored for it.
            StoreFailed: as `disable`.
        """
        switches = Switches.read(self._data)
        if id_ not in switches.keys:
            raise NotFound(f'No key is stored for "{id_}".')
        with self._audit.change(who, "providers.forget_key", id_, before=_key(switches, id_)):
            switches.with_key(id_, None).write(self._data)
        return {"id": id_, "key": None}

    def reseal(self, who: str) -> dict[str, Any]:
        """Seal every stored key with the newest secret of [server] seal.

        Raises:
            InvalidCall: there is no [server] seal.
            BadConfig: one cannot be opened; nothing has changed.
            StoreFailed: as `disable`.
        """
        seal, switches = seal_of(self._settings, self._env), Switches.read(self._data)
        for id_, stored in switches.keys.items():
            about = _about(id_, stored.origin)
            fresh = seal.close(seal.open(stored.sealed, about), about)
            switches = switches.with_key(id_, replace(stored, sealed=fresh))
        with self._audit.change(who, "providers.reseal", "", after=sorted(switches.keys)):
            switches.write(self._data)
        return {"resealed": len(switches.keys)}

    def _turn(self, id_: str, who: str, off: Off | None) -> dict[str, Any]:
        switches = self._switches(id_)
        before = {"enabled": id_ not in switches.off}
        after = {"enabled": off is None}
        what = "providers.enable" if off is None else "providers.disable"
        with self._audit.change(who, what, id_, before=before, after=after):
            switches.with_provider(id_, off).write(self._data)
        return {"id": id_, **after}

    def _base_url(self, id_: str, key: str) -> str:
        """Where it would be asked with this key."""
        table, row = self._settings.providers.get(id_, Provider()), catalogue().get(id_)
        table = replace(table, api_key="stored", headers={}, query={})
        try:
            return from_file(id_, table, row, self._env, lambda *_: key).base_url
        except BadConfig as error:
            raise InvalidCall(str(error)) from None

    def _switches(self, id_: str) -> Switches:
        if id_ not in self._settings.providers and id_ not in catalogue():
            raise NotFound(f'There is no provider "{id_}"; `octoplex providers` lists them.')
        return Switches.read(self._data)


def seal_of(settings: Settings, env: Mapping[str, str]) -> Seal:
    """What opens and closes stored keys.

    Raises:
        InvalidCall: the file names no secret for it.
        BadConfig: it is not there, or too short.
    """
    references = settings.server.seal
    if not references:
        raise InvalidCall(
            "Keys are stored sealed, and the file names no secret for that: write "
            'seal = "env:OCTOPLEX_SEAL" under [server] (`openssl rand -base64 32` makes one).'
        )
    names = (references,) if isinstance(references, str) else references
    return Seal([secret(name, env, "[server] seal") for name in names])


def stored_keys(switches: Switches, settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    """The keys that providers are asked with instead of the file's.

    Raises:
        BadConfig: there are some, and they cannot be opened.
    """
    if not switches.keys:
        return {}
    try:
        seal = seal_of(settings, env)
    except InvalidCall as error:
        raise BadConfig(f"Keys of providers are stored here. {error}") from None
    return {
        id_: seal.open(stored.sealed, _about(id_, stored.origin))
        for id_, stored in switches.keys.items()
    }


def origin_of(base_url: str) -> str:
    """What a stored key is bound to: scheme, host and port; a URL with gaps as it is."""
    try:
        origin = Origin.parse(base_url)
    except BadConfig:
        return base_url
    return f"{origin.scheme}://{origin.authority}"


def _about(id_: str, origin: str) -> str:
    return f"{id_}@{origin}" if origin else id_


def _key(switches: Switches, id_: str) -> dict[str, str] | None:
    stored = switches.keys.get(id_)
    return None if stored is None else {"last4": stored.last4}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
