"""Texts that are kept for people: not beyond their time, and gone when somebody says so."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import DecodeError

from octoplex.assembly import optimizing
from octoplex.assembly.deeds import deed_of
from octoplex.assembly.labelling import Said, check_waits, forget, kept, lapse, questions, say
from octoplex.assembly.optimizing import lessons, standing
from octoplex.ledger.audit import NAME as LOG
from octoplex.ledger.audit import page, verify
from octoplex.ledger.learning import NAME, Asked, Noted, Published, open_learning
from octoplex.ledger.migrate import steps
from octoplex.optimizer.notes import Label, encode
from octoplex.settings import Settings, parse
from octoplex.wire.error import InvalidCall, NotFound
from tests.optimizer.test_labels import pair
from tests.shell import Home, run, until

ROUTE = """
[models.main]
try = ["a/big", "a/small"]
pick = "learned"
reference = "a/big"
learn = { judge = ["models.judge"], labels = 0.5 }
"""
TEXTS = b"""{"conversation": [{"role": "user", "text": "canary"}],
    "reference": {"text": "one"}, "rival": {"text": "two"}}"""
FOREVER = 1 << 50


def told(data: Path, *until_ms: int) -> Settings:
    """A folder in which pairs wait, each until its time."""
    with closing(open_learning(data)) as file:
        rows = [
            Asked("main", f"req_{n}", n, at, TEXTS, b"otherwise") for n, at in enumerate(until_ms)
        ]
        file.add([], asked=rows)
    return parse(ROUTE)


def notes(data: Path, route: str = "main") -> list[bytes]:
    with closing(open_learning(data)) as file:
        return [body for _, body in file.notes(route, 0, 9)]


def test_what_is_over_is_shown_to_nobody_though_no_server_runs(tmp_path: Path) -> None:
    settings = told(tmp_path, 5, FOREVER)
    assert [one["request_id"] for one in questions(tmp_path, settings, "main", 9)] == ["req_1"]
    assert notes(tmp_path) == [b"otherwise"]
    assert (tmp_path / NAME).read_bytes().count(b"canary") == 1
    with pytest.raises(NotFound, match="its time is over"):
        check_waits(tmp_path, settings, Said("main", "req_0", ("a",), "ann"))
    assert [one.request_id for one in kept(tmp_path, "main")] == ["req_1"]


def test_a_word_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    told(tmp_path, 5)
    with pytest.raises(NotFound):
        say(tmp_path, Said("main", "req_0", ("a",), "ann"))
    assert notes(tmp_path) == [b"otherwise"]


def test_texts_of_a_route_that_learns_no_more_can_be_deleted(tmp_path: Path) -> None:
    told(tmp_path, FOREVER)
    deed = deed_of(tmp_path, parse(""), "forget", {"route": "main"}, "ann")
    assert (deed.before, deed.do()) == ({"pairs": 1}, 1)
    assert b"canary" not in (tmp_path / NAME).read_bytes()
    with pytest.raises(NotFound, match='No route "main" learns'):
        deed_of(tmp_path, parse(""), "forget", {"route": "main"}, "ann")


def test_where_no_route_learns_any_more_texts_still_end(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config("[server]\nlisten = '127.0.0.1:0'\n")
    home.data.mkdir(parents=True)
    told(home.data, 5)
    lapse(home.data.parent)
    assert not (home.data.parent / NAME).exists(), "none is made by looking"
    words = [str(Path(sys.executable).with_name("octoplex")), "serve"]
    with subprocess.Popen(words, env=home.env, stdout=-3, stderr=-3, cwd=tmp_path) as process:
        try:
            until(lambda: b"canary" not in (home.data / NAME).read_bytes(), "the end of the texts")
        finally:
            process.terminate()


def test_two_people_at_once_may_both_go_on(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config("[providers.a]\ndialect = 'openai-chat'\nbase_url = 'http://127.0.0.1:9/v1'\n"
                "[models.judge]\ntry = ['a/big']\n" + ROUTE)  # fmt: skip
    home.data.mkdir(parents=True)
    told(home.data, FOREVER, FOREVER, FOREVER)
    words = [str(Path(sys.executable).with_name("octoplex")), "optimize", "label", "main"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, env=home.env, stdin=pipe, stdout=pipe, stderr=pipe, cwd=tmp_path, text=True
    ) as slow:
        assert slow.stdout is not None
        assert any("1 of 3" in line for line in slow.stdout)
        quick = run(home, "optimize", "label", "main", stdin="s\ns\nq\n", status=0)
        assert "2 labels" in quick.out
        out, problem = slow.communicate("n\nn\nn\n", timeout=30)
    assert (slow.returncode, problem) == (0, "")
    assert out.count("somebody has said something of it") == 2
    assert "Thank you: 1 labels." in out
    assert "the texts of 3 pairs" in run(home, "optimize", "label", "main", "--forget").out
    forgot, *said = page(home.data / LOG, 9)
    assert (forgot.what, forgot.about, forgot.before) == ("optimizer.forget", "main", {"pairs": 3})
    assert {line.what for line in said} == {"optimizer.label"}
    assert [(line.after["request_id"], line.after["good"]) for line in said] == [
        ("req_2", []), ("req_1", ["a", "b"]), ("req_0", ["a", "b"])
    ]  # fmt: skip
    assert all(line.who.startswith("shell:") for line in said)
    assert verify(home.data / LOG)[2] is None


def test_people_are_asked_of_what_came_since_the_route_began(tmp_path: Path) -> None:
    """By order, whatever the clock did meanwhile."""
    settings = told(tmp_path, 5 + FOREVER)
    with closing(open_learning(tmp_path)) as file:
        assert file.add_after(Noted("main", FOREVER, "planned", b"plan"), 0)
        file.add([], asked=[Asked("main", "req_new", 3, FOREVER, TEXTS, b"otherwise")])
    assert [one["request_id"] for one in questions(tmp_path, settings, "main", 9)] == ["req_new"]
    forget(tmp_path, "main")
    assert notes(tmp_path) == [b"plan", b"otherwise"]


def test_a_file_of_an_older_octoplex_can_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = steps("learning")
    monkeypatch.setattr("octoplex.ledger.connect.steps", lambda kind: known[:2])
    open_learning(tmp_path).close()
    monkeypatch.undo()
    (row,) = standing(tmp_path, parse(ROUTE))
    assert (row["certificate"], row["labels"]["waiting"]) == (None, 0)
    assert questions(tmp_path, parse(ROUTE), "main", 1) == []


def test_lessons_for_a_route_that_never_began_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidCall, match="main has not begun to learn"):
        lessons(tmp_path / "none", "main", [])
    assert not (tmp_path / "none").exists()


def test_lessons_that_could_not_be_written_are_said_to_have_failed(tmp_path: Path) -> None:
    """By a second line, as of any change that was noted. Of some variants nothing is known."""
    home = Home(tmp_path)
    home.config("[providers.a]\ndialect = 'openai-chat'\nbase_url = 'http://127.0.0.1:9/v1'\n"
                "[models.judge]\ntry = ['a/big']\n" + ROUTE +
                "variants = { short = { target = 'a/small', max_tokens = 9 } }\n")  # fmt: skip
    home.data.mkdir(parents=True)
    with closing(open_learning(home.data)) as file:
        assert file.add_after(Noted("main", 1, "planned", b"plan"), 0)
    known = tmp_path / "known.csv"
    known.write_text("prompt,a/big,small\nHow many?,1,0\n")
    said = run(home, "optimize", "warm", "main", "known.csv").failed_with_a_sentence()
    assert "name the columns of a/big, the reference, and of another target; there is" in said
    known.write_text("prompt,a/big,a/small\nHow many?,1,0\n")
    db = sqlite3.connect(home.data / NAME)
    db.execute("create trigger full before insert on notes begin select raise(abort, 'full'); end")
    db.close()
    said = run(home, "optimize", "warm", "main", "known.csv").failed_with_a_sentence()
    assert "full" in said
    failed, noted = page(home.data / LOG, 9)
    assert (noted.what, noted.after["lessons"], len(noted.after["digest"])) == (
        "optimizer.warm", 1, 64
    )  # fmt: skip
    assert failed.after.startswith("failed: What was learned cannot be read or written")


def test_a_look_reads_the_newest_pairs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a judge that has got better: of older ones nothing is decoded."""
    settings = parse(ROUTE)
    with closing(open_learning(tmp_path)) as file:
        file.add_after(Noted("main", 1, "planned", b"plan"), 0)
        file.add([Noted("main", 1, "pair", b"no pair")] * 40)
        for number in range(20):
            file.add([Noted("main", 2, "pair", encode(pair(number, labels=1.0)))])
            said = Label(f"req_{number}", 1.0, 1.0, "ann")
            file.add([Noted("main", 2, "label", encode(said)), Noted("main", 2, "noticed", b"x")])
    monkeypatch.setattr(optimizing, "LABELLED", 40)
    (row,) = standing(tmp_path, settings)
    assert (row["labels"]["labelled"], row["labels"]["mean"]) == (20, 0.0)
    monkeypatch.setattr(optimizing, "LABELLED", 30)
    assert standing(tmp_path, settings)[0]["labels"]["labelled"] == 15
    monkeypatch.setattr(optimizing, "LABELLED", 41)
    with pytest.raises(DecodeError):
        standing(tmp_path, settings)


def test_what_has_happened_is_looked_up(tmp_path: Path) -> None:
    shares = [("begun", 0.0), ("fit", 0.0), ("certified", 0.1), ("", 0.2), ("alarm", 0.0)]
    shares += [("certified", 0.3), ("", 0.3), ("", 0.2), ("fit", 0.2)]
    since = [None, None, 2, 2, None, 5, 5, 5, 5]
    with closing(open_learning(tmp_path)) as file:
        for number, (kind, share) in enumerate(shares):
            for route in ("main", "other"):
                given = (route, number, number, number, kind, 0, share, "", b"null", "x", None)
                file.publish(Published(*given))
            (row,) = standing(tmp_path, parse(ROUTE))
            assert row["certified_since_ms"] == since[number]
            assert (row["version"], row["share"]) == (number, share)
    assert [one["version"] for one in row["events"]] == [8, 5, 4, 2, 1]
