"""The learner loses nothing and learns nothing twice, and all of it can be computed again."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from octoplex.ledger.learning import LearningFile, Noted, Published, open_learning
from octoplex.optimizer.compiled import load
from octoplex.optimizer.course import OTHERS
from octoplex.optimizer.learner import FAILED, SILENT, Learner, Pupil, Wish, recomputed
from octoplex.optimizer.loop import Loop, Plan
from octoplex.optimizer.notes import Note, Order, Pair, Planned, encode, kind_of
from octoplex.optimizer.process import LOCK, command, environment
from tests.optimizer.world import PLAN, REQUESTS, notes

WISHES = {"support": Wish(PLAN, ("exact-match",))}
TOLD = msgspec.json.encode(WISHES) + b"\n"
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def told() -> list[Note]:
    """Of a loop that decides by the policies that the learner will make: it begins with 1."""
    return list(notes(Loop(PLAN, Random(3), version=1), REQUESTS))


@pytest.fixture(scope="module")
def whole(told: list[Note], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one learner has heard all of it."""
    folder = tmp_path_factory.mktemp("whole")
    file = open_learning(folder)
    run_out(file)
    add(file, told)
    run_out(file)
    file.close()
    return folder


@pytest.fixture
def taught(whole: Path, tmp_path: Path) -> Iterator[LearningFile]:
    """The same, of one's own."""
    shutil.copy(whole / "learning.db", tmp_path)
    found = open_learning(tmp_path)
    yield found
    found.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[LearningFile]:
    (tmp_path / "own").mkdir()
    found = open_learning(tmp_path / "own")
    yield found
    found.close()


def add(file: LearningFile, told: list[Note], route: str = "support") -> None:
    file.add([Noted(route, 1, kind_of(note), encode(note)) for note in told])


def run_out(file: LearningFile, wishes: dict[str, Wish] = WISHES) -> Learner:
    """Turn until nothing is new."""
    learner = Learner(file)
    for _ in range(3):
        while learner.turn(wishes):
            pass
    return learner


def history(file: LearningFile, route: str = "support") -> list[tuple[Any, ...]]:
    rows = file.each(route)
    return [(r.version, r.note, r.kind, r.pairs, r.share, r.why, r.digest) for r in rows]


def test_it_publishes_what_the_path_may_serve(taught: LearningFile) -> None:
    file = taught
    kinds = [row.kind for row in file.policies()]
    assert kinds[0] == "begun"
    assert {"fit", "certified"} <= set(kinds)
    newest = file.newest("support")
    assert newest is not None
    assert newest.body is not None
    compiled = load(newest.body)
    assert compiled.variants == PLAN.variants
    assert compiled.policy.version == newest.version
    assert compiled.policy.rung > 0
    assert newest.share == compiled.policy.rung / 40
    told = msgspec.json.decode(newest.told)
    assert told["rung"] == compiled.policy.rung
    assert told["told"]["pairs"] > 100
    assert 0.9 < told["told"]["snips"] < 1.1
    assert file.policies()[0].body is None, "old bodies are forgotten"
    count, differences = recomputed(file, "support")
    assert (count, differences) == (len(kinds), [])


def test_a_restart_at_any_note_changes_nothing(
    file: LearningFile, taught: LearningFile, told: list[Note]
) -> None:
    run_out(file)
    random = Random(5)
    rest = told
    while rest:
        size = random.randrange(1, 400)
        add(file, rest[:size])
        run_out(file)  # a learner of its own each time
        rest = rest[size:]
    assert history(file) == history(taught)
    assert len(history(file)) > 10


def test_what_was_changed_is_found(file: LearningFile, told: list[Note], tmp_path: Path) -> None:
    run_out(file)
    add(file, told[:600])
    run_out(file)
    other = sqlite3.connect(tmp_path / "own" / "learning.db")
    last, body = other.execute("select id, body from notes where kind = 'pair'").fetchall()[60]
    pair = msgspec.msgpack.decode(body)
    pair[5] = 1.0 - pair[5]  # what the rival was worth
    changed = msgspec.msgpack.encode(pair)
    other.execute("update notes set body = ? where id = ?", (changed, last))
    other.commit()
    _, differences = recomputed(file, "support")
    assert differences
    assert min(d.note for d in differences) > last
    before = history(file)
    run_out(file)
    after = history(file)
    assert after[: len(before)] == before
    assert (after[len(before)][2], after[len(before)][4]) == ("begun", 0.0)
    assert "does not follow" in after[len(before)][5]
    run_out(file)
    assert history(file) == after, "once is enough"


