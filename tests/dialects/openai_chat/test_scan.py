"""The scanner: what it sees, what it keeps back, and that it never raises."""

import json
import unittest.mock
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.openai_chat import scan
from octoplex.dialects.openai_chat.scan import ChatScanner
from octoplex.dialects.openai_chat.shapes import read_wire
from octoplex.dialects.openai_chat.stream import MOST_CALLS, ChatDecoder
from octoplex.wire.error import UpstreamBroken, UpstreamError, UpstreamFailed
from tests.fuzz.parts import weight


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return wire({"id": "c", "model": "m-1", "choices": [choice], **more})


def wire(chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


ROLE = event({"role": "assistant", "content": ""})
TEXT = event({"content": "Hello"})
STOP = event(finish="stop")
USAGE = wire({"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
DONE = b"data: [DONE]\n\n"


def scanned(*events: bytes, hide: bool = False) -> tuple[ChatScanner, bytes]:
    scanner = ChatScanner(hide_usage=hide)
    return scanner, b"".join([scanner.feed(e) for e in events])


def test_content_begins_with_content() -> None:
    scanner, _ = scanned(b": ping\n\n", ROLE)
    assert not scanner.content
    scanner.feed(TEXT)
    assert scanner.content
    assert scanner.received == 5
    assert scanner.model == "m-1"


@pytest.mark.parametrize("text", ["hm", "é", {"of": "another shape"}])
def test_the_text_of_a_completion_is_content(text: Any) -> None:
    """https://developers.openai.com/api/reference/resources/completions/methods/create"""
    empty = wire({"id": "c", "model": "m-1", "choices": [{"index": 0, "text": ""}]})
    scanner, _ = scanned(empty)
    assert not scanner.content
    chunk = wire({"id": "c", "choices": [{"index": 0, "text": text, "finish_reason": None}]})
    assert scanner.feed(chunk) == chunk
    assert scanner.content
    assert scanner.received > 0
    assert scanner.stop is None
    scanner.feed(wire({"id": "c", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}))
    assert (scanner.stop, scanner.model) == ("end", "m-1")


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]},
        {"content": [{"type": "text", "text": "hi"}]},
        {"audio": {"data": "AAAA"}},
        {"function_call": {"name": "f"}},
    ],
)
def test_all_kinds_of_content_are_seen(delta: dict[str, Any]) -> None:
    assert scanned(ROLE, event(delta))[0].content


def test_null_members_are_no_content() -> None:
    quiet = event({"content": None, "tool_calls": None, "refusal": None, "reasoning": ""})
    assert not scanned(ROLE, quiet, event({"tool_calls": []}))[0].content


def test_bytes_pass_as_the_same_object() -> None:
    scanner = ChatScanner(hide_usage=False)
    for piece in (ROLE, TEXT, STOP, USAGE, ROLE + TEXT, b": hi\n\n", TEXT + DONE):
        assert scanner.feed(piece) is piece


@pytest.mark.parametrize("at_once", [True, False])
def test_the_usage_chunk_is_hidden_only_when_nobody_asked(at_once: bool) -> None:
    events = [ROLE, TEXT, STOP, USAGE, DONE]
    pieces = [b"".join(events)] if at_once else events
    scanner, passed = scanned(*pieces, hide=True)
    assert passed == ROLE + TEXT + STOP + DONE
    assert scanner.usage is not None
    assert scanner.usage.input_tokens == 3
    assert scanner.ended
    assert scanned(*pieces)[1] == b"".join(events)


def test_usage_beside_choices_is_not_hidden() -> None:
    last = event(finish="stop", usage={"prompt_tokens": 1, "completion_tokens": 1})
    assert scanned(last, hide=True)[1] == last


def test_a_bad_event_is_cut_out_and_counted() -> None:
    bad = [
        b'data: {"id":\n\n',
        b'data: {"x":NaN}\n\n',
        b'data: {"x":"\xff"}\n\n',
        b"data: nonsense\n\n",
        b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
    ]
    for one in bad:
        for pieces in ([ROLE, one, TEXT], [ROLE + one + TEXT], [one], [one + one]):
            scanner, passed = scanned(*pieces)
            assert passed == b"".join(pieces).replace(one, b""), one
            assert scanner.skipped == b"".join(pieces).count(one)
            assert scanner.error is None


def test_unknown_shapes_pass() -> None:
    odd = [
        wire({"type": "ping"}),
        wire([1, 2]),
        wire({"choices": "none"}),
        event({"content": 5}),
        wire({"choices": [], "usage": "lots"}),
        b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
    ]
    for one in odd:
        assert scanned(one) [1] is one  # fmt: skip
        assert scanned(ROLE + one)[1] == ROLE + one


@pytest.mark.parametrize("at_once", [True, False])
def test_an_error_event_is_kept_back_with_all_after_it(at_once: bool) -> None:
    error = wire({"error": {"message": "broken", "type": "server_error"}})
    events = [ROLE, TEXT, error, TEXT, DONE]
    pieces = [b"".join(events)] if at_once else events[:3]
    scanner, passed = scanned(*pieces)
    assert passed == ROLE + TEXT
    assert isinstance(scanner.error, UpstreamFailed)
    assert scanner.stop is None


