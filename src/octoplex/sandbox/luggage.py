"""A workspace that travels: out as an archive, and back into the folder as changes.

    sent = pack(work, archive)                  what went, by name
    back = unpack(archive, sent, work)          what came back; the folder is as the program left it

Going, no link is followed. Coming, nothing is believed: the archive is read to its end before the
folder is touched; it has at most so many bytes and names; names do not lead out, nor do links;
there are no devices, pipes and set-id bits; no link of the folder is followed on the way to a
name. What did not change inside is left alone, and what changed here meanwhile is not overwritten:
its name is told instead, as are those of all else that was not taken (`Back.left`).

Not promised: owners, times, extended attributes and hard links, which become files of their own.
"""

import contextlib
import os
import secrets
import shutil
import stat
import tarfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from msgspec import Struct

from octoplex.sandbox import bubblewrap
from octoplex.sandbox.limits import Limits
from octoplex.sandbox.work import Work
from octoplex.wire.error import BadConfig, InvalidCall

Kind = Literal["file", "folder", "link"]
Stamp = tuple[int, ...]
STATUS = "told/status"
_PIECE = 1 << 20
_LONGEST_PART, _LONGEST, _DEEPEST = 255, 4096, 100
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_TOLD = 100


class Item(Struct, frozen=True):
    """A name below the workspace: what it is, its permissions, what is in it."""

    kind: Kind
    mode: int
    content: str
    """The digest of a file, the target of a link."""


class Sent(Struct, frozen=True):
    """What went, and by what it is seen that it changed here since."""

    item: Item
    stamp: Stamp


class Back(Struct, frozen=True):
    """What came back: the program's status, if it was told, and what was not taken."""

    status: int | None
    left: tuple[str, ...]


def most_bytes(limits: Limits) -> int:
    """The most that an archive can have."""
    return limits.disk + limits.files * 2048 + _PIECE


# --- going --------------------------------------------------------------------------------------


