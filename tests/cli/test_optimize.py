"""`octoplex optimize` without a server: what is there, what is not, and levers all the same."""

import json
from contextlib import closing

from octoplex.ledger.learning import open_learning, read_learning
from tests.shell import Home, Mocked, providers, run

LEARNED = """
[models.support]
try = ["mock/big", "mock/small"]
pick = "learned"
reference = "mock/big"
learn = { shadow = 0.1, judge = ["exact-match"] }
"""


def test_where_nothing_learns_it_says_how(home: Home) -> None:
    assert 'pick = "learned"' in run(home, "optimize", "status", status=0).out
    assert run(home, "optimize", "status", "--json", status=0).out == "[]\n"
    said = run(home, "optimize", "status", "main").failed_with_a_sentence()
    assert 'No route "main" learns.' in said
    for words in (("audit",), ("explain", "req_1"), ("export", "main", "notes.jsonl")):
        assert run(home, "optimize", *words).failed_with_a_sentence()
    assert not (home.path / "notes.jsonl").exists(), "a file is made for what there is"
    assert not (home.data / "learning.db").exists(), "looking makes nothing"


def test_levers_work_without_a_server_and_are_noted(home: Home, mock: Mocked) -> None:
    home.config(providers(mock) + LEARNED)
    told = run(home, "optimize", "status", "support", status=0).out
    assert "nothing yet: the reference serves all" in told
    assert "no request has come yet" in told
    said = run(home, "optimize", "pause", "suport").failed_with_a_sentence()
    assert "there is support" in said
    assert run(home, "optimize", "pause", "support", "--why", "a fair\x1b[2J", status=0).out
    (row,) = json.loads(run(home, "optimize", "status", "--json", status=0).out)
    assert row["paused"] is True
    assert row["callers_say"] == {"mean": None, "said": 0, "tenants": 0}
    run(home, "optimize", "rollback", "support", status=0)
    assert json.loads(run(home, "optimize", "status", "--json", status=0).out)[0]["paused"]
    run(home, "optimize", "resume", "support", status=0)
    assert not json.loads(run(home, "optimize", "status", "--json", status=0).out)[0]["paused"]
    lines = json.loads(run(home, "audit", "--json", status=0).out)
    told = [(line["what"], line["about"], line["after"]["why"]) for line in lines[::-1]]
    assert told == [
        ("optimizer.pause", "support", "a fair\x1b[2J"),
        ("optimizer.rollback", "support", ""),
        ("optimizer.resume", "support", ""),
    ]
    out = run(home, "optimize", "export", "support", "-", status=0).out
    kinds = [json.loads(line)["note"][1] for line in out.splitlines()]
    assert kinds == ["rollback", "resume"]
    notes = home.path / "notes.jsonl"
    notes.write_text("another's\n")
    said = run(home, "optimize", "export", "support", "notes.jsonl").failed_with_a_sentence()
    assert "notes.jsonl is there already: name another file, or --force." in said
    assert notes.read_text() == "another's\n"
    run(home, "optimize", "export", "support", "notes.jsonl", "--force", status=0)
    assert notes.read_text() == out


def test_a_damaged_file_is_a_sentence(home: Home, mock: Mocked) -> None:
    home.config(providers(mock) + LEARNED)
    home.data.mkdir(parents=True)
    with closing(open_learning(home.data)):
        pass
    path = home.data / "learning.db"
    path.write_bytes(b"no database" * 1_000)
    for words in (("status",), ("explain", "req_1"), ("pause", "support"), ("audit",)):
        said = run(home, "optimize", *words).failed_with_a_sentence()
        assert "What was learned cannot be read or written" in said
    path.unlink()
    assert read_learning(home.data) is None
