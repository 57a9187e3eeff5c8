"""Which tools an operator has approved, and exactly as they were: hashes in the data folder.

    DATA/mcp/NAME.json    {"tools": {"create_issue": {"sha256", "at_ms", "by", "definition"}}}

A server may describe a tool today so that it is approved, and otherwise tomorrow (a rug pull). So
what is used is what was approved: the SHA-256 over the canonical JSON of a tool's name, title,
description, schemas and annotations. A tool that says anything else is refused until somebody
approves it anew. The file is written whole or not at all, by one process at a time.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.wire.error import StoreFailed

_PINNED = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")


class Pin(Struct, frozen=True):
    """One approval. `by` is who gave it; "first sight" where the file trusts that."""

    sha256: str
    at_ms: int
    by: str
    definition: dict[str, Any] = {}


class _File(Struct):
    tools: dict[str, Pin] = {}


def canonical(definition: Mapping[str, Any]) -> bytes:
    """What is hashed: the members that models and callers rely on, in one order."""
    kept = {name: definition[name] for name in _PINNED if definition.get(name) is not None}
    return msgspec.json.encode(kept, order="sorted")


def digest(definition: Mapping[str, Any]) -> str:
    """SHA-256 of a tool as it describes itself, in hex."""
    return hashlib.sha256(canonical(definition)).hexdigest()


class Pins:
    """The approvals of one server."""

    def __init__(self, data: Path, name: str) -> None:
        self._path = data / "mcp" / f"{name}.json"

    def read(self) -> dict[str, Pin] | None:
        """What is approved; None where nobody has looked at this server yet.

        Raises:
            StoreFailed: the file cannot be read; then nothing is approved.
        """
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File).tools
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise StoreFailed(
                f"{self._path} cannot be read ({error}); remove it and approve the tools anew."
            ) from None

    def approve(self, definitions: list[dict[str, Any]], by: str, at_ms: int) -> None:
        """Approve these tools as they are here; [] notes that somebody has looked.

        Raises:
            StoreFailed: it cannot be written.
        """
        try:
            with self._alone():
                tools = dict(self.read() or {})
                for one in definitions:
                    kept = msgspec.json.decode(canonical(one))
                    tools[str(one["name"])] = Pin(digest(one), at_ms, by, kept)
                self._write(msgspec.json.encode(_File(tools)))
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be written: {error.strerror}.") from None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self._path.with_suffix(".lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, data: bytes) -> None:
        beside = self._path.with_suffix(".new")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self._path)
