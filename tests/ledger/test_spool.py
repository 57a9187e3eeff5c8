"""The spool: what was acknowledged is there, whatever happened to the file's end."""

from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from octoplex.ledger import Record, Settlement
from octoplex.ledger.spool import Rows, Spool
from octoplex.wire.error import BadConfig, StoreFailed
from tests.ledger.conftest import fill_up
from tests.ledger.test_store import order


def told(*batches: Rows) -> bytes:
    """What they say: raw members are equal only to themselves."""
    return msgspec.json.encode(batches)


def batch(number: int) -> Rows:
    made = order(number)
    record = Record(made.request_id, made.at_ms, metadata=Raw(b'{"a":1}'))
    return Rows([made], [Settlement(order(number + 1), 7)], [record])


def test_batches_come_back_in_order_and_once(tmp_path: Path) -> None:
    path = tmp_path / "spool.log"
    spool = Spool(path)
    assert not spool
    for number in range(5):
        spool.append(batch(number))
    spool.close()
    again = Spool(path)
    assert again.rows == 15
    assert told(*again.waiting()) == told(*[batch(n) for n in range(5)])
    again.clear()
    assert (again.rows, bool(again), list(again.waiting())) == (0, False, [])
    again.append(batch(9))
    assert told(*again.waiting()) == told(batch(9))
    again.clear()
    again.close()
    assert not path.exists()


def test_a_cut_at_any_byte_costs_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "spool.log"
    spool = Spool(path)
    ends = [0]
    for number in range(3):
        spool.append(batch(number))
        ends.append(path.stat().st_size)
    spool.close()
    whole = path.read_bytes()
    near = {end + step for end in ends for step in (-1, 0, 1, 4, 8, 9)}
    for size in sorted({*range(0, len(whole), 97), *near} & {*range(len(whole) + 1)}):
        path.write_bytes(whole[:size])
        cut = Spool(path)
        acknowledged = sum(end <= size for end in ends) - 1
        assert told(*cut.waiting()) == told(*[batch(n) for n in range(acknowledged)])
        cut.append(batch(7))
        assert told([*cut.waiting()][-1]) == told(batch(7))
        cut.close()


def test_a_damaged_end_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "spool.log"
    spool = Spool(path)
    spool.append(batch(1))
    first = path.stat().st_size
    spool.append(batch(2))
    spool.close()
    data = bytearray(path.read_bytes())
    data[first + 20] ^= 1
    path.write_bytes(data)
    again = Spool(path)
    assert told(*again.waiting()) == told(batch(1))
    assert (tmp_path / "spool.log.cut").read_bytes() == bytes(data[first:])
    again.close()


@pytest.mark.parametrize("spoiled", range(5))
@pytest.mark.parametrize("where", [1, 5, 40, -1], ids=["length", "sum", "data", "end"])
def test_what_a_disk_has_damaged_costs_itself_alone(
    tmp_path: Path, spoiled: int, where: int
) -> None:
    """Also while it is in use: it is emptied once all of it was read."""
    path = tmp_path / "spool.log"
    spool = Spool(path)
    ends = [0]
    for number in range(5):
        spool.append(batch(number))
        ends.append(path.stat().st_size)
    at = (ends[spoiled] if where > 0 else ends[spoiled + 1]) + where
    whole = bytearray(path.read_bytes())
    whole[at] ^= 1
    path.write_bytes(whole)
    rest = told(*[batch(number) for number in range(5) if number != spoiled])
    assert told(*spool.waiting()) == told(*spool.waiting()) == rest
    aside = whole[ends[spoiled] : ends[spoiled + 1]]
    assert (tmp_path / "spool.log.cut").read_bytes() == aside
    spool.append(batch(9))
    spool.close()
    (tmp_path / "spool.log.cut").unlink()
    again = Spool(path)
    assert told(*again.waiting()) == rest[:-1] + b"," + told(batch(9))[1:]
    assert (tmp_path / "spool.log.cut").read_bytes() == aside
    again.clear()
    again.close()


def test_what_another_version_wrote_is_not_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "spool.log"
    spool = Spool(path)
    spool.append(Rows([], [Settlement(order(1), 1, outcome=7)], []))  # type: ignore[arg-type]
    spool.close()
    with pytest.raises(BadConfig, match="another version"):
        Spool(path)
    assert path.stat().st_size


def test_above_its_bound_it_takes_nothing_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.log", most_bytes=2_500)
    spool.append(batch(0), share=0.5)
    with pytest.raises(StoreFailed, match=r"3 entries .* already wait for the database"):
        spool.append(batch(1), share=0.5)
    spool.append(batch(1))
    assert spool.rows == 6
    spool.close()


def test_a_full_disk_takes_nothing_and_harms_nothing(small_disk: Path) -> None:
    spool = Spool(small_disk / "spool.log")
    spool.append(batch(0))
    ballast = fill_up(small_disk)
    large = Rows([order(number) for number in range(100)])
    with pytest.raises(StoreFailed, match=r"full|space"):
        spool.append(large)
    assert told(*spool.waiting()) == told(batch(0))
    ballast.unlink()
    spool.append(large)
    spool.close()
    assert Spool(small_disk / "spool.log").rows == 103
