"""A head that came before: what is taken for it is what llhttp would take for it."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.server.again import Template, body, made
from tests.server import provider
from tests.server.caller import request
from tests.server.conftest import Run
from tests.server.gate import PATHS, Gate, file, question
from tests.upstream_server import Upstream

CHAT = PATHS["openai-chat"]
HEAD = b"POST /v1/x HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\nauthorization: Bearer k\r\n\r\n"


class Parsed:
    """What llhttp makes of bytes, for a comparison."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = self.body = b""
        self.complete = 0
        parser: Any = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete += 1


def template() -> Template:
    found = made(HEAD, b"5")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (HEAD.replace(b"Content-Length: 5\r\n", b""), b""),
        (HEAD.replace(b"Content-Length: 5", b"Content-Length: 5\r\ncontent-length: 5"), b"5, 5"),
        (HEAD.replace(b"Content-Length: 5", b"Content-Length: 5\r\ncontent-length: 5"), b"5"),
        (HEAD.replace(b"Content-Length: 5", b"Content-Length: 5 "), b"5"),
        (HEAD.replace(b"Content-Length: 5", b"Content-Length: x5"), b"5"),
        (HEAD.replace(b"Content-Length: 5", b"Content-Length: 12345678901"), b"12345678901"),
        (HEAD.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked"), b""),
    ],
)
def test_an_unsure_head_is_not_learnt(head: bytes, length: bytes) -> None:
    assert made(head, length) is None


def test_the_length_is_found_where_another_header_ends_in_its_name() -> None:
    head = HEAD.replace(b"host: a", b"x-content-length: 5\r\nx: content-length: 5")
    found = made(head, b"5")
    assert found is not None
    assert found.before.endswith(b"\r\nContent-Length: ")
    assert body(found, head.replace(b"\r\nContent-Length: 5", b"\r\nContent-Length: 2") + b"ok")
    assert body(found, head.replace(b"x-content-length: 5", b"x-content-length: 2") + b"ok") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD,
        HEAD + b"1234",
        HEAD + b"123456",
        HEAD.replace(b": 5", b": +5") + b"12345",
        HEAD.replace(b": 5", b":  5") + b"12345",
        HEAD.replace(b": 5", b": 5 ") + b"12345",
        HEAD.replace(b": 5", b": ") + b"",
        HEAD.replace(b": 5", b": \xb2") + b"12",
        HEAD.replace(b": 5", b": 00000000005") + b"12345",
        HEAD.replace(b"Bearer k", b"Bearer j") + b"12345",
        HEAD.replace(b"\r\n\r\n", b"\r\nx: y\r\n\r\n") + b"12345",
        HEAD + b"12345" + HEAD + b"12345",
    ],
)
def test_what_differs_is_left_to_the_parser(data: bytes) -> None:
    assert body(template(), data) is None


@given(
    digits=st.text("0123456789 +-\r\nx", max_size=12).map(str.encode),
    sent=st.binary(max_size=40),
    noise=st.integers(0, 10**9),
)
def test_what_is_taken_is_what_llhttp_reads(digits: bytes, sent: bytes, noise: int) -> None:
    dice = random.Random(noise)
    data = bytearray(HEAD.replace(b": 5", b": " + digits) + sent)
    if dice.random() < 0.5:
        data[dice.randrange(len(data))] = dice.choice(b"\r\n:\x00 5aZ")
    found = body(template(), bytes(data))
    if found is None:
        return
    first, again = Parsed(HEAD + b"12345"), Parsed(bytes(data))
    assert (again.complete, again.body) == (1, found)
    assert (again.method, again.url) == (first.method, first.url)
    changed = [(n, v) for n, v in again.headers if (n, v) not in first.headers]
    assert all(n == b"content-length" and int(v) == len(found) for n, v in changed)


MANY = [question("a/m", user=n * "long ") for n in (1, 40, 3, 900, 900, 2)]


def test_a_connection_that_repeats_itself_is_served_alike(tmp_path: Path, run: Run) -> None:
    many = MANY

    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            async with Gate(tmp_path, file(a=up)) as gate, gate.line() as line:
                for at, body_ in enumerate(many):
                    wire = request("POST", CHAT, body_)
                    if at == 3:  # in two reads
                        line.send(wire[:-30])
                        await asyncio.sleep(0.05)
                        wire = wire[-30:]
                    line.send(wire)
                    assert (await line.reply()).status == 200
                line.send(request("POST", CHAT, many[0]) + request("POST", CHAT, many[1]))
                assert [(await line.reply()).status for _ in range(2)] == [200, 200]
                line.send(request("GET", "/health/live"))
                assert (await line.reply()).status == 200
                line.send(request("POST", CHAT, many[4]))
                assert (await line.reply()).status == 200
            users = [json.loads(entry.body)["user"] for entry in up.book]
            order = (0, 1, 2, 3, 4, 5, 0, 1, 4)
            assert users == [json.loads(many[n])["user"] for n in order]

    run(main())


def test_the_tail_of_a_head_is_no_head(tmp_path: Path, run: Run) -> None:
    """Learnt from bytes in the middle of a request, it would open a door beside the parser."""

    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            async with Gate(tmp_path, file(a=up)) as gate, gate.line() as line:
                wire = request("POST", CHAT, question("a/m"))
                cut = wire.index(b"\r\n", 30) + 6
                line.send(wire[:cut])
                await asyncio.sleep(0.05)
                line.send(wire[cut:])
                assert (await line.reply()).status == 200
                line.send(wire[cut:])
                assert (await line.reply()).status == 400
            assert len(up.book) == 1

    run(main())


def test_a_key_is_looked_up_for_every_request(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up), key="canary-app-key-0123456789") as gate,
        ):
            made = await gate.control({"do": "keys.new", "name": "late"})
            secret = made["ok"]["secret"]
            headers = [("authorization", f"Bearer {secret}")]
            wire = request("POST", CHAT, question("a/m"), headers)
            async with gate.line() as line:
                for _ in range(2):
                    line.send(wire)
                    assert (await line.reply()).status == 200
                line.send(wire.replace(secret.encode(), b"x" * len(secret)))
                assert (await line.reply()).status == 401
                line.send(wire)
                assert (await line.reply()).status == 200
                await gate.control({"do": "keys.revoke", "name": "late"})
                line.send(wire)
                assert (await line.reply()).status == 401

    run(main())
