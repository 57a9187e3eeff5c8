"""What an archive may do to the folder it comes back to."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octoplex.sandbox.limits import Limits
from octoplex.sandbox.luggage import Back, pack, unpack
from octoplex.sandbox.shown import Shown
from octoplex.sandbox.work import Work
from octoplex.wire.error import BadConfig, InvalidCall

LIMITS = Limits(files=20, disk=100_000)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    for name in (".git/hooks", "in/deep", "out"):
        (work / name).mkdir(parents=True)
    for name in ("a", "in/deep/b", "out/c", ".git/hooks/pre-push", ".git/index"):
        (work / name).write_text(name)
    (work / "in" / "link").symlink_to("deep/b")
    (tmp_path / "outside").mkdir()
    return work


def work_in(place: Path, **wanted: Any) -> Work:
    usual = {"files": {}, "env": {}, "limits": LIMITS, "shown": None}
    return Work(argv=["true"], workspace=place, **(usual | wanted))


class Trip:
    """A workspace on its way: `members` are what an archive of it has."""

    def __init__(self, work: Work) -> None:
        self.work, went = work, io.BytesIO()
        self.sent = pack(work, b"script", went)
        went.seek(0)
        self.members: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
        with tarfile.open(fileobj=went, mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                self.members[member.name] = member, content.read() if content else b""

    def put(self, name: str, content: bytes = b"", kind: bytes = b"0", **about: Any) -> None:
        """A file, or what `kind` says, below the workspace unless the name begins otherwise."""
        full = name.removeprefix("!") if name.startswith("!") else f"workspace/{name}"
        member = tarfile.TarInfo(full)
        member.type, member.size = kind, len(content)
        for key, value in {"mode": 0o644, **about}.items():
            setattr(member, key, value)
        self.members[full] = member, content

    def packed(self) -> bytes:
        came = io.BytesIO()
        with tarfile.open(fileobj=came, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for member, content in self.members.values():
                archive.addfile(member, io.BytesIO(content) if content else None)
        return came.getvalue()

    def back(self) -> Back:
        return unpack(io.BytesIO(self.packed()), self.sent, self.work)


def seen(place: Path) -> dict[str, str]:
    """All that is there, and what it holds."""
    return {
        path.relative_to(place).as_posix(): f"-> {os.readlink(path)}"
        if path.is_symlink()
        else "/"
        if path.is_dir()
        else path.read_text()
        for path in sorted(place.rglob("*"))
    }


def test_what_goes_is_what_is_shown(place: Path) -> None:
    everything = seen(place)
    trip = Trip(work_in(place, files={"note": b"handed in"}))
    assert set(trip.sent) == set(everything)
    assert trip.members["octoplex/run"][1] == b"script"
    assert trip.members["files/note"][1] == b"handed in"
    assert trip.members["workspace/in/link"][0].linkname == "deep/b"
    part = Trip(work_in(place, shown=Shown(place, reads=("in/deep",), writes=("out", "new"))))
    assert set(part.sent) == {"in", "in/deep", "in/deep/b", "out", "out/c"}


@pytest.mark.parametrize("limits", [Limits(files=5), Limits(disk=20)])
def test_what_is_too_much_does_not_go(place: Path, limits: Limits) -> None:
    with pytest.raises(InvalidCall, match="than"):
        pack(work_in(place, limits=limits), b"", io.BytesIO())


def test_a_link_and_a_pipe_are_not_read(place: Path) -> None:
    (place / "to").symlink_to("/etc")
    os.mkfifo(place / "pipe")
    trip = Trip(work_in(place))
    assert not any(name.startswith("to/") or name == "pipe" for name in trip.sent)
    trip.back()
    assert (place / "pipe").is_fifo()


def test_the_folder_becomes_what_came(place: Path) -> None:
    trip = Trip(work_in(place))
    before = (place / ".git" / "index").stat()
    trip.put("a", b"new", mode=0o755)
    trip.put("made/x", b"x")
    trip.members["workspace/made"] = trip.members["workspace/in/deep"]
    trip.put("made", kind=tarfile.DIRTYPE, mode=0o755)
    trip.put("made/y", kind=tarfile.LNKTYPE, linkname="workspace/made/x")
    trip.put("made/up", kind=tarfile.SYMTYPE, linkname="../a")
    del trip.members["workspace/in/deep/b"], trip.members["workspace/in/deep"]
    trip.put("in/deep", b"a file now")
    trip.put("!told/status", b"7\n")
    order = sorted(trip.members.items(), key=lambda one: one[1][0].islnk())
    trip.members = dict(order)
    assert trip.back() == Back(7, ())
    assert seen(place) == {
        ".git": "/", ".git/hooks": "/", ".git/hooks/pre-push": ".git/hooks/pre-push",
        ".git/index": ".git/index", "a": "new", "in": "/", "in/deep": "a file now",
        "in/link": "-> deep/b", "made": "/", "made/up": "-> ../a", "made/x": "x", "made/y": "x",
        "out": "/", "out/c": "out/c",
    }  # fmt: skip
    assert (place / "a").stat().st_mode & 0o777 == 0o755
    assert (place / ".git" / "index").stat() == before


def evil() -> dict[str, Callable[[Trip], None]]:
    def link(name: str, target: str) -> Callable[[Trip], None]:
        return lambda trip: trip.put(name, kind=tarfile.SYMTYPE, linkname=target)

    def through(trip: Trip) -> None:
        trip.put("way", kind=tarfile.SYMTYPE, linkname="in")
        trip.put("way/planted", b"x")

    def hard(trip: Trip) -> None:
        trip.put("shadow", kind=tarfile.LNKTYPE, linkname="/etc/shadow")

    return {
        "../outside/x": lambda trip: trip.put("../outside/x", b"x"),
        "in/../../outside/x": lambda trip: trip.put("in/../../outside/x", b"x"),
        "/abs": lambda trip: trip.put("!workspace//abs", b"x"),
        "far": link("far", "/etc/passwd"),
        "up": link("up", "../outside"),
        "in/up": link("in/up", "../../outside"),
        "in/wind": link("in/wind", "deep/../../../outside"),
        "none": link("none", ""),
        "way/planted": through,
        "shadow": hard,
        "device": lambda trip: trip.put("device", kind=tarfile.CHRTYPE, devmajor=1, devminor=3),
        "pipe": lambda trip: trip.put("pipe", kind=tarfile.FIFOTYPE),
        ".git/hooks/pre-push": lambda trip: trip.put(".git/hooks/pre-push", b"x"),
        ".git/hooks/new": lambda trip: trip.put(".git/hooks/new", b"x"),
        "n" * 256: lambda trip: trip.put("n" * 256, b"x"),
        "bad?[2J": lambda trip: trip.put("bad\x1b[2J", kind=tarfile.FIFOTYPE),
        "bad?name": lambda trip: trip.put("bad\udcffname", kind=tarfile.FIFOTYPE),
    }


@pytest.mark.parametrize("name", evil())
def test_what_leads_out_is_not_taken_and_told(place: Path, name: str) -> None:
    before = {k: v for k, v in seen(place.parent).items() if k != "work/way"}
    trip = Trip(work_in(place))
    evil()[name](trip)
    assert trip.back().left == (name,)
    after = {k: v for k, v in seen(place.parent).items() if k != "work/way"}
    assert after == before


def test_a_link_of_the_folder_is_not_followed(place: Path) -> None:
    """It was there before, and its target is not the program's to write."""
    (place / "elsewhere").symlink_to("../outside")
    trip = Trip(work_in(place))
    trip.put("elsewhere/x", b"x")
    assert trip.back().left == ("elsewhere/x",)
    assert not list((place.parent / "outside").iterdir())


