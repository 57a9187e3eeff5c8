"""A reader in a process of its own: the rollup equals the rows in every snapshot it sees."""

import sqlite3
import sys
from pathlib import Path

folder = Path(sys.argv[1])
db = sqlite3.connect(f"file:{folder}/ledger.db?mode=ro", uri=True, isolation_level=None)
print("watching", flush=True)
seen = -1
while not (folder / "stop").exists():
    db.execute("begin")
    (rows,) = db.execute("select coalesce(sum(nano), 0) from attempts where state = 1").fetchone()
    (days,) = db.execute("select coalesce(sum(nano), 0) from days").fetchone()
    db.execute("commit")
    assert rows == days, (rows, days)
    assert rows >= seen
    seen = rows
assert seen > 0
