"""Files and batches kept for their callers: rows in `archive.db`, bytes in files beside it.

    files/file-…              a file as it was uploaded, or what a batch ended with
    files/batch_….in          what a batch asks, a line each
    files/batch_….out, .err   its results so far, each line whole or not at all

    await archive.do(archive.file, key_id, id_)

Every method but `do`, `put_down` and `close` belongs to the archive's one thread, to which
`do` hands it; nothing here is waited for by anybody who did not ask for it. The files of
results are the journal of a running batch: what stands in them is done, also after a kill,
and `recover` reads from them how far it came. `open` holds the batches with something left
to do, as objects that whoever runs them changes; `changed` is set when there may be more to
do.

Files are 0600 in a folder of 0700, named by ids of ours alone. The last `spare_bytes` of
the disk are not taken. Where the disk cannot be written `do` raises StoreFailed.

Not promised: that the last lines of a batch survive a power cut; they are asked again.
"""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, ParamSpec, TypeVar

import msgspec

from octoplex.ledger.batch import PARTS, RESULTS, Batch, File, Part, Span, Status, results
from octoplex.ledger.connect import connect
from octoplex.ledger.folder import Folder
from octoplex.ledger.rows import Laid
from octoplex.wire.error import BadConfig, InvalidCall, NotFound, StoreFailed

T = TypeVar("T")
P = ParamSpec("P")
NAME, FOLDER = "archive.db", "files"
SPARE_BYTES = 256_000_000
"""Room on the disk that is left to the ledger."""
UPLOADING = ".upload-"
DISK_WAIT_S = 1.0

log = logging.getLogger("octoplex.ledger")

_batch = msgspec.json.Decoder(Batch).decode
_FILE = "id, key_id, created_at, expires_at, bytes, filename, purpose"


