"""Files and batches on the disk: what time, a full disk and a damaged file do to them."""

import asyncio
import contextlib
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from octoplex.ledger.archive import Archive, Upload
from octoplex.ledger.batch import Batch, File, Span, new_id
from octoplex.ledger.folder import Folder
from octoplex.wire.error import BadConfig, NotFound, StoreFailed
from tests.ledger.conftest import fill_up


def archive(folder: Path, now: list[float], spare_bytes: int = 0) -> Archive:
    return Archive(Folder(folder), spare_bytes, lambda: now[0])


def put(kept: Archive, data: bytes = b"x\n", keep_s: int = 100, key: str = "k") -> File:
    upload = kept.begin(len(data))
    upload.write(data)
    now = int(kept.now())
    file = File(new_id("file-"), key, now, now + keep_s, upload.bytes, "in.jsonl", "batch")
    kept.keep(upload, file)
    return file


def batch_of(kept: Archive, file: File, face: str = "openai-chat") -> Batch:
    now = int(kept.now())
    batch = Batch(
        id=new_id("batch_"),
        key_id=file.key_id,
        face=face,
        endpoint="/v1/chat/completions",
        created_at=now,
        expires_at=now + 86_400,
        input_file=file.id,
        output_file=new_id("file-") if face == "openai-chat" else "",
        error_file=new_id("file-") if face == "openai-chat" else "",
        keep_s=1_000,
    )
    kept.add(batch, file)
    return batch


def names(folder: Path) -> set[str]:
    return {p.name for p in (folder / "files").iterdir()}


def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    archive(tmp_path, [0.0]).close()
    assert list(tmp_path.iterdir()) == []


def test_files_expire_and_are_swept(tmp_path: Path) -> None:
    now = [1_000_000.0]
    kept = archive(tmp_path, now)
    short, long = put(kept, keep_s=100), put(kept, keep_s=1_000)
    now[0] += 100
    assert kept.file("k", short.id) is None
    assert kept.files("k", Span(limit=10)) == ([long], False)
    assert kept.sweep(30) == 1
    assert names(tmp_path) == {long.id}
    kept.close()


def test_batches_that_are_over_are_swept_and_open_ones_are_not(tmp_path: Path) -> None:
    now = [1_000_000.0]
    kept = archive(tmp_path, now)
    file = put(kept, keep_s=10**9)
    over, still, messages = (
        batch_of(kept, file),
        batch_of(kept, file),
        batch_of(kept, file, "anthropic"),
    )
    kept.append(over, "out", b'{"custom_id":"a"}\n')
    kept.append(messages, "out", b'{"custom_id":"a","result":{"type":"succeeded"}}\n')
    kept.finish(over, "completed")
    kept.finish(messages, "completed")
    assert names(tmp_path) == {file.id, over.output_file, f"{still.id}.in", f"{messages.id}.out"}
    now[0] += 31 * 86_400
    kept.sweep(30)
    assert names(tmp_path) == {file.id, f"{still.id}.in"}
    assert kept.batch("k", "openai-chat", over.id) is None
    kept.close()
    again = archive(tmp_path, now)
    assert list(again.open) == [still.id]
    again.close()


def test_a_batch_may_be_finished_twice(tmp_path: Path) -> None:
    """A kill between its steps leaves it to be done again."""
    kept = archive(tmp_path, [1_000_000.0])
    batch = batch_of(kept, put(kept))
    kept.append(batch, "out", b'{"custom_id":"a"}\n')
    ids = batch.output_file, batch.error_file
    os.link(kept.part(batch, "out"), tmp_path / "files" / batch.output_file)
    assert kept.recover(batch) == {"a"}
    kept.finish(batch, "completed")
    assert (batch.output_file, batch.error_file) == (ids[0], "")
    kept.finish(batch, "completed")
    file = kept.file("k", ids[0])
    assert file is not None
    assert kept.path(file).read_bytes() == b'{"custom_id":"a"}\n'
    kept.close()


def test_a_line_that_was_cut_off_is_taken_out(tmp_path: Path) -> None:
    kept = archive(tmp_path, [1_000_000.0])
    batch = batch_of(kept, put(kept))
    kept.append(batch, "out", b'{"custom_id":"a"}\n')
    kept.append(batch, "err", b'{"custom_id":"b","error":{"code":"x"}}\n')
    with kept.part(batch, "out").open("ab") as torn:
        torn.write(b'{"custom_id":"c"')
    assert kept.recover(batch) == {"a", "b"}
    assert batch.counts == {"completed": 1, "failed": 1}
    kept.append(batch, "out", b'{"custom_id":"c"}\n')
    assert kept.recover(batch) == {"a", "b", "c"}
    kept.close()


def test_an_end_that_cannot_be_written_down_is_none(tmp_path: Path) -> None:
    async def main() -> None:
        kept = archive(tmp_path, [1_000_000.0])
        batch = batch_of(kept, put(kept))
        kept.append(batch, "out", b'{"custom_id":"a"}\n')
        with contextlib.closing(sqlite3.connect(tmp_path / "archive.db")) as other:
            other.execute("begin immediate")
            with pytest.raises(StoreFailed):
                await kept.do(kept.finish, batch, "completed")
            assert not batch.over
        await kept.do(kept.finish, batch, "completed")
        assert batch.over
        assert kept.file("k", batch.output_file) is not None
        kept.close()

    asyncio.run(main())


def test_the_last_of_the_disk_is_not_taken(tmp_path: Path) -> None:
    kept = archive(tmp_path, [0.0], spare_bytes=10**18)
    with pytest.raises(StoreFailed, match="no room"):
        kept.begin(1)
    kept.close()