def test_no_set_id_bit_comes_back(place: Path) -> None:
    trip = Trip(work_in(place))
    trip.put("tool", b"x", mode=0o6755)
    assert trip.back().left == ()
    assert (place / "tool").stat().st_mode & 0o7777 == 0o755


def test_what_changed_here_meanwhile_stays(place: Path) -> None:
    trip = Trip(work_in(place))
    for name in ("a", "out/c", "in/deep/b"):
        (place / name).write_text("changed here")
    (place / "in" / "new").write_text("made here")
    (place / "out" / "other").write_text("made here")
    trip.put("a", b"changed inside")
    trip.put("in/new", b"made inside")
    for name in ("out/c", "out"):
        del trip.members[f"workspace/{name}"]
    assert trip.back().left == ("a", "in/new", "out", "out/c")
    found = seen(place)
    assert {found[n] for n in ("a", "out/c", "in/deep/b")} == {"changed here"}
    assert {found[n] for n in ("in/new", "out/other")} == {"made here"}
    assert not [name for name in found if "octoplex" in name]


def test_only_what_may_be_written_comes_back(place: Path) -> None:
    trip = Trip(work_in(place, shown=Shown(place, writes=("out",))))
    trip.put("a", b"changed")
    trip.put("out/c", b"changed")
    del trip.members["workspace/in/deep/b"]
    assert trip.back().left == ()
    found = seen(place)
    assert (found["a"], found["out/c"], found["in/deep/b"]) == ("a", "changed", "in/deep/b")


