"""The snippets of the guide to batches, as a program runs them, before a provider of another
dialect than the client's."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.asked import Asked
from tests.clients.guide import names
from tests.clients.told import Blocks
from tests.clients.world import Script, World

At = Callable[[str, Script], World]
WAIT_S = 30.0


def greets(asked: Asked) -> Blocks:
    return [{"type": "text", "text": "good night"}]


def waited(look: Callable[[], Any]) -> Any:
    """What it gives, as soon as it gives something."""
    end_at = time.monotonic() + WAIT_S
    while not (found := look()):
        assert time.monotonic() < end_at
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("dialect", ["anthropic", "gemini"])
def test_openai(at: At, tmp_path: Path, dialect: str) -> None:
    made = names("batches", at(dialect, greets).url)
    lines = [
        {
            "custom_id": f"{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "main", "messages": [{"role": "user", "content": "Hello"}]},
        }
        for number in range(3)
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    id_ = made["start"](str(path))
    found = [json.loads(line) for line in waited(lambda: made["results"](id_)).splitlines()]
    assert {line["custom_id"] for line in found} == {"0", "1", "2"}
    assert "good night" in str(found[0]["response"]["body"])


def test_anthropic(at: At) -> None:
    made = names("batches", at("openai-chat", greets).url, 1)
    id_ = made["start"](["Hello", "Good night"])
    batches = made["client"].messages.batches
    waited(lambda: batches.retrieve(id_).processing_status == "ended")
    assert made["results"](id_) == {"text-0": "succeeded", "text-1": "succeeded"}
