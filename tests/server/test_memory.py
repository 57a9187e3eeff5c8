"""What websockets remember has bounds: each of its own, and all of them together."""

from octoplex.ledger.rows import Stored
from octoplex.server.memory import Hoard, Memory, Shared


def test_what_is_remembered_is_bounded() -> None:
    def row(name: str) -> Stored:
        return Stored(id=f"resp_{name}", key_id="k", created_at_ms=0, body=b"x" * 1_000)

    size = row("three").size
    hoard = Hoard(3 * size)
    shared, another = Shared(hoard, 2 * size), Shared(hoard, 9 * size)
    for name in ("one", "two", "one", "three"):
        Memory(name, shared).keep(row(name))
    assert list(shared.rows) == ["one", "three"], "the oldest goes"
    other = Memory("two", shared)
    assert other.find("k", "resp_one") is shared.rows["one"]
    assert other.find("another key", "resp_one") is None
    other.forget("resp_one")  # it is another strand's
    assert "one" in shared.rows
    for name in "ab":
        Memory(name, another).keep(row(name))
    assert list(another.rows) == ["b"], "all websockets together have a bound"
    shared.close()
    Memory("late", shared).keep(row("late"))
    assert (shared.rows, hoard.bytes) == ({}, another.bytes)
