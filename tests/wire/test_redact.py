"""Keys of every known form are masked, and ordinary words are not."""

import pytest

from octoplex.wire.redact import redact, snippet

SECRETS = [
    "sk-abcdefghijklmnop",
    "sk-proj-AbC_123-456789012345",
    "sk-ant-api03-xyzXYZ0123456789",
    "sk-proj-********************abcd",
    "gsk_0123456789abcdef",
    "xai-0123456789abcdef",
    "AIzaSyA0123456789abcdefghijk",
    "hf_abcdefghijklmnop",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "AKIAIOSFODNN7EXAMPLE",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_key_is_masked(secret: str) -> None:
    for text in (secret, f"Incorrect API key provided: {secret}.", f'{{"k":"{secret}"}}'):
        assert secret not in redact(text)
        assert "[redacted]" in redact(text)


@pytest.mark.parametrize(
    "text", ["Authorization: Bearer abc.def-1", "api_key=abcdef1", "x-api-key: zzzzzz1"]
)
def test_a_named_secret_is_masked(text: str) -> None:
    assert "[redacted]" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "The model `gpt-5-mini` does not exist.",
        "max_tokens is 5 but must be at most 4096 tokens: reduce it",
        "keyboard-navigation is not a skateboarding-trick",
        "This model's maximum context length is 128000 tokens.",
    ],
)
def test_words_stay(text: str) -> None:
    assert redact(text) == text


def test_a_snippet_is_one_short_line_without_secrets() -> None:
    body = b"<html>\n\n  <h1>Bad\xff</h1> Bearer abcdefghij " + b"x" * 9000
    assert "\n" not in snippet(body)
    assert len(snippet(body)) <= 160
    assert "abcdefghij" not in snippet(body)


def test_no_half_of_a_key_remains_at_the_cut() -> None:
    for start in range(100, 170):
        assert "sk-abcdef" not in snippet(b"." * start + b" sk-abcdefghijklmnop")
