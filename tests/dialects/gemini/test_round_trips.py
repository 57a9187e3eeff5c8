"""What goes out and comes back is the same; noise raises only what is declared.

Losses of the dialect, each documented in the module that has it: empty texts, the order of
turns of one role, a refusal that comes back as text, cache writes.
"""

import contextlib
import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from octoplex.dialects.dialect import Traits
from octoplex.dialects.foreign import pin
from octoplex.dialects.gemini import Gemini, GeminiFace, JsonArray
from octoplex.dialects.gemini.schema import json_schema
from octoplex.transport.sse import Splitter
from octoplex.wire.chat import (
    Chat,
    Format,
    Message,
    TextPart,
    ThinkingAsk,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from octoplex.wire.error import CallerError, UpstreamError
from octoplex.wire.event import (
    Block,
    Event,
    Finished,
    Reply,
    Text,
    Thinking,
    ToolUse,
    Usage,
    fold,
    unfold,
)
from tests.dialects.grammar.gemini import check
from tests.dialects.test_transcripts import CASES, call_of
from tests.dialects.typed import plain

DIALECT, FACE = Gemini(), GeminiFace()
ASK = b'{"contents":[{"parts":[{"text":"x"}]}]}'
STREAM = "/models/m:streamGenerateContent?alt=sse"

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
idents = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
proofs = st.binary(min_size=1, max_size=12).map(lambda data: b64encode(data).decode())
objects = st.dictionaries(words, st.integers() | words, max_size=3).map(
    lambda value: msgspec.json.encode(value).decode()
)
thoughts = (
    st.builds(Thinking, words, proofs.map(lambda p: pin("gemini", p)) | words)
    | words.map(lambda cipher: Thinking(data=cipher))
    | words.map(Thinking)
)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    ids = draw(st.lists(idents, unique=True, max_size=3))
    signature = draw(proofs | st.just(""))
    uses = [
        ToolUse(id_, draw(idents), draw(objects), signature if n == 0 else "")
        for n, id_ in enumerate(ids)
    ]
    blocks: list[Block] = draw(st.lists(thoughts, max_size=1))
    blocks += [Text(text) for text in draw(st.lists(words, max_size=1))]
    wrote, read = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    return Reply(
        id=draw(idents),
        model=draw(words),
        blocks=(*blocks, *uses),
        stop="tool" if uses else draw(st.sampled_from(["end", "length", "refusal"])),
        usage=Usage(
            input_tokens=read,
            output_tokens=wrote,
            cached_tokens=draw(st.integers(0, read)),
            reasoning_tokens=draw(st.integers(0, wrote)),
        ),
    )


@given(replies())
def test_reply(reply: Reply) -> None:
    body = FACE.encode_reply(reply)
    assert DIALECT.decode_reply(body) == reply
    seen = DIALECT.read_whole(body)
    assert (seen.model, seen.usage) == (reply.model, reply.usage)


@given(replies())
def test_stream(reply: Reply) -> None:
    wire = FACE.encoder(call_of(FACE, ASK, STREAM)).feed(unfold(reply))
    check(wire)
    decoder = DIALECT.decoder()
    assert fold([*decoder.feed(wire), *decoder.end()]) == reply
    scanner = DIALECT.scanner(hide_usage=False)
    assert scanner.feed(wire) is wire
    assert (scanner.usage, scanner.content) == (reply.usage, True)


@given(st.lists(replies(), max_size=3))
def test_a_stream_as_one_array(several: list[Reply]) -> None:
    array = JsonArray()
    out, wanted = b"", []
    for reply in several:
        wire = FACE.encoder(call_of(FACE, ASK, STREAM)).feed(unfold(reply))
        out += array.feed(wire)
        wanted += [json.loads(line[6:]) for line in wire.split(b"\n\n") if line]
    assert json.loads(out + array.end()) == wanted


schemas = st.just(Raw(b'{"type":"object","properties":{"a_b":{"type":"number"}}}'))
tools = st.builds(Tool, name=idents, description=st.none() | words, schema=schemas)


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    ids = draw(st.lists(idents, unique=True, max_size=3))
    uses = tuple(ToolCall(ToolUse(i, draw(idents), draw(objects), draw(proofs))) for i in ids)
    results = tuple(ToolResult(i, (TextPart(draw(words)),), draw(st.booleans())) for i in ids)
    system = draw(st.lists(words, max_size=1))
    asked = [
        *(Message("system", (TextPart(text),)) for text in system),
        Message("user", (TextPart(draw(words)),)),
        Message("assistant", (TextPart(draw(words)), *uses)),
        Message("user", (*results, TextPart(draw(words)))),
    ]
    stream = draw(st.booleans())
    return Chat(
        model="gemini-3-flash",
        messages=tuple(asked),
        stream=stream,
        usage_in_stream=stream,
        max_tokens=draw(st.none() | st.integers(1, 10**6)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        top_k=draw(st.none() | st.integers(1, 500)),
        n=draw(st.integers(1, 3)),
        seed=draw(st.none() | st.integers(0, 2**31)),
        stop=tuple(draw(st.lists(words, max_size=5))),
        tools=tuple(draw(st.lists(tools, min_size=1, max_size=2))),
        tool_choice=draw(
            st.sampled_from(
                [None, ToolChoice(mode="auto"), ToolChoice(mode="any"), ToolChoice(mode="none")]
            )
        ),
        format=draw(st.none() | st.builds(Format, schema=schemas, strict=st.just(True))),
        thinking=draw(
            st.sampled_from([None, ThinkingAsk(effort="low"), ThinkingAsk(enabled=True)])
        ),
        service_tier=draw(st.sampled_from([None, "flex", "standard"])),
        extra=draw(st.sampled_from([{}, {"generationConfig.mediaResolution": Raw(b'"LOW"')}])),
        native=draw(st.sampled_from([{}, {"cachedContent": Raw(b'"c/1"')}])),
        server_tools=draw(st.sampled_from([(), (Raw(b'{"googleSearch":{}}'),)])),
        dialect="gemini",
    )


@settings(max_examples=60, deadline=None)
@given(chats())
def test_chat(chat: Chat) -> None:
    sent = DIALECT.encode_chat(chat, Traits(model=chat.model, thinking="effort"))
    assert sent.dropped == ()
    path = DIALECT.path_for(chat.model, stream=chat.stream)
    assert plain(call_of(FACE, sent.body, path).chat()) == plain(chat)


@settings(max_examples=30, deadline=None)
@given(chats())
def test_counting_sends_the_same_request(chat: Chat) -> None:
    traits = Traits(model=chat.model)
    asked = json.loads(DIALECT.encode_chat(chat, traits).body)
    counted = json.loads(DIALECT.encode_count(chat, traits).body)
    assert counted == {"generateContentRequest": {"model": "models/gemini-3-flash", **asked}}
    fields = msgspec.json.decode(DIALECT.encode_count(chat, traits).body, type=dict[str, Raw])
    FACE.read_count_head(fields)


# -- noise ------------------------------------------------------------------------------------

STREAMS = [p for c in CASES if c.parent.name == "gemini" for p in c.glob("stream.sse")]
PIECES = [e + b"\n\n" for s in STREAMS for e in s.read_bytes().split(b"\n\n") if e]
WORDS = """candidates content parts text thought thoughtSignature functionCall id name args
    finishReason index usageMetadata promptTokenCount promptFeedback blockReason error details
    code status responseId contents role functionResponse response inlineData mimeType tools
    generationConfig thinkingConfig toolConfig systemInstruction STOP model parameters type
    functionDeclarations properties generateContentRequest"""
NAMES = st.sampled_from(WORDS.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | NAMES | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=16,
)


def heard(pieces: list[bytes]) -> list[Event]:
    """Everything decoded until it ends or fails; anything but a declared error comes out."""
    decoder, events = DIALECT.decoder(), list[Event]()
    try:
        for piece in pieces:
            try:
                decoder.feed(piece)
            finally:
                events += decoder.read
        events += decoder.end()
    except UpstreamError:
        pass
    assert not any(isinstance(e, Finished) for e in events[:-1])
    return events


@given(st.data())
def test_damaged_streams_raise_nothing_undeclared(data: st.DataObject) -> None:
    wire = bytearray(b"".join(data.draw(st.lists(st.sampled_from(PIECES), max_size=6))))
    for _ in range(data.draw(st.integers(0, 3))):
        if wire:
            wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    heard([bytes(wire)])
    scanner = DIALECT.scanner(hide_usage=False)
    for line in scanner.feed(bytes(wire)).splitlines():
        if line.startswith(b"data: {"):
            json.loads(line[6:])
    JsonArray().feed(bytes(wire))


@pytest.mark.parametrize("path", STREAMS, ids=lambda p: p.parent.name)
def test_every_cut_gives_the_same_events(path: Any) -> None:
    wire = path.read_bytes()
    expected = heard([wire])
    for at in range(len(wire) + 1):
        splitter = Splitter()
        pieces = [piece for half in (wire[:at], wire[at:]) if (piece := splitter.feed(half))]
        assert heard(pieces) == expected


@given(st.lists(JSON, min_size=1, max_size=3))
def test_any_json_raises_nothing_undeclared(values: list[Any]) -> None:
    texts = [msgspec.json.encode(value) for value in values]
    pieces = [b"data: " + text + b"\n\n" for text in texts]
    heard(pieces)
    scanner = DIALECT.scanner(hide_usage=False)
    for piece in pieces:
        scanner.feed(piece)
    for read in (DIALECT.decode_reply, DIALECT.read_whole, DIALECT.decode_count):
        with contextlib.suppress(UpstreamError):
            read(texts[0])
    assert isinstance(DIALECT.decode_error(400, {}, texts[0]), UpstreamError)


@given(st.dictionaries(NAMES, JSON, max_size=5), JSON)
def test_any_request_is_understood_or_refused(fields: dict[str, Any], contents: Any) -> None:
    body = msgspec.json.encode({**fields, "contents": contents})
    with contextlib.suppress(CallerError):
        chat = call_of(FACE, body).chat()
        DIALECT.encode_chat(chat, Traits(model="gemini-3-flash", drop_unsupported=True))


@given(st.binary(max_size=200))
def test_noise(noise: bytes) -> None:
    heard([noise])
    DIALECT.scanner(hide_usage=False).feed(noise)
    assert isinstance(DIALECT.decode_error(500, {}, noise), UpstreamError)


@given(JSON)
def test_any_schema(value: Any) -> None:
    json_schema(Raw(msgspec.json.encode(value)))
