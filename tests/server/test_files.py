"""Files: kept as they came, for their own key alone; a large one is never in memory.

Shapes: https://developers.openai.com/api/reference/resources/files
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import openai
import pytest

from octoplex.server.files import MOST_BYTES
from tests.server import caller
from tests.server.batch_scene import APP_KEY, sdk, text
from tests.server.conftest import Run
from tests.server.gate import Gate, until

OTHER = "oct-other-0f1e2d3c4b5a6978"
BOUNDARY = "zzz-boundary"


def kept(gate: Gate) -> list[str]:
    folder = gate.data / "files"
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def form(*parts: tuple[str, bytes], boundary: str = BOUNDARY, end: bytes = b"--\r\n") -> bytes:
    """A form: what stands in each part's header after `form-data; `, and its content."""
    lines = [
        f"--{boundary}\r\nContent-Disposition: form-data; {says}\r\n\r\n".encode() + data + b"\r\n"
        for says, data in parts
    ]
    return b"".join(lines) + f"--{boundary}".encode() + end


KIND = ("content-type", f"multipart/form-data; boundary={BOUNDARY}")
PURPOSE = ('name="purpose"', b"batch")
FILE = ('name="file"; filename="in.jsonl"', b"{}\n")


def test_a_file_comes_back_as_it_was(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Gate(tmp_path, text(), key=APP_KEY) as gate, sdk(gate) as client:
            data = os.urandom(3_000_000) + b"\r\n--" + BOUNDARY.encode()
            made = await client.files.create(file=("näme.bin", data), purpose="user_data")
            assert (made.object, made.bytes, made.purpose) == ("file", len(data), "user_data")
            assert made.filename == "näme.bin"
            assert made.id.startswith("file-")
            assert made.expires_at == made.created_at + 30 * 86_400
            assert await client.files.retrieve(made.id) == made
            assert (await client.files.content(made.id)).content == data
            listed = await client.files.list()
            assert listed.data == [made]
            gone = await client.files.delete(made.id)
            assert (gone.id, gone.object, gone.deleted) == (made.id, "file", True)
            with pytest.raises(openai.NotFoundError):
                await client.files.retrieve(made.id)
            with pytest.raises(openai.NotFoundError):
                await client.files.delete(made.id)
            assert kept(gate) == []

    run(main())


def test_files_are_their_keys_own_and_outlive_the_process(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Gate(tmp_path, text(), key=APP_KEY) as gate:
            async with sdk(gate) as client, sdk(gate, OTHER) as other:
                made = await client.files.create(file=("a", b"x"), purpose="batch")
                for asked in (
                    other.files.retrieve(made.id),
                    other.files.content(made.id),
                    other.files.delete(made.id),
                    client.files.retrieve("file-../control.db"),
                    client.files.content("../archive.db"),
                ):
                    with pytest.raises(openai.NotFoundError):
                        await asked
                assert (await other.files.list()).data == []
            gate.kill()
            await gate.start()
            async with sdk(gate) as client:
                assert (await client.files.content(made.id)).content == b"x"
                empty = await client.files.create(file=("e", b""), purpose="batch")
                assert (await client.files.content(empty.id)).content == b""
            for path in (gate.data / "files").iterdir():
                assert path.stat().st_mode & 0o777 == 0o600
            assert (gate.data / "files").stat().st_mode & 0o777 == 0o700

    run(main())


def test_lists_come_in_pages(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Gate(tmp_path, text(), key=APP_KEY) as gate, sdk(gate) as client:
            made = []
            for number in range(5):
                purpose: Any = "vision" if number == 2 else "batch"
                row = await client.files.create(file=(f"{number}", b"x"), purpose=purpose)
                made.append(row.id)
            newest = [f.id async for f in client.files.list(limit=2)]
            assert newest == made[::-1]
            oldest = [f.id async for f in client.files.list(limit=2, order="asc")]
            assert oldest == made
            assert [f.id async for f in client.files.list(purpose="vision")] == [made[2]]
            first = (await gate.get("/v1/files?limit=2")).json
            assert (first["has_more"], first["last_id"]) == (True, made[3])
            for wrong in ("limit=0", "limit=10001", "limit=x", "order=up", "after=file-none"):
                assert (await gate.get(f"/v1/files?{wrong}")).status == 400, wrong

    run(main())


def test_a_life_that_is_asked_for_is_bounded(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        server = text("", "files_days = 2")
        async with Gate(tmp_path, server, key=APP_KEY) as gate, sdk(gate) as client:
            for asked, kept_s in ((3_600, 3_600), (2_592_000, 2 * 86_400)):
                made = await client.files.create(
                    file=("a", b"x"),
                    purpose="batch",
                    expires_after={"anchor": "created_at", "seconds": asked},
                )
                assert made.expires_at == made.created_at + kept_s
            with pytest.raises(openai.BadRequestError):
                await client.files.create(
                    file=("a", b"x"),
                    purpose="batch",
                    expires_after={"anchor": "created_at", "seconds": 60},
                )

    run(main())


WRONG = {
    "no form": (("content-type", "application/json"), b"{}"),
    "no boundary": (("content-type", "multipart/form-data"), form(PURPOSE, FILE)),
    "another boundary": (("content-type", "multipart/form-data; boundary=x"), form(PURPOSE, FILE)),
    "no file": (KIND, form(PURPOSE)),
    "no purpose": (KIND, form(FILE)),
    "odd purpose": (KIND, form(('name="purpose"', b"cake"), FILE)),
    "two files": (KIND, form(PURPOSE, FILE, FILE)),
    "cut off": (KIND, form(PURPOSE, FILE)[:-20]),
    "no end": (KIND, form(PURPOSE, FILE, end=b"\r\n")),
    "many parts": (KIND, form(PURPOSE, FILE, *[(f'name="{n}"', b"") for n in range(40)])),
    "a large field": (KIND, form(('name="purpose"', b"x" * 20_000), FILE)),
    "a large header": (KIND, form((f'name="{"x" * 20_000}"', b""), FILE)),
    "no bytes": (KIND, b""),
    "packed": (KIND, form(PURPOSE, FILE)),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_no_upload_is_refused_and_leaves_nothing(
    tmp_path: Path, run: Run, how: str
) -> None:
    async def main() -> None:
        kind, body = WRONG[how]
        more = [("content-encoding", "gzip")] if how == "packed" else []
        async with Gate(tmp_path, text(), key=APP_KEY) as gate:
            reply = await gate.post("/v1/files", body, kind, *more)
            assert reply.status == 400, reply.body
            assert reply.json["error"]["type"] == "invalid_request_error"
            assert kept(gate) == []
            good = await gate.post("/v1/files", form(FILE, PURPOSE), KIND)
            assert (good.status, good.json["bytes"]) == (200, 3)

    run(main())


def test_a_large_upload_is_read_as_fast_as_the_disk_takes_it(tmp_path: Path, run: Run) -> None:
    """64 MB pass while the process grows by less than half of that."""

    async def main() -> None:
        async with Gate(tmp_path, text(), key=APP_KEY) as gate, sdk(gate) as client:
            await client.files.create(file=("warm", b"x"), purpose="batch")
            before = _peak_kb(gate)
            data = os.urandom(1 << 20) * 64
            made = await client.files.create(file=("large", data), purpose="batch")
            assert made.bytes == len(data)
            assert (await client.files.content(made.id)).content == data
            assert _peak_kb(gate) - before < 32_000

    run(main())


def _peak_kb(gate: Gate) -> int:
    status = Path(f"/proc/{gate.process.pid}/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmHWM")).split()[1])


def test_what_is_too_large_is_refused_by_its_head(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Gate(tmp_path, text(), key=APP_KEY) as gate, gate.line() as line:
            size = ("content-length", str(MOST_BYTES + 100_000))
            line.send(caller.request("POST", "/v1/files", None, [*gate.headers(), KIND, size]))
            reply = await line.head()
            assert reply.status == 413
            assert kept(gate) == []

    run(main())


def test_a_caller_who_leaves_leaves_nothing(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Gate(tmp_path, text(), key=APP_KEY) as gate:
            async with gate.line() as line:
                size = ("content-length", "1000000")
                line.send(caller.request("POST", "/v1/files", None, [*gate.headers(), KIND, size]))
                line.send(form(PURPOSE, FILE)[:-20] + b"x" * 1000)
                await until(lambda: kept(gate))
                line.leave()
            await until(lambda: not kept(gate))

    run(main())


def test_what_a_kill_left_half_is_gone_at_the_next_start(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Gate(tmp_path, text(), key=APP_KEY) as gate:
            async with gate.line() as line:
                size = ("content-length", "1000000")
                line.send(caller.request("POST", "/v1/files", None, [*gate.headers(), KIND, size]))
                line.send(form(PURPOSE, FILE)[:-20] + b"x" * 1000)
                await until(lambda: kept(gate))
                gate.kill()
            await gate.start()
            assert kept(gate) == []
            assert (await gate.get("/v1/files")).json["data"] == []

    run(main())


def test_a_file_of_one_chunk_and_of_many_is_the_same(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Gate(tmp_path, text(), key=APP_KEY) as gate:
            body = form(PURPOSE, ('name="file"; filename="x"', b"\r\n-\r\n--zzz\r\n" * 3))
            chunked = [*gate.headers(), KIND, ("transfer-encoding", "chunked")]
            async with gate.line() as line:
                line.send(caller.request("POST", "/v1/files", None, chunked))
                for at in range(len(body)):
                    line.send(b"1\r\n" + body[at : at + 1] + b"\r\n")
                    if at % 20 == 0:
                        await asyncio.sleep(0)
                line.send(b"0\r\n\r\n")
                assert (await line.head()).status == 200
            (file,) = (await gate.get("/v1/files")).json["data"]
            content = await gate.get(f"/v1/files/{file['id']}/content")
            assert content.body == b"\r\n-\r\n--zzz\r\n" * 3
            assert json.dumps(file)

    run(main())
