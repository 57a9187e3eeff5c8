"""kill -9 at any moment: nothing that was acknowledged is lost, nothing is counted twice."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from octoplex.ledger import Reader, SpendQuery, open_store
from tests.ledger.faults import rollup, sums

CHILD = Path(__file__).with_name("child.py")


def kill_after(folder: Path, seed: int) -> list[list[str]]:
    """Run the child, kill it at a random byte of its output; the complete lines it printed."""
    child = subprocess.Popen(
        [sys.executable, CHILD, folder, str(seed)], stdout=subprocess.PIPE, text=False
    )
    assert child.stdout is not None
    wanted = random.Random(seed).randint(10, 200_000)
    said = b""
    while len(said) < wanted:
        piece = os.read(child.stdout.fileno(), wanted - len(said))
        assert piece, f"the child ended by itself: {child.wait()}"
        said += piece
    child.send_signal(signal.SIGKILL)
    child.wait()
    said += child.stdout.read()
    child.stdout.close()
    lines = said.decode().split("\n")[:-1]
    return [line.split() for line in lines]


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_ledger_is_whole(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "data"
    certain: dict[str, int] = {}
    held: dict[str, int] = {}
    noted: dict[str, int] = {}
    for life in range(3):
        for what, *rest in kill_after(folder, seed * 10 + life):
            if what == "settled":
                certain[rest[0]] = int(rest[1])
                held.pop(rest[0], None)
            elif what == "held":
                held[rest[0]] = int(rest[1])
            elif what == "noted":
                noted[rest[0]] = int(rest[1])
        db = sqlite3.connect(f"file:{folder}/ledger.db?mode=ro", uri=True)
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        open_before = db.execute("select count(*) from attempts where state = 0").fetchone()[0]
        db.close()
        store = open_store(folder)
        assert store.condition().lost >= open_before
        rows = {str(row["request_id"]): row for row in store.reader.attempts()}
        assert {id_: rows[id_]["nano"] for id_ in certain} == certain
        assert {id_: rows[id_]["reserved_nano"] for id_ in noted} == noted
        assert not any(row["state"] == "reserved" for row in rows.values())
        for id_, nano in held.items():
            row = rows[id_]
            if row["outcome"] == "lost":
                assert (row["nano"], row["estimated"]) == (nano, 1)
        assert sums(store.reader) == rollup(store.reader)
        assert asyncio.run(store.spend(SpendQuery())).total_nano == sum(
            int(row["nano"]) for row in rows.values()
        )
        store.close()
        held.clear()
    again = open_store(folder)
    assert again.condition().lost == 0
    again.close()
    assert sums(Reader(folder)) == rollup(Reader(folder))
