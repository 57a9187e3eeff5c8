"""Thinking in the text of a reply that passes verbatim: moved, and nothing else changed."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.openai_chat.tags import TagScanner, parted_body
from tests.dialects.test_think_tags import CASES, EVERY, TAGS, UNOPENED, chunk

ODD = b'"odd":[1e1, "\\u003c"]'
DONE = b"data: [DONE]\n\n"


def whole(message: dict[str, Any]) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()


def read(events: bytes) -> list[dict[str, Any]]:
    lines = [line for line in events.split(b"\n\n") if line.startswith(b"data: {")]
    return [json.loads(line[6:]) for line in lines]


def told(events: bytes, name: str, index: int = 0) -> str:
    found = [c for chunk in read(events) for c in chunk["choices"] if c["index"] == index]
    return "".join(c["delta"].get(name) or "" for c in found)


def scanned(wires: list[bytes], quirks: frozenset[str] = TAGS, choices: int = 1) -> bytes:
    unopened = "think_unopened" in quirks
    scanner = TagScanner(hide_usage=False, unopened=unopened, choices=choices)
    return b"".join(scanner.feed(wire) for wire in wires)


@pytest.mark.parametrize(("text", "said", "quirks"), EVERY)
def test_a_whole_reply(text: str, said: tuple[str, str], quirks: frozenset[str]) -> None:
    thought, spoken = said
    body = whole({"role": "assistant", "content": text, "x": 1})
    got = parted_body(body, unopened=quirks == UNOPENED)
    if not thought:
        assert got is body
        return
    (choice,) = json.loads(got)["choices"]
    want = {"role": "assistant", "content": spoken, "x": 1, "reasoning_content": thought}
    assert choice == {"message": want, "finish_reason": "stop"}


def test_other_values_keep_their_bytes() -> None:
    body = b'{"choices":[{"message":{"content":"\\u003cthink\\u003eHm.</think>Hi","l":1.50}}],%b}'
    assert parted_body(body % ODD, unopened=False) == (
        b'{"choices":[{"message":{"content":"Hi","l":1.50,"reasoning_content":"Hm."}}],%b}' % ODD
    )


@pytest.mark.parametrize(
    "body",
    [
        whole({"content": "<think>Hm.</think>Hi", "reasoning_content": "It was parsed."}),
        whole({"content": [{"type": "text", "text": "<think>Hm.</think>"}]}),
        b'{"choices":[{"message":null,"x":"<think>"}]}',
        b'{"choices":3,"x":"<think>"}',
        b'["<think>"]',
    ],
)
def test_what_is_parsed_already_or_is_no_reply_is_left_alone(body: bytes) -> None:
    assert parted_body(body, unopened=False) is body


@pytest.mark.parametrize(("text", "said", "quirks"), EVERY)
@given(st.data())
def test_a_stream_however_it_is_cut(
    text: str, said: tuple[str, str], quirks: frozenset[str], data: st.DataObject
) -> None:
    places = st.lists(st.integers(1, max(len(text) - 1, 1)), max_size=12)
    cuts = sorted({0, len(text), *data.draw(places)}) if text else [0, 0]
    pieces = [text[a:b] for a, b in pairwise(cuts)]
    wires = [chunk({"role": "assistant", "content": ""})]
    wires += [chunk({"content": piece}) for piece in pieces]
    wires += [chunk({}, "stop"), DONE]
    together = data.draw(st.booleans())
    out = scanned([b"".join(wires)] if together else wires, quirks)
    assert (told(out, "reasoning_content"), told(out, "content")) == said
    assert read(out)[-1]["choices"][0]["finish_reason"] == "stop"
    assert out.endswith(DONE)


def test_a_stream_without_tags_keeps_its_bytes() -> None:
    def event(text: str) -> bytes:
        return b'data: {%b,"choices":[{"delta":{"content":"%b"}}]}\n\n' % (ODD, text.encode())

    wires = [b": hello\n\n", event("He"), event("<think>"), event("</think>"), chunk({}, "stop")]
    assert scanned(wires) == b"".join(wires)
    parsed = [chunk({"reasoning_content": "Hm."}), event("<think>"), chunk({}, "stop")]
    assert scanned(parsed, UNOPENED) == b"".join(parsed)


def test_a_tool_call_ends_a_text_that_was_held() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    out = scanned([chunk({"content": "<th"}), chunk({"tool_calls": [call]}, "tool_calls")])
    (event,) = read(out)
    (choice,) = event["choices"]
    assert choice["delta"] == {"tool_calls": [call], "content": "<th"}


def test_choices_are_parted_each_by_itself() -> None:
    def said(index: int, text: str, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    wires = [said(0, "<think>a"), said(1, "b"), said(0, "</think>c"), said(1, "d", "stop")]
    out = scanned([*wires, said(0, "e", "stop")], choices=2)
    assert [told(out, "reasoning_content", i) for i in (0, 1)] == ["a", ""]
    assert [told(out, "content", i) for i in (0, 1)] == ["ce", "bd"]


def test_nothing_is_content_before_something_can_be_told() -> None:
    """Until then another target may be asked."""
    scanner = TagScanner(hide_usage=False, unopened=True)
    for text in ("Hm, ", "so "):
        assert scanner.feed(chunk({"content": text})) == b""
        assert not scanner.content
    assert scanner.feed(chunk({"content": "it is.</think>"}))
    assert scanner.content
    assert scanner.received == len("Hm, so it is.</think>")


def test_a_last_event_without_a_delta_gives_what_was_held() -> None:
    last = b'data: {"choices":[{"index":0,"delta":null,"finish_reason":"stop"}]}\n\n'
    assert told(scanned([chunk({"content": "Hi"}), last], UNOPENED), "content") == "Hi"


def test_every_case_is_met() -> None:
    assert len(EVERY) == 2 * len(CASES)
