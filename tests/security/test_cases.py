"""The table of cases is true: its tests exist, and the page that shows it is up to date.

`python -m tests.security.test_cases` writes docs/security-cases.md.
"""

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from tests.test_house import ROOT

TABLE = Path(__file__).with_name("cases.toml")
PAGE = ROOT / "docs" / "security-cases.md"
HEAD = """# Attacks, and what happens

Each case is one of the project's list of attacks on gateways; the tests run against real servers
and sockets. This page is written from `tests/security/cases.toml` by
`python -m tests.security.test_cases`; a test compares the two, and sees that every test named here
exists. What happened to other gateways is in `tests/security/test_incidents.py`, one test each.

| case | what happens | shown by |
|---|---|---|
"""


def table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text())


@cache
def named_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, kinds))


def page() -> str:
    """The table as people read it."""
    cases = table()
    later = cases.pop("not_yet")
    rows = [
        f"| {id_} | {case['says']} | {', '.join(f'`{test}`' for test in case['tests'])} |"
        for id_, case in sorted(cases.items())
    ]
    concerns = [f"- {id_}: {why}." for id_, why in later.items()]
    return HEAD + "\n".join(rows) + "\n\nNot of concern yet:\n\n" + "\n".join(concerns) + "\n"


def test_every_case_is_shown_by_tests_that_exist() -> None:
    cases = table()
    later = cases.pop("not_yet")
    assert not set(cases) & set(later)
    for id_, case in cases.items():
        assert case["tests"], id_
        for test in case["tests"]:
            file, _, name = test.partition("::")
            path = ROOT / "tests" / file
            assert path.is_file(), (id_, test)
            assert not name or name in named_in(path), (id_, test)


def test_every_case_of_the_list_is_told_of() -> None:
    wanted = {f"S{n:02}" for n in (*range(1, 15), *range(28, 59), *range(66, 74))}
    cases = table()
    told = set(cases) | set(cases["not_yet"])
    assert wanted <= told, sorted(wanted - told)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page()


if __name__ == "__main__":
    PAGE.write_text(page())
