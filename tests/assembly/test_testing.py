"""Tests of a request run on an answer's code, in a real sandbox."""

import asyncio
from pathlib import Path

import pytest

from octoplex.assembly.testing import run_by, trouble
from octoplex.sandbox import bubblewrap
from octoplex.sandbox.config import SandboxTable
from tests.sandbox.host import needs_sandbox
from tests.shell import Home, run

GOOD = "def double(x):\n    return 2 * x\n"
PLAIN = "assert double(2) == 4"
NAMED = (
    "def test_two():\n    assert double(2) == 4\ndef test_text():\n    assert double('a') == 'aa'\n"
)
CASES = {
    "it is right": (GOOD, PLAIN, True),
    "functions that are tests are called": (GOOD, NAMED, True),
    "it is wrong": (GOOD.replace("2 * x", "x"), PLAIN, False),
    "one of several fails": (GOOD.replace("2 * x", "4"), NAMED, False),
    "it is no code": ("I cannot do that.", PLAIN, False),
    "it leaves before it is tested": (f"{GOOD}\nimport sys\nsys.exit(0)", PLAIN, False),
    "it never ends": (f"{GOOD}\nwhile True: pass", PLAIN, False),
    "it looks for the network": (
        f"{GOOD}\nimport socket\nsocket.create_connection(('127.0.0.1', 1), 1)", PLAIN, False
    ),
}  # fmt: skip


@needs_sandbox
def test_code_passes_where_all_tests_end_well() -> None:
    async def main() -> list[bool]:
        passes = run_by(SandboxTable(limits="2 s"))
        return await asyncio.gather(*(passes(code, tests) for code, tests, _ in CASES.values()))

    found = dict(zip(CASES, asyncio.run(main()), strict=True))
    assert found == {name: right for name, (_, _, right) in CASES.items()}


@needs_sandbox
def test_it_is_tried_whether_tests_can_be_run_here(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert asyncio.run(trouble(SandboxTable())) == ""
    monkeypatch.setattr(bubblewrap, "found", lambda: None)
    assert "apt install bubblewrap" in asyncio.run(trouble(SandboxTable()))
    assert "can say nothing" in caplog.text


@needs_sandbox
def test_check_says_where_tests_can_never_be_run(tmp_path: Path) -> None:
    home = Home(tmp_path)
    target = "[providers.a]\ndialect = 'openai-chat'\nbase_url = 'http://127.0.0.1:9/v1'\n"
    prices = "[prices]\n'a/x' = { input = 1, output = 1 }\n'a/y' = { input = 1, output = 1 }\n"
    route = "try = ['a/x', 'a/y']\npick = 'learned'\nreference = 'a/x'\nlearn.judge = ['tests']\n"
    text = f"{target}{prices}[models.main]\n{route}"
    home.config(text)
    assert 'the judge "tests"' not in run(home, "check", status=0).out
    home.config(f"{text}[sandbox]\nlimits = '0.001 s'\n")
    assert 'the judge "tests" can say nothing' in run(home, "check", status=0).out
    verify = (
        "[models.main.variants]\nv = { target = 'a/y', verify = ['tests'], escalate = 'a/x' }\n"
    )
    text = text.replace("['tests']", "['exact-match']") + verify
    home.config(f"{text}[sandbox]\nlimits = '0.001 s'\n")
    assert 'the judge "tests" can say nothing' in run(home, "check", status=0).out
