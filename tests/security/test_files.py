"""What callers upload: under names of ours, seen by their owner, never run by a browser."""

import re
from pathlib import Path
from urllib.parse import unquote

from tests.server import caller
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file
from tests.upstream_server import Upstream, says

KEYS = "[server]\n[keys.app]\nsecret = 'env:APP_KEY'\n[keys.other]\nsecret = 'env:OTHER_KEY'\n"
ADMIN = "[keys.app]\nsecret = 'env:APP_KEY'\nrole = 'admin'\n"
OTHER = "oct-other-0f1e2d3c4b5a6978"
PAGE = b"<script>alert(document.domain)</script>"


def form(name: str, content: bytes, purpose: str = "user_data") -> bytes:
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
                made = await gate.post("/v1/files", form(name, PAGE), kind)
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


CLIMBING = (
    "../../octoplex.toml", "..%2f..%2foctoplex.toml", "%2e%2e%2f%2e%2e%2foctoplex.toml",
    "....//....//octoplex.toml", "..\\..\\octoplex.toml", "..%5c..%5coctoplex.toml",
    "/etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd", "x%00/../../octoplex.toml",
    "..%252f..%252foctoplex.toml", "link",
)  # fmt: skip
DOORS = (
    "/v1/files/{}", "/v1/files/{}/content", "/v1/batches/{}", "/v1/messages/batches/{}",
    "/v1/messages/batches/{}/results", "/v1/responses/{}", "/v1/responses/{}/input_items",
    "/v1/requests/{}", "/v1/models/{}", "/v1beta/models/{}", "/admin/{}", "/providers/a/{}", "/{}",
)  # fmt: skip


def test_s43_no_argument_of_a_path_is_a_path_here(tmp_path: Path, run: Run) -> None:
    """Ids are looked up, and nothing is served from the disk by name: not by climbing, not by
    a link that lies among the files."""

    async def main() -> None:
        async with (
            Upstream(says(b"{}", status=404)) as up,
            Gate(tmp_path, file(ADMIN, a=up), key=APP_KEY) as gate,
        ):
            for folder in [gate.data, *(p for p in gate.data.rglob("*") if p.is_dir())]:
                (folder / "link").symlink_to("/etc/passwd")
            for door in DOORS:
                for name in CLIMBING:
                    path = door.format(name)
                    for method in ("GET", "DELETE"):
                        reply = await caller.ask(gate.port, method, path, None, gate.headers())
                        assert reply.status in (400, 403, 404, 405), (method, path, reply.status)
                        assert b"root:" not in reply.body
                        assert b"[providers" not in reply.body
            assert not [e for e in up.book if "/../" in unquote(e.path)], "nor does one climb there"
            assert (await gate.get("/v1/models")).status == 200
        assert gate.config.exists()

    run(main())
