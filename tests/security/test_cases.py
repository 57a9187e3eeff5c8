"""The table of attacks is true. `python -m tests.security.test_cases` writes its page."""

from pathlib import Path

from tests.evidence import Evidence
from tests.test_house import ROOT

HEAD = """# Attacks, and what happens

Each case is one of the project's list of attacks on gateways; the tests run against real servers
and sockets. This page is written from `tests/security/cases.toml` by
`python -m tests.security.test_cases`; a test compares the two, and sees that every test named here
exists. What happened to other gateways is in `tests/security/test_incidents.py`, one test each.

| case | what happens | shown by |
|---|---|---|
"""
EVIDENCE = Evidence(
    Path(__file__).with_name("cases.toml"), ROOT / "docs" / "security-cases.md", HEAD, "s"
)


def test_the_table_and_its_page_are_true() -> None:
    EVIDENCE.check({f"S{n:02}" for n in (*range(1, 15), *range(28, 59), *range(66, 74))})


if __name__ == "__main__":
    EVIDENCE.page.write_text(EVIDENCE.text())
