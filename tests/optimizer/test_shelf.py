"""Notes and decisions reach the file whole, in order, from several processes; nothing waits."""

import multiprocessing
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest

from octoplex.ledger.labels import LabelsFile
from octoplex.ledger.learning import (
    LearningFile,
    Noted,
    Published,
    Said,
    Switch,
    open_learning,
    read_learning,
)
from octoplex.ledger.period import DAY_MS
from octoplex.optimizer.features import features_of
from octoplex.optimizer.loop import Loop
from octoplex.optimizer.notes import Label, Noticed, Order, Pair, decode, encode
from octoplex.optimizer.policy import Decision
from octoplex.optimizer.process import LOCK
from octoplex.optimizer.shelf import DEAF_S, Bounds, DiskShelf, decode_decided
from tests.optimizer.world import COSTS, PLAN

QUICK = Bounds(gather_s=0.01, look_s=0.02)
WITHIN_S = 30.0
FEATURES = features_of("How many pools are there?")
NAMES = PLAN.variants


def until(true: Callable[[], object]) -> None:
    end_at = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < end_at, "it never came to hold"
        time.sleep(0.01)


def decision(**other: int | bool) -> Decision:
    made = Loop(PLAN, Random(1)).decide(FEATURES, np.array(COSTS))
    return made._replace(is_judged=False)._replace(**other)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[DiskShelf]:
    found = DiskShelf(tmp_path, QUICK)
    yield found
    found.close()


@pytest.fixture
def file(shelf: DiskShelf, tmp_path: Path) -> Iterator[LearningFile]:
    assert shelf.wait(WITHIN_S)
    found = open_learning(tmp_path)
    yield found
    found.close()


def test_what_is_noted_can_be_read_in_order(shelf: DiskShelf, file: LearningFile) -> None:
    told = [Noticed(FEATURES, COSTS), Order("void", "another model"), Noticed(FEATURES, COSTS)]
    for note in told:
        shelf.note("support", note)
    shelf.note("other", told[0])
    until(lambda: len(file.notes("support", 0, 10)) == 3)
    found = file.notes("support", 0, 10)
    assert [decode(body) for _, body in found] == told
    assert file.notes("support", found[1][0], 10) == found[2:]


def test_a_decision_can_be_found_by_its_request(shelf: DiskShelf, file: LearningFile) -> None:
    made = decision()
    shelf.decided("req_1", "support", made, COSTS, NAMES)
    until(lambda: file.decision("req_1"))
    row = file.decision("req_1")
    assert row is not None
    kept = decode_decided(row.body)
    assert (kept.decision, kept.costs, kept.variants) == (made, COSTS, NAMES)
    assert file.decision("req_2") is None


def test_what_it_comes_to_is_summed_up(shelf: DiskShelf, file: LearningFile) -> None:
    moved = decision(variant=1)
    for made in (decision(), moved, moved, moved._replace(is_judged=True)):
        shelf.decided("req_1", "support", made, COSTS, NAMES)
    shelf.note("support", Pair("req_1", FEATURES, moved, 1.0, 1.0, "exact-match", 7))
    until(lambda: file.sum("support").pairs)
    total = file.sum("support")
    assert (total.requests, total.moved, total.pairs, total.pair_nano) == (4, 2, 1, 7)
    assert total.saved_nano == 2 * 9_000_000


def test_policies_and_switches_come_by_themselves(shelf: DiskShelf, file: LearningFile) -> None:
    assert shelf.policy("support") is None
    assert not shelf.paused("support")
    for version in (1, 2):
        one = Published(
            "support", version, 1, 1, "fit", 0, 0.0, "", b"null", "digest", b"%d" % version
        )
        file.publish(one)
    file.throw(Switch("support", True, "shell:ann", 1))
    until(lambda: shelf.paused("support"))
    until(lambda: shelf.policy("support") == (2, b"2"))
    file.throw(Switch("support", False, "shell:ann", 2))
    until(lambda: not shelf.paused("support"))


def test_a_full_queue_drops_and_counts_and_waits_for_nothing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "learning.db") as other:
        shelf = DiskShelf(tmp_path, Bounds(waiting=10, gather_s=0.01))
        assert shelf.wait(WITHIN_S)
        other.execute("begin exclusive")
        for _ in range(25):
            shelf.note("support", Order("void", ""))
        assert shelf.dropped >= 15
        other.rollback()
    shelf.close()
    file = read_learning(tmp_path)
    assert file is not None
    assert len(file.notes("support", 0, 100)) == 25 - shelf.dropped
    file.close()
    shelf.note("support", Order("void", "too late"))
    assert shelf.dropped >= 16


