"""`curl` as a client: one plain and one streamed call on each face."""

import json
import shutil
import subprocess

import pytest

from tests.dialects.grammar import anthropic as claude_grammar
from tests.dialects.grammar import openai_chat as chat_grammar
from tests.sdk import vendors as v
from tests.sdk.house import KEYS, Vendor
from tests.sdk.sides import answer

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
HI = [{"role": "user", "content": "Hi"}]


def curl(url: str, auth: str, body: object) -> bytes:
    line = ["curl", "--silent", "--fail-with-body", "-N", "-m", "20", url, "-H", auth]
    line += ["-d", json.dumps(body)]
    return subprocess.run(line, check=True, capture_output=True).stdout


def without_comment(wire: bytes) -> bytes:
    said, comment, _ = wire.rpartition(b"\n\n: ")
    assert comment, "a stream ends with its cost"
    return said + b"\n\n"


def test_curl(gateway: str, oai: Vendor, claude: Vendor) -> None:
    bearer, key = f"authorization: Bearer {KEYS['app']}", f"x-api-key: {KEYS['app']}"
    chat, messages = f"{gateway}/v1/chat/completions", f"{gateway}/v1/messages"
    for target, behind in (("oai", oai), ("claude", claude)):
        asked = {"model": f"once-{target}27", "messages": HI, "max_tokens": 9}
        behind.plays(answer(target, v.text("Hello!")))
        said = json.loads(curl(chat, bearer, asked))
        assert said["choices"][0]["message"]["content"] == "Hello!"
        replied = json.loads(curl(messages, key, asked))
        assert replied["content"][0]["text"] == "Hello!"
        behind.plays(answer(target, v.text("Hello!"), stream=True))
        chat_grammar.check(without_comment(curl(chat, bearer, {**asked, "stream": True})))
        claude_grammar.check(without_comment(curl(messages, key, {**asked, "stream": True})))
