"""Sealed keys: what opens them, and what does not."""

import base64

import pytest

from octoplex.secrets.seal import Seal
from octoplex.wire.error import BadConfig

ONE, OTHER = "canary-seal-9d1f7b3c5a2e8f60", "canary-other-0b4e6d8f1a3c5e79"
KEY = "sk-canary-provider"


def test_what_was_closed_opens_and_is_never_the_same_twice() -> None:
    seal = Seal([ONE])
    closed = {seal.close(KEY, "openai") for _ in range(50)}
    assert len(closed) == 50
    assert {seal.open(text, "openai") for text in closed} == {KEY}
    assert not any(KEY.encode() in base64.b64decode(text) for text in closed)
    assert ONE not in repr(seal)


def test_a_key_that_was_moved_to_another_provider_does_not_open() -> None:
    seal = Seal([ONE])
    with pytest.raises(BadConfig, match="stored key of groq cannot be opened"):
        seal.open(seal.close(KEY, "openai"), "groq")


def test_a_changed_byte_does_not_open() -> None:
    seal = Seal([ONE])
    data = bytearray(base64.b64decode(seal.close(KEY, "openai")))
    for at in range(len(data)):
        changed = bytes((*data[:at], data[at] ^ 1, *data[at + 1 :]))
        with pytest.raises(BadConfig):
            seal.open(base64.b64encode(changed).decode(), "openai")


@pytest.mark.parametrize(
    "text", ["", "x", "AAAA", "not base64!", base64.b64encode(b"x" * 12).decode()]
)
def test_nonsense_does_not_open(text: str) -> None:
    with pytest.raises(BadConfig):
        Seal([ONE]).open(text, "openai")


def test_the_first_secret_closes_and_all_open() -> None:
    old = Seal([ONE]).close(KEY, "openai")
    both = Seal([OTHER, ONE])
    assert both.open(old, "openai") == KEY
    assert Seal([OTHER]).open(both.close(KEY, "openai"), "openai") == KEY
    with pytest.raises(BadConfig):
        Seal([OTHER]).open(old, "openai")


@pytest.mark.parametrize("secret", ["", "short", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "x" * 23])
def test_a_secret_that_can_be_guessed_is_refused(secret: str) -> None:
    with pytest.raises(BadConfig, match="must be random"):
        Seal([secret])
