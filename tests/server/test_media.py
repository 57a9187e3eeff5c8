"""Media by URL over HTTP: a gateway fetches what its target cannot, and nobody's secrets."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file
from tests.upstream_server import Upstream, says

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
DATA = b64encode(PNG).decode()
REPLY = {
    "model": "m",
    "message": {"role": "assistant", "content": "Hi"},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 3,
    "eval_count": 2,
}


def turns(url: str) -> list[dict[str, Any]]:
    part = {"type": "image", "source": {"type": "url", "url": url}}
    return [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]


def test_a_gateway_fetches_for_a_target_that_needs_bytes(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        reply = says(json.dumps(REPLY).encode())
        picture = says(PNG, headers=[("content-type", "image/png")])
        async with Upstream(reply) as up, Upstream(picture) as web:
            provider = f"[providers.o]\ndialect = 'ollama'\nbase_url = '{up.url}'\n"
            media = f"hosts = ['127.0.0.1:{web.port}']\nnetworks = ['127.0.0.0/8']\nhttp = true\n"
            key = "api_key = 'env:UP_KEY'\n[keys.app]\nsecret = 'env:APP_KEY'\n"
            text = file(f"{provider}{key}[server.media]\n{media}")
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                reply_ = await gate.chat("o/m", "anthropic", messages=turns(f"{web.url}/cat.png"))
                assert reply_.status == 200, reply_.raw
                data_url = f"data:image/png;base64,{DATA}"
                assert (await gate.chat("o/m", "anthropic", messages=turns(data_url))).status == 200
                for entry in up.book:
                    assert json.loads(entry.body)["messages"][0]["images"] == [DATA]
                (entry,) = web.book
                assert b"canary" not in entry.data
                for url in (f"http://127.0.0.1:{up.port}/", f"http://localhost:{web.port}/",
                            "http://169.254.169.254/", "file:///etc/passwd"):  # fmt: skip
                    refused = await gate.chat("o/m", "anthropic", messages=turns(url))
                    assert refused.status == 400, refused.raw
                    assert refused.json["error"]["type"] == "invalid_request_error"
                assert (len(up.book), len(web.book)) == (2, 1)

    run(main())


CHAT = {
    "openai-chat": {"type": "image_url", "image_url": {"url": "URL", "detail": "low"}},
    "anthropic": {"type": "image", "source": {"type": "url", "url": "URL"}},
}


@pytest.mark.parametrize("face", list(CHAT))
@pytest.mark.parametrize("row", ["quirks = ['no_media_urls']", ""])
def test_a_provider_that_fetches_nothing_is_sent_bytes_in_every_dialect(
    tmp_path: Path, run: Run, face: str, row: str
) -> None:
    """Ollama's page of OpenAI's dialect: "Base64 encoded image" yes, "Image URL" no."""

    async def main() -> None:
        picture = says(PNG, headers=[("content-type", "image/png")])
        async with Upstream(provider.whole(face)) as up, Upstream(picture) as web:
            table = f"[providers.o]\ndialect = '{face}'\nbase_url = '{up.url}'\n{row}\n"
            media = f"hosts = ['127.0.0.1:{web.port}']\nnetworks = ['127.0.0.0/8']\nhttp = true\n"
            text = file(f"{table}api_key = 'env:UP_KEY'\n[server.media]\n{media}")
            async with Gate(tmp_path, text) as gate:
                url = f"{web.url}/cat.png"
                part = json.loads(json.dumps(CHAT[face]).replace("URL", url))
                talk = [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]
                for _ in range(2):
                    assert (await gate.chat("o/m", face, messages=talk)).status == 200
                assert (await gate.chat("o/m", face)).status == 200
                sent = [json.dumps(json.loads(e.body)["messages"]) for e in up.book]
                assert [DATA in body for body in sent] == [bool(row)] * 2 + [False]
                assert [url in body for body in sent] == [not row] * 2 + [False]
                assert len(web.book) == (2 if row else 0)

    run(main())
