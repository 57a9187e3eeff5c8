"""What operators changed: one line each in `audit.jsonl`, every line chained to the one before.

    audit = Audit(folder.path, now_ms)
    with audit.change("shell:root", "keys.revoke", "app", before={...}):
        ...                                   the change; where it fails, a second line says so
    page(path, limit=50, before=None)         newest first
    verify(path)                              how many lines hold, or where the chain breaks

    {"seq":7,"at":"2026-11-21T...","who":"...","what":"...","about":"...","before":...,"after":...,
     "hash":"<SHA-256 of the hash before and of this line without its own>"}

A line is on the disk before its change takes effect, so what cannot be noted is not done. The
chain shows that a line was changed, moved or cut out; that lines are missing at the end is seen
by comparing with a hash that was kept elsewhere (`octoplex audit` prints the last). No secret
stands in it: callers hand over what may be seen.

Not promised: protection from whoever can write the file and compute SHA-256 over all of it.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.wire.error import BadConfig, CallerError, GatewayError, StoreFailed

log = logging.getLogger("octoplex.ledger")
NAME = "audit.jsonl"
FIRST = "0" * 64
_encode = msgspec.json.Encoder(order="deterministic").encode


class Line(Struct, frozen=True, kw_only=True):
    """One change. `who` is `shell:USER` or `key:NAME`; `about` names what was changed."""

    seq: int
    at: str
    who: str
    what: str
    about: str
    before: Any = None
    after: Any = None
    hash: str = ""


_read = msgspec.json.Decoder(Line).decode


class Broken(Struct, frozen=True):
    """Where a chain does not hold: the line's number in the file, and why."""

    line: int
    why: str


class Audit:
    """The writer of a folder's audit log; one process writes it, as it does all of the folder."""

    def __init__(self, folder: Path) -> None:
        """Find the end of what is there.

        Half a line at the end is what a crash left of a change that was never made: it is put
        beside the file.

        Raises:
            BadConfig: the file cannot be read.
        """
        self.path = folder / NAME
        self._seq, self._last = 0, FIRST
        self._one_by_one = threading.Lock()
        self._spoiled = ""
        """Why nothing can be noted any more before the next start."""
        _put_aside_half(self.path)
        for _, line in _lines(self.path):
            self._seq, self._last = line.seq, line.hash

    def note(
        self, who: str, what: str, about: str, *, before: Any = None, after: Any = None
    ) -> Line:
        """Write a change down before it is made. From any thread.

        Raises:
            StoreFailed: it cannot be written; the change must not be made.
        """
        with self._one_by_one:
            return self._note(who, what, about, before, after)

    def _note(self, who: str, what: str, about: str, before: Any, after: Any) -> Line:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = Line(
            seq=self._seq + 1, at=at, who=who, what=what, about=about, before=before, after=after
        )
        line = msgspec.structs.replace(line, hash=_hash(self._last, line))
        if self._spoiled:
            raise StoreFailed(self._spoiled)
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(file).st_size
                data = _encode(line) + b"\n"
                if os.write(file, data) != len(data):
                    os.ftruncate(file, size)
                    raise OSError("there is no room")
                self._sync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise StoreFailed(
                f"{self.path} cannot be written ({error.strerror or error}), so nothing was changed"
            ) from None
        self._seq, self._last = line.seq, line.hash
        return line

    def _sync(self, file: int) -> None:
        try:
            os.fsync(file)
        except OSError as error:  # a second one would not tell what was dropped (F55)
            self._spoiled = (
                f"{self.path} cannot be made to last ({error.strerror}), so nothing is changed; "
                "check the disk, then restart"
            )
            log.error("%s", self._spoiled)
            raise StoreFailed(self._spoiled) from None

    @contextmanager
    def change(
        self, who: str, what: str, about: str, *, before: Any = None, after: Any = None
    ) -> Iterator[None]:
        """Note a change and have it made; where that fails, a second line says how.

        Raises:
            StoreFailed: it cannot be noted, and is not made.
        """
        self.note(who, what, about, before=before, after=after)
        try:
            yield
        except BaseException as error:
            with suppress(StoreFailed):
                self.note(who, what, about, after=outcome(error))
            raise


def outcome(error: BaseException) -> str:
    """What became of a change that was noted and not made, or of which nobody knows."""
    if isinstance(error, GatewayError):
        return f"{'refused' if isinstance(error, CallerError) else 'failed'}: {error}"
    return f"failed: {type(error).__name__}"


def page(
    path: Path,
    limit: int,
    before: int | None = None,
    only: Callable[[Line], bool] | None = None,
) -> list[Line]:
    """The newest lines first; `before` is the `seq` that they come before.

    Raises:
        BadConfig: the file cannot be read.
    """
    kept = [line for _, line in _lines(path) if before is None or line.seq < before]
    kept = kept if only is None else [line for line in kept if only(line)]
    return kept[: -limit - 1 : -1]


def verify(path: Path) -> tuple[int, str, Broken | None]:
    """Walk the chain: how many lines hold, the hash of the last, and where it breaks."""
    count, last = 0, FIRST
    try:
        for count, (text, line) in enumerate(_lines(path), 1):
            if line.seq != count:
                return count - 1, last, Broken(count, f"its number is {line.seq}, not {count}")
            if text != _encode(line) + b"\n":
                return count - 1, last, Broken(count, "it is not written as we write lines")
            if line.hash != _hash(last, line):
                return count - 1, last, Broken(count, "its hash is not that of what it says")
            last = line.hash
    except BadConfig as error:
        return count, last, Broken(count + 1, str(error))
    return count, last, None


def _put_aside_half(path: Path) -> None:
    try:
        content = path.read_bytes()
        end = content.rfind(b"\n") + 1
        if end < len(content):
            beside = path.with_name(f"{NAME}.half")
            with os.fdopen(
                os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb"
            ) as f:
                f.write(content[end:] + b"\n")
            os.truncate(path, end)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadConfig(f"{path} cannot be used: {error.strerror}") from None


def _hash(last: str, line: Line) -> str:
    bare = _encode(msgspec.structs.replace(line, hash=""))
    return sha256(last.encode() + bare).hexdigest()


def _lines(path: Path) -> Iterator[tuple[bytes, Line]]:
    """Every line of a file that may not be there: as it is written, and what it says.

    Raises:
        BadConfig: one cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                try:
                    if not text.endswith(b"\n"):
                        raise ValueError("it is cut off")
                    line = _read(text)
                except (ValueError, RecursionError, msgspec.MsgspecError) as error:
                    raise BadConfig(
                        f"{path}: line {number} cannot be read ({error}); move the file away to "
                        "begin a new one, and keep it"
                    ) from None
                yield text, line
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadConfig(f"{path} cannot be read: {error.strerror}") from None
