"""Half an emoji, as servers write it that cut texts anywhere, costs one attempt and no text."""

import json
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate
from tests.server.responses_scene import config
from tests.upstream_server import Upstream, says, streams

HALF = rb"A\ud83d"


def whole() -> bytes:
    told = json.loads(provider.chat_body("x"))
    told["choices"][0]["message"]["content"] = "HALF"
    return json.dumps(told).encode().replace(b"HALF", HALF)


@pytest.mark.parametrize("face", ["openai-chat", "anthropic"])
def test_a_whole_reply_passes(tmp_path: Path, run: Run, face: str) -> None:
    async def main() -> None:
        async with (
            Upstream(says(whole(), billed=provider.BILL)) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
        ):
            reply = await gate.chat("up/m", face)
            assert reply.status == 200
            if face == "openai-chat":
                assert reply.body == whole()
            else:
                assert reply.json["content"][0]["text"] == "A\ufffd"
            assert len(up.book) == 1

    run(main())


@pytest.mark.parametrize("face", ["openai-chat", "anthropic"])
def test_a_stream_passes(tmp_path: Path, run: Run, face: str) -> None:
    async def main() -> None:
        words = provider.chat_events(["Hello", "HALF", "there"])
        chunks = [chunk.replace(b"HALF", HALF) for chunk in words]
        async with (
            Upstream(streams(chunks, billed=provider.BILL)) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
        ):
            reply = await gate.chat("up/m", face, stream=True)
            said = HALF if face == "openai-chat" else "A\ufffd".encode()
            assert said in reply.body
            assert b"there" in reply.body

    run(main())


def test_a_request_passes(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(says(whole(), billed=provider.BILL)) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
        ):
            body = rb'{"model":"up/m","messages":[{"role":"user","content":"%b"}]}' % HALF
            assert (await gate.post("/v1/chat/completions", body)).status == 200
            assert json.loads(up.book[0].body)["messages"][0]["content"] == "A\ufffd"

    run(main())
