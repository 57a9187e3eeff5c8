"""What is compared and what is not, without any provider: facts, vectors, neighbours."""

import asyncio
import math
import random
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from octoplex.ledger.migrate import migrate, steps
from octoplex.ledger.rows import Kept
from octoplex.ledger.stock import Room
from octoplex.ledger.stock_disk import NAME, DiskStock
from octoplex.reflex.cache.facts import facts, words
from octoplex.reflex.cache.layer import Cache
from octoplex.reflex.cache.semantic import Neighbours, Spot
from octoplex.reflex.cache.vectors import cosine, nearest, ngrams, packed, signs


def vector(*values: float) -> bytes:
    made = packed(values)
    assert made is not None
    return made


# -- facts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the capital of France?", "what's the capital of France"),
        ("Can you explain TCP and UDP?", "How do TCP and UDP differ?"),
        ("I can't log in.", "I cannot log in."),
        ("I don\u2019t know", "I do not know"),
        ("Give me three ideas", "Suggest 3 ideas"),
        ("Say \u201cyes\u201d to me", 'Say "yes" to me'),
        ("Hello. What is it?", "What is it? Hello!"),
        ("", ""),
    ],
)
def test_equal_facts(one: str, other: str) -> None:
    assert facts(one) == facts(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It costs 5.10", "It costs 5.1"),
        ("Wait two days", "Wait three days"),
        ("2 to 7", "7 to 2"),
        ("What is 12 * 3?", "What is 12 + 3?"),
        ("is it safe", "is it not safe"),
        ("is it safe", "isn't it safe"),
        ("Ist es da?", "Ist es nicht da?"),
        ("Je sais", "Je ne sais pas"),
        ("\u8fd9\u662f", "\u8fd9\u4e0d\u662f"),
        ("Is Mars near Venus?", "Is Venus near Mars?"),
        ("Paris is nice", "London is nice"),
        ("Read it. Delete it.", "Read it. Keep it."),
        ('Translate "a b"', 'Translate "a  b"'),
        ("Run `rm`", "Run rm"),
        ("open a.txt", "open b.txt"),
        ("use my_var", "use my_val"),
        ("in C", "in C#"),
        ("Before it", "After it"),
        ("log in", "log out"),
        ("call getName", "call getname"),
        ("a | b", "a & b"),
    ],
)
def test_other_facts(one: str, other: str) -> None:
    assert facts(one) != facts(other)


def test_words() -> None:
    assert words("Could you please reset the phone's PIN?") == ("reset", "phone", "pin")
    assert words("How do I do it") == words("how can I do it?") == ("how", "i", "it")
    assert words("What can I do for you") != words("What can you do for me")


# -- vectors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [math.nan], [math.inf, 1.0], [1.0] * 8_193])
def test_what_is_no_vector(values: list[float]) -> None:
    assert packed(values) is None


def test_the_nearest_of_many() -> None:
    """Signs alone tell so well who is near that exact cosines of the best few are enough."""
    dice = random.Random(7)
    held = {b"%d" % n: vector(*[dice.gauss(0, 1) for _ in range(128)]) for n in range(500)}
    among = {key: (made, signs(made)) for key, made in held.items()}
    for key, made in list(held.items())[:50]:
        own = [value + dice.gauss(0, 0.03) for value in memoryview(made).cast("f")]
        found = list(nearest(vector(*own), among))
        assert found[0][1] == key
        assert found[0][0] > 0.9 > found[1][0]
        assert found == sorted(found, reverse=True)
    assert not list(nearest(vector(1.0, 0.0), among)), "another model's vectors"


def test_signs_tell_above_below_and_zero() -> None:
    plus, minus, zero = signs(vector(1, 1e-6)), signs(vector(1, -1e-6)), signs(vector(1, 0))
    assert (plus ^ minus).bit_count() == 2
    assert (plus ^ zero).bit_count() == (minus ^ zero).bit_count() == 1


