"""The table of faults is true. `python -m tests.faults.test_cases` writes docs/reliability.md."""

from pathlib import Path

from tests.evidence import Evidence
from tests.test_house import ROOT

HEAD = """# When things fail

What fails, what happens then, and the tests that show it, over real sockets, processes and files.
After each scenario over a server the tests look for what must not be: a row still reserved, a
ledger whose sum is not that of its settlements, two records of a request, a secret in any output
(`tests/server/gate.py`). This page is written from `tests/faults/cases.toml` and the names of tests
by `python -m tests.faults.test_cases`; a test compares them.

| case | what happens | shown by |
|---|---|---|
"""
EVIDENCE = Evidence(
    Path(__file__).with_name("cases.toml"), ROOT / "docs" / "reliability.md", HEAD, "f"
)


def test_the_table_and_its_page_are_true() -> None:
    EVIDENCE.check({f"F{n:02}" for n in range(1, 79)})


if __name__ == "__main__":
    EVIDENCE.page.write_text(EVIDENCE.text())
