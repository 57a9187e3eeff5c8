"""The AI SDK under node, each of its providers set up as the guide says (row 17: its parser
accepts every event of every face)."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.command import LIMIT_S, NODE, PATH, needed
from tests.clients.guide import snippets
from tests.clients.tasks import ANSWER, FORM, QUESTION, person, weather
from tests.clients.told import signed
from tests.clients.world import DIALECTS, Script, World

TASK = Path(__file__).parent / "node" / "task.mjs"
PROVIDERS = {
    "openai-responses": (0, ""),
    "openai-chat": (0, "chat"),
    "compatible": (1, ""),
    "anthropic": (2, ""),
    "gemini": (3, ""),
}
"""Which snippet of the guide it is, and the door where it has two."""
PAIRS = [
    (name, dialect)
    for name in PROVIDERS
    for dialect in DIALECTS
    if dialect != ("openai-chat" if name == "compatible" else name)
]
At = Callable[[str, Script], World]


def run(folder: Path, name: str, url: str, *asked: str) -> Any:
    """Run the task: its kind, its question and the model's name."""
    needed("node")
    number, door = PROVIDERS[name]
    module = folder / "module.mjs"
    module.write_text(snippets("ai-sdk", "js", url)[number] + TASK.read_text())
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    ran = subprocess.run(
        ["node", module, *asked, door], env={"PATH": PATH, "HOME": str(folder)},
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout)


@pytest.mark.parametrize("kind", ["text", "stream"])
@pytest.mark.parametrize(("name", "dialect"), PAIRS)
def test_tools(at: At, tmp_path: Path, name: str, dialect: str, kind: str) -> None:
    world = at(dialect, weather)
    said = run(tmp_path, name, world.url, kind, QUESTION, "main")
    assert said["text"].endswith(ANSWER)
    assert said["steps"] == len(world.asked) == 3
    if dialect == "gemini":
        assert world.asked[-1].signatures == [signed("call_1"), signed("call_3")]


@pytest.mark.parametrize(("name", "dialect"), PAIRS)
def test_objects(at: At, tmp_path: Path, name: str, dialect: str) -> None:
    world = at(dialect, person)
    # Through Messages it forces one tool and forbids a second, which Gemini has no word for.
    model = "agent" if (name, dialect) == ("anthropic", "gemini") else "main"
    said = run(tmp_path, name, world.url, "object", "Invent a person.", model)
    assert said == json.loads(FORM)
