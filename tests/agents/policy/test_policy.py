"""What may be run, and what may not: a corpus of both, and the ordinary part of it run."""

import asyncio
import io
import re
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.agents.arms.joined import Means, arms_of
from octoplex.agents.capability import Grant, unsigned
from octoplex.agents.place import place_of
from octoplex.agents.policy.kinds import KINDS
from octoplex.agents.policy.policy import permitted, table
from octoplex.agents.words import Failed, Offer, Order, World
from tests.sandbox.host import folder, needs_sandbox

CORPUS = tomllib.loads((Path(__file__).parent / "corpus.toml").read_text("utf-8"))
ALLOW = ("read:workspace", "write:workspace", "run:command", "run:python")


def granting(*allow: str) -> Grant:
    """A grant of just these."""
    return unsigned(Order("t", "s", "x"), Offer("x", "", {}, needs=allow), allow)


GRANT = granting(*ALLOW, "net:api.example.com")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """The workspace of the corpus."""
    with folder("root") as path:
        for name, text in {
            "data/a.csv": "month,n\nMay,3\nJune,4\n",
            "data/b.csv": "month,n\nMay,3\nJuly,5\n",
            "notes.txt": "first\nlast\n",
            "-rf": "dashed",
            "résumé.txt": "accents",
            "records.json": '[{"name": "Ann"}, {"name": "Bob"}]',
            "src/calc.py": "import sys\ndef add(a, b):\n    return a + b\nif __name__ == "
            "'__main__':\n    print(add(1, int(sys.argv[-1])))\n",
            "src/test_calc.py": "import unittest\nfrom calc import add\nclass T(unittest.TestCase"
            "):\n    def test(self):\n        self.assertEqual(add(1, 2), 3)\n",
        }.items():
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_text(text)
        (path / "made").mkdir()
        (path / "out").symlink_to("/etc")
        (path / "in").symlink_to("data")
        (path / "loop").symlink_to("loop")
        with tarfile.open(path / "archive.tar", "w") as tar:
            member = tarfile.TarInfo("inner.txt")
            member.size = 2
            tar.addfile(member, io.BytesIO(b"in"))
        subprocess.run(["git", "init", "-q", "-b", "main", str(path)], check=True, env={})
        yield path


def test_hostile_commands_are_refused_with_a_reason(place: Path) -> None:
    for argv, why in CORPUS["hostile"]:
        with pytest.raises(Failed, match=re.escape(why)) as caught:
            pytest.fail(f"{permitted(argv, GRANT, place)}")
        assert caught.value.failure == "refused", argv


@needs_sandbox
def test_ordinary_commands_run(place: Path) -> None:
    arm = arms_of(("executor",), Means())["executor"]

    async def run() -> list[Any]:
        world = World(ask=_nobody, workspace=place, allow=ALLOW)
        return [
            await arm(Order("t", "s", "executor.command", {"argv": argv}), world)
            for argv, _ in CORPUS["ordinary"]
        ]

    done = zip(CORPUS["ordinary"], asyncio.run(run()), strict=True)
    wrong = [
        (argv, outcome.why or outcome.output)
        for (argv, said), outcome in done
        if outcome.failure or said not in outcome.output["stdout"] + outcome.output["stderr"]
    ]
    assert not wrong, "\n".join(map(str, wrong))


@needs_sandbox
def test_git_obeys_no_program_that_a_repository_names(place: Path) -> None:
    evil = place / "evil.sh"
    evil.write_text("#!/bin/sh\ntouch made/evil\n")
    evil.chmod(0o755)
    words = ["git", "-C", str(place), "-c", "safe.directory=*"]
    subprocess.run([*words, "config", "core.fsmonitor", "./evil.sh"], check=True)
    (place / ".git/hooks/pre-commit").write_text("#!/bin/sh\ntouch made/evil\n")
    (place / ".git/hooks/pre-commit").chmod(0o755)
    subprocess.run([*words, "status", "--short"], check=True, stdout=subprocess.DEVNULL)
    assert (place / "made/evil").exists(), "it is not what makes Git run it"
    (place / "made/evil").unlink()
    arm = arms_of(("executor",), Means())["executor"]
    world = World(ask=_nobody, workspace=place, allow=ALLOW)
    for argv in (["git", "status"], ["git", "commit", "-q", "--allow-empty", "-m", "x"]):
        order = Order("t", "s", "executor.command", {"argv": argv})
        outcome = asyncio.run(arm(order, world))
        assert outcome.failure is None, outcome.why
    assert not (place / "made/evil").exists()