def test_the_first_of_two_choices_is_not_the_end() -> None:
    def choice(index: int, finish: str | None = None) -> bytes:
        return wire({"choices": [{"index": index, "delta": {}, "finish_reason": finish}]})

    scanner, _ = scanned(choice(0), choice(1), choice(0, "stop"))
    assert scanner.stop is None
    scanner.feed(choice(1, "length"))
    assert scanner.stop == "length"


def test_crlf_streams_pass() -> None:
    crlf = (ROLE + TEXT + STOP + DONE).replace(b"\n", b"\r\n")
    scanner, passed = scanned(crlf)
    assert passed is crlf
    assert scanner.stop == "end"
    assert scanner.ended


@given(st.lists(st.binary(max_size=40) | st.sampled_from([ROLE, TEXT, USAGE, DONE]), max_size=6))
def test_it_never_raises_and_what_passes_parses(pieces: list[bytes]) -> None:
    scanner = ChatScanner(hide_usage=True)
    for piece in pieces:
        scanner.feed(piece + b"\n\n")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "content", "usage", "error", "index", "tool_calls"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_passes_or_is_an_error(value: Any) -> None:
    scanner, passed = scanned(wire(value))
    assert passed == wire(value) or scanner.error is not None
    assert scanner.skipped == 0


def test_a_field_that_only_looks_like_data_is_none() -> None:
    """`dat:a: {...}` is a field that nobody knows; its JSON is no event."""
    scanner = ChatScanner(hide_usage=False)
    scanner.feed(b"dat:a: " + STOP.removeprefix(b"data: "))
    assert scanner.stop is None
    assert not scanner.content


def test_an_end_marker_without_a_reason_is_a_cut() -> None:
    cuts = ((ROLE, TEXT, DONE), (ROLE + TEXT + DONE,))
    for pieces in cuts:
        scanner, passed = scanned(*pieces)
        assert passed == ROLE + TEXT
        assert scanner.stop is None
        assert not scanner.ended
        assert isinstance(scanner.error, UpstreamBroken)


def test_an_end_marker_ends_what_any_choice_gave_a_reason_for() -> None:
    """Azure sends a chunk without a reason after the one that had it."""
    second = wire({"choices": [{"index": 1, "delta": {"content": "x"}}]})
    scanner, passed = scanned(ROLE, second, STOP, TEXT, DONE)
    assert passed.endswith(DONE)
    assert scanner.stop == "end"


def test_choices_without_end_cost_no_memory() -> None:
    scanner = ChatScanner(hide_usage=False)
    for index in range(5000):
        scanner.feed(wire({"choices": [{"index": index, "delta": {"content": "x"}}]}))
    assert weight(scanner) < 32 * 1024


@pytest.mark.parametrize("odd", [b": \xff\n\n", b"event: \xff\n" + TEXT, b"id: \xff\n" + TEXT])
def test_what_is_not_utf8_does_not_pass_whatever_it_is(odd: bytes) -> None:
    scanner, passed = scanned(odd + TEXT)
    assert passed == TEXT
    assert scanner.skipped == 1


@pytest.mark.parametrize("end", [b"\n\n", b"\n", b"\r"])
def test_an_event_ends_where_its_line_does_whatever_json_says(end: bytes) -> None:
    """White space between the tokens of JSON may be a line end; to SSE it is one."""
    scanner, passed = scanned(TEXT.replace(b', "choices"', b"," + end + b'"choices"'))
    assert b"data" not in passed
    assert scanner.skipped == 1
    assert not scanner.content


ARGUMENTS = '{"code":"x = 1"}'
WHOLE = [{"function": {"name": "run"}}, *({"function": {"arguments": c}} for c in ARGUMENTS)]


@pytest.mark.parametrize(
    "pieces",
    [
        [{"tool_calls": [{"index": 0, "id": "call_1", **piece}]} for piece in WHOLE],
        [{"function_call": piece["function"]} for piece in WHOLE],
        [
            {
                "tool_calls": [
                    {"index": 0, "type": "custom", "custom": {"name": "run", "input": ARGUMENTS}}
                ]
            }
        ],
    ],
    ids=["tools", "function", "custom"],
)
def test_of_a_tool_call_only_what_it_says_counts(pieces: list[dict[str, Any]]) -> None:
    """What is left of a stream that does not finish is charged by it."""
    chunks = [wire({"id": "c", "choices": [{"index": 0, "delta": delta}]}) for delta in pieces]
    scanner, _ = scanned(*chunks)
    said = len("run" + ARGUMENTS)
    assert said <= scanner.received <= said + ARGUMENTS.count('"')