def pack(work: Work, script: bytes, to: IO[bytes]) -> Mapping[str, Sent]:
    """Write the script, what is handed in and what is shown of the workspace.

    Raises:
        InvalidCall: it is more than the limits let in, or cannot be read.
    """
    sent: dict[str, Sent] = {}
    left = work.limits.disk
    with tarfile.open(fileobj=to, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, mode, content in (
            ("octoplex/run", 0o444, script),
            *((f"files/{name}", 0o555, content) for name, content in work.files.items()),
        ):
            archive.addfile(_head(name, tarfile.REGTYPE, mode, len(content)), BytesIO(content))
        for name, folder_fd in _walk(work):
            try:
                one, took = _add(archive, name, folder_fd, left)
            except OSError as error:
                raise InvalidCall(f"{_shown(name)} cannot be read: {error.strerror}.") from None
            left -= took
            if one is not None:
                sent[name] = one
            if left < 0 or len(sent) > work.limits.files:
                raise InvalidCall(
                    f"The workspace has more than {work.limits.files:,} names or "
                    f"{work.limits.disk:,} bytes, which is what a job is given; limits for files "
                    "and disk give it more.",
                    param="workspace",
                )
    to.flush()
    return sent


def _walk(work: Work) -> Iterator[tuple[str, int]]:
    """(name, descriptor of its folder) of all that is shown, folders before what is in them."""
    if work.workspace is None:
        return
    parts = [""] if work.shown is None else [n for n, _ in work.shown.parts(work.workspace)]
    for root, folders, files, fd in os.fwalk(work.workspace, follow_symlinks=False):
        at = Path(root).relative_to(work.workspace)
        for name in sorted((*folders, *files)):
            path = (at / name).as_posix()
            is_shown = any(_is_within(path, part) for part in parts)
            if is_shown or any(_is_within(part, path) for part in parts):
                yield path, fd
            elif name in folders:
                folders.remove(name)


def _is_within(name: str, part: str) -> bool:
    return not part or name == part or name.startswith(f"{part}/")


def _add(archive: tarfile.TarFile, name: str, at: int, left: int) -> tuple[Sent | None, int]:
    """Put a name in, if it is of a kind that travels; and how many bytes that took."""
    own = PurePosixPath(name).name
    found = os.stat(own, dir_fd=at, follow_symlinks=False)
    mode, inside = stat.S_IMODE(found.st_mode) & 0o777, f"workspace/{name}"
    if stat.S_ISDIR(found.st_mode):
        archive.addfile(_head(inside, tarfile.DIRTYPE, mode))
        return Sent(Item("folder", mode, ""), ()), 0
    if stat.S_ISLNK(found.st_mode):
        head = _head(inside, tarfile.SYMTYPE, 0o777)
        head.linkname = os.readlink(own, dir_fd=at)
        archive.addfile(head)
        return Sent(Item("link", 0o777, head.linkname), _stamp(found)), 0
    if not stat.S_ISREG(found.st_mode) or found.st_size > left:
        return None, found.st_size if stat.S_ISREG(found.st_mode) else 0
    fd = os.open(own, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        read = _Read(file)
        head = _head(inside, tarfile.REGTYPE, mode, found.st_size)
        head.mtime = int(found.st_mtime)  # by which tools inside tell what is newer
        archive.addfile(head, read)
    return Sent(Item("file", mode, read.digest.hexdigest()), _stamp(found)), found.st_size


class _Read:
    """A file that is digested while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, sha256()

    def read(self, most: int = -1) -> bytes:
        piece = self._file.read(most)
        self.digest.update(piece)
        return piece


def _head(name: str, kind: bytes, mode: int, size: int = 0) -> tarfile.TarInfo:
    head = tarfile.TarInfo(name)
    head.type, head.mode, head.size = kind, mode, size
    return head


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


# --- coming -------------------------------------------------------------------------------------


def unpack(archive: IO[bytes], sent: Mapping[str, Sent], work: Work) -> Back:
    """Make the workspace what it is in the archive.

    Raises:
        BadConfig: the archive is not whole.
        InvalidCall: it has more than the limits let out; nothing was changed.
    """
    _is_whole(archive)
    try:
        with tarfile.open(fileobj=archive, mode="r:") as opened:
            return _unpacked(opened, sent, work)
    except (tarfile.TarError, EOFError, ValueError, RecursionError) as error:
        raise BadConfig(f"What came back of the workspace cannot be read: {error}.") from None


def _is_whole(archive: IO[bytes]) -> None:
    """A stream that broke off would look like a workspace in which the rest was removed."""
    end = archive.seek(0, os.SEEK_END)
    archive.seek(max(0, end - 1024))
    if end < 1024 or any(archive.read(1024)):
        raise BadConfig("What came back of the workspace is not whole; nothing of it was taken.")
    archive.seek(0)


def _unpacked(archive: tarfile.TarFile, sent: Mapping[str, Sent], work: Work) -> Back:
    workspace, writes = work.workspace, _writes(work)
    found, left, told = _read(archive, work)
    if workspace is None or not writes:
        return Back(told, ())
    held = frozenset(bubblewrap.present(workspace))
    changed, coming = [], {}
    for name in sorted({*sent, *found}):
        if not any(_is_within(name, part) for part in writes):
            continue
        before = sent[name].item if name in sent else None
        now, head = found.get(name, (None, None))
        if now == before or name in left:
            continue
        leads_out = now is not None and now.kind == "link" and not _stays(name, now.content)
        if leads_out or any(_is_within(name, one) for one in held):
            left.add(name)
            continue
        changed.append(name)
        if now is not None and head is not None:
            coming[name] = now, head
    left |= _Arrival(archive, workspace, sent).take(changed, coming)
    return Back(told, tuple(map(_shown, sorted(left)[:_MOST_TOLD])))


def _writes(work: Work) -> list[str]:
    if work.shown is None or work.workspace is None:
        return [""]
    return [name for name, may_write in work.shown.parts(work.workspace) if may_write]


_Found = dict[str, tuple[Item, tarfile.TarInfo]]


def _read(archive: tarfile.TarFile, work: Work) -> tuple[_Found, set[str], int | None]:
    """All that is in it by name, what may not be taken, and the program's status."""
    found: _Found = {}
    left: set[str] = set()
    size, told, limits = 0, None, work.limits
    for count, member in enumerate(archive):
        twin = found.get(_below(member.linkname)) if member.islnk() else None
        twin = twin if twin and twin[0].kind == "file" else None  # one more name of a file
        if member.size < 0:  # a sparse file may say that
            raise BadConfig("What came back of the workspace cannot be read: a size below zero.")
        size += member.size if member.isreg() else twin[1].size if twin else 0
        if count > limits.files + 8 or size > limits.disk:
            raise InvalidCall(
                f"The program left more than {limits.files:,} names or {limits.disk:,} bytes in "
                "the workspace; nothing of it was taken. Limits for files and disk let out more.",
                param="workspace",
            )
        if member.name == STATUS and member.isreg():
            said = _content(archive, member).read(8).strip()
            told = int(said) if said.isdigit() else None
        top, _, name = member.name.rstrip("/").partition("/")
        if top != "workspace" or not name:
            continue
        item = twin if member.islnk() else _item(archive, member, name)
        if item is None or not _is_name(name):
            left.add(name)
        else:
            found[name] = item
    return found, left, told


def _below(name: str) -> str:
    return name.rstrip("/").partition("/")[2]


def _item(
    archive: tarfile.TarFile, member: tarfile.TarInfo, name: str
) -> tuple[Item, tarfile.TarInfo] | None:
    """What a member would be here; None if it may not be."""
    mode = member.mode & 0o777
    if member.isdir():
        return Item("folder", mode, ""), member
    if member.issym():
        return Item("link", 0o777, member.linkname), member
    if not member.isreg():
        return None
    digest = sha256()
    content = _content(archive, member)
    while piece := content.read(_PIECE):
        digest.update(piece)
    return Item("file", mode, digest.hexdigest()), member


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    assert content is not None
    return content


def _is_name(name: str) -> bool:
    parts = name.split("/")
    return (
        len(os.fsencode(name)) <= _LONGEST
        and len(parts) <= _DEEPEST
        and all(p not in ("", ".", "..") for p in parts)
        and all(len(os.fsencode(p)) <= _LONGEST_PART and "\0" not in p for p in parts)
    )


def _stays(name: str, target: str) -> bool:
    """Whether a link leads no higher than the workspace, whatever other links it crosses.

    Ways up must come first: behind a name they could be taken from where another link leads.
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    is_plain = bool(target) and not target.startswith("/") and ".." not in parts[ups:]
    return is_plain and ups <= name.count("/") and len(os.fsencode(target)) < _LONGEST


class _Arrival:
    """The folder while what came is put into it."""

    def __init__(self, archive: tarfile.TarFile, workspace: Path, sent: Mapping[str, Sent]) -> None:
        self._archive, self._workspace, self._sent = archive, workspace, sent
        self._gone: set[str] = set()
        found = os.stat(workspace)
        self._owner = found.st_uid, found.st_gid

    def take(self, changed: list[str], coming: _Found) -> set[str]:
        """Remove what is gone or of another kind, deepest first; then put in what came, those
        above first. Those that could not be are returned."""
        left = set()
        for name in sorted(changed, key=_depth, reverse=True):
            before, now = self._sent.get(name), coming.get(name)
            is_gone = before and (now is None or now[0].kind != before.item.kind)
            if is_gone and not self._removed(name):
                left.add(name)
                coming.pop(name, None)
        for name in sorted(coming, key=_depth):
            if not self._taken(name, *coming[name]):
                left.add(name)
        return left

    @contextlib.contextmanager
    def _folder_of(self, name: str) -> Iterator[int]:
        """A descriptor of the folder that a name lies in, reached over no link."""
        with contextlib.ExitStack() as held:
            at = os.open(self._workspace, _FOLDER)
            held.callback(os.close, at)
            for part in PurePosixPath(name).parts[:-1]:
                at = os.open(part, _FOLDER, dir_fd=at)
                held.callback(os.close, at)
            yield at

    def _removed(self, name: str) -> bool:
        own = PurePosixPath(name).name
        with contextlib.suppress(OSError), self._folder_of(name) as at:
            if self._sent[name].item.kind == "folder":
                os.rmdir(own, dir_fd=at)  # what somebody put into it here keeps it
            elif self._is_as_sent(name, own, at):
                os.unlink(own, dir_fd=at)
            else:
                return False
            self._gone.add(name)
            return True
        return False

    def _taken(self, name: str, item: Item, member: tarfile.TarInfo) -> bool:
        own = PurePosixPath(name).name
        with contextlib.suppress(OSError), self._folder_of(name) as at:
            if item.kind == "folder":
                return self._make_folder(own, at, item.mode | stat.S_IRWXU)
            return self._put(name, own, at, item, member)
        return False

    def _make_folder(self, own: str, at: int, mode: int) -> bool:
        with contextlib.suppress(FileExistsError):
            os.mkdir(own, dir_fd=at)
        fd = os.open(own, _FOLDER, dir_fd=at)
        try:
            os.fchmod(fd, mode)
            self._give(fd)
        finally:
            os.close(fd)
        return True

    def _put(self, name: str, own: str, at: int, item: Item, member: tarfile.TarInfo) -> bool:
        """Make it beside its place, and move it there if that is as it was."""
        beside = f".octoplex-{secrets.token_hex(8)}"
        try:
            if item.kind == "link":
                os.symlink(item.content, beside, dir_fd=at)
                if os.geteuid() == 0:
                    os.chown(beside, *self._owner, dir_fd=at, follow_symlinks=False)
            else:
                with os.fdopen(os.open(beside, _NEW, 0o600, dir_fd=at), "wb") as file:
                    shutil.copyfileobj(_content(self._archive, member), file, _PIECE)
                    self._give(file.fileno())
                    os.fchmod(file.fileno(), item.mode)
            if not self._is_as_sent(name, own, at):
                return False
            os.replace(beside, own, src_dir_fd=at, dst_dir_fd=at)
            return True
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=at)

    def _give(self, fd: int) -> None:
        if os.geteuid() == 0:
            os.fchown(fd, *self._owner)

    def _is_as_sent(self, name: str, own: str, at: int) -> bool:
        """Whether here is what went, or nothing where nothing went or it was removed by us."""
        try:
            found = os.stat(own, dir_fd=at, follow_symlinks=False)
        except FileNotFoundError:
            return name not in self._sent or name in self._gone
        return name in self._sent and _stamp(found) == self._sent[name].stamp


def _depth(name: str) -> int:
    return name.count("/")


def _shown(name: str) -> str:
    """A name that may be printed."""
    return "".join(c if c.isprintable() else "?" for c in name)
