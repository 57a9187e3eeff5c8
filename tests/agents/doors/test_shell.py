"""`octoplex run` and `octoplex runs` as people use them: in a pipe, on a terminal, with Ctrl-C."""

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import octoplex
from octoplex.agents.named import Named
from octoplex.agents.view import Approval
from octoplex.cli.run import question
from octoplex.cli.runs import runs
from tests.agents.doors.models import WORKED, of, plan, step, thinking
from tests.cli.test_chat import Terminal
from tests.server.nursery import nursery
from tests.shell import Home, run, until
from tests.upstream_server import Upstream

COUNT = "open('out.txt', 'w').write(str(len(open('in.txt').read())))"
PLANS = {
    "count": plan(
        step(
            "count",
            "executor.python",
            {"code": COUNT},
            criteria=[{"kind": "file", "path": "out.txt"}],
        ),
        step("say", "model.ask", {"prompt": "Say it."}, after=["count"]),
        answer=of("say", "/text"),
    ),
    "post": plan(
        step("send", "executor.python_online", {"code": "print(6 * 7)", "hosts": ["a.example"]}),
        answer=of("send", "/text"),
    ),
    "sleep": plan(
        step("nap", "executor.python", {"code": "import time\ntime.sleep(60)"}),
        answer=of("nap", "/text"),
    ),
}
FILE = """
[server]
data = "{home}/data"
[providers.a]
dialect = "openai-chat"
base_url = "{url}"
[models.main]
try = ["a/m"]
[prices]
"a/m" = {{ input = 1, output = 10 }}
[agents.clerk]
allow = ["write:workspace", "run:python", "net:a.example"]
"""


@pytest.fixture
def mind() -> Iterator[Upstream]:
    with thinking(PLANS) as up:
        yield up


@pytest.fixture
def home(tmp_path: Path, mind: Upstream) -> Home:
    home = Home(tmp_path)
    home.config(FILE.format(home=tmp_path, url=mind.url))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "in.txt").write_text("12345")
    return home


def test_in_a_pipe(home: Home) -> None:
    assert "No tasks yet. Give one: octoplex run" in run(home, "runs", "list", status=0).out
    assert "There is no goal" in run(home, "run", status=1).err
    assert "no folder nowhere" in run(home, "run", "x", "--workspace", "nowhere", status=1).err
    assert '"$1 a day"' in run(home, "run", "x", "--budget", "$1 a day", status=1).err
    done = run(home, "run", "count it", "--workspace", "work", "--budget", "$0.50, 1 min", status=0)
    assert done.out == f"{WORKED}\n"
    assert (home.path / "work" / "out.txt").read_text() == "5"
    id_ = re.match(r"task (task_\w+)\n", done.err)
    assert id_ is not None
    for line in (
        "plan of 2 steps: count (executor.python), say (model.ask)",
        "file      out.txt  1 bytes",
        "met       count: file out.txt (by measured)",
    ):
        assert line in done.err.splitlines(), done.err
    assert re.search(r"^done in \d+\.\d s, 240 tokens, \$0\.0006$", done.err, re.MULTILINE)
    replayed = run(home, "runs", "replay", id_[1], status=0)
    assert "plan of 2 steps" in replayed.out
    assert replayed.out.endswith(f"\n{WORKED}\n")
    shown = run(home, "runs", "show", id_[1], status=0)
    assert "+ count done in" in shown.out
    assert "goal      count it" in shown.out
    assert re.search(r"^kept      until [-\d]{10}; its files stay: ", shown.out, re.MULTILINE)
    denied = json.loads(run(home, "run", "post it", "--agent", "clerk", "--json", status=1).out)
    assert (denied["status"], denied["failure"]) == ("failed", "denied")
    assert "there is no terminal to ask at; see --approve" in denied["why"]
    listed = json.loads(run(home, "runs", "list", "--json", status=0).out)
    assert [row["status"] for row in listed] == ["done", "failed"]
    assert [row["kept_until_ms"] - row["ended_at_ms"] for row in listed] == [30 * 86_400_000] * 2
    where = ["--config", str(home.path / "octoplex.toml")]
    table = CliRunner().invoke(runs, ["list", *where]).output
    assert "kept until" in table.splitlines()[0]
    own = CliRunner().invoke(runs, ["show", listed[1]["id"], *where]).output
    assert re.search(r"^kept      until [-\d]{10}; with its files$", own, re.MULTILINE)


def test_on_a_terminal(home: Home) -> None:
    terminal = Terminal(home, "run", "post it", "--agent", "clerk")
    try:
        terminal.wait_for("send wants to do executor.python_online")
        terminal.type("y\n")
        terminal.wait_for("42")
    finally:
        assert terminal.close() == 0


def test_who_is_asked_sees_all_that_would_be_run() -> None:
    asked = Approval(
        "t", "send", "why", "executor.python_online", {"code": "x = 1;" * 500 + "evil()"}
    )
    assert "evil()" in question(asked)
    asked.inputs = {"code": "x = 1;" * 5_000 + "evil()"}
    assert "10,017 more characters of that are not shown" in question(asked)
    asked = Approval("t", "send", "why", "executor.python_online", {"file": "job.py"})
    asked.files = (Named("job.py", 1_200, "5e88" * 16, "import os\n\x1b[2Jevil()\n"),)
    lines = question(asked).splitlines()
    assert lines[1:4] == [
        f"  job.py: 1,200 bytes, sha256 {'5e88' * 16}",
        "    import os",
        "    [2Jevil()",
    ]


def interrupted(home: Home, at: str, *words: str) -> str:
    """What a command says on stderr that is interrupted once it has said something."""
    err = home.path / "err"
    with (home.path / "out").open("wb") as out, err.open("wb") as said:
        life = nursery().spawn(words, home.env, home.path, out, said)
    until(lambda: at in err.read_text(), at)
    life.send_signal(signal.SIGINT)
    assert life.wait(30) == 130, err.read_text()
    return err.read_text()


def test_ctrl_c_stops_and_it_goes_on(home: Home, mind: Upstream) -> None:
    said = interrupted(home, "> nap", "run", "sleep")
    id_ = re.search(r"octoplex runs resume (task_\w+)$", said, re.MULTILINE)
    assert id_ is not None
    assert "! cancelled by Ctrl-C" in said
    asked = len(mind.book)
    interrupted(home, "resumed", "runs", "resume", id_[1])
    assert len(mind.book) == asked, "what was planned is not planned again"


def test_from_python(home: Home, mind: Upstream) -> None:
    async def main() -> None:
        where: Any = {"config": str(home.path / "octoplex.toml"), "env": home.env}
        work = str(home.path / "work")
        planned = await octoplex.plan("count it", workspace=work, **where)
        assert [step.arm for step in planned.steps] == ["executor.python", "model.ask"]
        view = await octoplex.execute(planned, workspace=work, **where)
        assert (view.text, [file.path for file in view.artifacts]) == (WORKED, ["out.txt"])
        asked = []

        def approve(one: Approval) -> bool:
            asked.append(one.action)
            return True

        view = await octoplex.run("post it", agent="clerk", approve=approve, **where)
        assert (view.text, asked) == ("42\n", ["executor.python_online"])
        with pytest.raises(octoplex.error.TaskFailed, match="nobody was there"):
            await octoplex.run("post it", agent="clerk", **where)

    asyncio.run(main())
    assert len(mind.book) == 4
