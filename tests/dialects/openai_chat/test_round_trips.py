"""What goes out and comes back is the same, up to what the dialect cannot say.

Its losses, each documented in the module that has it: blocks come back in the order
thinking, text, refusal, tool calls, and neighbours of one kind merge; the stop sequence
and the cause of a `pause`, `context` or `stop_sequence` end are lost; a failed tool
result becomes text. The strategies here make values without these.
"""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.dialect import Traits
from octoplex.dialects.openai_chat import OpenAIChat, OpenAIChatFace
from octoplex.wire.chat import (
    Chat,
    Format,
    Media,
    Message,
    TextPart,
    ThinkingAsk,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from octoplex.wire.error import InvalidCall
from octoplex.wire.event import (
    Refusal,
    Reply,
    Started,
    Text,
    TextDelta,
    Thinking,
    ToolUse,
    Usage,
    fold,
    unfold,
)
from tests.dialects.grammar.openai_chat import check
from tests.dialects.test_transcripts import call_of
from tests.dialects.typed import plain

DIALECT, FACE = OpenAIChat(), OpenAIChatFace()
ASK = (
    b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,'
    b'"stream_options":{"include_usage":true}}'
)

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
idents = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
json_text = st.dictionaries(words, st.integers() | words, max_size=3).map(
    lambda value: msgspec.json.encode(value).decode()
)
counts = st.integers(0, 10**8)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    read, wrote = draw(counts), draw(counts)
    return Usage(
        input_tokens=read,
        output_tokens=wrote,
        cached_tokens=draw(st.integers(0, read)),
        reasoning_tokens=draw(st.integers(0, wrote)),
    )


@st.composite
def tool_uses(draw: st.DrawFn) -> list[ToolUse]:
    ids = draw(st.lists(idents, unique=True, max_size=3))
    return [ToolUse(id_, draw(idents), draw(json_text)) for id_ in ids]


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    signed = st.builds(Thinking, words, words) | words.map(lambda data: Thinking(data=data))
    thinking = draw(st.lists(signed, max_size=2) | words.map(lambda t: [Thinking(t)]))
    text = [Text(t) for t in draw(st.lists(words, max_size=1))]
    refused = [Refusal(t) for t in draw(st.lists(words, max_size=1))]
    calls = draw(tool_uses())
    stop = "tool" if calls else "refusal" if refused else draw(
        st.sampled_from(["end", "length", "refusal"])
    )  # fmt: skip
    return Reply(
        id=draw(idents),
        model=draw(words),
        blocks=(*thinking, *text, *refused, *calls),
        stop=stop,
        usage=draw(usages()),
    )


@given(replies())
def test_reply(reply: Reply) -> None:
    body = FACE.encode_reply(reply)
    assert DIALECT.decode_reply(body) == reply
    assert DIALECT.read_whole(body).usage == reply.usage


@given(replies())
def test_stream(reply: Reply) -> None:
    wire = FACE.encoder(call_of(FACE, ASK)).feed(unfold(reply))
    check(wire)
    decoder = DIALECT.decoder()
    events = [*decoder.feed(wire), *decoder.end()]
    assert fold(events) == reply
    scanner = DIALECT.scanner(hide_usage=False)
    assert scanner.feed(wire) is wire
    assert scanner.usage == reply.usage


texts = words.map(TextPart)
images = st.builds(
    Media,
    kind=st.just("image"),
    url=words.map(lambda w: "https://x.test/" + w),
    detail=st.none() | st.just("low"),
) | st.builds(Media, kind=st.just("image"), data=st.just("AAAA"), media_type=st.just("image/webp"))
files = st.builds(
    Media,
    kind=st.just("document"),
    data=st.just("AAAA"),
    media_type=st.just("application/pdf"),
    title=words,
)
parts = texts | images | files


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    turns = [
        Message(role, (part,), name)
        for role, part, name in draw(
            st.lists(
                st.tuples(st.sampled_from(["system", "developer"]), texts, st.none() | idents),
                max_size=2,
            )
        )
    ]
    for _ in range(draw(st.integers(1, 3))):
        turns.append(Message("user", tuple(draw(st.lists(parts, min_size=1, max_size=3)))))
        calls = draw(tool_uses())
        said = [*draw(st.lists(texts, max_size=2)), *(ToolCall(use) for use in calls)]
        turns.append(Message("assistant", tuple(said or draw(st.tuples(texts)))))
        if calls:
            results = [ToolResult(c.id, draw(st.tuples(texts, texts))) for c in calls]
            turns.append(Message("user", (*results, *draw(st.lists(texts, max_size=1)))))
            turns.append(Message("assistant", (draw(texts),)))
    return tuple(turns)


schemas = json_text.map(lambda text: msgspec.Raw(text.encode()))
maybe = st.none


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    tools = draw(
        st.lists(
            st.builds(
                Tool,
                name=idents,
                description=maybe() | words,
                schema=maybe() | schemas,
                strict=maybe() | st.booleans(),
            ),
            max_size=2,
        )
    )
    choices = st.sampled_from(["auto", "any", "none"]).map(lambda mode: ToolChoice(mode=mode))
    return Chat(
        model="m",
        dialect="openai-chat",
        messages=draw(conversations()),
        stream=(stream := draw(st.booleans())),
        usage_in_stream=stream,
        max_tokens=draw(maybe() | st.integers(1, 10**6)),
        temperature=draw(maybe() | st.floats(0, 2)),
        top_p=draw(maybe() | st.floats(0, 1)),
        stop=tuple(draw(st.lists(words, max_size=4))),
        tools=tuple(tools),
        tool_choice=draw(maybe() | choices) if tools else None,
        parallel_tools=draw(maybe() | st.booleans()) if tools else None,
        format=draw(maybe() | st.builds(Format) | st.builds(Format, schema=schemas, name=idents)),
        thinking=draw(
            maybe() | st.builds(ThinkingAsk, effort=st.sampled_from(["low", "high", "max"]))
        ),
        seed=draw(maybe() | st.integers(0, 2**31)),
        user=draw(maybe() | words),
        service_tier=draw(maybe() | st.just("flex")),
    )


@given(chats(), st.booleans())
def test_chat(chat: Chat, newer: bool) -> None:
    quirks = {"developer_role"} | ({"max_completion_tokens"} if newer else set())
    sent = DIALECT.encode_chat(chat, Traits(model="m", quirks=frozenset(quirks)))
    assert sent.dropped == ()
    assert plain(call_of(FACE, sent.body).chat()) == plain(chat)


def test_parts_of_no_known_kind_are_read_over() -> None:
    odd = b'{"role":"assistant","content":[{"type":"thinking","thinking":[1,{"text":"Hm."}]},7]}'
    wire = b'data: {"id":"c","choices":[{"index":0,"delta":%b,"finish_reason":"stop"}]}\n\n' % odd
    decoder = DIALECT.decoder()
    reply = fold([*decoder.feed(wire), *decoder.end()])
    assert reply.thinking == "Hm."


def test_a_body_that_is_not_utf8_cannot_be_understood() -> None:
    body = ASK.replace(b'"m"', b'"m","metadata":{"a":"\xff"}')
    with pytest.raises(InvalidCall, match="UTF-8"):
        call_of(FACE, body).chat()


def test_a_long_id_does_not_make_every_chunk_long() -> None:
    encoder = FACE.encoder(call_of(FACE, ASK))
    encoder.feed([Started("x" * 100_000, "y" * 100_000)])
    assert len(encoder.feed([TextDelta("a")])) < 2000


def test_pieces_without_an_index_are_told_apart_by_id() -> None:
    pieces = [("a", "f", '{"x":'), ("b", "g", "{}"), ("a", "", "1}")]
    wire = b"".join(
        b'data: {"choices":[{"delta":{"tool_calls":[%b]}}]}\n\n'
        % msgspec.json.encode({"id": id_, "function": {"name": name, "arguments": arguments}})
        for id_, name, arguments in pieces
    )
    decoder = DIALECT.decoder()
    events = [*decoder.feed(wire + b'data: {"choices":[{"finish_reason":"stop"}]}\n\n')]
    uses = fold([*events, *decoder.end()]).tool_calls
    assert [(use.id, use.name, use.arguments) for use in uses] == [
        ("a", "f", '{"x":1}'),
        ("b", "g", "{}"),
    ]
