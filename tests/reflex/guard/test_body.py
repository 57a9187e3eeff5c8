"""Texts in JSON are found where they stand, and everything else keeps its bytes."""

import json
from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.reflex.guard.body import ORDINARY, glance, rewritten
from octoplex.reflex.guard.config import Guard
from octoplex.reflex.guard.normal import PIECE
from octoplex.reflex.guard.ruling import Verdict, compile_ruling

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def texts(raw: bytes) -> list[str]:
    """Every text, as whoever changes them is given it; a glance sees the same."""
    found: list[str] = []

    def seen(text: str, _: str) -> str:
        found.append(text)
        return text

    assert rewritten(raw, seen) is raw
    at_once = glance(raw)
    for text in found:
        assert text.encode("utf-8", "surrogatepass") in at_once
    return found


@pytest.mark.parametrize("size", [PIECE - 9, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE - 20])
def test_a_number_over_the_border_of_two_parts_is_seen_whole(size: int) -> None:
    raw = b'{"a":"%b","card":4111111111111111}' % (b"x" * size)
    assert b"4111111111111111" in glance(raw).split(b"\n\x1e\n")


def upper(text: str, _: str = "") -> str:
    return text.replace("x", "[X]")


def strings(value: Any) -> list[str]:
    """Its texts: values, and names but for those that vendors gave."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        own = {name for name in value if name.encode("utf-8", "replace") not in ORDINARY}
        return [t for n, v in value.items() for t in [n] * (n in own) + strings(v)]
    return [text for each in value for text in strings(each)] if isinstance(value, list) else []


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
@given(value=JSON)
def test_every_text_of_any_json_is_found(indent: int | None, ascii_only: bool, value: Any) -> None:
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    found = [text for text in texts(raw) if not text.lstrip("-").isdecimal()]
    assert found == [text for text in strings(value) if not text.lstrip("-").isdecimal()]
    assert rewritten(raw, lambda text, _: text) is raw


@given(value=JSON)
def test_what_is_changed_is_json_and_changed_everywhere(value: Any) -> None:
    raw = json.dumps(value).encode()
    made = json.loads(rewritten(raw, upper))
    assert strings(made) == [upper(text) for text in strings(value)]


def test_only_the_texts_that_change_get_other_bytes() -> None:
    raw = b'{ "a" : "no\\u0020ne", "b":["x\\n", 1.50 ,1e5],  "x" :"y" }'
    want = b'{ "a" : "no\\u0020ne", "b":["[X]\\n", 1.50 ,1e5],  "[X]" :"y" }'
    assert rewritten(raw, upper) == want


def test_a_long_whole_number_is_a_text_and_becomes_a_string() -> None:
    def hide(text: str, _: str) -> str:
        return "[CARD]" if text == "4111111111111111" else text

    raw = b'{"card": 4111111111111111, "n": [4111111111111111.0,12345678, 0.4111111111111111]}'
    want = b'{"card": "[CARD]", "n": ["[CARD]",12345678, 0.4111111111111111]}'
    assert rewritten(raw, hide) == want
    assert rewritten(b"4111111111111111e0", hide, b"n") == b'"[CARD]"'
    assert texts(b'{"created": 1795286542, "at": [-1795286542]}') == ["at", "1795286542"]
    assert rewritten(b"4111111111111111", hide, b"seed") == b"4111111111111111"


def test_what_a_name_says_is_a_text() -> None:
    """`{"ana@acme.example": 1}`: in what is sent and what comes, and in arguments in a string."""
    mail, key = "ana.maria@acme.org", "ghp_" + "c4n4ry" * 6
    inner = json.dumps({mail: 1, "to": {key: [True]}})
    said = {"input": {"a": 1, mail: {"x": 2}}, "arguments": inner, "filler": "z" * 9_000}
    raw = json.dumps(said).encode()
    verdict = verdict_of(Guard(pii="mask", secrets="mask"))
    for made in (
        verdict.asked(raw),
        verdict.replied(raw),
        verdict.asked(raw.replace(b"@", b"\\u0040")),
    ):
        read = json.loads(made)
        assert read["input"] == {"a": 1, "[EMAIL]": {"x": 2}}
        assert json.loads(read["arguments"]) == {"[EMAIL]": 1, "to": {"[GITHUB_TOKEN]": [True]}}


TABLE = "name,mail\nÄnne,ana.maria@acme.org\n" * 9
IMAGE = b64encode(bytes(range(256)) * 4).decode()


@pytest.mark.parametrize("member", ["data", "file_data"])
@pytest.mark.parametrize("head", ["", "data:text/csv;base64,"])
def test_a_document_in_base64_is_looked_through_where_it_is_text(member: str, head: str) -> None:
    code = b64encode(TABLE.encode()).decode()
    verdict = verdict_of(Guard(pii="mask"))
    for sent in (code, code.rstrip("="), code.replace("+", "-").replace("/", "_")):
        raw = json.dumps({"source": {member: head + sent, "media_type": "text/csv"}}).encode()
        for asked in (raw, raw.replace(b"/", b"\\/")):
            made = json.loads(verdict.asked(asked))["source"][member]
            assert made.startswith(head)
            assert b64decode(made[len(head) :]).decode() == TABLE.replace(
                "ana.maria@acme.org", "[EMAIL]"
            )
    for other in (
        IMAGE,
        b64encode(b"%PDF-1.7 a long comment, all of it text, and then \xe2\xff").decode(),
    ):
        raw = json.dumps({"source": {member: head + other}}).encode()
        assert verdict.asked(raw) is raw
    word = json.dumps({member: "QUJDREVG"}).encode()  # base64 of a text, and a word by itself
    assert b"QUJD" not in verdict_of(Guard(words=("QUJDREVG",), words_action="mask")).asked(word)
    clean = json.dumps(
        {member: head + b64encode(b"Nothing stands in here. " * 20).decode()}
    ).encode()
    assert verdict.asked(clean) is clean


def test_no_dialect_spells_out_what_was_changed() -> None:
    tokens = [{"token": "ana.maria", "logprob": 0.0}, {"token": "@acme.org", "logprob": 0.0}]
    said = "mail ana.maria@acme.org"
    part = {"type": "output_text", "text": said, "logprobs": tokens}
    candidate = {"content": {"parts": [{"text": said}]}, "logprobsResult": {"chosen": tokens}}
    for reply in (
        {"choices": [{"message": {"content": said}, "logprobs": {"content": tokens}}]},
        {"choices": [{"text": said, "logprobs": {"tokens": ["ana.maria", "@acme.org"]}}]},
        {"output": [{"type": "reasoning"}, {"type": "message", "content": [part]}]},
        {"candidates": [candidate]},
    ):
        made = verdict_of(Guard(pii="mask")).replied(json.dumps(reply).encode())
        assert b"[EMAIL]" in made
        assert b"@acme.org" not in made


def test_arguments_in_a_string_stay_json() -> None:
    arguments = json.dumps({"to": "x\n", "n": 123456789})
    raw = json.dumps({"function": {"name": "send", "arguments": arguments}}).encode()

    def hide(text: str, _: str) -> str:
        return upper("[N]" if text == "123456789" else text)

    made = json.loads(rewritten(raw, hide))
    assert json.loads(made["function"]["arguments"]) == {"to": "[X]\n", "n": "[N]"}


@pytest.mark.parametrize(
    ("member", "value", "seen"),
    [
        ("data", "iVBORw0KGgo" * 40, False),
        ("data", "iVBORw0KGgo" * 8, True),
        ("data", "a plain text document", True),
        ("url", "data:image/png;base64,iVBORw0KGgo=", False),
        ("url", "data:x;base64,mail ana@acme.example", True),
        ("url", "https://example.com/?mail=ana@acme.example", True),
        ("id", "call_4111-1111-1111-1111", False),
        ("id", "4111111111111111", True),
        ("signature", "c2ln" * 80, False),
        ("text", "c2ln" * 40, True),
    ],
)
def test_what_only_machines_read_is_passed_over(member: str, value: str, seen: bool) -> None:
    raw = json.dumps({"source": {member: value, "name": "c"}}).encode()
    assert (value.encode() in glance(raw)) == seen
    assert texts(raw) == ([value, "c"] if seen else ["c"])
    inside = json.dumps({member: ["x", value]}).encode()
    assert texts(inside) == ["x", value]


def test_half_a_surrogate_pair_passes() -> None:
    raw = b'{"x\\ud83d": "x\\ud83d"}'
    assert texts(raw) == ["x\ud83d", "x\ud83d"]
    assert rewritten(raw, upper) == b'{"[X]\\ud83d": "[X]\\ud83d"}'


def test_a_text_comes_with_the_name_of_its_member() -> None:
    told: list[tuple[str, str]] = []

    def seen(text: str, name: str) -> str:
        told.append((text, name))
        return text

    arguments = json.dumps({"password": "x"}).replace("w", "\\u0077")
    raw = json.dumps({"a": {"arguments": arguments}, "b": ["c"]}).encode()
    assert rewritten(raw, seen) is raw
    own = [("a", ""), ("password", ""), ("x", "password"), ("b", ""), ("c", "")]
    assert told == own
    assert b"password: x" in glance(raw)


@pytest.mark.parametrize("text", ["[see] ana", "{mail ana}", "{} ana", '{"a": '])
def test_arguments_that_are_no_json_are_a_text(text: str) -> None:
    raw = json.dumps({"arguments": text}).encode()
    assert texts(raw) == [text]


def test_what_is_not_closed_is_looked_through_once() -> None:
    """Growth in steps of the expression: twice the text, about twice the work, no more."""
    for raw in (b'{"' + b'\\"' * 200_000, b'{"' + b'\\"' * 200_000 + b"\\", b'"' * 400_001):
        assert glance(raw) is not None
        assert rewritten(raw, lambda text, _: text) is raw


def test_what_is_no_utf8_hides_nothing() -> None:
    assert texts_of(b'{"name": "ana\\u0040acme \xff"}') == ["ana@acme \ufffd"]


def texts_of(raw: bytes) -> list[str]:
    found: list[str] = []
    rewritten(raw, lambda text, _: found.append(text) or text)
    return found


def verdict_of(guard: Guard) -> Verdict:
    ruling = compile_ruling(guard, lambda text: text, lambda reference: reference)
    assert ruling is not None
    return Verdict(ruling)


def test_what_is_cut_over_two_parts_is_found_and_masked_once() -> None:
    verdict = verdict_of(Guard(pii="mask", secrets="mask"))
    parts = ["Pay with 4111 11", "11 11", "11 1111, and tell ana@acme.io"]
    body = msgspec.json.encode([{"type": "text", "text": part} for part in parts])
    seen = msgspec.json.decode(verdict.asked(body))
    assert [p["text"] for p in seen] == ["Pay with [CREDIT_CARD]", "", ", and tell [EMAIL]"]
    assert verdict.counts == {("credit_card", "mask"): 1, ("email", "mask"): 1}


def test_parts_of_two_turns_are_not_one_text() -> None:
    verdict = verdict_of(Guard(pii="mask"))
    turns = [{"role": "user", "content": [{"text": half}]} for half in ("4111 1111", " 1111 1111")]
    body = msgspec.json.encode(turns)
    assert verdict.asked(body) is body
