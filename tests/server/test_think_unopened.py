"""A model that thinks first and is cut before it says so: what came is the reply, asked for once.

Its text is held until the closing tag (`dialects/think_tags.py`); here that never comes.
"""

import json
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.caller import Reply
from tests.server.check import text_of
from tests.server.conftest import Run
from tests.server.gate import Gate, file
from tests.upstream_server import Upstream, streams

MODEL = "own/deepseek-r1"
BODY = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
GEMINI = f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"


def events(*, usage: bool) -> list[bytes]:
    """Text, then the finish reason, with nothing behind it but the bill."""
    bill = [provider.usage_chunk()] if usage else []
    return [
        provider.chunk({"role": "assistant", "content": "Let me "}),
        provider.chunk({"content": "think"}),
        provider.chunk({}, "length"),
        *bill,
    ]


def gemini_text(reply: Reply) -> str:
    chunks = [json.loads(e[6:]) for e in reply.body.split(b"\n\n") if e.startswith(b"data: ")]
    parts = [p for c in chunks for p in c["candidates"][0]["content"].get("parts", [])]
    return "".join(part["text"] for part in parts)


@pytest.mark.parametrize(
    ("end", "usage"), [("[DONE]", True), ("done", False), ("close", True), ("stall", False)]
)
@pytest.mark.parametrize("face", ["openai-chat", "anthropic", "gemini"])
def test_text_without_a_closing_tag(
    tmp_path: Path, run: Run, face: str, end: str, usage: bool
) -> None:
    async def main() -> None:
        wire = events(usage=usage) + ([b"data: [DONE]\n\n"] if end == "[DONE]" else [])
        play = streams(wire, end="done" if end == "[DONE]" else end)
        async with Upstream(play) as own, Gate(tmp_path, file(own=own)) as gate:
            if face == "gemini":
                reply = await gate.post(GEMINI, json.dumps(BODY).encode())
                assert gemini_text(reply) == "Let me think"
            else:
                reply = await gate.chat(MODEL, face, stream=True)
                assert text_of(reply, face) == "Let me think"
            assert reply.status == 200
            (row,) = await gate.rows()
            assert len(own.book) == 1
            told = provider.BILL[1] if usage else -(-len("Let me think") // 3)
            assert (row["output_tokens"], row["estimated"]) == (told, int(not usage))

    run(main())
