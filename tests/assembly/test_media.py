"""Media by URL through a whole gateway: fetched for those that need bytes, for nobody else."""

import asyncio
import json
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import trustme

from octoplex.settings import parse
from octoplex.transport.fake import Script
from octoplex.wire.error import BadConfig, Unsupported
from tests.assembly.scene import ANTHROPIC, CHAT, opened
from tests.upstream_server import Upstream, says

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
DATA = b64encode(PNG).decode()
OLLAMA = json.dumps(
    {
        "model": "m-1",
        "message": {"role": "assistant", "content": "Hi"},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 3,
        "eval_count": 2,
    }
).encode()
PROVIDERS = """
[providers.o]
dialect = "ollama"
base_url = "https://o.test"
[providers.c]
dialect = "openai-chat"
base_url = "https://c.test"
[providers.a]
dialect = "anthropic"
base_url = "https://a.test"
[models.both]
try = ["o/m", "o/n"]
retry = { attempts = 1 }
"""


class Web:
    """A TLS server at localhost that shows an image, and a gateway's file that permits it."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.env = {"SSL_CERT_FILE": str(folder / "ca.pem")}
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(tls)
        self.up = Upstream(says(PNG, headers=[("content-type", "image/png")]), tls=tls)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.up.port}/cat.png"

    def file(self, more: str = "") -> str:
        return (
            f'[server.media]\nhosts = ["localhost:{self.up.port}"]\n'
            f'networks = ["127.0.0.0/8", "::1/128"]\n{more}\n{PROVIDERS}'
        )


def chat(url: str) -> list[dict[str, Any]]:
    parts = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "user", "content": parts}]


def test_an_image_is_fetched_for_a_dialect_that_needs_bytes(tmp_path: Path) -> None:
    async def main() -> None:
        web = Web(tmp_path)
        async with web.up, opened(tmp_path, web.file(), web.env, Script(body=OLLAMA)) as at:
            await at.ask("o/m", messages=chat(web.url))
            assert at.bodies[0]["messages"][0]["images"] == [DATA]
            assert len(web.up.book) == 1

    asyncio.run(main())


@pytest.mark.parametrize(("model", "reply"), [("c/m", CHAT), ("a/m", ANTHROPIC)])
def test_nothing_is_fetched_where_the_address_can_be_sent(
    tmp_path: Path, model: str, reply: bytes
) -> None:
    async def main() -> None:
        web = Web(tmp_path)
        async with web.up, opened(tmp_path, web.file(), web.env, Script(body=reply)) as at:
            await at.ask(model, messages=chat(web.url))
            assert web.url in json.dumps(at.bodies[0])
            assert not web.up.book

    asyncio.run(main())


def test_every_face_has_its_images_fetched(tmp_path: Path) -> None:
    async def main() -> None:
        web = Web(tmp_path)
        async with web.up, opened(tmp_path, web.file(), web.env, Script(body=OLLAMA)) as at:
            source = {"type": "image", "source": {"type": "url", "url": web.url}}
            turns = [{"role": "user", "content": [source]}]
            await at.ask("o/m", "anthropic", messages=turns, max_tokens=9)
            item = {"role": "user", "content": [{"type": "input_image", "image_url": web.url}]}
            await at.ask("o/m", "openai-responses", input=[item])
            assert [b["messages"][0]["images"] for b in at.bodies] == [[DATA], [DATA]]

    asyncio.run(main())


def test_data_urls_of_every_face_are_bytes_already(tmp_path: Path) -> None:
    url = f"data:image/png;base64,{DATA}"

    async def main() -> None:
        file = f"[server.media]\nfetch = false\n{PROVIDERS}"
        async with opened(tmp_path, file, {}, Script(body=OLLAMA)) as at:
            await at.ask("o/m", messages=chat(url))
            source = {"type": "image", "source": {"type": "url", "url": url}}
            turns = [{"role": "user", "content": [source]}]
            await at.ask("o/m", "anthropic", messages=turns, max_tokens=9)
            item = {"role": "user", "content": [{"type": "input_image", "image_url": url}]}
            await at.ask("o/m", "openai-responses", input=[item])
            assert [b["messages"][0]["images"] for b in at.bodies] == [[DATA]] * 3

    asyncio.run(main())


def test_a_second_target_finds_what_was_fetched_for_the_first(tmp_path: Path) -> None:
    async def main() -> None:
        web = Web(tmp_path)
        scripts = (Script(body=b'{"error":"no"}', status=500), Script(body=OLLAMA))
        async with web.up, opened(tmp_path, web.file(), web.env, *scripts) as at:
            await at.ask("both", messages=chat(web.url))
            assert [b["model"] for b in at.bodies] == ["m", "n"]
            assert all(b["messages"][0]["images"] == [DATA] for b in at.bodies)
            assert len(web.up.book) == 1

    asyncio.run(main())


def test_switched_off_it_says_what_to_send(tmp_path: Path) -> None:
    async def main() -> None:
        web = Web(tmp_path)
        async with web.up, opened(tmp_path, web.file("fetch = false"), web.env) as at:
            with pytest.raises(Unsupported, match=r"messages\[0\]\.content\[1\].*base64"):
                await at.ask("o/m", messages=chat(web.url))
            assert not at.fake.sent
            assert not web.up.book

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('max = "much"', r"\[server\.media\] max: .*not a size"),
        ('total = "1 XB"', r"\[server\.media\] total: .*not a size"),
        ('networks = ["inside"]', r"\[server\.media\] networks: .*10\.0\.0\.0/8"),
        ('hosts = ["https://x.test/"]', r"\[server\.media\] hosts: .*files\.example\.com"),
        ("htpp = true", 'has no key "htpp"; did you mean "http"'),
    ],
)
def test_what_the_file_may_say(text: str, words: str) -> None:
    with pytest.raises(BadConfig, match=words):
        parse(f"[server.media]\n{text}\n")
