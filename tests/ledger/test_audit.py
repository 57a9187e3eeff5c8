"""The audit log: what is noted stays, in order, and a changed line is seen."""

import json
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from octoplex.ledger.audit import FIRST, NAME, Audit, page, verify
from octoplex.wire.error import BadConfig, NotFound, StoreFailed


def _three(folder: Path) -> Audit:
    audit = Audit(folder)
    audit.note("shell:ana", "keys.new", "app", after={"limits": "$5/day"})
    audit.note("key:ops", "providers.disable", "openai", before={"enabled": True}, after={"enabled": False})  # fmt: skip  # noqa: E501
    audit.note("shell:ana", "keys.revoke", "app", before={"limits": "$5/day"})
    return audit


def test_lines_come_in_order_and_hold(tmp_path: Path) -> None:
    _three(tmp_path)
    assert verify(tmp_path / NAME)[0] == 3
    assert verify(tmp_path / NAME)[2] is None
    newest, middle = page(tmp_path / NAME, 2)
    assert (newest.seq, newest.what, newest.before) == (3, "keys.revoke", {"limits": "$5/day"})
    assert middle.who == "key:ops"
    (oldest,) = page(tmp_path / NAME, 9, before=2)
    assert (oldest.seq, oldest.about) == (1, "app")
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_another_process_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    _three(tmp_path)
    assert Audit(tmp_path).note("shell:ana", "reload", "").seq == 4
    assert verify(tmp_path / NAME)[0] == 4


def test_threads_note_one_after_the_other(tmp_path: Path) -> None:
    """Rules and experiments are noted beside the event loop, where operators' changes are."""
    audit = Audit(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: audit.note("rule", "fired", str(n)), range(64)))
    assert (verify(tmp_path / NAME)[0], verify(tmp_path / NAME)[2]) == (64, None)


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert verify(tmp_path / NAME) == (0, FIRST, None)
    assert page(tmp_path / NAME, 5) == []


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize("member", ["seq", "at", "who", "what", "about", "before", "after", "hash"])
def test_a_changed_line_breaks_the_chain(tmp_path: Path, line: int, member: str) -> None:
    _three(tmp_path)
    path = tmp_path / NAME
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    rows[line][member] = 9 if member == "seq" else "0" * 64 if member == "hash" else "other"
    path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    held, _, broken = verify(path)
    assert held == line
    assert broken is not None
    assert broken.line == line + 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"about":"app"', '"about":"app","more":1'),
        ('"about":"app"', '"about":"other","about":"app"'),
        ('"about":"app"', '"about": "app"'),
        ('"about":"app"', '"about":"\\u0061pp"'),
    ],
)
def test_a_line_that_says_the_same_in_other_bytes_breaks_the_chain(
    tmp_path: Path, old: str, new: str
) -> None:
    _three(tmp_path)
    path = tmp_path / NAME
    path.write_text(path.read_text().replace(old, new, 1))
    held, _, broken = verify(path)
    assert held == 0
    assert broken is not None
    assert broken.line == 1


def test_a_change_that_failed_is_told_as_such(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    for error in (NotFound("no such key"), StoreFailed("no room"), KeyError("secret")):
        with pytest.raises(type(error)), audit.change("shell:ana", "keys.revoke", "app"):
            raise error
    with audit.change("shell:ana", "keys.revoke", "app"):
        pass
    said = [line.after for line in page(tmp_path / NAME, 9)]
    told = ["failed: KeyError", "failed: no room", "refused: no such key"]
    assert said == [None, told[0], None, told[1], None, told[2], None]
    assert verify(tmp_path / NAME)[0] == 7


@pytest.mark.parametrize("cut", [0, 1])
def test_a_line_cut_out_breaks_the_chain(tmp_path: Path, cut: int) -> None:
    _three(tmp_path)
    path = tmp_path / NAME
    lines = path.read_text().splitlines(keepends=True)
    del lines[cut]
    path.write_text("".join(lines))
    assert verify(path)[2] is not None


def test_half_a_line_is_put_beside_the_file(tmp_path: Path) -> None:
    _three(tmp_path)
    path = tmp_path / NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert verify(path)[0] == 2
    audit = Audit(tmp_path)
    assert audit.note("shell:ana", "reload", "").seq == 3
    assert verify(path)[2] is None
    lost = whole.splitlines()[2][:-8]
    assert (tmp_path / f"{NAME}.half").read_bytes() == lost + b"\n"


def test_a_line_in_the_middle_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    _three(tmp_path)
    path = tmp_path / NAME
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "nonsense\n" + lines[2])
    with pytest.raises(BadConfig, match="line 2 cannot be read"):
        Audit(tmp_path)


def test_what_cannot_be_noted_is_refused_and_leaves_no_half_line(tmp_path: Path) -> None:
    audit = _three(tmp_path)
    path = tmp_path / NAME
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
    try:
        with pytest.raises(StoreFailed, match="nothing was changed"):
            audit.note("shell:ana", "reload", "", after="x" * 500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert path.read_bytes() == before
    assert audit.note("shell:ana", "reload", "").seq == 4
    assert verify(path)[0] == 4
