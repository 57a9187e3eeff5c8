"""`octoplex batches`: what stands in the archive, beside a server and without one."""

import json
import subprocess
import sys
from pathlib import Path

from octoplex.ledger.archive import Archive
from octoplex.ledger.batch import Batch, Complaint, File
from octoplex.ledger.folder import Folder
from tests.shell import Home, run

LINE = b'{"custom_id":"%d"}\n'


def kept(home: Home) -> tuple[Batch, Batch]:
    """Two batches: one that runs, with three of ten lines done, and one that failed."""
    folder = Folder(home.data)
    folder.make()
    archive = Archive(folder, spare_bytes=0)
    upload = archive.begin(1)
    upload.write(b"x\n")
    file = File("file-1", "k", 1_800_000_000, 4_000_000_000, 2, "in.jsonl", "batch")
    archive.keep(upload, file)
    made = []
    for number in (1, 2):
        batch = Batch(
            id=f"batch_{number}",
            key_id="k",
            key_name="app\x1b[31m",
            face="openai-chat",
            endpoint="/v1/chat/completions",
            created_at=1_800_000_000,
            expires_at=1_800_086_400,
            total=10,
        )
        archive.add(batch, file)
        made.append(batch)
    running, failed = made
    running.turn("in_progress", 1_800_000_001)
    archive.save(running)
    for number in range(3):
        archive.append(running, "out", LINE % number)
    archive.append(running, "err", LINE % 3)
    failed.errors = [Complaint("invalid_url", "`url` is wrong.", 7, "url")]
    archive.finish(failed, "failed")
    archive.close()
    return running, failed


def test_nothing_is_a_sentence(bare: Home) -> None:
    assert run(bare, "batches", status=0).out.startswith("No batches yet")
    assert run(bare, "batches", "--json", status=0).out == "[]\n"
    assert "batch_9" in run(bare, "batches", "batch_9").failed_with_a_sentence()


def test_batches_are_listed_and_shown(bare: Home) -> None:
    kept(bare)
    table = run(bare, "batches", status=0).out
    assert "batch_1" in table
    assert "\x1b" not in table
    row = next(line for line in table.splitlines() if "batch_1" in line)
    assert row.split()[-4:] == ["in_progress", "4", "1", "10"]
    listed = json.loads(run(bare, "batches", "--json", status=0).out)
    assert [(b["id"], b["done"]) for b in listed] == [("batch_2", 0), ("batch_1", 4)]
    one = run(bare, "batches", "batch_1", status=0).out
    assert "4 of 10" in one
    assert "3 completed" in one
    wrong = run(bare, "batches", "batch_2", status=0).out
    assert "line 7" in wrong
    assert "invalid_url" in wrong
    assert json.loads(run(bare, "batches", "batch_1", "--json", status=0).out)["total"] == 10


def test_a_terminal_has_a_bar(bare: Home, tmp_path: Path) -> None:
    kept(bare)
    program = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    done = subprocess.run(
        [sys.executable, "-c", program, sys.executable, "-m", "octoplex", "batches", "batch_1"],
        env=bare.env | {"TERM": "xterm"},
        cwd=bare.path,
        capture_output=True,
        timeout=30,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert "━" in done.stdout.decode()
