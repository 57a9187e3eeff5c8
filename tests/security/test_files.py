"""What callers upload: under names of ours, seen by their owner, never run by a browser."""

import re
from pathlib import Path

from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate

KEYS = "[server]\n[keys.app]\nsecret = 'env:APP_KEY'\n[keys.other]\nsecret = 'env:OTHER_KEY'\n"
OTHER = "oct-other-0f1e2d3c4b5a6978"
PAGE = b"<script>alert(document.domain)</script>"


def _form(name: str, content: bytes, purpose: str = "user_data") -> bytes:
    return (
        b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n%b\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="%b"\r\n'
        b"content-type: text/html\r\n\r\n%b\r\n--b--\r\n"
    ) % (purpose.encode(), name.encode(), content)


def test_s43_s44_an_upload_lies_under_an_id_and_comes_back_as_a_file(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        kind = ("content-type", "multipart/form-data; boundary=b")
        async with Gate(tmp_path, KEYS, key=APP_KEY) as gate:
            for name in (
                "../../../../tmp/x.html",
                "/etc/passwd",
                "..\\\\x",
                "a\x00b.html",
                "x" * 900,
            ):
                made = await gate.post("/v1/files", _form(name, PAGE), kind)
                if made.status != 200:
                    assert made.status == 400, made.body
                    continue
                id_ = made.json["id"]
                assert re.fullmatch(r"file-[0-9a-f]{40}", id_)
                content = await gate.get(f"/v1/files/{id_}/content")
                assert content.body == PAGE
                assert content.headers["content-type"] == "application/octet-stream"
                assert content.headers["x-content-type-options"] == "nosniff"
                assert content.headers["content-disposition"] == "attachment"
                gate.key = OTHER
                for path in (f"/v1/files/{id_}", f"/v1/files/{id_}/content"):
                    assert (await gate.get(path)).status == 404
                gate.key = APP_KEY
            for id_ in ("..%2f..%2fpepper", "../../pepper", "file-..", "%2e%2e", "pepper", "."):
                for path in (f"/v1/files/{id_}", f"/v1/files/{id_}/content", f"/v1/batches/{id_}"):
                    assert (await gate.get(path)).status == 404, path
            stored = sorted(p.name for p in (gate.data / "files").iterdir())
            assert all(re.fullmatch(r"file-[0-9a-f]{40}", name) for name in stored)

    run(main())


def test_the_data_folder_is_its_owners_alone(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Gate(tmp_path, KEYS, key=APP_KEY) as gate:
            await gate.get("/v1/key")
            assert gate.data.stat().st_mode & 0o777 == 0o700
            for path in gate.data.rglob("*"):
                assert path.stat().st_mode & 0o077 == 0, path

    run(main())