@pytest.mark.parametrize(
    "other",
    [
        Wish(Plan(("big", "tiny"), loss=0.2, feedback=0.5), ("exact-match",)),
        Wish(Plan(("big", "small"), loss=0.02, feedback=0.5), ("exact-match",)),
        Wish(Plan(("big", "small"), loss=0.2, feedback=0.1), ("exact-match",)),
        Wish(PLAN, ("models.judge",)),
        Wish(PLAN, ("exact-match",), "another prompt"),
    ],
)
def test_another_plan_begins_anew(taught: LearningFile, told: list[Note], other: Wish) -> None:
    file = taught
    before = history(file)
    assert before[-1][4] > 0
    run_out(file, {"support": other})
    (anew,) = history(file)[len(before) :]
    assert anew[:1] == (before[-1][0] + 1,)
    assert (anew[2], anew[4]) == ("begun", 0.0)
    add(file, told[-500:])  # decided by what was there before
    run_out(file, {"support": other})
    assert len(history(file)) == len(before) + 1


def test_what_is_said_of_a_policy_is_made_again_too(taught: LearningFile, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "learning.db")
    newest = taught.newest("support")
    assert newest is not None
    told = newest.told.replace(b'"snips":0.', b'"snips":1.')
    assert told != newest.told
    other.execute("update policies set told = ? where version = ?", (told, newest.version))
    other.commit()
    (found,) = recomputed(taught, "support")[1]
    assert (found.version, found.why) == (newest.version, "it is said otherwise")


def pupil(told: list[Note]) -> Pupil:
    found = Pupil()
    for note in (Planned(PLAN, ("exact-match",), 1), *told):
        found.hear(encode(note))
    return found


@pytest.fixture(scope="module")
def ready(told: list[Note]) -> Pupil:
    return pupil(told)


def test_broken_feedback_goes_back_to_the_reference(told: list[Note], ready: Pupil) -> None:
    pairs = [note for note in told if isinstance(note, Pair)]
    silent = msgspec.structs.replace(
        pairs[-1], reference=float("nan"), rival=float("nan"), judge=""
    )
    failed = msgspec.structs.replace(pairs[-1], reference=0.0, rival=0.0)
    huge = msgspec.structs.replace(pairs[-1], reference=1.0, rival=7.0)
    for broken, count in ((silent, SILENT), (failed, FAILED), (huge, SILENT)):
        learned = deepcopy(ready)
        assert learned.loop is not None
        assert learned.loop.share > 0
        for number in range(count):
            assert learned.loop.share > 0, number
            last = learned.hear(encode(broken))
        assert last is not None
        assert (last.kind, last.share) == ("void", 0.0)
        assert last.why.startswith("feedback is broken")
        learned.hear(encode(broken))
        assert learned.version == last.version, "said once"


def test_an_operator_goes_back_a_rung_and_on_again(told: list[Note], ready: Pupil) -> None:
    learned = deepcopy(ready)
    assert learned.loop is not None
    top = learned.loop.share
    back = learned.hear(encode(Order("rollback", "too many complaints", "shell:ann")))
    assert back is not None
    assert (back.kind, back.why) == ("rollback", "shell:ann: too many complaints")
    assert 0 < back.share < top
    shares = [back.share]
    while shares[-1] > 0:
        made = learned.hear(encode(Order("rollback", "")))
        assert made is not None
        shares.append(made.share)
    assert shares == sorted(shares, reverse=True)
    for note in told[-400:]:
        learned.hear(encode(note))
    assert learned.loop.share == 0, "nothing but the operator lifts it"
    on = learned.hear(encode(Order("resume", "")))
    assert on is not None
    assert on.share >= top


def test_an_order_that_nobody_knows_here_is_none(ready: Pupil) -> None:
    learned = deepcopy(ready)
    assert learned.hear(encode(Order("of a newer build", ""))) is None
    assert learned.version == ready.version


def test_what_each_process_says_voids_once(told: list[Note], ready: Pupil) -> None:
    learned = deepcopy(ready)
    assert learned.loop is not None
    other = encode(Order("void", "good/x answers as y, no longer as x"))
    first = learned.hear(other)
    assert first is not None
    assert (first.kind, first.share) == ("void", 0.0)
    for note in told[:300]:
        learned.hear(encode(note))
    pairs = learned.loop.pairs
    again = learned.hear(other)
    assert again is not None, "who waits for a newer policy gets one"
    assert (again.kind, again.version) == ("", learned.version)
    assert learned.loop.pairs == pairs
    back = learned.hear(encode(Order("void", "good/x answers as x, no longer as y")))
    assert back is not None
    assert back.kind == "void"
    assert learned.hear(other).kind == "void"  # type: ignore[union-attr]


