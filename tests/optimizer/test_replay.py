"""A replay keeps its promise, tells the truth of what it did, and says what a file lacks."""

import csv
import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from octoplex.cli.main import Shell
from octoplex.cli.optimize import optimize
from octoplex.optimizer.loop import Plan
from octoplex.optimizer.replay import Columns, Table, read, replay
from octoplex.wire.error import BadConfig

TOPICS = ("contract statute appeal liability", "pool shore moon crab", "vector matrix proof lemma")
GOOD = (0.45, 0.86, 0.8)
"""How often the small model is right, by topic; the large one is in 85 of 100."""


def rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    dice = Random(seed)
    found: list[dict[str, Any]] = []
    for number in range(count):
        topic = dice.randrange(3)
        words = " ".join(dice.choices(TOPICS[topic].split(), k=8))
        row = {"prompt": f"{words} {number}?", "large": dice.random() < 0.85, "topic": topic}
        found.append({**row, "small": dice.random() < GOOD[topic], "dollars": 0.01})
    return found


def write(path: Path, told: list[dict[str, Any]]) -> Path:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="") as file:
        writer = csv.DictWriter(file, list(told[0]))
        writer.writeheader()
        writer.writerows(told)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    path = write(tmp_path_factory.mktemp("replay") / "rows.csv.gz", rows(4_000))
    costs = {"large": "@dollars", "small": "0.0005"}
    return read(path, Columns("large", ("small",), costs=costs))


def test_it_saves_and_keeps_its_promise(table: Table) -> None:
    plan = Plan(table.variants, feedback=0.1)
    told = replay(table, plan, seed=1, requests=12_000)
    assert 1_100 < told.judged < 1_300
    assert told.saving > 0.3
    assert not told.violated
    assert told.loss_certified < 0.05
    assert {c.kind for c in told.certificates} <= {"certified", "lowered"}
    assert told.baselines["reference"].saving == 0
    assert told.oracle > told.saving
    assert told.regret == pytest.approx(told.oracle - told.saving)
    assert told.baselines["best threshold"].saving > told.baselines["random mix"].saving
    for bandit in ("LinUCB", "LinTS"):  # words say which are well answered: any learner finds them
        assert 0.2 < told.baselines[bandit].saving < told.oracle
    assert told.curve[-1][1] == pytest.approx(told.saving_total)
    once, again, other = (replay(table, plan, seed=n, requests=2_500) for n in (1, 1, 2))
    assert once == again
    assert once.judged != other.judged


def test_pairs_cost_what_the_second_answer_costs(table: Table) -> None:
    """All judged and nothing certified yet: each request pays both."""
    told = replay(table, Plan(table.variants, feedback=1.0), seed=1, requests=39)
    assert told.judged == 39
    assert told.saving_total == pytest.approx(-0.05)
    dear = replay(table, Plan(table.variants, feedback=1.0), seed=1, requests=39, judge_cost=0.01)
    assert dear.saving_total == pytest.approx(-1.05)
    once = replay(table, Plan(table.variants, feedback=0.01), seed=1)
    assert once.requests == 4_000


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"small": "maybe"}, 'line 2: "maybe" in "small" is no quality'),
        ({"small": "1.5"}, 'line 2: "1.5" in "small" is no quality'),
        ({"small": "nan"}, 'line 2: "nan" in "small" is no quality'),
        ({"dollars": "-1"}, 'line 2: "-1" is no cost of "large"'),
        ({"dollars": ""}, 'line 2: "" is no cost of "large"'),
    ],
)
def test_a_bad_value_is_named_with_its_line(
    tmp_path: Path, wrong: dict[str, str], says: str
) -> None:
    path = write(tmp_path / "rows.csv", [{**rows(1)[0], **wrong}])
    with pytest.raises(BadConfig, match="line 2") as caught:
        read(path, Columns("large", ("small",), costs={"large": "@dollars", "small": "0"}))
    assert says in str(caught.value)


def shell(*words: str) -> Any:
    return CliRunner().invoke(optimize, ["replay", *words])


def test_the_shell_prints_json_a_table_and_a_plot(tmp_path: Path) -> None:
    path = str(write(tmp_path / "rows.csv", rows(1_500)))
    usual = (path, "--reference", "large", "--candidate", "small", "--feedback", "0.3")
    told = json.loads(shell(*usual, "--requests", "900", "--json").stdout)
    assert {"saving", "loss", "saving_total", "loss_total", "judged", "violated"} <= told.keys()
    picture = tmp_path / "plot.svg"
    several = shell(*usual, "--requests", "500", "--seeds", "2", "--plot", str(picture))
    assert several.exit_code == 0, several.output
    assert "Broken in 0 of 2." in several.stdout
    assert "Nothing was certified" in several.stdout
    drawn = picture.read_text()
    assert drawn.startswith("<svg")
    again = shell(*usual, "--requests", "400", "--plot", str(picture))
    assert "is there already" in str(again.exception)
    assert picture.read_text() == drawn
    again = shell(*usual, "--requests", "400", "--plot", str(picture), "--force")
    assert (again.exit_code, picture.read_text() == drawn) == (0, False)


