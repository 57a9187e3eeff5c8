"""What a passed stream is billed, where the stream is not one that can be read."""

import pytest

from octoplex.assembly.dialects import dialects
from octoplex.transport.sse import MAX_EVENT
from octoplex.upstreams.passed_bill import Tally, billed, dialect_of, endings_of
from octoplex.wire.ask import Passed
from octoplex.wire.event import Usage
from tests.server import provider

ASK = Passed("1", "openai-chat", "pass:a/m", b"{}", 0.0, generates=True)
KNOWN = dialects()
ENDINGS = endings_of(KNOWN.values())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "openai-chat"),
        ("/openai/deployments/m/chat/completions?api-version=1", "openai-chat"),
        ("/v1/completions", "openai-chat"),
        ("/v1/messages", "anthropic"),
        ("/v1/models/x:streamGenerateContent?alt=sse", "gemini"),
        ("/model/anthropic.claude/converse-stream", "bedrock-converse"),
        ("/projects/p/models/claude@1:streamRawPredict", "vertex-anthropic"),
        ("/v1/messages/count_tokens", ""),
        ("/v1/files?after=/v1/messages", ""),
    ],
)
def test_the_end_of_a_path_tells_the_dialect(path: str, name: str) -> None:
    found = dialect_of(path, ENDINGS)
    assert (found.name if found else "") == name


def test_what_a_provider_speaks_comes_before_what_is_usual() -> None:
    own = endings_of([KNOWN["gigachat"], KNOWN["openai-chat"]])
    found = dialect_of("/chat/completions", own)
    assert found is KNOWN["gigachat"]


def test_what_cannot_be_cut_counts_by_its_bytes() -> None:
    tally = Tally(KNOWN["openai-chat"])
    for event in (*provider.chat_events(), b"data: " + b"x" * MAX_EVENT, b"more\n\n"):
        tally.feed(event)
    tally.end()
    usage = tally.usage(ASK)
    assert usage.estimated
    assert usage.output_tokens > MAX_EVENT // 3


@pytest.mark.parametrize("name", ["", *KNOWN])
def test_nonsense_raises_nothing(name: str) -> None:
    dialect = KNOWN.get(name)
    for data in (b"\0" * 99, b"data: [[[[\n\n", b"{}\n", b"[]", b"[1]", b"", b"data: {"):
        tally = Tally(dialect)
        tally.feed(data)
        tally.end()
        assert tally.usage(ASK).estimated
        guessed = Usage(1, -(-len(data) // 3), estimated=True)
        assert billed(ASK, 200, data, dialect) == ("", guessed)