class Archive:
    """One per data folder. `now` is the Unix clock in seconds."""

    def __init__(
        self,
        folder: Folder,
        spare_bytes: int = SPARE_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open the file if there is one, and take up what was left open.

        Raises:
            BadConfig: it cannot be opened, or is newer than this code.
        """
        self._folder, self._spare_bytes, self.now = folder, spare_bytes, now
        self._place = folder.path / FOLDER
        self._made: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "octoplex-archive")
        self.open: dict[str, Batch] = {}
        self.changed = asyncio.Event()
        if (folder.path / NAME).exists():
            try:
                rows = self._db.execute("select row from batches where open order by seq")
                found = [_batch(row) for (row,) in rows]
            except sqlite3.DatabaseError as error:
                raise BadConfig(
                    f"{folder.path / NAME} cannot be opened ({error}): restore it from a backup, "
                    "or move it away with the folder files beside it"
                ) from error
            self.open = {batch.id: batch for batch in found}
            for left in self._place.glob(f"{UPLOADING}*"):
                left.unlink()

    def laid(self) -> list[Laid]:
        """What is set aside for batches that their providers run."""
        return [
            Laid(b.key_id, b.remote.tenant, b.created_at * 1000, b.remote.held_nano)
            for b in self.open.values()
            if b.remote is not None
        ]

    async def do(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Have the archive's thread do it, after what it was asked before.

        Raises:
            StoreFailed: the disk cannot be read or written.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: work(*args, **named))
        except (sqlite3.Error, OSError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise StoreFailed(f"The files kept here cannot be read or written: {why}.") from error

    async def put_down(self, batch: Batch, part: Part, line: bytes) -> None:
        """Append a line of results, however long the disk takes: it is paid for."""
        while True:
            try:
                return await self.do(self.append, batch, part, line)
            except StoreFailed as error:
                log.error("a result of batch %s waits: %s", batch.id, error)
                await asyncio.sleep(DISK_WAIT_S)

    def close(self) -> None:
        """Do what was asked, then let go of the file."""
        self._thread.shutdown()
        if self._made is not None:
            self._made.close()

    @property
    def begun(self) -> bool:
        """Whether there ever was anything to keep."""
        return self._made is not None

    # -- files ------------------------------------------------------------------------------

    @asynccontextmanager
    async def coming(self, size: int) -> AsyncIterator["Upload"]:
        """Take a file of about this many bytes. Unless it is kept, nothing of it stays."""
        begun: list[Upload] = []
        try:
            await self.do(lambda: begun.append(self.begin(size)))
            yield begun[0]
        finally:  # behind what is still being opened or written for a caller who has left
            await asyncio.shield(self.do(lambda: _drop(begun)))

    def begin(self, size: int) -> "Upload":
        """As `coming`, for who drops it himself."""
        self._check_room(size)
        self._db  # noqa: B018 - the folder comes with it
        return Upload(self._place / f"{UPLOADING}{token_hex(8)}", self._check_room)

    def keep(self, upload: "Upload", file: File) -> None:
        """An upload is whole: from now on it is a file."""
        upload.end()
        place = upload.path.rename(self._place / file.id)
        try:
            self._insert(file)
        except sqlite3.Error:
            place.unlink()
            raise

    def file(self, key_id: str, id_: str) -> File | None:
        """A file of this key."""
        text = f"select {_FILE} from files where id = ? and key_id = ? and expires_at > ?"
        row = self._db.execute(text, (id_, key_id, int(self.now()))).fetchone()
        return None if row is None else File(*row)

    def files(self, key_id: str, span: Span, purpose: str = "") -> tuple[list[File], bool]:
        """Files of this key, and whether there are more."""
        values: list[str | int] = [key_id, int(self.now())]
        where = "key_id = ? and expires_at > ?"
        if purpose:
            where, values = f"{where} and purpose = ?", [*values, purpose]
        rows, more = self._page(f"select {_FILE} from files where {where}", values, span)
        return [File(*row) for row in rows], more

    def forget_file(self, key_id: str, id_: str) -> bool:
        """Delete a file of this key. A batch that was made of it goes on."""
        found = self._db.execute("delete from files where id = ? and key_id = ?", (id_, key_id))
        if not found.rowcount:
            return False
        (self._place / id_).unlink(missing_ok=True)
        return True

    def path(self, file: File) -> Path:
        """Where the bytes of a file lie."""
        return self._place / file.id

    # -- batches ----------------------------------------------------------------------------

    def add(self, batch: Batch, source: "File | Upload") -> Batch:
        """Keep a new batch, whose lines are those of a file of its caller or of an upload.

        One of its id that is there already stays, and is it.
        """
        before = self.batch(batch.key_id, batch.face, batch.id)
        if before is not None:
            return before
        if isinstance(source, File):
            try:
                os.link(self._place / source.id, self.part(batch, "in"))
            except FileNotFoundError:  # deleted since it was looked up
                raise NotFound(f"There is no file {source.id!r}.", param="input_file_id") from None
        else:
            source.end()
            source.path.rename(self.part(batch, "in"))
        text = "insert into batches (id, key_id, face, created_at, open, row)"
        row = (batch.id, batch.key_id, batch.face, batch.created_at, 1, _json(batch))
        try:
            self._db.execute(f"{text} values (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.Error:
            self.part(batch, "in").unlink()
            raise
        return batch

    def save(self, batch: Batch) -> None:
        """Write down how a batch stands."""
        text = "update batches set open = ?, row = ? where id = ?"
        self._db.execute(text, (not batch.over, _json(batch), batch.id))

    def batch(self, key_id: str, face: str, id_: str) -> Batch | None:
        """A batch of this key, made in this dialect."""
        text = "select row from batches where id = ? and key_id = ? and face = ?"
        row = self._db.execute(text, (id_, key_id, face)).fetchone()
        return None if row is None else self._live(row[0])

    def batches(self, key_id: str, face: str, span: Span) -> tuple[list[Batch], bool]:
        """Batches of this key, made in this dialect, and whether there are more."""
        text = "select row from batches where key_id = ? and face = ?"
        rows, more = self._page(text, [key_id, face], span)
        return [self._live(row) for (row,) in rows], more

    def forget_batch(self, batch: Batch) -> None:
        """Delete a batch that is over, with what it asked and what only it holds."""
        self._db.execute("delete from batches where id = ?", (batch.id,))
        for part in PARTS:
            self.part(batch, part).unlink(missing_ok=True)

    def part(self, batch: Batch, part: Part) -> Path:
        """Where the lines of a batch lie."""
        return self._place / f"{batch.id}.{part}"

    def fetched(self, file: BinaryIO, data: bytes) -> None:
        """Take a piece of what a provider sends."""
        self._check_room(len(data))
        file.write(data)

    def append(self, batch: Batch, part: Part, line: bytes) -> None:
        """Add a line of results, whole or not at all."""
        self._check_room(len(line))
        handle = os.open(self.part(batch, part), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(handle).st_size
            try:
                if os.write(handle, line) < len(line):
                    raise OSError("the disk is full")
            except OSError:
                os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)

    def recover(self, batch: Batch) -> set[str]:
        """Which lines a batch has the results of, by custom_id; counts them anew.

        A line that was cut off by a kill is taken out.
        """
        found = results(self._place, batch)
        for part, size in found.sizes.items():
            os.truncate(self.part(batch, part), size)
        batch.counts = found.counts
        return found.done

    def finish(self, batch: Batch, status: Status) -> None:
        """A batch is over: its results become files of its caller. May be done again."""
        files = {}
        for part, id_ in zip(RESULTS, (batch.output_file, batch.error_file), strict=True):
            path = self.part(batch, part)
            if id_ and path.exists():
                _sync(path)
                with suppress(FileExistsError):
                    os.link(path, self._place / id_)
                files[id_] = self._result_file(batch, id_, path.stat().st_size, part)
        ended = msgspec.structs.replace(
            batch,
            at=dict(batch.at),
            output_file=batch.output_file if batch.output_file in files else "",
            error_file=batch.error_file if batch.error_file in files else "",
        )
        ended.turn(status, self.now())
        for file in files.values():
            self._insert(file)
        self.save(ended)
        # Only now, so that what cannot be written down is tried again.
        batch.output_file, batch.error_file = ended.output_file, ended.error_file
        batch.at, batch.status = ended.at, ended.status
        for part in PARTS:
            if files or part not in RESULTS:  # else the results are read from there
                self.part(batch, part).unlink(missing_ok=True)

    def sweep(self, days: int) -> int:
        """Delete files that have expired, and batches that ended so long ago; how many."""
        now = int(self.now())
        old = self._db.execute("select key_id, id from files where expires_at <= ?", (now,))
        count = sum(self.forget_file(key_id, id_) for key_id, id_ in old.fetchall())
        text = "select row from batches where not open and created_at <= ?"
        rows = self._db.execute(text, (now - days * 86_400,)).fetchall()
        for (row,) in rows:
            self.forget_batch(_batch(row))
        return count + len(rows)

    # -- inside -----------------------------------------------------------------------------

    @property
    def _db(self) -> sqlite3.Connection:
        """The connection; file and folder begin with the first use."""
        if self._made is None:
            self._place.mkdir(mode=0o700, exist_ok=True)
            self._made = connect(self._folder.path / NAME, "archive", "full")
        return self._made

    def _live(self, row: str) -> Batch:
        """The object that is being worked on, where there is one."""
        batch = _batch(row)
        return self.open.get(batch.id, batch)

    def _insert(self, file: File) -> None:
        values = msgspec.structs.astuple(file)
        self._db.execute(
            f"insert or replace into files ({_FILE}) values (?, ?, ?, ?, ?, ?, ?)", values
        )

    def _page(
        self, text: str, values: list[str | int], span: Span
    ) -> tuple[list[tuple[Any, ...]], bool]:
        """The rows of a span. Going back takes the nearest, and shows them in the usual order."""
        back = bool(span.before)
        up = span.newest_first == back
        name, mark = ("before", span.before) if back else ("after", span.after)
        if mark:
            table = text.partition(" from ")[2].partition(" ")[0]
            known = f"select seq from {table} where id = ? and key_id = ?"
            found = self._db.execute(known, (mark, values[0])).fetchone()
            if found is None:
                raise InvalidCall(f"{name} {mark[:128]!r} is nothing of this list.", param=name)
            text, values = f"{text} and seq {'>' if up else '<'} ?", [*values, found[0]]
        text += f" order by seq {'asc' if up else 'desc'} limit ?"
        # Of the span nothing is in the text but which way it goes.
        values = [*values, span.limit + 1]
        rows = self._db.execute(text, values).fetchall()  # nosemgrep: value-in-statement
        more = len(rows) > span.limit
        rows = rows[: span.limit]
        return rows[::-1] if back else rows, more

    def _result_file(self, batch: Batch, id_: str, size: int, part: str) -> File:
        now = int(self.now())
        name = f"{batch.id}_{'output' if part == 'out' else 'error'}.jsonl"
        return File(id_, batch.key_id, now, now + batch.keep_s, size, name, "batch_output")

    def _check_room(self, size: int) -> None:
        place = os.statvfs(self._folder.path)
        if place.f_bavail * place.f_frsize - size < self._spare_bytes:
            raise StoreFailed("There is no room on the disk of this server for this file.")


class Upload:
    """A file that is still coming. It ends as a file, or leaves nothing behind."""

    def __init__(self, path: Path, check_room: Callable[[int], None]) -> None:
        self.path, self._check_room = path, check_room
        self.bytes = 0
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))

    def write(self, data: bytes) -> None:
        """Take what has come."""
        self._check_room(len(data))  # each time: many come at once
        view = memoryview(data)
        with self.path.open("ab", buffering=0) as file:
            while view:
                view = view[file.write(view) :]
        self.bytes += len(data)

    def end(self) -> None:
        """All has come: make it last."""
        _sync(self.path)

    def drop(self) -> None:
        """Leave nothing behind, unless it has become a file."""
        self.path.unlink(missing_ok=True)


def _drop(uploads: list[Upload]) -> None:
    for upload in uploads:
        upload.drop()


def _json(batch: Batch) -> str:
    return msgspec.json.encode(batch).decode()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