def test_a_file_that_is_moved_away_is_begun_anew(
    shelf: DiskShelf, file: LearningFile, tmp_path: Path
) -> None:
    (tmp_path / "learning.db").rename(tmp_path / "kept.db")
    until(lambda: (tmp_path / "learning.db").exists())
    shelf.note("support", Order("void", "new"))

    def written() -> bool:
        found = read_learning(tmp_path)
        assert found is not None
        rows = found.notes("support", 0, 10)
        found.close()
        return len(rows) == 1

    until(written)
    assert file.notes("support", 0, 10) == []


def test_a_damaged_file_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "learning.db").write_bytes(b"no database at all" * 1_000)
    shelf = DiskShelf(tmp_path, QUICK)
    shelf.note("support", Order("void", ""))
    until(lambda: "cannot be used now" in caplog.text)
    assert shelf.policy("support") is None
    (tmp_path / "learning.db").unlink()
    assert shelf.wait(WITHIN_S)
    shelf.close()
    file = read_learning(tmp_path)
    assert file is not None
    assert len(file.notes("support", 0, 10)) == 1
    file.close()


def test_old_decisions_go_and_notes_stay(tmp_path: Path) -> None:
    now_s = [100 * 86_400.0]
    bounds = Bounds(gather_s=0.01, look_s=0.02, sweep_s=0.02, days=30, rows=5)
    shelf = DiskShelf(tmp_path, bounds, lambda: now_s[0])
    shelf.note("support", Order("void", ""))
    shelf.decided("req_old", "support", decision(), COSTS, NAMES)
    assert shelf.wait(WITHIN_S)
    file = open_learning(tmp_path)
    until(lambda: file.decision("req_old"))
    now_s[0] += 31 * DAY_MS / 1_000
    until(lambda: file.decision("req_old") is None)
    for number in range(9):
        shelf.decided(f"req_{number}", "support", decision(), COSTS, NAMES)
    until(lambda: file.decision("req_8") and not file.decision("req_3"))
    assert file.decision("req_4")
    assert len(file.notes("support", 0, 10)) == 1
    shelf.close()
    file.close()


def write(folder: Path, name: str, count: int) -> None:
    """A worker: notes as fast as it can, then ends, or is killed."""
    shelf = DiskShelf(folder, QUICK)
    for number in range(count):
        shelf.note("support", Order("void", f"{name} {number}"))
        if number % 50 == 0:
            time.sleep(0.002)
    shelf.close()


def test_several_processes_write_and_one_is_killed(tmp_path: Path) -> None:
    """Each one's notes are there in its own order, those of a killed one up to a moment."""
    context = multiprocessing.get_context("spawn")
    names = ("a", "b", "c")
    workers = [context.Process(target=write, args=(tmp_path, n, 2_000)) for n in names]
    doomed = context.Process(target=write, args=(tmp_path, "d", 1_000_000))
    for worker in (*workers, doomed):
        worker.start()
    file = open_learning(tmp_path)

    def whys() -> list[str]:
        found = [decode(body) for _, body in file.notes("support", 0, 10**7)]
        return [note.why for note in found if isinstance(note, Order)]

    until(lambda: any(why.startswith("d ") for why in whys()))
    assert doomed.pid is not None
    os.kill(doomed.pid, 9)
    for worker in (*workers, doomed):
        worker.join(WITHIN_S)
    told = whys()
    file.close()
    for name in (*names, "d"):
        own = [int(why.split()[1]) for why in told if why.startswith(f"{name} ")]
        assert own == list(range(len(own)))
        assert name == "d" or len(own) == 2_000
    with sqlite3.connect(tmp_path / "learning.db") as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        assert db.execute("pragma journal_mode").fetchone() != ("wal",)


def test_a_plan_is_noted_only_behind_what_was_read(file: LearningFile) -> None:
    planned = Noted("support", 1, "planned", b"")
    assert file.add_after(planned, 0)
    last = file.newest_note("support")
    file.add([Noted("support", 1, "pair", b"")])
    assert not file.add_after(planned, last)
    assert file.planned("support") == last


