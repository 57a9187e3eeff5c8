"""A real server between liars, for a bounded number of lies; `attack.py` goes on for longer."""

import asyncio
from pathlib import Path

import pytest

from tests.fuzz.attack import attack


@pytest.mark.parametrize("seed", [1, 2])
def test_nonsense_from_both_sides(tmp_path: Path, seed: int) -> None:
    told = asyncio.run(asyncio.wait_for(attack(tmp_path, seed, seconds=40, most=120), 60))
    assert told["asked"] >= 120