def test_a_value_is_never_an_option_of_its_own(place: Path) -> None:
    """Git takes no value behind `--format` as a word, and would read it as an option."""
    found = permitted(["git", "log", "--format", "--output=made/x", "-n", "1"], GRANT, place)
    assert "--format=--output=made/x" in found.argv
    assert "--output=made/x" not in found.argv
    assert permitted(["rm", "--", "-rf"], GRANT, place).argv == ("rm", "--", "./-rf")
    assert permitted(["tail", "-qn3", "notes.txt"], GRANT, place).argv[1:] == (
        "-q",
        "-n",
        "3",
        "--",
        "notes.txt",
    )


def test_what_is_granted_decides_about_places_and_hosts(place: Path) -> None:
    narrow = granting("read:workspace/data", "write:workspace/made", "run:command")
    assert permitted(["cat", "data/a.csv"], narrow, place).reads == ("data/a.csv",)
    copied = permitted(["cp", "-r", "data", "made"], narrow, place)
    assert (copied.writes, copied.changes) == (("made",), True)
    for argv in (
        ["cat", "notes.txt"],
        ["ls", "."],
        ["cp", "data/a.csv", "x"],
        ["rm", "data/a.csv"],
    ):
        with pytest.raises(Failed, match="may not"):
            permitted(argv, narrow, place)
    for argv in (["python3", "src/calc.py"], ["sh", "-c", "id"]):
        with pytest.raises(Failed, match="may not run"):
            permitted(argv, granting("run:command", "read:workspace"), place)
    with pytest.raises(Failed, match="may not run"):
        permitted(["cat", "data/a.csv"], granting("run:grep", "read:workspace"), place)
    url = permitted(["curl", "-s", "https://api.example.com/a?b=c"], GRANT, place)
    assert url.hosts == ("api.example.com",)


def test_a_link_to_itself_leads_nowhere(place: Path) -> None:
    assert permitted(["cat", "loop"], GRANT, place).reads == ("loop",)


def test_every_kind_of_the_table_is_known() -> None:
    for name, grammar in table().commands.items():
        kinds = [kind.rstrip("*+?") for kind in (*grammar.words, *filter(None, [grammar.rest]))]
        kinds += [kind for kinds in grammar.options.values() for kind in kinds.split()]
        assert set(kinds) <= set(KINDS), name


PIECES = ["..", ".", "/", "a", "-rf", "--", "~", "\0", "\n", "\u2025", "\uff0f", "\u202e", " ", "*"]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=8))
def test_a_place_lies_below_whatever_is_written(pieces: list[str]) -> None:
    try:
        found = place_of("".join(pieces))
    except Failed:
        return
    at = Path("/workspace").joinpath(found)
    assert Path("/workspace") in (at, *at.parents)
    assert ".." not in at.parts
    assert place_of(found) == found or found.startswith("~")


WORDS = [
    "cat",
    "git",
    "log",
    "find",
    "tar",
    "-c",
    "--output=x",
    "..",
    "/etc",
    "data",
    "-exec",
    "$(id)",
]


@settings(max_examples=150)
@given(argv=st.lists(st.sampled_from(WORDS), min_size=1, max_size=5))
def test_what_is_permitted_stays_in_the_workspace(argv: list[str]) -> None:
    try:
        found = permitted(argv, GRANT, Path("/nowhere"))
    except Failed:
        return
    assert not {"-exec", "--output=x", "$(id)", "/etc", ".."} & set(found.argv)


async def _nobody(model: str, body: bytes) -> Any:
    raise AssertionError("no model is asked")
