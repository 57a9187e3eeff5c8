"""The snippets of `docs/guides/`, as a test runs them: with its own address and key.

client = names("openai", url)["client"]
commands("claude-code", url) -> the shell's lines
"""

import re
from pathlib import Path
from typing import Any

from tests.clients.world import KEY

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
ADDRESS, PLACE = "http://127.0.0.1:8080", "YOUR-KEY"


def snippets(guide: str, kind: str, url: str) -> list[str]:
    """The blocks of one kind; each must name nothing but the guides' address and key."""
    text = (GUIDES / f"{guide}.md").read_text()
    found = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, f"no {kind} in {guide}.md"
    return [block.replace(ADDRESS, url).replace(PLACE, KEY) for block in found]


def names(guide: str, url: str, number: int = 0) -> dict[str, Any]:
    """What a Python snippet defines."""
    made: dict[str, Any] = {}
    exec(snippets(guide, "py", url)[number], made)
    return made
