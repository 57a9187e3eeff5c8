"""Thinking that open models write into their text: the same however the text arrives.

Forms of replies are typed from https://huggingface.co/deepseek-ai/DeepSeek-R1 and
https://qwen.readthedocs.io/en/latest/getting_started/quickstart.html.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.ollama import Ollama
from octoplex.dialects.openai_chat import OpenAIChat
from octoplex.dialects.think_tags import parted, parted_reply
from octoplex.wire.error import UpstreamBroken
from octoplex.wire.event import (
    Event,
    Reply,
    Text,
    Thinking,
    ToolUse,
    Usage,
    fold,
)

TAGS = frozenset({"think_tags"})
UNOPENED = TAGS | {"think_unopened"}
CASES = [
    # text, what is thought, what is said; the same again where the opening tag may be missing
    ("<think>\nHm.\n</think>\n\nHello", "Hm.", "Hello", None),
    ("<think>\n\n</think>\n\nHello", "", "Hello", None),
    ("\n<think>Hm.</think>Hello", "Hm.", "Hello", None),
    ("<think>a < b </ c</think>Hello", "a < b </ c", "Hello", None),
    ("<think>Hm. <think>Why?</think>Hello</think>", "Hm. <think>Why?", "Hello</think>", None),
    ("<think>Hm, and then", "Hm, and then", "", None),
    ("<think>Hm.</thi", "Hm.</thi", "", None),
    ("<think>Hm.</think>", "Hm.", "", None),
    ("The tag <think> opens.", "", "The tag <think> opens.", None),
    ("<thinking>Hm.</thinking>", "", "<thinking>Hm.</thinking>", None),
    ("<thi", "", "<thi", None),
    ("  Hello", "", "  Hello", None),
    ("", "", "", None),
    ("Hm.\n</think>\n\nHello", "", "Hm.\n</think>\n\nHello", ("Hm.", "Hello")),
    ("Hello", "", "Hello", None),
]  # fmt: skip
EVERY = [
    (text, *((said,) if quirks == TAGS or other is None else (other,)), quirks)
    for text, thought, spoken, other in CASES
    for said in [(thought, spoken)]
    for quirks in (TAGS, UNOPENED)
]


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def streamed(pieces: Sequence[bytes], quirks: frozenset[str]) -> Reply:
    """What a stream folds to; every block begins where the one before it ended."""
    decoder = parted(OpenAIChat().decoder(), quirks)
    events: list[Event] = []
    for piece in pieces:
        events += decoder.feed(piece)
    events += decoder.end()
    indices = [e.index for e in events if hasattr(e, "index")]
    assert indices == sorted(indices)
    return fold(events)


def parts(reply: Reply) -> tuple[str, str]:
    assert [type(b) for b in reply.blocks] in ([], [Thinking], [Text], [Thinking, Text])
    return reply.thinking, reply.text


def whole(text: str, quirks: frozenset[str]) -> Reply:
    blocks = (Text(text),) if text else ()
    reply = Reply(id="c", model="m", blocks=blocks, stop="end", usage=Usage())
    return parted_reply(reply, quirks)


@pytest.mark.parametrize(("text", "said", "quirks"), EVERY)
def test_text_is_parted_whole_and_letter_by_letter(
    text: str, said: tuple[str, str], quirks: frozenset[str]
) -> None:
    assert parts(whole(text, quirks)) == said
    for size in (1, 2, 3, 7, 10_000):
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        wires = [*(chunk({"content": p}) for p in pieces), chunk({}, "stop")]
        assert parts(streamed(wires, quirks)) == said
        assert parts(streamed([b"".join(wires)], quirks)) == said


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "</th", "x", " ", "\n"]), max_size=9),
    st.lists(st.integers(0, 40), max_size=5),
    st.booleans(),
)
def test_how_it_is_cut_does_not_matter(words: list[str], cuts: list[int], unopened: bool) -> None:
    text, quirks = "".join(words), UNOPENED if unopened else TAGS
    edges = sorted({0, *(min(c, len(text)) for c in cuts), len(text)})
    wires = [chunk({"content": text[a:b]}) for a, b in pairwise(edges)]
    assert parts(streamed([*wires, chunk({}, "stop")], quirks)) == parts(whole(text, quirks))


def test_a_family_without_the_quirk_is_left_alone() -> None:
    text = "<think>Hm.</think>Hello"
    wires = [chunk({"content": text}), chunk({}, "stop")]
    assert parts(streamed(wires, frozenset())) == ("", text) == parts(whole(text, frozenset()))


def test_what_the_server_parsed_is_not_parted_again() -> None:
    wires = [
        chunk({"reasoning_content": "Hm."}),
        chunk({"content": "<think>"}),
        chunk({"content": " is a tag. </think> closes it."}),
        chunk({}, "stop"),
    ]
    said = ("Hm.", "<think> is a tag. </think> closes it.")
    assert parts(streamed(wires, UNOPENED)) == said


def test_tools_come_after_the_thinking() -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "weather", "arguments": "{}"}}
    for text, blocks in (
        ("<think>Paris.</think>", (Thinking("Paris."),)),
        ("<think>Paris.", (Thinking("Paris."),)),
        ("<think>Paris.</think>\n\nWait.", (Thinking("Paris."), Text("Wait."))),
        ("<thi", (Text("<thi"),)),
    ):
        wires = [chunk({"content": text}), chunk({"tool_calls": [call]}), chunk({}, "tool_calls")]
        assert streamed(wires, TAGS).blocks == (*blocks, ToolUse("c1", "weather", "{}"))


def test_what_came_before_an_error_is_kept() -> None:
    decoder = parted(OpenAIChat().decoder(), TAGS)
    decoder.feed(chunk({"content": "<think>Hm.</think>Hel"}))
    with pytest.raises(UpstreamBroken):
        decoder.end()
    assert decoder.stop is None


def test_ollamas_lines_are_parted_too() -> None:
    lines = [
        {"model": "m", "message": {"role": "assistant", "content": piece}, "done": False}
        for piece in ("<th", "ink>Hm", ".</think>", "\n\nHello")
    ]
    lines.append({"model": "m", "message": {"content": ""}, "done": True, "done_reason": "stop"})
    decoder = parted(Ollama().decoder(), TAGS)
    events = [e for line in lines for e in decoder.feed(json.dumps(line).encode() + b"\n")]
    assert parts(fold([*events, *decoder.end()])) == ("Hm.", "Hello")