def test_many_uploads_at_once_leave_the_last_of_the_disk(small_disk: Path) -> None:
    spare = 1_000_000
    kept = archive(small_disk, [0.0], spare)
    uploads = [kept.begin(0) for _ in range(8)]
    with pytest.raises(StoreFailed, match="no room"):
        _write_all(uploads * 100)
    place = os.statvfs(small_disk)
    assert place.f_bavail * place.f_frsize > spare - 200_000
    for upload in uploads:
        upload.drop()
    kept.close()


def _write_all(uploads: list[Upload]) -> None:
    for upload in uploads:
        upload.write(b"x" * 100_000)


@pytest.mark.parametrize("times", [1, 2])
def test_who_leaves_while_a_file_is_begun_leaves_nothing(
    tmp_path: Path, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        kept = archive(tmp_path, [0.0])
        beginning, left, begin = threading.Event(), threading.Event(), kept.begin

        def slow(size: int) -> Upload:
            beginning.set()
            assert left.wait(10)
            return begin(size)

        monkeypatch.setattr(kept, "begin", slow)
        caller = asyncio.ensure_future(_upload(kept))
        assert await asyncio.to_thread(beginning.wait, 10)
        for _ in range(times):
            caller.cancel()
            await asyncio.sleep(0)
        left.set()
        await asyncio.wait([caller])
        assert await kept.do(names, tmp_path) == set()
        kept.close()

    asyncio.run(main())


async def _upload(kept: Archive) -> None:
    async with kept.coming(1) as upload:
        await kept.do(upload.write, b"x")
        await asyncio.Event().wait()


def test_who_leaves_while_bytes_are_written_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        kept = archive(tmp_path, [0.0])
        caller = asyncio.ensure_future(_upload(kept))
        seen = asyncio.get_running_loop().time() + 5
        while not (await kept.do(lambda: (tmp_path / "files").exists() and names(tmp_path))):
            assert asyncio.get_running_loop().time() < seen
        caller.cancel()
        await asyncio.wait([caller])
        assert await kept.do(lambda: names(tmp_path)) == set()
        kept.close()

    asyncio.run(main())


def test_what_cannot_be_written_down_leaves_nothing(tmp_path: Path) -> None:
    kept = archive(tmp_path, [0.0])
    file = put(kept)
    with contextlib.closing(sqlite3.connect(tmp_path / "archive.db")) as other:
        other.execute("drop table files")
        other.execute("drop table batches")
    for attempt in (lambda: put(kept), lambda: batch_of(kept, file)):
        with pytest.raises(sqlite3.OperationalError):
            attempt()
        assert names(tmp_path) == {file.id}
    kept.close()


def test_a_full_disk_leaves_no_half_line_and_no_half_file(small_disk: Path) -> None:
    async def main() -> None:
        kept = archive(small_disk, [1_000_000.0])
        batch = batch_of(kept, put(kept))
        kept.append(batch, "out", b'{"custom_id":"a"}\n')
        upload = kept.begin(1)
        before = names(small_disk)
        ballast = fill_up(small_disk)
        with pytest.raises(StoreFailed, match="no room"):
            await kept.do(upload.write, b"x" * 100_000)
        upload.drop()
        line = b'{"custom_id":"%b"}\n' % (b"b" * 20_000)
        with pytest.raises(StoreFailed):
            await kept.do(kept.append, batch, "out", line)
        assert kept.recover(batch) == {"a"}
        ballast.unlink()
        await kept.do(kept.append, batch, "out", line)
        assert len(kept.recover(batch)) == 2
        assert names(small_disk) == before - {upload.path.name}
        kept.close()

    asyncio.run(main())


def test_a_file_that_is_gone_makes_no_batch(tmp_path: Path) -> None:
    kept = archive(tmp_path, [0.0])
    file = put(kept)
    kept.forget_file(file.key_id, file.id)
    with pytest.raises(NotFound, match="There is no file"):
        batch_of(kept, file)
    kept.close()


def test_a_result_waits_for_the_disk(tmp_path: Path) -> None:
    async def main() -> None:
        kept = archive(tmp_path, [0.0])
        batch = batch_of(kept, put(kept))
        in_its_way = tmp_path / "files" / f"{batch.id}.out"
        in_its_way.mkdir()
        writing = asyncio.ensure_future(kept.put_down(batch, "out", b'{"custom_id":"a"}\n'))
        await kept.do(lambda: None)
        await asyncio.sleep(0)
        assert not writing.done()
        in_its_way.rmdir()
        async with asyncio.timeout(10):
            await writing
        assert kept.recover(batch) == {"a"}
        kept.close()

    asyncio.run(main())


def test_a_damaged_file_is_not_replaced(tmp_path: Path) -> None:
    kept = archive(tmp_path, [0.0])
    put(kept)
    kept.close()
    (tmp_path / "archive.db").write_bytes(b"no database" * 1_000)
    with pytest.raises(BadConfig, match=r"archive\.db cannot be opened"):
        archive(tmp_path, [0.0])


def test_a_file_that_cannot_be_made_is_a_failure_of_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        kept = archive(tmp_path, [0.0])
        (tmp_path / "archive.db").mkdir()
        with pytest.raises(StoreFailed, match="cannot be read or written: unable to open") as told:
            await kept.do(kept.file, "k", "file-1")
        assert str(tmp_path) not in str(told.value)
        kept.close()

    asyncio.run(main())


def test_what_the_disk_refuses_is_a_failure_of_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        kept = archive(tmp_path, [0.0])
        batch = batch_of(kept, put(kept))
        (tmp_path / "files" / f"{batch.id}.out").mkdir()
        with pytest.raises(StoreFailed, match="cannot be read or written"):
            await kept.do(kept.append, batch, "out", b"{}\n")
        kept.close()

    asyncio.run(main())