def test_the_last_word_of_a_caller_counts(file: LearningFile) -> None:
    def say(key: str, score: float | None, tenant: str = "") -> None:
        file.say(Said("req_1", key, tenant, "support", "a/m", 1_000, score, b"{}"))

    for key, score, tenant in (("k1", 0.0, "acme"), ("k2", 1.0, "acme"), ("k1", 1.0, "acme")):
        say(key, score, tenant)
    say("k3", None)
    say("k4", 0.5)
    assert [(s.key_id, s.score) for s in file.said()] == [
        ("k2", 1.0), ("k1", 1.0), ("k3", None), ("k4", 0.5)
    ]  # fmt: skip
    assert file.scores("support", 0) == [("acme", 2, 2.0), ("k4", 1, 0.5)]
    assert file.scores("support", 1_001) == []


def test_texts_for_people_are_kept_for_their_days_and_then_overwritten(tmp_path: Path) -> None:
    """What nobody has said by then is noted as the worst for the rival, once."""
    now = [1_000.0]
    bounds = msgspec.structs.replace(QUICK, sweep_s=0.0, asked=3)
    shelf = DiskShelf(tmp_path, bounds, lambda: now[0])
    assert shelf.wait(WITHIN_S)
    for number in range(3):
        asked = Pair(
            f"req_{number}", FEATURES, decision(), 1.0, 1.0, "models.judge", 0, "m", 0.5, True
        )
        shelf.keep("main", asked, b"canary-%d" % number * 900, 14)
    file, learned = LabelsFile.open(tmp_path), open_learning(tmp_path)
    until(lambda: len(file.waiting("main", 9)) == 3)
    assert [one.request_id for one in file.waiting("main", 2)] == ["req_0", "req_1"]
    said = encode(Label("req_1", 1.0, 1.0, "ann"))
    assert file.say(Noted("main", 1, "label", said), "req_1")
    assert not file.say(Noted("main", 1, "label", said), "req_1"), "the first word counts"
    assert not file.say(Noted("main", 1, "label", said), "req_9")
    assert [one.request_id for one in file.waiting("main", 9)] == ["req_0", "req_2"]
    assert [one.said for one in file.kept("main")] == [False, True, False]
    assert b"canary" in (tmp_path / "learning.db").read_bytes()
    until(lambda: not shelf.has_room("main"))
    assert shelf.has_room("other")
    now[0] += 15 * DAY_MS / 1000
    until(lambda: not file.kept("main"))
    shelf.close()
    told = [decode(body) for body in learned.about("main", ("label",), 0)]
    assert told == [Label("req_1", 1.0, 1.0, "ann"), Label("req_0", 1, 0), Label("req_2", 1, 0)]
    assert len(list(learned.about("main", ("pair", "label"), 0))) == 6
    assert learned.sum("main").pairs == 3
    file.close()
    learned.close()
    for path in tmp_path.iterdir():
        assert b"canary" not in path.read_bytes(), path


def test_a_learner_that_hears_nothing_for_long_is_silence(tmp_path: Path) -> None:
    now = [5_000.0]
    shelf = DiskShelf(tmp_path, QUICK, lambda: now[0])
    assert shelf.wait(WITHIN_S)
    assert shelf.is_heard(), "it has just begun"
    now[0] += DEAF_S
    assert not shelf.is_heard()
    (tmp_path / LOCK).touch()
    os.utime(tmp_path / LOCK, (now[0], now[0] - 1))
    until(shelf.is_heard)
    now[0] += DEAF_S
    assert not shelf.is_heard()
    shelf.close()


def test_pairs_of_before_a_route_began_anew_ask_nobody(shelf: DiskShelf, tmp_path: Path) -> None:
    asked = Pair("req_1", FEATURES, decision(), 1.0, 1.0, "models.judge", 0, "m", 0.5, True)
    shelf.keep("main", asked, b"{}", 14)
    file = LabelsFile.open(tmp_path)
    until(lambda: file.waiting("main", 9))
    learned = open_learning(tmp_path)
    assert learned.add_after(Noted("main", 0, "planned", b""), learned.newest_note("main"))
    assert not file.waiting("main", 9)
    assert file.forget("main", int(time.time() * 1000)) == 1
    assert not file.kept("main")
    learned.close()
    file.close()