def test_segments_are_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", rows(3_000))
    costs = {"large": "@dollars", "small": "0.0005"}
    table = read(path, Columns("large", ("small",), costs=costs, segment="topic"))
    told = {}
    for kind in ("watched", "each"):
        plan = Plan(table.variants, feedback=0.2, segments=kind)  # type: ignore[arg-type]
        told[kind] = replay(table, plan, seed=1, requests=8_000)
    for report in told.values():
        assert not report.violated
        segments = {one.segment: one for one in report.segments}
        assert segments.keys() == {"0", "1", "2"}
        assert sum(one.requests for one in report.segments) == 8_000
        assert segments["1"].saving > segments["0"].saving + 0.2
        known = report.certificates[-1].told
        assert known is not None
        assert known.lower >= 0
        assert 0.93 < known.snips < 1.02
        assert known.dr == pytest.approx(known.snips), "of one candidate both are the same"
    assert not any(one.violated for one in told["each"].segments)
    assert told["each"].saving < told["watched"].saving
    usual = (str(path), "--reference", "large", "--candidate", "small", "--feedback", "0.3")
    said = shell(*usual, "--segment", "topic", "--requests", "2500", "--each-segment").stdout
    assert "By segment; more was lost than promised in " in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--candidate", "tiny"], 'has no column "tiny"; it has prompt, large'),
        (["--candidate", "large"], '"large" is named twice'),
        (["--candidate", "small", "--cost", "large"], "write COLUMN=DOLLARS"),
        (["--candidate", "small", "--cost", "large=1"], 'What "small" costs is missing'),
        (["--candidate", "small", "--cost", "x=1"], "neither the reference nor a candidate"),
        (["--candidate", "small", "--cost", "small=@y"], 'has no column "y"'),
        (["--candidate", "small", "--each-segment"], "say with --segment"),
    ],
)
def test_what_is_asked_wrongly_is_told(tmp_path: Path, more: list[str], says: str) -> None:
    path = str(write(tmp_path / "rows.csv", rows(3)))
    shell_ = Shell("octoplex")
    shell_.add_command(optimize, "optimize")
    words = ["optimize", "replay", path, "--reference", "large", *more]
    told = CliRunner().invoke(shell_, words)
    assert told.exit_code != 0
    assert says in told.output


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    for name, body in (
        ("cut.csv.gz", gzip.compress(b"prompt,large\n" * 99)[:30]),
        ("none.csv", b""),
        ("short.csv", b"large,small,prompt\n1,0\n"),
    ):
        path = tmp_path / name
        path.write_bytes(body)
        with pytest.raises(
            BadConfig, match=r"cannot be read|no column|line 2 ends before \"prompt\""
        ):
            read(path, Columns("large", ("small",)))
    with pytest.raises(BadConfig, match="cannot be read"):
        read(tmp_path / "absent.csv", Columns("large", ("small",)))


def cascade(tmp_path: Path) -> Table:
    """The small model's sums are wrong where it errs, which its prompts do not tell."""
    told = rows(3_000, seed=5)
    for row in told:
        right = row["small"]
        row["reply"] = f"3 * 4 = {12 if right else 13}, so {12 if right else 13}."
        row["large"] = True
    path = write(tmp_path / "rows.csv", told)
    costs = {"large": "0.01", "small": "0.001"}
    return read(path, Columns("large", ("small",), costs=costs, reply="reply"))


def test_a_cascade_asks_first_and_decides_upon_the_reply(tmp_path: Path) -> None:
    table = cascade(tmp_path)
    assert table.costs[0].tolist() == pytest.approx([0.011, 0.001])
    assert table.alone[0] == 0.01
    plan = Plan(table.variants, feedback=0.2)
    told = replay(table, plan, seed=1, requests=6_000)
    assert told.ranking is not None
    assert told.ranking.area > 0.75
    assert told.saving > 0.4
    assert not told.violated
    assert told.baselines["reference"].saving == 0
    usual = (str(tmp_path / "rows.csv"), "--reference", "large", "--candidate", "small")
    printed = shell(*usual, "--reply", "reply", "--requests", "600", "--feedback", "0.5")
    assert "On rows that were never judged: " in printed.stdout
    first = replay(table, Plan(table.variants, feedback=1.0), seed=1, requests=39)
    assert first.saving_total == pytest.approx(-0.1)  # both answered, each once


def test_a_cascade_has_one_candidate(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", rows(3))
    columns = Columns("large", ("small", "topic"), reply="prompt")
    with pytest.raises(BadConfig, match="--reply: one candidate answers first, not 2"):
        read(path, columns)
    with pytest.raises(BadConfig, match='no column "said"'):
        read(path, Columns("large", ("small",), reply="said"))
