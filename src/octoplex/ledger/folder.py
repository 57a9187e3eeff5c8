"""The data folder: private, and one process at a time.

The folder is 0700 and every file in it 0600. Who may write holds an flock on `lock`,
which names its process and address, so that a second server can say who is there
(F77). The kernel drops the lock with the process, however that dies.

SQLite 3.51.2 and older can corrupt a WAL file when two connections write or
checkpoint at the same instant (fixed in 3.51.3; sqlite.org/changes.html). This lock
and the single writer are what rules that out: without the lock, open read-only.
"""

import fcntl
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from octoplex.ledger.unpacked import check_unpacked
from octoplex.wire.error import BadConfig, StoreFailed

OURS = ("lock", "ledger.db", "control.db", "pepper")


class Holder(Struct, frozen=True):
    """Who holds the folder."""

    pid: int
    address: str = ""


class Folder:
    """A data folder. `with Folder(path).locked("127.0.0.1:8080"):` or `lock` and `unlock`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser()
        self._lock: int | None = None

    def make(self) -> None:
        """Create it, private.

        Raises:
            BadConfig: it cannot be created or written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.path.stat()
            mine = status.st_uid == os.geteuid()
            if mine and status.st_mode & 0o077 and self._is_ours():
                self.path.chmod(0o700)
        except OSError as error:
            raise BadConfig(
                f"the data folder {self.path} cannot be used: {error.strerror}; "
                "set [server] data to a folder this user may write"
            ) from error

    def lock(self, address: str = "") -> None:
        """Take it for this process, or fail at once.

        Raises:
            StoreFailed: another process holds it; facts `pid`, `address`.
            BadConfig: it cannot be created or written, or is a mixture (`unpacked.py`).
        """
        self.make()
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BadConfig(
                f"the data folder {self.path} cannot be written: {error.strerror}"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise self._taken() from None
        self._lock = lock
        try:
            check_unpacked(self.path)
        except BaseException:
            self.unlock()
            raise
        self.tell(address)

    def tell(self, address: str) -> None:
        """Write down the address once it is known; readers never see half a line."""
        if self._lock is not None:
            line = msgspec.json.encode(Holder(os.getpid(), address))
            os.pwrite(self._lock, line.ljust(512) + b"\n", 0)

    def unlock(self) -> None:
        """Let go of it; harmless when repeated."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def holder(self) -> Holder | None:
        """Who last held it; whether they still do is known only by locking."""
        try:
            return msgspec.json.decode((self.path / "lock").read_bytes(), type=Holder)
        except (OSError, msgspec.MsgspecError):
            return None

    def held_by(self) -> Holder | None:
        """Who holds it now, None when nobody does. Creates and changes nothing."""
        try:
            lock = os.open(self.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return self.holder() or Holder(0)
        finally:
            os.close(lock)
        return None

    def file(self, name: str) -> Path:
        """The path of a file in it, created private when it does not exist."""
        path = self.path / name
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return path

    def _is_ours(self) -> bool:
        """Never tighten somebody else's folder: `data = "/tmp"` must not close /tmp."""
        names = os.listdir(self.path)
        return not names or any(name in names for name in OURS)

    def _taken(self) -> StoreFailed:
        holder = self.holder() or Holder(0)
        where = f" at {holder.address}" if holder.address else ""
        who, what = f"process {holder.pid}{where}", "stop it"
        if holder.pid == os.getpid():
            who, what = "this very process", "close the other client (`with Octoplex() as ...`)"
        return StoreFailed(
            f"the data folder {self.path} is in use by {who}; "
            f"{what}, or set [server] data to another folder",
            pid=holder.pid,
            address=holder.address,
        )
