"""Oracle Cloud over sockets: what arrives bears the signature of what arrives.

The key is made by the test, and what it signed is read from the request as it came.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.sdk import others
from tests.sdk.vendors import text
from tests.server import provider
from tests.server.check import FACES, error_of, finished
from tests.server.conftest import Run
from tests.server.gate import Gate
from tests.upstream_server import Entry, Play, Upstream, says, streams

ENTRIES = "[DEFAULT]\nuser = u1\ntenancy = t1\nfingerprint = aa:bb\npass_phrase = canaryphrase\n"
MODEL = "oracle-oci/meta.llama-3.3-70b-instruct"
SIGNED = "date (request-target) host content-length content-type x-content-sha256"


@cache
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem() -> str:
    sealed = serialization.BestAvailableEncryption(b"canaryphrase")
    form = serialization.PrivateFormat.PKCS8
    return private().private_bytes(serialization.Encoding.PEM, form, sealed).decode()


@asynccontextmanager
async def before(folder: Path, *plays: Play) -> AsyncIterator[tuple[Upstream, Gate]]:
    """Oracle Cloud, and a gateway before it whose key is not in its own folder."""
    (folder / "gate").mkdir()
    (folder / "key").write_text(ENTRIES + pem())
    async with Upstream(*plays) as up:
        told = (
            f"[server]\ndrain_s = 2.0\n[providers.oracle-oci]\nbase_url = '{up.url}'\n"
            f"api_key = 'file:{folder / 'key'}'\n[prices]\n\"{MODEL}\" = {provider.PRICE}\n"
        )
        async with Gate(folder / "gate", told) as gate:
            yield up, gate


def verified(entry: Entry) -> None:
    """Oracle would believe it."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', entry.headers[b"authorization"].decode()))
    assert (said["keyId"], said["algorithm"]) == ("t1/u1/aa:bb", "rsa-sha256")
    assert (said["version"], said["headers"]) == ("1", SIGNED)
    values = {name.decode(): value.decode() for name, value in entry.headers.items()}
    values["(request-target)"] = f"post {entry.target.decode()}"
    lines = "\n".join(f"{name}: {values[name]}" for name in said["headers"].split())
    proof = base64.b64decode(said["signature"])
    public = private().public_key()
    public.verify(proof, lines.encode(), padding.PKCS1v15(), hashes.SHA256())
    digest = hashlib.sha256(entry.body).digest()
    assert values["x-content-sha256"] == base64.b64encode(digest).decode()
    assert int(values["content-length"]) == len(entry.body)
    age = datetime.now(UTC) - parsedate_to_datetime(values["date"])
    assert abs(age) < timedelta(seconds=60)


def test_every_request_is_signed_for_what_it_is(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        whole, events, kind = others.OTHERS["oci"]
        said = [text("Hello!")]
        async with before(tmp_path, says(whole(said, "end_turn"))) as (up, gate):
            asked = (gate.chat(MODEL, face, user=f"u{at}") for at in range(3) for face in FACES)
            assert {r.status for r in await asyncio.gather(*asked)} == {200}
            up.plays[0] = streams(events(said, "end_turn"), content_type=kind)
            finished(await gate.chat(MODEL, stream=True), "openai-chat")
            assert len(up.book) == 3 * len(FACES) + 1
            for entry in up.book:
                verified(entry)
                assert entry.path == "/20231130/actions/chat"
                assert json.loads(entry.body)["compartmentId"] == "t1"
            assert {row["nano"] for row in await gate.rows(len(up.book))} == {
                provider.nano(others.BILL)
            }

    run(main())


def test_a_reply_without_an_id_gets_one(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        whole, _, _ = others.OTHERS["oci"]
        async with before(tmp_path, says(whole([text("Hello!")], "end_turn"))) as (_, gate):
            reply = await gate.chat(MODEL)
            assert reply.json["id"] == f"chatcmpl-{reply.headers['x-request-id']}"

    run(main())


def test_a_signature_that_is_refused_is_our_failure(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        told = {"code": "NotAuthenticated", "message": "The required information was not provided"}
        async with before(tmp_path, says(json.dumps(told).encode(), 401)) as (up, gate):
            error = error_of(await gate.chat(MODEL), "openai-chat")
            assert error["code"] == "upstream_denied"
            assert {row["nano"] for row in await gate.rows()} == {0}
            assert len(up.book) == 1

    run(main())


def test_nothing_is_passed_on_unread(tmp_path: Path, run: Run) -> None:
    """A path that nobody here understands would go out unsigned."""

    async def main() -> None:
        async with before(tmp_path, says(b"{}")) as (up, gate):
            reply = await gate.post("/oracle-oci/20231130/actions/embedText", b"{}")
            assert reply.status in (400, 404, 501)
            assert up.book == []

    run(main())


@pytest.mark.parametrize("damage", ["", "key_file = nowhere\n"])
def test_a_key_that_is_none_stops_the_start(tmp_path: Path, damage: str) -> None:
    (tmp_path / "key").write_text(ENTRIES + damage)
    told = f"base_url = 'http://x'\napi_key = 'file:{tmp_path}/key'\n"
    gate = Gate(tmp_path, f"[server]\n[providers.oracle-oci]\n{told}")
    assert gate.spawn().wait(20) == 1
    said = gate.log.read_text()
    assert "[providers.oracle-oci] api_key: " in said
    assert "canary" not in said
    assert "Traceback" not in said
