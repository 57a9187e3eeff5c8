"""S54: what is recorded of what people say, and that what is deleted is gone."""

import contextlib
import json
import zlib
from pathlib import Path
from typing import Any

from tests.security.test_files import ADMIN, form
from tests.server import caller, provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file
from tests.upstream_server import Upstream, says

PACKED = b"\x78\x01"
"""How what zlib packed at its fastest begins."""


async def order(gate: Gate, what: str) -> Any:
    return (await gate.control({"do": what}))["ok"]


def test_s54_what_is_said_is_on_no_disk_and_what_is_kept_can_be_deleted(
    tmp_path: Path, run: Run
) -> None:
    """Prompts and replies are recorded nowhere. A response, a file and a cached reply are kept
    where that is their sense, and not a byte of them is left once they are deleted."""
    asked, told = "canary-asked-93b1", "canary-told-5c07"
    cached = "[models.kept]\ntry = ['a/m']\ncache = { ttl = '1 hour' }\n"

    async def main(folder: Path, kept: bool) -> None:
        async with (
            Upstream(says(provider.chat_body(told))) as up,
            Gate(folder, file(ADMIN + cached, a=up), key=APP_KEY) as gate,
        ):
            plain = {"messages": [{"role": "user", "content": asked}], "user": "ana"}
            assert told in (await gate.chat("a/m", **plain)).body.decode()
            await gate.chat("nowhere/m", **plain)
            body = json.dumps({"model": "m", **plain}).encode()
            await gate.post("/providers/a/v1/chat/completions", body)
            if kept:
                assert (await gate.chat("kept", **plain)).status == 200
                response = json.dumps({"model": "a/m", "input": asked}).encode()
                id_ = (await gate.post("/v1/responses", response)).json["id"]
                kind = ("content-type", "multipart/form-data; boundary=b")
                upload = (await gate.post("/v1/files", form("x", asked.encode()), kind)).json["id"]
                waiting = {"files", "responses.db", "cache.db"}
                while waiting:  # each is written behind the reply, by a thread of its own
                    await order(gate, "cache.stats")
                    held = " ".join(_holding(gate.data, asked, told))
                    waiting = {name for name in waiting if name not in held}
                for path in (f"/v1/responses/{id_}", f"/v1/files/{upload}"):
                    gone = await caller.ask(gate.port, "DELETE", path, None, gate.headers())
                    assert gone.status == 200
                assert await order(gate, "cache.purge") == 1
        assert not _holding(folder, asked, told)

    for name in ("plain", "kept"):
        (tmp_path / name).mkdir()
    run(main(tmp_path / "plain", kept=False))
    run(main(tmp_path / "kept", kept=True))


def _holding(folder: Path, *texts: str) -> list[str]:
    """The files in which a text stands, also packed and in what was freed of a database."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(p) for p in files if any(t.encode() in _unpacked(_read(p)) for t in texts)]


def _read(path: Path) -> bytes:
    """What is in a file; one that is gone meanwhile, such as a journal of SQLite, holds nothing."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _unpacked(data: bytes) -> bytes:
    found = [data]
    at = data.find(PACKED)
    while at >= 0:
        with contextlib.suppress(zlib.error):
            found.append(zlib.decompressobj().decompress(data[at : at + 100_000]))
        at = data.find(PACKED, at + 1)
    return b"\n".join(found)
