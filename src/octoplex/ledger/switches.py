"""What operators set while the server runs: providers put out of use, and keys stored for them.

    switches = Switches.read(folder)
    after = switches.with_provider("openai", Off("key:ops", at))     values, never changed in place
    after.write(folder)                                              whole or not at all

They lie in `switches.json` of the data folder, over which the file of the configuration stays
the authority: they only take a provider away, or say which key it is asked with. Keys are sealed
(`secrets/seal.py`); their last four characters are what people see.
"""

import os
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from octoplex.wire.error import BadConfig, StoreFailed

T = TypeVar("T")
NAME = "switches.json"


class Off(Struct, frozen=True):
    """A provider is not asked any more: who said so, and when (RFC 3339)."""

    who: str
    at: str


class StoredKey(Struct, frozen=True, kw_only=True):
    """The key that a provider is asked with instead of the file's, at one origin only."""

    sealed: str
    last4: str
    who: str
    at: str
    origin: str = ""
    """Such as https://host:port; "" in files of older versions, whose keys go nowhere."""


class Switches(Struct, frozen=True):
    """All of them, by provider."""

    off: dict[str, Off] = {}
    keys: dict[str, StoredKey] = {}

    @classmethod
    def read(cls, folder: Path) -> "Switches":
        """Those of a data folder; none where there is no file.

        Raises:
            BadConfig: the file cannot be read.
        """
        path = folder / NAME
        try:
            return _read(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except (OSError, msgspec.MsgspecError) as error:
            raise BadConfig(
                f"{path} cannot be read ({error}); restore it, or move it away: then every "
                "provider is in use, with the keys of the file"
            ) from None

    def write(self, folder: Path) -> None:
        """Put it in the place of what was there.

        Raises:
            StoreFailed: it cannot be written; what was there is there still.
        """
        path = folder / NAME
        beside = path.with_suffix(".new")
        try:
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "wb") as out:
                out.write(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
                out.flush()
                os.fsync(out.fileno())
            beside.replace(path)
        except OSError as error:
            raise StoreFailed(f"{path} cannot be written: {error.strerror}") from None

    def with_provider(self, id_: str, off: Off | None) -> "Switches":
        """The same, with a provider out of use, or in use again."""
        return replace(self, off=_with(self.off, id_, off))

    def with_key(self, id_: str, key: StoredKey | None) -> "Switches":
        """The same, with a provider's key stored, or the file's in force again."""
        return replace(self, keys=_with(self.keys, id_, key))

    def as_in(self, before: "Switches", id_: str) -> "Switches":
        """The same, with one provider's switches as they were."""
        return self.with_provider(id_, before.off.get(id_)).with_key(id_, before.keys.get(id_))


def _with(kept: dict[str, T], id_: str, value: T | None) -> dict[str, T]:
    rest = {name: one for name, one in kept.items() if name != id_}
    return rest if value is None else rest | {id_: value}


_read = msgspec.json.Decoder(Switches).decode