def many(trip: Trip) -> None:
    for n in range(40):
        trip.put(f"n{n}")


def large(trip: Trip) -> None:
    trip.put("large", b"x" * 100_001)


def twins(trip: Trip) -> None:
    trip.put("large", b"x" * 60_000)
    trip.put("twin", kind=tarfile.LNKTYPE, linkname="workspace/large")


@pytest.mark.parametrize("what", [many, large, twins])
def test_more_than_the_limits_changes_nothing(place: Path, what: Callable[[Trip], None]) -> None:
    before = seen(place)
    trip = Trip(work_in(place))
    trip.put("a", b"changed")
    what(trip)
    with pytest.raises(InvalidCall, match="left more than"):
        trip.back()
    assert seen(place) == before


def sparse(trip: Trip, size: bytes = b"0" + b"%011o" % (1 << 32)) -> bytes:
    """A member that says it has 4 GiB, and holds nothing."""
    trip.put("hole", kind=tarfile.GNUTYPE_SPARSE)
    archive = bytearray(trip.packed())
    at = archive.rfind(b"workspace/hole")
    archive[at + 483 : at + 495] = size
    archive[at + 148 : at + 156] = b" " * 8
    archive[at + 148 : at + 156] = b"%06o\0 " % sum(archive[at : at + 512])
    return bytes(archive)


def below_zero(trip: Trip) -> bytes:
    """Others could have as much more for it."""
    return sparse(trip, (-(1 << 32)).to_bytes(12, "big", signed=True))


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda trip: trip.packed()[:1024], "not whole"),
        (lambda trip: trip.packed().rstrip(b"\0"), "not whole"),
        (lambda trip: b"", "not whole"),
        (lambda trip: b"x" * 512 + trip.packed(), "cannot be read"),
        (sparse, "left more than"),
        (below_zero, "below zero"),
    ],
)
def test_a_spoilt_archive_changes_nothing(
    place: Path, spoilt: Callable[[Trip], bytes], said: str
) -> None:
    """What broke off would look as if the rest had been removed."""
    before = seen(place)
    trip = Trip(work_in(place))
    with pytest.raises((BadConfig, InvalidCall), match=said):
        unpack(io.BytesIO(spoilt(trip)), trip.sent, trip.work)
    assert seen(place) == before


def test_pythons_own_filter_would_let_through_all_that_is_taken(place: Path) -> None:
    """The rules here are not looser than those of `tarfile`."""
    trip = Trip(work_in(place))
    trip.put("in/deep/up", kind=tarfile.SYMTYPE, linkname="../../out/./c")
    assert trip.back().left == ()
    for member, _ in trip.members.values():
        tarfile.data_filter(member, str(place))
