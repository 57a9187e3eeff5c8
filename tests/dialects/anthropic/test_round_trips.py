"""What goes out and comes back is the same, up to what the dialect cannot say.

Its losses, each documented in the module that has it: blank texts are left out, a
refusal comes back as text, neighbouring turns of one role merge with tool results
first, system turns move to the front. The strategies here make values without these.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from octoplex.dialects.anthropic import Anthropic, AnthropicFace
from octoplex.dialects.anthropic.tool_ids import from_wire, to_wire
from octoplex.dialects.dialect import Traits
from octoplex.wire.chat import (
    Chat,
    Format,
    Media,
    Message,
    Part,
    TextPart,
    ThinkingAsk,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from octoplex.wire.event import Block, Reply, Text, Thinking, ToolUse, Usage, fold, unfold
from tests.dialects.anthropic.wires import call, call_of
from tests.dialects.grammar.anthropic import check
from tests.dialects.typed import plain

DIALECT, FACE = Anthropic(), AnthropicFace()

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
texts = words.filter(lambda t: bool(t.strip()))
idents = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
foreign_ids = idents | words
json_text = st.dictionaries(words, st.integers() | words, max_size=3).map(
    lambda value: msgspec.json.encode(value).decode()
)
counts = st.integers(0, 10**8)
signed = st.builds(Thinking, words, words) | words.map(lambda data: Thinking(data=data))
stops = st.sampled_from(["length", "refusal", "pause", "context", "tool"])


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    fresh, cached, written, wrote = (draw(counts) for _ in range(4))
    return Usage(
        input_tokens=fresh + cached + written,
        output_tokens=wrote,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)),
        reasoning_tokens=draw(st.integers(0, wrote)),
    )


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    ids = draw(st.lists(idents, unique=True, max_size=3))
    uses = [ToolUse(id_, draw(idents), draw(json_text)) for id_ in ids]
    others: list[Block] = draw(st.lists(signed | texts.map(Text), max_size=3))
    return Reply(
        id=draw(idents),
        model=draw(words),
        blocks=tuple(draw(st.permutations([*others, *uses]))),
        stop=draw(stops),
        usage=draw(usages()),
    )


@given(replies())
def test_reply(reply: Reply) -> None:
    body = FACE.encode_reply(reply)
    assert DIALECT.decode_reply(body) == reply
    seen = DIALECT.read_whole(body)
    assert (seen.model, seen.usage, seen.stop) == (reply.model, reply.usage, reply.stop)


@given(replies())
def test_stream(reply: Reply) -> None:
    wire = FACE.encoder(call(stream=True)).feed(unfold(reply))
    check(wire)
    decoder = DIALECT.decoder()
    assert fold([*decoder.feed(wire), *decoder.end()]) == reply
    scanner = DIALECT.scanner(hide_usage=False)
    assert scanner.feed(wire) is wire
    assert (scanner.usage, scanner.stop, scanner.ended) == (reply.usage, reply.stop, True)


@given(foreign_ids)
def test_tool_ids(id_: str) -> None:
    wire = to_wire(id_)
    assert all(c.isascii() and (c.isalnum() or c in "_-") for c in wire)
    assert from_wire(wire) == id_


@pytest.mark.parametrize("id_", ["octo64_", "octo64_!", "octo64_AAA", "octo64_YQ", "toolu_1"])
def test_ids_that_only_look_like_ours_stay_distinct(id_: str) -> None:
    assert from_wire(to_wire(id_)) == id_


caches = st.none() | st.just(Raw(b'{"type":"ephemeral"}'))
text_parts = st.builds(TextPart, texts, caches)
media = st.one_of(
    st.builds(Media, kind=st.sampled_from(["image", "document"]), url=words, cache=caches),
    st.builds(Media, kind=st.just("image"), data=st.just("AAAA"), media_type=st.just("image/webp")),
    st.builds(
        Media,
        kind=st.just("document"),
        data=st.just("AAAA"),
        media_type=st.just("application/pdf"),
        title=words,
    ),
    st.builds(
        Media, kind=st.just("document"), data=st.just("aGk="), media_type=st.just("text/plain")
    ),
    st.builds(Media, kind=st.sampled_from(["image", "document"]), file_id=words),
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    system = draw(st.lists(text_parts, max_size=2))
    turns = [Message("system", tuple(system))] if system else []
    results: list[Part] = []
    for _ in range(draw(st.integers(1, 3))):
        said = draw(st.lists(text_parts | media, min_size=1, max_size=3))
        turns.append(Message("user", (*results, *said)))
        ids = draw(st.lists(foreign_ids, unique=True, max_size=2))
        uses = [ToolCall(ToolUse(i, draw(idents), draw(json_text)), draw(caches)) for i in ids]
        wrote = draw(st.lists(signed | text_parts, min_size=1, max_size=3))
        turns.append(Message("assistant", (*wrote, *uses)))
        inner = st.lists(text_parts | media, max_size=2).map(tuple)
        results = [ToolResult(i, draw(inner), draw(st.booleans()), draw(caches)) for i in ids]
    turns.append(Message("user", (*results, TextPart("Well?"))))
    return tuple(turns)


schemas = st.just(Raw(b'{"type":"object","properties":{"a":{"type":"number"}}}'))
tools = st.builds(
    Tool,
    name=idents,
    description=st.none() | words,
    schema=schemas,
    strict=st.none() | st.booleans(),
    cache=caches,
)
choices = st.sampled_from(
    [
        None,
        ToolChoice(mode="auto"),
        ToolChoice(mode="any"),
        ToolChoice(mode="none"),
        ToolChoice(mode="named", name="f"),
    ]
)
thoughts = st.one_of(
    st.none(),
    st.builds(ThinkingAsk, enabled=st.just(False)),
    st.builds(
        ThinkingAsk, enabled=st.just(True), effort=st.sampled_from([None, "low", "xhigh", "max"])
    ),
    st.builds(ThinkingAsk, enabled=st.just(True), budget_tokens=st.integers(1024, 9000)),
    st.builds(ThinkingAsk, effort=st.just("medium")),
)


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    choice = draw(choices)
    serial = choice is not None and choice.mode != "none" and draw(st.booleans())
    stream = draw(st.booleans())
    return Chat(
        model="claude-sonnet-4-6",
        messages=draw(conversations()),
        stream=stream,
        usage_in_stream=stream,
        max_tokens=draw(st.integers(1, 10**6)),
        temperature=draw(st.none() | st.floats(0, 1)),
        top_p=draw(st.none() | st.floats(0, 1)),
        top_k=draw(st.none() | st.integers(1, 500)),
        stop=tuple(draw(st.lists(texts, max_size=3))),
        tools=tuple(draw(st.lists(tools, min_size=1, max_size=2))),
        tool_choice=choice,
        parallel_tools=False if serial else None,
        format=draw(st.none() | st.builds(Format, schema=schemas, strict=st.just(True))),
        thinking=draw(thoughts),
        service_tier=draw(st.sampled_from([None, "auto", "standard_only"])),
        user=draw(st.just("u-1")),
        metadata=Raw(b'{"user_id":"u-1","team":"a"}'),
        native=draw(st.sampled_from([{}, {"container": Raw(b'"c_1"')}])),
        server_tools=draw(st.sampled_from([(), (Raw(b'{"type":"bash_20250124"}'),)])),
        dialect="anthropic",
    )


@settings(max_examples=40, deadline=None)
@given(chats())
def test_chat(chat: Chat) -> None:
    sent = DIALECT.encode_chat(chat, Traits(model=chat.model))
    assert sent.dropped == ()
    got = msgspec.structs.replace(call_of(sent.body).chat(), called={})
    assert plain(got) == plain(chat)


@settings(max_examples=40, deadline=None)
@given(chats())
def test_counting_sends_the_same_prompt(chat: Chat) -> None:
    traits = Traits(model=chat.model)
    asked: dict[str, Any] = msgspec.json.decode(DIALECT.encode_chat(chat, traits).body)
    counted = msgspec.json.decode(DIALECT.encode_count(chat, traits).body)
    assert counted.keys() <= asked.keys() - {"max_tokens", "stream", "temperature"}
    for name in ("messages", "system", "tools", "thinking"):
        assert counted.get(name) == asked.get(name)


def test_a_count_is_read() -> None:
    assert DIALECT.decode_count(b'{"input_tokens": 12}') == 12
