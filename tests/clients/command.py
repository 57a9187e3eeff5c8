"""A command-line client as its user starts it, in a home that is thrown away.

The environment holds PATH, HOME and TMPDIR, what the guide says, and the switches that keep
a client from telemetry and updates. What the guide says is run by the shell as it stands.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.clients.guide import snippets

LIMIT_S = 60
ROOT = Path(__file__).parents[2]
NODE = ROOT / ".venv-clients" / "node"
PYTHON = ROOT / ".venv-clients" / "bin"
PATH = os.pathsep.join([str(NODE / "node_modules" / ".bin"), str(PYTHON), os.environ["PATH"]])


def needed(tool: str) -> None:
    """Skip the test, by the tool's name, where it is truly absent."""
    if shutil.which(tool, path=PATH) is None:
        pytest.skip(f"{tool} is not installed: `make test-clients` installs it")


@dataclass
class Home:
    """A home and a folder to work in."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in (self.home, self.work, self.folder / "tmp"):
            path.mkdir()

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def run(self, guide: str, url: str, *line: str) -> str:
        """Do what the guide says, then the line; give what it printed.

        Raises AssertionError where it fails or takes longer than a minute.
        """
        needed(line[0])
        script = "\n".join(["set -e", *snippets(guide, "sh", url), 'exec "$@"'])
        env = {"PATH": PATH, "HOME": str(self.home), "TMPDIR": str(self.folder / "tmp"), **self.env}
        ran = subprocess.run(
            ["sh", "-c", script, "sh", *line],
            env=env, cwd=self.work, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"{ran.returncode}\n{ran.stdout[-2000:]}\n{ran.stderr[-4000:]}"
        return ran.stdout
