"""How an attempt is settled whose stream ended before any content: docs/decisions/money.md."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from octoplex.transport.fake import End, Script
from octoplex.wire.error import UpstreamError
from tests.assembly.scene import opened

TEXT = """
[providers.a]
dialect = "openai-chat"
base_url = "http://127.0.0.1:9/v1"
[providers.claude]
dialect = "anthropic"
base_url = "http://127.0.0.1:9"
[prices]
"a/m" = { input = 1, output = 10 }
"claude/m" = { input = 1, output = 10 }
[models.a]
try = ["a/m"]
retry = { attempts = 1 }
[models.claude]
try = ["claude/m"]
retry = { attempts = 1 }
"""
SSE = {"content-type": "text/event-stream"}
START = {"type": "message_start", "message": {"id": "x", "model": "m", "content": []}}


def event(body: dict[str, Any]) -> bytes:
    name = f"event: {body['type']}\n" if "type" in body else ""
    return f"{name}data: {json.dumps(body)}\n\n".encode()


HEADS = {
    "a": event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}),
    "claude": event(START),
}
ENDS = {"a": b"data: [DONE]\n\n", "claude": event({"type": "message_stop"})}
ERRORS = {
    "a": event({"error": {"message": "overloaded", "code": 503}}),
    "claude": event({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}),
}


@pytest.mark.parametrize("name", ["a", "claude"])
@pytest.mark.parametrize(
    ("what", "end", "billed"),
    [
        ("nothing", "done", True),
        ("head", "done", True),
        ("head", "cut", True),
        ("end", "done", True),
        ("error", "done", False),
        ("head and error", "done", False),
        ("error without its blank line", "done", False),
    ],
)
def test_a_stream_without_content(
    tmp_path: Path, name: str, what: str, end: End, billed: bool
) -> None:
    chunks = {
        "nothing": (),
        "head": (HEADS[name],),
        "end": (HEADS[name] + ENDS[name],),
        "error": (ERRORS[name],),
        "head and error": (HEADS[name], ERRORS[name]),
        "error without its blank line": (HEADS[name], ERRORS[name].rstrip(b"\n")),
    }[what]

    async def main() -> None:
        script = Script(headers=SSE, chunks=chunks, end=end)
        async with opened(tmp_path, TEXT, {}, script) as at:
            with pytest.raises(UpstreamError) as caught:
                await at.ask(name, "anthropic", stream=True, max_tokens=100)
            assert caught.value.reached is billed
            store = at.gateway.works.store
            await store.drain()
            (row,) = store.reader.attempts()
            assert at.gateway.works.book.open_nano == 0
            if billed:
                assert row["nano"] == row["reserved_nano"] > 100 * 10_000
                assert row["estimated"]
            else:
                assert row["nano"] == 0

    asyncio.run(main())
