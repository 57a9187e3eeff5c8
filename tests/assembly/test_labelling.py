"""Texts that are kept for people: not beyond their time, and gone when somebody says so."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from octoplex.assembly.labelling import Said, forget, kept, lapse, questions, say
from octoplex.assembly.optimizing import standing, teach
from octoplex.ledger.learning import NAME, Asked, Noted, open_learning
from octoplex.ledger.migrate import steps
from octoplex.settings import Settings, parse
from octoplex.wire.error import InvalidCall, NotFound
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
        say(tmp_path, settings, Said("main", "req_0", ("a",), "ann"))
    assert [one.request_id for one in kept(tmp_path, "main")] == ["req_1"]


def test_a_word_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    settings = told(tmp_path, 5)
    with pytest.raises(NotFound):
        say(tmp_path, settings, Said("main", "req_0", ("a",), "ann"))
    assert notes(tmp_path) == [b"otherwise"]


def test_texts_of_a_route_that_learns_no_more_can_be_deleted(tmp_path: Path) -> None:
    told(tmp_path, FOREVER)
    without = parse("")
    assert forget(tmp_path, without, "main") == 1
    assert b"canary" not in (tmp_path / NAME).read_bytes()
    with pytest.raises(NotFound, match='No route "main" learns'):
        forget(tmp_path, without, "main")


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


def test_people_are_asked_of_what_came_since_the_route_began(tmp_path: Path) -> None:
    """By order, whatever the clock did meanwhile."""
    settings = told(tmp_path, 5 + FOREVER)
    with closing(open_learning(tmp_path)) as file:
        assert file.add_after(Noted("main", FOREVER, "planned", b"plan"), 0)
        file.add([], asked=[Asked("main", "req_new", 3, FOREVER, TEXTS, b"otherwise")])
    assert [one["request_id"] for one in questions(tmp_path, settings, "main", 9)] == ["req_new"]
    forget(tmp_path, settings, "main")
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
        teach(tmp_path / "none", parse(ROUTE), "main", [])
    assert not (tmp_path / "none").exists()
