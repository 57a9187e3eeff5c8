"""The ring that outlives a kill: what is left in it, and what a bad file does."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from octoplex.ledger import Order, Reader, open_store
from octoplex.ledger.slate import HEAD, SLOT, SLOTS, Slate


def order(number: int, **changes: str | int) -> Order:
    made = Order(f"req_{number}", 1, 1_763_740_000_000, "k", "app", "r", "p", "m", "v", number)
    return replace(made, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.ring"


def reopened(path: Path) -> list[str]:
    return [one.request_id for one in Slate(path).take_left()]


def test_what_was_noted_and_not_written_is_left(path: Path) -> None:
    slate = Slate(path)
    for number in range(5):
        slate.note(order(number))
    slate.wrote(2)
    assert Slate(path).take_left() == [order(2), order(3), order(4)]
    slate.clear()
    assert reopened(path) == []
    slate.note(order(9))
    assert reopened(path) == ["req_9"]


def test_it_goes_round_and_keeps_the_newest(path: Path) -> None:
    slate = Slate(path)
    for number in range(SLOTS + 10):
        slate.note(order(number))
    assert reopened(path) == [f"req_{n}" for n in range(10, SLOTS + 10)]
    slate.wrote(SLOTS + 8)
    again = Slate(path)
    assert [one.nano for one in again.take_left()] == [SLOTS + 8, SLOTS + 9]
    assert again.take_left() == []
    again.note(order(7))
    assert [one.nano for one in Slate(path).take_left()] == [SLOTS + 8, SLOTS + 9, 7]
    assert path.stat().st_size == HEAD + SLOTS * SLOT


def test_names_that_are_too_long_lose_their_end_and_no_money(path: Path) -> None:
    slate = Slate(path)
    slate.note(order(1, model="m" * 5_000, route="\N{OCTOPUS}" * 400))
    slate.note(order(2))
    first, second = Slate(path).take_left()
    assert (first.request_id, first.nano, first.key_id) == ("req_1", 1, "k")
    assert first.model
    assert set(first.model) == {"m"}
    assert second == order(2)


def test_values_that_json_does_not_take_are_cleaned(path: Path) -> None:
    slate = Slate(path)
    slate.note(order(1, model="\ud800", nano=10**40))
    (left,) = Slate(path).take_left()
    assert (left.model, left.nano) == ("?", 2**53 - 1)


def test_a_slot_that_was_being_written_is_passed_over(path: Path) -> None:
    slate = Slate(path)
    slate.note(order(1))
    slate.note(order(2))
    half = bytearray(path.read_bytes())
    at = HEAD + 2 * SLOT + 12
    half[at : at + 4] = b"\xff{{{"
    path.write_bytes(half)
    assert reopened(path) == ["req_1"]


@pytest.mark.parametrize("content", [b"", b"x" * 100, os.urandom(HEAD + SLOTS * SLOT)])
def test_a_file_of_something_else_is_no_order(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert reopened(path) == []


def test_a_start_settles_what_missed_the_last_commit_and_nothing_twice(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    store = open_store(folder)
    store.reserve(order(1))
    store.close()
    slate = Slate(folder / "orders.ring")
    assert slate.take_left() == []
    slate.note(order(1))  # committed, and killed before that was noted
    slate.note(order(2, model="never committed"))
    for lost in (1, 0):
        again = open_store(folder)
        assert again.condition().lost == lost + (1 if lost else 0)
        again.close()
    rows = {str(row["request_id"]): row for row in Reader(folder).attempts()}
    assert {id_: (row["state"], row["nano"], row["outcome"]) for id_, row in rows.items()} == {
        "req_1": ("settled", 1, "lost"),
        "req_2": ("settled", 2, "lost"),
    }
    assert rows["req_2"]["model"] == "never committed"