def test_ngrams_see_how_a_text_is_written() -> None:
    def near(one: str, other: str) -> float:
        made = ngrams(one), ngrams(other)
        assert made[0]
        assert made[1]
        return cosine(made[0], made[1])

    assert near("What is a mutex?", "what is  a MUTEX") == pytest.approx(1.0)
    assert near("reset my password", "reset my passwords") > 0.9
    assert near("reset my password", "where is my parcel") < 0.5
    assert ngrams("?!") is None


# -- neighbours -------------------------------------------------------------------------------


def row(key: bytes, spot: Spot) -> Kept:
    return Kept(key, "main", 0, 2**50, 1, b"{}", spot.group, spot.vector)


def test_vectors_lie_beside_their_replies(tmp_path: Path) -> None:
    spots = [Spot(b"g", vector(1, n)) for n in range(4)]

    async def main() -> None:
        stock = DiskStock(tmp_path, Room(spare_bytes=0))
        for n, spot in enumerate(spots):
            stock.keep(row(b"%032d" % n, spot))
        stock.keep(Kept(b"%032d" % 9, "main", 0, 2**50, 1, b"{}"))
        await stock.routes()  # after all that waits was written
        stock.close()

        stock = DiskStock(tmp_path, Room(spare_bytes=0))
        found = await stock.vectors(b"g", 3)
        assert found == [(b"%032d" % n, spots[n].vector) for n in (3, 2, 1)]
        assert await stock.vectors(b"other", 3) == []
        ((score, key), *_) = await Neighbours(stock).nearest(spots[2], 0.9)
        assert (round(score, 5), key) == (1.0, b"%032d" % 2)
        stock.keep(Kept(b"%032d" % 3, "main", 0, 2**50, 1, b"{}"))  # in place of one that had one
        await stock.routes()
        assert await stock.vectors(b"g", 1) == [(b"%032d" % 2, spots[2].vector)]
        await stock.purge("main")
        assert await stock.vectors(b"g", 3) == []
        stock.close()

    asyncio.run(main())


def test_a_file_of_before_goes_on_and_leaves_no_copy(tmp_path: Path) -> None:
    first, *_ = steps("cache")
    with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as db:
        migrate(db, tmp_path / NAME, [first])
        row_of_then = (b"k" * 32, "main", 0, 2**50, 1, 300, zlib.compress(b"{}"))
        db.execute("insert into kept values (1, ?, ?, ?, ?, ?, ?, ?)", row_of_then)

    async def main() -> None:
        stock = DiskStock(tmp_path, Room(spare_bytes=0))
        found = await stock.find(b"k" * 32)
        assert found
        assert found.body == b"{}"
        assert await stock.vectors(b"g", 1) == []
        stock.close()

    asyncio.run(main())
    assert not list(tmp_path.glob("*.before-*"))


def test_a_purge_leaves_no_vector_in_memory(tmp_path: Path) -> None:
    async def main() -> None:
        cache = Cache(DiskStock(tmp_path, Room(spare_bytes=0)), bytes, {})
        cache.neighbours.add(b"k", Spot(b"g", vector(1, 2)))
        await cache.purge("main")
        assert cache.neighbours.entries == 0
        await cache.close()

    asyncio.run(main())


def test_memory_is_bounded(tmp_path: Path) -> None:
    async def main() -> None:
        stock = DiskStock(tmp_path, Room(spare_bytes=0))
        near = Neighbours(stock, most_bytes=4_000, most_of_group=3)
        for n in range(5):
            near.add(b"%d" % n, Spot(b"g", vector(1, n)))
        assert near.entries == 3
        assert {key for _, key in await near.nearest(Spot(b"g", vector(1, 1)), 0.0)} == {
            b"2", b"3", b"4",
        }  # fmt: skip
        for n in range(100):
            near.add(b"k", Spot(b"%d" % n, vector(1, n)))
        assert near.bytes <= 4_000
        assert await near.nearest(Spot(b"g", vector(1, 1)), 0.0) == []
        near.forget(b"k", Spot(b"99", b""))
        assert await near.nearest(Spot(b"99", vector(1, 99)), 0.0) == []
        near.clear()
        assert (near.entries, near.bytes) == (0, 0)
        stock.close()

    asyncio.run(main())
