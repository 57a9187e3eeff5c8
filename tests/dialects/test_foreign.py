"""Another provider's thinking in a history that passes verbatim."""

import json
from typing import Any

import pytest
from msgspec import Raw

from octoplex.dialects.foreign import without_ciphers, without_foreign

NONE = frozenset[str]()
DETAILS = [{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "index": 0}]
SAID = {"role": "assistant", "content": "ok", "odd": 1.50}
THOUGHT = {**SAID, "reasoning_content": "Hm.", "reasoning_details": DETAILS}
USER = {"role": "user", "content": 'He said "reasoning_details" and "signature":"".'}
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
UNSIGNED = {"type": "thinking", "thinking": "Hm.", "signature": ""}
TEXT = {"type": "text", "text": "ok"}


def left(face: str, messages: list[Any], quirks: frozenset[str] = NONE) -> Any:
    found = without_foreign(face, Raw(json.dumps(messages).encode()), quirks)
    return None if found is None else json.loads(bytes(found))


def test_chat() -> None:
    assert left("openai-chat", [USER, SAID]) is None
    assert left("openai-chat", [USER, THOUGHT]) == [USER, SAID]
    for quirk in ("echo_reasoning", "echo_tool_reasoning"):
        echo = left("openai-chat", [USER, THOUGHT], frozenset({quirk}))
        assert echo == [USER, {**SAID, "reasoning_content": "Hm."}]
    assert left("openai-chat", [THOUGHT], frozenset({"echo_reasoning_details"})) is None
    alone = {**SAID, "reasoning_content": "another gateway's own"}
    assert left("openai-chat", [USER, alone]) is None


def test_other_values_keep_their_bytes() -> None:
    raw = b'[{"role":"user","content":"\\u00fc  x","n":[1, 2.50]},{"reasoning_details":[]}]'
    found = without_foreign("openai-chat", Raw(raw), NONE)
    assert found is not None
    assert bytes(found) == b'[{"role":"user","content":"\\u00fc  x","n":[1, 2.50]},{}]'


def test_anthropic() -> None:
    signed = {"role": "assistant", "content": [SIGNED, TEXT]}
    assert left("anthropic", [USER, signed]) is None
    mixed = {"role": "assistant", "content": [UNSIGNED, SIGNED, TEXT]}
    assert left("anthropic", [USER, mixed, USER]) == [USER, signed, USER]
    assert left("anthropic", [{"role": "assistant", "content": [UNSIGNED]}, USER]) == [USER]


@pytest.mark.parametrize("quirk", ["echo_reasoning", "echo_tool_reasoning"])
def test_anthropic_keeps_bare_thinking_where_it_is_wanted_back(quirk: str) -> None:
    bare = {"type": "thinking", "thinking": "Hm."}
    own = {"role": "assistant", "content": [UNSIGNED, bare, TEXT]}
    assert left("anthropic", [USER, own, USER], frozenset({quirk})) is None
    pinned = {**SIGNED, "signature": "octoplex:gemini:c2ln"}
    mixed = {"role": "assistant", "content": [UNSIGNED, pinned, bare, TEXT]}
    assert left("anthropic", [mixed], frozenset({quirk})) == [own]


@pytest.mark.parametrize("face", ["openai-chat", "anthropic"])
def test_what_is_malformed_is_the_providers_to_judge(face: str) -> None:
    for odd in ([1, "reasoning_details"], [{"content": [3, UNSIGNED]}], ["x", UNSIGNED, THOUGHT]):
        assert left(face, odd) is None


@pytest.mark.parametrize(
    ("face", "messages"),
    [
        ("openai-chat", b'[{"reasoning_details\xff":[],"reasoning_details":[]}]'),
        ("anthropic", b'[{"content":[{"type":"thinking\xff","signature":""}]}]'),
        ("openai-responses", b'[{"type":"\xff","encrypted_content":"octoplex:x"},"octoplex:"]'),
        ("gemini", b'[{"parts":[{"thoughtSignature":"b2N0b3BsZXg6\xff"}]}]'),
    ],
)
def test_what_is_not_utf8_is_the_providers_to_judge(face: str, messages: bytes) -> None:
    assert without_foreign(face, Raw(messages), NONE) is None


def test_ciphers_that_another_account_made() -> None:
    cipher = b'{"type":"reasoning","id":"rs_1","summary":[ ],"encrypted_content":"gAAA"}'
    told = b'{"type":"reasoning","id":"rs_2","summary":[]}'
    call = b'{"type":"function_call","arguments":"{\\"encrypted_content\\":1}", "n":1e1}'
    kept = b'{"type":"compaction","encrypted_content":"gBBB"}'
    items = b"[%b]" % b",".join([told, call, kept])
    body = b'{"model":"m","input":[%b],"store":false}' % b",".join([told, cipher, call, kept])
    assert without_ciphers(body) == b'{"model":"m","input":%b,"store":false}' % items
    for nothing in (
        b'{"input":%b}' % items,
        b'{"input":"encrypted_content"}',
        b'{"messages":[]}',
        b'{"input":[7,"\\"encrypted_content\\""]}',
    ):
        assert without_ciphers(nothing) is None
