"""A soak of a few seconds: that it runs, and counts to the cent."""

import os
import re
import subprocess
import sys

from tests.test_house import ROOT


def test_a_short_soak_loses_nothing() -> None:
    options = ["--minutes", "0.1", "--rate", "40", "--failing", "0.3", "--restart-s", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", *options],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^lost +0 doubled 0 wrong 0$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^no word +0 ", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^asked twice +[1-9]\d* times under one key, 0 ", done.stdout, re.MULTILINE)
    assert re.search(r"^addresses +0 ", done.stdout, re.MULTILINE), done.stdout
    bills = re.search(r"^bills .* ([\d,]+) exact", done.stdout, re.MULTILINE)
    assert bills is not None
    assert int(bills[1].replace(",", "")) > 100