MORE: dict[str, Any] = {
    "content": st.one_of(st.text(), st.just([{"type": "text", "text": "part"}])),
    "reasoning_content": st.sampled_from(["", None, "thought"]),
    "reasoning": st.sampled_from(["", None, "thought"]),
    "refusal": st.sampled_from(["", None, "No."]),
    "role": st.just("assistant"),
    "tool_calls": st.sampled_from([[], None, [{"index": 0, "id": "t", "function": {"name": "f"}}]]),
    "unknown": st.just({"x": 1}),
}
CHUNKS = st.builds(
    lambda delta, choice, top: {"choices": [{"delta": delta, **choice}], **top},
    st.fixed_dictionaries({}, optional=MORE),
    st.fixed_dictionaries(
        {}, optional={"index": st.sampled_from([0, 0, 1]), "finish_reason": st.sampled_from(
            [None, "", "stop"]), "logprobs": st.none()}
    ),
    st.fixed_dictionaries(
        {}, optional={"usage": st.sampled_from([None, {"prompt_tokens": 3}]),
                      "error": st.sampled_from([None, "", {"message": "no"}])}
    ),
)  # fmt: skip


def seen(scanner: ChatScanner) -> tuple[Any, ...]:
    told = scanner.usage, scanner.stop, scanner.content, scanner.received, scanner.skipped
    return (*told, scanner.error is None)


@given(chunks=st.lists(CHUNKS, max_size=8), at_once=st.booleans())
def test_the_short_path_sees_what_the_long_one_does(chunks: list[Any], at_once: bool) -> None:
    """Chunks that only go on with text are read by a type that admits nothing else."""
    short, long = ChatScanner(hide_usage=False), ChatScanner(hide_usage=False)
    events = [TEXT, *(wire(chunk) for chunk in chunks), TEXT]
    for part in [b"".join(events)] if at_once else events:
        if short.error is not None:
            break
        with unittest.mock.patch.object(scan, "read_more", side_effect=msgspec.ValidationError):
            expected = long.feed(part)
        assert short.feed(part) == expected
        assert seen(short) == seen(long)


def read(decoder: ChatDecoder, chunks: list[Any]) -> object:
    try:
        return [*decoder.feed(b"".join(wire(c) for c in chunks)), *decoder.end()]
    except UpstreamError as error:
        return decoder.read, str(error)


@given(chunks=st.lists(CHUNKS, max_size=8))
def test_the_decoder_reads_the_same_on_either_path(chunks: list[Any]) -> None:
    assert read(ChatDecoder(), chunks) == read(ChatDecoder(lambda data: read_wire(data)), chunks)


CALL = {"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("delta", "choice", "top"),
    [
        ({"tool_calls": [CALL]}, {}, {}),
        ({"function_call": {"name": "f", "arguments": "{}"}}, {}, {}),
        ({"reasoning_content": "thought"}, {}, {}),
        ({"reasoning": "thought"}, {}, {}),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "thought"}]}, {}, {}),
        ({"refusal": "No."}, {}, {}),
        ({}, {"index": 1}, {}),
        ({}, {"finish_reason": "length"}, {}),
        ({}, {}, {"usage": {"prompt_tokens": 7, "completion_tokens": 9}}),
        ({}, {}, {"error": {"message": "broken"}}),
        ({}, {}, {"x_groq": {"usage": {"prompt_tokens": 7, "completion_tokens": 9}}}),
    ],
)
def test_whatever_stands_beside_text_is_read(delta: Any, choice: Any, top: Any) -> None:
    first = {"choices": [{"delta": {"content": "a"}}]}
    plain = {"choices": [{"delta": {"content": "b"}}]}
    more = {"choices": [{"delta": {"content": "b", **delta}, **choice}], **top}
    last = [] if choice.get("finish_reason") else [{"choices": [{"finish_reason": "stop"}]}]
    assert read(ChatDecoder(), [first, more, *last]) != read(ChatDecoder(), [first, plain, *last])


def test_no_answer_has_endless_tool_calls() -> None:
    call = wire({"choices": [{"delta": {"tool_calls": [{"function": {"name": "f"}}]}}]})
    scanner = ChatScanner(hide_usage=False)
    for _ in range(MOST_CALLS):
        assert scanner.feed(call)
    assert scanner.feed(call) == b""
    assert isinstance(scanner.error, UpstreamBroken)
    decoder = ChatDecoder()
    with pytest.raises(UpstreamBroken, match="more than 256 tool calls"):
        decoder.feed(call * (MOST_CALLS + 1))


def test_an_event_over_two_lines_is_one_line_when_mended() -> None:
    call = b'{"choices": [{"delta": {"tool_calls": [{"function":\ndata: {"name": "f"}}]}}]}'
    scanner = ChatScanner(hide_usage=False)
    written = scanner.feed(b"data: " + call + b"\n\n")
    assert written.count(b"\n") == 2
    read = json.loads(written.removeprefix(b"data: "))
    assert read["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] == "f"


@pytest.mark.parametrize("where", ['{"choices": [{"delta": {"\\ud800": 1}}]}', '{"\\ud800": 1}'])
def test_half_a_surrogate_pair_in_a_name_passes(where: str) -> None:
    odd = b"data: " + where.encode() + b"\n\n"
    scanner = ChatScanner(hide_usage=False)
    assert scanner.feed(odd) == odd
    assert scanner.feed(TEXT) == TEXT
