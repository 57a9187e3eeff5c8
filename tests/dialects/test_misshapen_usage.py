"""Counts that make no sense cost only the counts, never the answer (F27)."""

import pytest

from octoplex.dialects.anthropic import Anthropic
from octoplex.dialects.dialect import Dialect
from octoplex.dialects.openai_chat import OpenAIChat
from octoplex.dialects.openai_responses import OpenAIResponses

CHAT = (
    b'{"id":"x","model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"hi"},"finish_reason":"stop"}],"usage":%b}'
)
MESSAGE = (
    b'{"id":"x","type":"message","role":"assistant","model":"m",'
    b'"content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":%b}'
)
RESPONSE = (
    b'{"id":"x","object":"response","status":"completed","model":"m","output":[{"type":"message",'
    b'"content":[{"type":"output_text","text":"hi"}]}],"usage":%b}'
)
COUNTS = (b'"12"', b"[7]", b"{}", b"1e400", b"null")
USAGES = [b'"x"', b"[]", b"null", *(b'{"%b":%b}' % (b"NAME", c) for c in COUNTS)]


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize(
    ("dialect", "body", "name"),
    [
        (OpenAIChat(), CHAT, b"prompt_tokens"),
        (Anthropic(), MESSAGE, b"input_tokens"),
        (OpenAIResponses(), RESPONSE, b"input_tokens"),
    ],
    ids=["openai-chat", "anthropic", "openai-responses"],
)
def test_the_answer_survives(dialect: Dialect, body: bytes, name: bytes, usage: bytes) -> None:
    whole = body % usage.replace(b"NAME", name)

    seen = dialect.read_whole(whole)

    assert seen.stop == "end"
    assert seen.usage is None or seen.usage.input_tokens >= 0
    assert dialect.decode_reply(whole).text == "hi"
