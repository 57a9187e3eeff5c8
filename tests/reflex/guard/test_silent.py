"""A look at the bytes of short JSON misses nothing that a look at its texts would find."""

import msgspec
import pytest

from octoplex.reflex.guard.body import glance, is_plain, timeless
from octoplex.reflex.guard.config import Guard
from octoplex.reflex.guard.ruling import Ruling, compile_ruling
from tests.reflex.guard import test_injection, test_personal, test_secrets
from tests.reflex.guard.found import detector

TEXTS = [
    *(text for _, text, _ in test_personal.TRUE),
    *(text for _, text in test_secrets.TRUE),
    *(text for _, text, _ in test_secrets.ASSIGNED),
    *test_injection.ATTACKS,
]
NAMED = [
    {"password": "Tr0ub4dor3x"},
    {"db_pass": "Tr0ub4dor3x"},
    {"bearer": test_secrets.R[:40]},
    {"basic": "YWRtaW46czNjcjN0"},
    {"license": "D1234567"},
    {"api_key": test_secrets.R[:32]},
    {"ACME_KEY": test_secrets.R[:32]},
    {"dob": "1990-02-28"},
    {"ssn": "536221234"},
    {"command": "-u admin:S3cr3tP4ss x"},
    {"card": 4111111111111111},
]


def in_texts(body: bytes) -> bool:
    return bool(detector().find(glance(body).decode("utf-8", "replace")))


@pytest.mark.parametrize("text", TEXTS)
def test_what_texts_hold_is_not_silent(text: str) -> None:
    for value in ({"content": text}, {"x": [{"type": "text", "text": text}]}, [text, "Hello"]):
        body = msgspec.json.encode(value)
        assert in_texts(body)
        assert not (is_plain(body) and detector().is_silent(body))


@pytest.mark.parametrize("value", NAMED)
def test_what_names_announce_is_not_silent(value: dict[str, object]) -> None:
    body = msgspec.json.encode(value)
    assert in_texts(body)
    assert not detector().is_silent(body)


def test_prose_is_silent_and_what_cannot_be_told_is_not() -> None:
    assert detector().is_silent(b'{"messages":[{"role":"user","content":"Hello, Ana."}]}')
    for body in (b'{"x":"a\\u0041"}', "é".encode(), b'{"x":"pass\\nword"}'):
        assert not detector().is_silent(body)
    assert not is_plain(b"x" * 9_000)
    assert not is_plain(b'[{"text":"4111 1111"},{"text":" 1111 1111"}]')
    assert not is_plain(b'[{"text" :"4111 1111"},{"text"  :" 1111 1111"}]')
    assert is_plain(b'[{"type":"text","text":"Hello"}]')


@pytest.mark.parametrize(
    "usual",
    [
        {"id": "chatcmpl-B9MH", "created": 1741570283, "choices": [{"message": {"content": "Hi"}}]},
        {
            "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
            "system_fingerprint": "fp_44709d6fcb",
            "content": "word-01 of what matters in tide pools",
        },
        {"id": "resp_67cc", "created_at": 1741570283, "completed_at": 1741570290, "output": []},
        {
            "id": "chatcmpl-1",
            "created": 1741570283,
            "model": "gpt-5-mini-2025-08-07",
            "usage": {
                "prompt_tokens": 17,
                "total_tokens": 29,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
        },
        {"id": "batch_1", "created_at": 1711471533, "expires_at": 1711557933, "status": "done"},
    ],
)
def test_usual_replies_are_silent_but_for_their_clocks(usual: dict[str, object]) -> None:
    body = msgspec.json.encode(usual)
    assert detector().is_silent(timeless(body))
    told = msgspec.json.encode({**usual, "content": '"created": 4111111111111111'})
    assert in_texts(told)
    assert not detector().is_silent(timeless(told))


def test_names_and_numbers_that_are_no_counts_stay() -> None:
    key = "wJ4rT9zQ2mX7bV5nK8pL3s"
    for usage in ({"auth_tokens": key}, {"tokens_details": key}, {"ssn": "536-90-4399"}):
        body = msgspec.json.encode({"model": "gpt-5-2025-08-07", "usage": usage})
        assert in_texts(body)
        assert not detector().is_silent(timeless(body))


def test_ids_are_those_of_vendors_alone() -> None:
    key = f"AKIA{'QZ7P' * 4}"
    for id_ in (key, f"call_1 {key}", f"chatcmpl:{key}"):
        body = msgspec.json.encode({"id": id_})
        assert in_texts(body)
        assert not detector().is_silent(timeless(body))


def test_private_addresses_are_looked_for_where_they_are_named() -> None:
    def ruling(guard: Guard) -> Ruling:
        found = compile_ruling(guard, lambda text: text, lambda reference: reference)
        assert found is not None
        return found

    assert "private_ip" not in ruling(Guard(pii="mask")).actions
    assert "private_ip" not in ruling(Guard(pii={"default": "mask"})).actions
    named = ruling(Guard(pii={"private_ip": "mask"})).asked
    assert named is not None
    assert [f.type for f in named.find("from 10.1.2.3 and 8.35.201.17")] == ["private_ip"]
