"""Which test is the case of which row of what users of other gateways suffer from.

The rows are the gateway's own behaviour towards clients and providers; each has tests that bear
its number, in this folder or where the case belongs.
"""

import re

import pytest

from tests.test_house import ROOT

ROWS = {
    11: "A truncated stream is reported as success",
    12: "A client disconnects, and the upstream goes on and bills",
    13: "Claude Code: tool arguments dropped, first delta lost, index -1, usage shape",
    14: "Beta headers wrong or dropped",
    15: "Thinking signatures lost across turns",
    16: "Gemini's thoughtSignature lost",
    17: "Responses events incomplete",
    18: "The prompt cache broken by the gateway",
    19: "count_tokens absent or wrong",
    20: "Structured output silently ignored",
    31: "Parameters dropped on an alias or a fallback",
    32: "Usage missing on streams",
    33: "max_tokens capped",
    37: "An unknown model loses features",
}
CASE = re.compile(r"^def test_row(\d+)_\w+", re.MULTILINE)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_its_case(row: int) -> None:
    found = [
        path
        for path in ROOT.glob("tests/**/test_*.py")
        if str(row) in CASE.findall(path.read_text())
    ]
    assert found, ROWS[row]


def test_no_case_is_of_a_row_that_is_not_here() -> None:
    for path in ROOT.glob("tests/**/test_*.py"):
        assert {int(row) for row in CASE.findall(path.read_text())} <= set(ROWS), path
