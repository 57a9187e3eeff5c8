"""Tables of cases and the tests that show them, and the pages that people read of them.

    Evidence(table, page, head, prefix)     table: TOML of `id = { says, tests }` and [not_yet]

A test is `file::name` below tests/, or a file. What is named `test_f12_...` belongs to F12 without
being listed.
"""

import ast
import re
import tomllib
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from tests.test_house import ROOT

TESTS = ROOT / "tests"


@cache
def named_in(path: Path) -> tuple[str, ...]:
    """The names of all functions in a file."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return tuple(n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, kinds))


class Evidence:
    """One table."""

    def __init__(self, table: Path, page: Path, head: str, letter: str) -> None:
        self.page, self._head = page, head
        cases: dict[str, Any] = tomllib.loads(table.read_text())
        self.later: dict[str, str] = cases.pop("not_yet")
        self.says: dict[str, str] = {id_: case["says"] for id_, case in cases.items()}
        named = _named(letter)
        self.tests: dict[str, list[str]] = {
            id_: [*case.get("tests", []), *sorted(named.get(id_, []))]
            for id_, case in cases.items()
        }
        self.strays = sorted(set(named) - set(cases))

    def text(self) -> str:
        """The page."""
        rows = []
        for id_, says in sorted(self.says.items()):
            shown = ", ".join(f"`{test}`" for test in dict.fromkeys(self.tests[id_]))
            rows.append(f"| {id_} | {says} | {shown} |")
        later = [f"- {id_}: {why}." for id_, why in sorted(self.later.items())]
        return "\n".join([self._head + "\n".join(rows), "", "Not of concern yet:", "", *later, ""])

    def check(self, wanted: set[str]) -> None:
        """Every case is told of, every one that concerns us is shown, and the page says so."""
        told = self.says.keys() | self.later.keys()
        assert wanted <= told, sorted(wanted - told)
        assert not self.says.keys() & self.later.keys()
        assert not self.strays, self.strays
        for id_, tests in self.tests.items():
            assert tests, f"{id_} is shown by no test"
            for test in tests:
                file, _, name = test.partition("::")
                path = TESTS / file
                assert path.is_file(), (id_, test)
                assert not name or name in named_in(path), (id_, test)
        assert self.page.read_text() == self.text(), "write the page anew; it says how"


def _named(letter: str) -> dict[str, list[str]]:
    """Case -> the tests that are named after it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in TESTS.rglob("test_*.py"):
        for name in named_in(path):
            head = re.match(rf"test_((?:{letter}\d\d_)+)", name)
            for number in re.findall(rf"{letter}(\d\d)_", head[1]) if head else ():
                found[f"{letter.upper()}{number}"].append(f"{path.relative_to(TESTS)}::{name}")
    return found
