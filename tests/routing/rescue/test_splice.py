"""Two tellings of one reply, letter by letter: whatever was told is told exactly once."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.routing.rescue.splice import Diverged, Splice
from octoplex.wire.event import (
    Block,
    Event,
    Finished,
    RedactedThinking,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    ToolUse,
    Usage,
    fold,
)

END = Finished(stop="end", usage=Usage(1, 1))
BEGUN = Started("two", "m")


def go_on(told: Sequence[Event], again: Sequence[Event]) -> list[Event]:
    """What a second telling adds, taken event by event."""
    splice = Splice(told)
    return [new for event in again for new in splice.feed([event])]


def test_letters_count_and_not_pieces() -> None:
    told = [TextDelta("Hel"), TextDelta("lo, w")]
    again = [BEGUN, TextDelta("Hello"), TextDelta(", world"), TextDelta("!"), END]
    assert go_on(told, again) == [TextDelta("orld"), TextDelta("!"), END]


def test_all_told_but_the_end() -> None:
    assert go_on([TextDelta("Hello")], [TextDelta("Hello"), END]) == [END]


@pytest.mark.parametrize(
    "again",
    [
        [TextDelta("Help")],
        [TextDelta("Hel"), END],
        [TextDelta("Hel"), ToolStart("1", "get", 1)],
        [RefusalDelta("Hello")],
        [ThinkingDelta("Hm.")],
        [ToolStart("1", "get")],
        [END],
    ],
)
def test_another_reply_is_noticed_at_once(again: Sequence[Event]) -> None:
    splice = Splice([TextDelta("Hello")])
    for event in again[:-1]:
        assert splice.feed([event]) == []
    with pytest.raises(Diverged):
        splice.feed(again[-1:])


def test_new_blocks_count_on_from_those_that_were_told() -> None:
    told = [ThinkingDelta("Hm.", 3, "proof-1"), TextDelta("I lo", 5)]
    again = [
        ThinkingDelta("Hm.", 0),
        ThinkingDelta("", 0, "proof-2"),
        TextDelta("I look", 1),
        ToolStart("b", "get", 2),
        ToolDelta("{}", 2),
        END,
    ]
    new = [TextDelta("ok", 5), ToolStart("b", "get", 6), ToolDelta("{}", 6), END]
    assert go_on(told, again) == new


def test_a_proof_belongs_to_its_own_thinking() -> None:
    """The caller keeps the one it has; where it has none, the thinking must be the same."""
    mine = ThinkingDelta("", 0, "proof-2")
    told = [ThinkingDelta("Hmm, ")]
    assert go_on(told, [ThinkingDelta("Hmm, so"), mine]) == [ThinkingDelta("so"), mine]
    proven = [*told, ThinkingDelta("", 0, "proof-1")]
    assert go_on(proven, [ThinkingDelta("Hmm, "), mine, TextDelta("A", 1)]) == [TextDelta("A", 1)]
    with pytest.raises(Diverged):
        go_on(proven, [ThinkingDelta("Hmm, so")])
    with pytest.raises(Diverged):
        go_on(told, [ThinkingDelta("Well")])


def test_thinking_that_is_only_proven() -> None:
    told = [ThinkingDelta("", 0, "proof-1"), TextDelta("A", 1)]
    again = [ThinkingDelta("", 0, "proof-2"), TextDelta("AB", 1), END]
    assert go_on(told, again) == [TextDelta("B", 1), END]


def test_encrypted_thinking_is_the_same_or_another() -> None:
    told = [RedactedThinking("xyz"), TextDelta("A", 1)]
    assert go_on(told, [RedactedThinking("xyz"), TextDelta("AB", 1)]) == [TextDelta("B", 1)]
    with pytest.raises(Diverged):
        go_on(told, [RedactedThinking("xyY")])
    with pytest.raises(Diverged):
        go_on(told, [RedactedThinking("xyzz")])


def test_a_tool_call_goes_on_only_in_its_own_letters() -> None:
    told = [ToolStart("a", "get"), ToolDelta('{"x": 1')]
    same = [ToolStart("b", "get"), ToolDelta('{"x": 12}'), END]
    assert go_on(told, same) == [ToolDelta("2}"), END]
    for other in (
        [ToolStart("b", "put")],
        [ToolStart("b", "get"), ToolDelta('{"x":1')],
        [ToolStart("b", "get"), END],
    ):
        with pytest.raises(Diverged):
            go_on(told, other)


def test_arguments_that_are_whole_take_nothing_more() -> None:
    told = [ToolStart("a", "get"), ToolDelta('{"x":1}')]
    assert go_on(told, [ToolStart("b", "get"), ToolDelta('{"x":1}\n'), END]) == [END]
    with pytest.raises(Diverged):
        go_on(told, [ToolStart("b", "get"), ToolDelta('{"x":1}}')])


def test_calls_that_interleave() -> None:
    """One is repeated after the other; nothing goes out before both were."""
    told = [ToolStart("a", "get", 0), ToolDelta('{"x"', 0), ToolStart("b", "put", 1)]
    splice = Splice(told)
    first = [ToolStart("c", "get", 0), ToolDelta('{"x":1}', 0)]
    assert splice.feed(first) == []
    rest = [ToolStart("d", "put", 1), ToolDelta("{}", 1), END]
    assert splice.feed(rest) == [ToolDelta(":1}", 0), ToolDelta("{}", 1), END]


def test_an_id_is_not_given_twice() -> None:
    told = [ToolStart("call_0", "get", 0), ToolDelta("{}", 0)]
    again = [ToolStart("call_9", "get", 0), ToolDelta("{}", 0), ToolStart("call_0", "put", 1)]
    (new,) = go_on(told, again)
    assert isinstance(new, ToolStart)
    assert new.id not in ("call_0", "")


BLOCKS = st.lists(
    st.one_of(
        st.builds(Text, st.text(min_size=1, max_size=12)),
        st.builds(Thinking, st.text(min_size=1, max_size=8)),
        st.builds(ToolUse, st.just("id"), st.sampled_from(["get", "put"]), st.just('{"a":"b c"}')),
    ),
    min_size=1,
    max_size=5,
)


def pieces(draw: st.DrawFn, words: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(words)), max_size=4)))
    return [words[a:b] for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True)]


@st.composite
def tellings(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """The same reply twice, cut in other pieces, under other numbers and ids."""
    blocks = draw(BLOCKS)
    told: list[list[Event]] = []
    for by, step in (("one", draw(st.integers(1, 3))), ("two", 1)):
        events: list[Event] = [Started(by, "m")]
        for number, block in enumerate(blocks):
            index = number * step
            if isinstance(block, ToolUse):
                events.append(ToolStart(f"{by}{number}", block.name, index))
                events += [ToolDelta(p, index) for p in pieces(draw, block.arguments)]
            elif isinstance(block, Thinking):
                events += [ThinkingDelta(p, index) for p in pieces(draw, block.text)]
            else:
                assert isinstance(block, Text)
                events += [TextDelta(p, index) for p in pieces(draw, block.text)]
        told.append([*events, END])
    return told[0], told[1]


@settings(max_examples=300, deadline=None)
@given(tellings(), st.data())
def test_whatever_was_told_is_told_once(
    both: tuple[list[Event], list[Event]], data: st.DataObject
) -> None:
    first, second = both
    told = first[: data.draw(st.integers(1, len(first) - 1))]
    new = go_on(told, second)
    mine, whole = fold([*told, *new]), fold(first)
    assert [_bare(b) for b in mine.blocks if _bare(b)] == [_bare(b) for b in whole.blocks]
    ids = [b.id for b in mine.blocks if isinstance(b, ToolUse)]
    kept = [e.id for e in told if isinstance(e, ToolStart)]
    assert ids[: len(kept)] == kept


def _bare(block: Block) -> tuple[str, ...]:
    """What a block says; nothing where it is empty."""
    if isinstance(block, ToolUse):
        return block.name, block.arguments
    return (type(block).__name__, block.text) if block.text else ()
