"""Secrets in a provider's `headers` and `query`: read like a key, and shown to nobody but it."""

from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from tests.server.conftest import Run
from tests.server.gate import UP_KEY, Gate, file
from tests.server.provider import chat_body
from tests.upstream_server import Upstream, says

SIGN = "canaryquery5d20c1/+&="


def test_references_reach_the_provider_and_nobody_else(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, run: Run
) -> None:
    async def main() -> None:
        sign = tmp_path_factory.mktemp("secrets") / "sign"
        sign.write_text(f"{SIGN}\n")
        each = (
            "headers = { x-tenant = 'env:UP_KEY', x-plain = 'urn:as-it-is' }\n"
            f"query = {{ sign = 'file:{sign}', api-version = '2026-01-01' }}"
        )
        async with Upstream(says(chat_body())) as up:
            async with Gate(tmp_path, file("", "", each=each, a=up)) as gate:
                assert (await gate.chat("a/m")).status == 200
                assert (await gate.post("/providers/a/v1/x", b'{"model":"m"}')).status == 200
                text = gate.config.read_text()
                gate.config.write_text(
                    text.replace("env:UP_KEY', x-plain", "env:NOWHERE', x-plain")
                )
                problem = (await gate.control({"do": "reload"}))["error"]
                wanted = "[providers.a] headers.x-tenant: the environment variable NOWHERE"
                assert wanted in problem
                assert (await gate.chat("a/m")).status == 200, "the old one stays in force"
            for entry in up.book:
                assert entry.headers[b"x-tenant"] == UP_KEY.encode()
                assert entry.headers[b"x-plain"] == b"urn:as-it-is"
                query = dict(parse_qsl(entry.path.partition("?")[2]))
                assert query == {"sign": SIGN, "api-version": "2026-01-01"}
            assert len(up.book) == 3

    run(main())