def test_a_judge_that_is_another_model_voids(told: list[Note], ready: Pupil) -> None:
    pairs = [note for note in told if isinstance(note, Pair)]

    def by(model: str) -> bytes:
        return encode(msgspec.structs.replace(pairs[-1], judge="models.judge", model=model))

    learned = deepcopy(ready)
    assert learned.loop is not None
    for model in ("gpt-5-01", "", "gpt-5-02", "gpt-5-01"):  # one of two that judge, or none
        learned.hear(by(model))
    last = None
    for number in range(OTHERS):
        assert learned.loop.share > 0, number
        last = learned.hear(by("gpt-5-02"))
    assert last is not None
    assert (last.kind, last.share) == ("void", 0.0)
    assert last.why == "the judge models.judge answers as gpt-5-02, no longer as gpt-5-01"
    assert learned.hear(by("gpt-5-02")) is None, "said once"


def test_nonsense_among_the_notes_voids_and_ends_nothing(told: list[Note], ready: Pupil) -> None:
    pairs = [note for note in told if isinstance(note, Pair)]
    bad = msgspec.structs.replace(
        pairs[-1].features, places=b"\xff\xff" * len(pairs[-1].features.counts)
    )
    for body in (b"", b"\x93", encode(msgspec.structs.replace(pairs[-1], features=bad))):
        learned = deepcopy(ready)
        last = learned.hear(body)
        assert last is not None
        assert (last.kind, last.share) == ("void", 0.0)
        assert learned.hear(encode(pairs[0])) is None
    unplanned = Pupil()
    assert unplanned.hear(b"\x93") is None
    assert unplanned.hear(encode(pairs[0])) is None


def test_pairs_of_a_file_that_is_gone_are_not_learned_from(told: list[Note]) -> None:
    learned = pupil([])
    assert learned.loop is not None
    late = [n for n in told if isinstance(n, Pair) and n.decision.version > 1]
    for note in late[:100]:
        learned.hear(encode(note))
    assert learned.loop.pairs == 0


@contextmanager
def process(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command(folder), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as found:
        try:
            assert found.stdin is not None
            found.stdin.write(TOLD)
            found.stdin.flush()
            yield found
        finally:
            found.kill()


def until(true: Any) -> None:
    end_at = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < end_at, "it takes too long"
        time.sleep(0.02)


def test_killed_again_and_again(
    file: LearningFile, taught: LearningFile, told: list[Note], tmp_path: Path
) -> None:
    """What is published in the end is what one learner that was never killed would have."""
    run_out(file)
    random = Random(7)
    rest = told
    kills = 0
    while rest:
        with process(tmp_path / "own") as running:
            before = len(history(file))
            add(file, rest[:300])
            rest = rest[300:]
            until(lambda: len(history(file)) > before or running.poll() is not None)  # noqa: B023
            assert running.poll() is None, running.stderr and running.stderr.read()
            time.sleep(random.random() * 0.05)
            os.kill(running.pid, 9)
        kills += 1
    assert kills >= 3
    whole = history(taught)
    with process(tmp_path / "own"):
        until(lambda: len(history(file)) >= len(whole))
    assert history(file) == whole


def test_it_ends_with_who_began_it(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        until(lambda: (tmp_path / "learning.db").exists())
        os.utime(tmp_path / LOCK, (0, 0))
        until(lambda: (tmp_path / LOCK).stat().st_mtime > 0)  # it says that it hears
        assert running.stdin is not None
        running.stdin.close()
        assert running.wait(WITHIN_S) == 0


def test_it_ends_when_its_file_is_moved_away(tmp_path: Path) -> None:
    """Whoever keeps it begins it anew, on the new file."""
    with process(tmp_path) as running:
        until(lambda: (tmp_path / "learning.db").exists())
        open_learning(tmp_path).close()  # whoever made it has made all of it
        (tmp_path / "learning.db").rename(tmp_path / "kept.db")
        code = running.wait(WITHIN_S)
        assert code == 0, running.stderr.read() if running.stderr else ""


def test_a_version_is_published_once(file: LearningFile) -> None:
    one = Published("r", 1, 1, 1, "fit", 1, 0.0, "", b"null", "x", b"x")
    file.publish(one)
    with pytest.raises(sqlite3.IntegrityError):
        file.publish(one)
    assert [row.seq for row in file.policies()] == [1]
