"""`[agents.NAME]`: what may stand there, what is said of what may not, and what a task may use."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from octoplex.agents.config import budget_of, narrowed, within
from octoplex.agents.task import Budget
from octoplex.cli import main
from octoplex.settings import parse
from octoplex.wire.error import BadConfig, InvalidCall


def test_a_budget_as_people_write_it() -> None:
    assert budget_of("$0.50, 5 min") == Budget(dollars=0.5, seconds=300)
    assert budget_of("200k tokens, 1.5 h, 7 steps") == Budget(tokens=200_000, seconds=5400, steps=7)
    assert budget_of("90 s", Budget(dollars=3)) == Budget(dollars=3, seconds=90)
    assert budget_of("") == Budget()


@pytest.mark.parametrize(
    "text", ["$1 a day", "5 parsecs", "$1, $2", "0 s", "-$1", "1.5 steps", "$1e3", "10 m", ","]
)
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(BadConfig, match="limits: "):
        budget_of(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('planer = "main"', '[agents.a] has no key "planer"; did you mean "planner"?'),
        ('limits = "much"', '[agents.a] limits: "much" is not understood'),
        ('allow = ["rm:all"]', '[agents.a] allow: "rm:all" is no capability'),
        ('arms = ["my arm"]', '[agents.a] arms: "my arm" is no arm'),
        ('approve = "alway"', '[agents.a] approve: "alway" is not valid; did you mean "always"?'),
        ("swarm = { attempts = 1 }", "[agents.a] swarm.attempts: expected `int` >= 2."),
    ],
)
def test_a_table_that_is_wrong(line: str, said: str) -> None:
    with pytest.raises(BadConfig) as refused:
        parse(f"[agents.a]\n{line}\n", "my.toml")
    assert str(refused.value).startswith(f"my.toml: {said}")


def test_a_task_may_narrow_and_never_widen() -> None:
    own = ("write:workspace/out", "run:python", "net:*.a.example")
    assert narrowed(None, own) == own
    assert narrowed(("read:workspace/out/x", "net:b.a.example"), own) == (
        "read:workspace/out/x",
        "net:b.a.example",
    )
    for wider in ("write:workspace", "run:sh", "net:a.example", "nonsense"):
        with pytest.raises(InvalidCall, match="allow: "):
            narrowed((wider,), own)
    limits = Budget(dollars=1, seconds=60)
    assert within(None, limits) == limits
    assert within(Budget(dollars=5, seconds=10, steps=3), limits) == Budget(
        dollars=1, seconds=10, steps=3
    )


def test_check_and_explain_know_agents(tmp_path: Path) -> None:
    file = tmp_path / "octoplex.toml"
    file.write_text(
        f'[server]\ndata = "{tmp_path}/data"\n'
        '[agents.a]\nplanner = "nobody"\njudge = "agent/a"\narms = ["mcp.hub"]\n'
    )
    env = {"HOME": str(tmp_path)}
    checked = CliRunner().invoke(main, ["check", "--config", str(file)], env=env).output
    for line in (
        "[agents.a] planner: There is no model or route named 'nobody'",
        "[agents.a] judge: an agent cannot be asked by an agent",
        "[agents.a] arms: there is no [mcp.hub]",
    ):
        assert f"warning  {line}" in checked
    explained = CliRunner().invoke(main, ["explain", "agent/a", "--config", str(file)], env=env)
    assert "agent/a: an agent, which runs a task" in explained.output
    assert "octoplex/smollm2" in explained.output
    wrong = CliRunner().invoke(main, ["explain", "agent/b", "--config", str(file)], env=env)
    assert "Did you mean agent/a" in wrong.output
