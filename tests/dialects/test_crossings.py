"""All crossings of the dialects: a caller's face on one side, a provider's on the other.

    caller's body --face A--> Chat --dialect B--> provider's body
    caller's stream <--face A-- events <--dialect B-- provider's stream

What must survive each is compared as `essence`: who said what, in which order, which
tools were called with what and returned what. A provider is played by the face of its
own dialect, which writes what a provider writes.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.dialects.anthropic import Anthropic, AnthropicFace
from octoplex.dialects.dialect import Dialect, Face, Traits
from octoplex.dialects.expression import SPOKEN
from octoplex.dialects.gemini import Gemini, GeminiFace
from octoplex.dialects.openai_chat import OpenAIChat, OpenAIChatFace
from octoplex.dialects.openai_responses import OpenAIResponses, OpenAIResponsesFace
from octoplex.dialects.words import words_of
from octoplex.wire.chat import (
    Chat,
    Media,
    Message,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from octoplex.wire.error import UpstreamBroken, UpstreamFailed
from octoplex.wire.event import (
    Event,
    Finished,
    RedactedThinking,
    Refusal,
    Reply,
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
    unfold,
)
from tests.dialects.grammar import anthropic as anthropic_grammar
from tests.dialects.grammar import gemini as gemini_grammar
from tests.dialects.grammar import openai_chat as chat_grammar
from tests.dialects.grammar import openai_responses as responses_grammar
from tests.dialects.test_transcripts import call_of

DIALECTS: dict[str, Dialect] = {
    "openai-chat": OpenAIChat(),
    "anthropic": Anthropic(),
    "openai-responses": OpenAIResponses(),
    "gemini": Gemini(),
}
FACES: dict[str, Face] = {
    "openai-chat": OpenAIChatFace(),
    "anthropic": AnthropicFace(),
    "openai-responses": OpenAIResponsesFace(),
    "gemini": GeminiFace(),
}
CHECKS: dict[str, Any] = {
    "openai-chat": chat_grammar.check,
    "anthropic": anthropic_grammar.check,
    "openai-responses": responses_grammar.check,
    "gemini": gemini_grammar.check,
}
CROSSINGS = list(itertools.product(FACES, DIALECTS))
crossings = pytest.mark.parametrize(("face", "dialect"), CROSSINGS)

MODEL = "claude-sonnet-4-5"
ASKS = {
    "openai-chat": b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,'
    b'"stream_options":{"include_usage":true}}',
    "anthropic": b'{"model":"m","max_tokens":100,"stream":true,'
    b'"messages":[{"role":"user","content":"x"}]}',
    "openai-responses": b'{"model":"m","input":"x","stream":true}',
    "gemini": b'{"contents":[{"parts":[{"text":"x"}]}]}',
}

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10).filter(
    str.strip
)
idents = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,10}", fullmatch=True)
objects = st.dictionaries(words, st.integers(-999, 999) | words, max_size=3).map(
    lambda value: msgspec.json.encode(value).decode()
)
texts = words.map(TextPart)
images = st.builds(
    Media, kind=st.just("image"), data=st.just("AAAA"), media_type=st.just("image/png")
) | words.map(lambda w: Media(kind="image", url=f"https://x.test/{w}"))


@st.composite
def tool_uses(draw: st.DrawFn) -> list[ToolUse]:
    ids = draw(st.lists(idents, unique=True, max_size=3))
    return [ToolUse(id_, draw(idents), draw(objects)) for id_ in ids]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    turns = [Message("system", (part,)) for part in draw(st.lists(texts, max_size=1))]
    for _ in range(draw(st.integers(1, 3))):
        turns.append(Message("user", tuple(draw(st.lists(texts | images, min_size=1, max_size=2)))))
        calls = draw(tool_uses())
        said = [*draw(st.lists(texts, max_size=1)), *(ToolCall(use) for use in calls)]
        turns.append(Message("assistant", tuple(said or [draw(texts)])))
        if calls:
            results = [ToolResult(c.id, (draw(texts),)) for c in calls]
            turns.append(Message("user", (*results, *draw(st.lists(texts, max_size=1)))))
            turns.append(Message("assistant", (draw(texts),)))
    turns.append(Message("user", (draw(texts),)))
    return tuple(turns)


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    names = draw(st.lists(idents, unique=True, max_size=2))
    schema = msgspec.Raw(b'{"type":"object","properties":{"a":{"type":"integer"}}}')
    tools = tuple(Tool(name=n, description=draw(words), schema=schema) for n in names)
    choice = st.sampled_from(["auto", "any", "none"]).map(lambda mode: ToolChoice(mode=mode))
    return Chat(
        model=MODEL,
        messages=draw(conversations()),
        stream=draw(st.booleans()),
        max_tokens=draw(st.integers(16, 4_000)),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.5])),
        stop=tuple(draw(st.lists(words, max_size=4, unique=True))),
        tools=tools,
        tool_choice=draw(st.none() | choice) if tools else None,
    )


def essence(chat: Chat) -> Any:
    """What a request says, whichever way its dialect arranges it."""
    system = "".join(
        p.text for m in chat.messages if m.role in ("system", "developer")
        for p in m.parts if isinstance(p, TextPart)
    )  # fmt: skip
    turns: list[tuple[str, list[Any]]] = []
    for message in chat.messages:
        if message.role in ("system", "developer"):
            continue
        if not turns or turns[-1][0] != message.role:
            turns.append((message.role, []))
        turns[-1][1].extend(essence_of(part) for part in message.parts)
    tools = [(t.name, t.description, msgspec.json.decode(t.schema or b"null")) for t in chat.tools]
    return (
        (system, turns, tools, chat.tool_choice or None),
        (chat.max_tokens, chat.temperature, chat.stop, chat.stream),
    )


def essence_of(part: Any) -> Any:
    match part:
        case TextPart(text=text):
            return text
        case ToolCall(use=use):
            return (use.id, use.name, msgspec.json.decode(use.arguments))
        case ToolResult(id=id_, parts=parts):
            return (id_, [essence_of(p) for p in parts])
        case Media(url=url, data=data, media_type=kind):
            return (url, data, kind if data else None)  # of a URL only its server knows it
    return part


@crossings
@given(chat=chats())
def test_a_request_crosses(face: str, dialect: str, chat: Chat) -> None:
    traits = Traits(model=MODEL)
    if not all("stop" in SPOKEN[name] for name in (face, dialect)):
        chat = msgspec.structs.replace(chat, stop=())
    body = DIALECTS[face].encode_chat(chat, traits).body
    path = DIALECTS[face].path_for(MODEL, stream=chat.stream)
    asked = call_of(FACES[face], body, path).chat()
    sent = DIALECTS[dialect].encode_chat(asked, traits)
    assert sent.dropped == ()
    path = DIALECTS[dialect].path_for(MODEL, stream=asked.stream)
    understood = call_of(FACES[dialect], sent.body, path).chat()
    assert essence(understood) == essence(asked) == essence(chat)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    """Replies without thinking, whose fate depends on who made it: see below."""
    calls = draw(tool_uses())
    text = draw(st.lists(words, min_size=0 if calls else 1, max_size=1))
    # Of no input an end of Anthropic's says nothing, after the estimate of its start.
    read, wrote = draw(st.integers(1, 10**6)), draw(st.integers(0, 10**6))
    return Reply(
        id=draw(idents),
        model=draw(idents),
        blocks=(*map(Text, text), *calls),
        stop="tool" if calls else draw(st.sampled_from(["end", "length", "refusal"])),
        usage=Usage(
            input_tokens=read,
            output_tokens=wrote,
            cached_tokens=draw(st.integers(0, read)),
            reasoning_tokens=draw(st.integers(0, wrote)),
        ),
    )


@crossings
@given(reply=replies())
def test_a_reply_crosses(face: str, dialect: str, reply: Reply) -> None:
    provider = FACES[dialect].encode_reply(reply)
    understood = DIALECTS[dialect].decode_reply(provider)
    given_to_caller = FACES[face].encode_reply(understood)
    assert same(DIALECTS[face].decode_reply(given_to_caller), reply)


@crossings
@given(reply=replies())
def test_a_stream_crosses(face: str, dialect: str, reply: Reply) -> None:
    provider = stream_of(dialect, unfold(reply))
    events = decoded(dialect, provider)
    caller = stream_of(face, events)
    assert same(fold(decoded(face, caller)), reply)


def same(got: Reply, wanted: Reply) -> bool:
    """Equal, with arguments compared as JSON: Anthropic has them as an object."""
    return canonical(got) == canonical(wanted)


def canonical(reply: Reply) -> Any:
    blocks = [
        (b.id, b.name, msgspec.json.decode(b.arguments)) if isinstance(b, ToolUse) else b
        for b in reply.blocks
    ]
    return blocks, reply.id, reply.model, reply.stop, reply.usage


def stream_of(face: str, events: Sequence[Event]) -> bytes:
    wire = FACES[face].encoder(call_of(FACES[face], ASKS[face])).feed(events)
    CHECKS[face](wire)
    return wire


def decoded(dialect: str, wire: bytes) -> list[Event]:
    decoder = DIALECTS[dialect].decoder()
    return [*decoder.feed(wire), *decoder.end()]


INTERLEAVED: list[Event] = [
    Started("r1", "m"),
    TextDelta("Both.", 0),
    ToolStart("a", "f", 1),
    ToolStart("b", "g", 2),
    ToolDelta('{"y"', 2),
    ToolDelta('{"x"', 1),
    ToolDelta(":1}", 1),
    ToolDelta(":2}", 2),
    ToolStart("c", "h", 3),
    Finished(stop="tool", usage=Usage(input_tokens=3, output_tokens=9)),
]


@crossings
def test_interleaved_tool_calls_come_out_in_order(face: str, dialect: str) -> None:
    provider = stream_of(dialect, INTERLEAVED)
    reply = fold(decoded(face, stream_of(face, decoded(dialect, provider))))
    assert [(c.id, msgspec.json.decode(c.arguments)) for c in reply.tool_calls] == [
        ("a", {"x": 1}),
        ("b", {"y": 2}),
        ("c", {}),
    ]


@crossings
@pytest.mark.parametrize("after", range(len(INTERLEAVED)))
def test_a_failure_is_never_an_end(face: str, dialect: str, after: int) -> None:
    encoder = FACES[face].encoder(call_of(FACES[face], ASKS[face]))
    wire = encoder.feed(INTERLEAVED[:after]) + encoder.fail(UpstreamBroken("it broke off"))
    CHECKS[face](wire)
    with pytest.raises((UpstreamBroken, UpstreamFailed)):
        decoded(face, wire)
    scanner = DIALECTS[face].scanner(hide_usage=False)
    scanner.feed(wire)
    assert scanner.error is not None
    assert scanner.stop is None


SIGNATURE, CIPHER = "EqQBCgIYAhIM1gbcDa9GJwZA2b3h+/=", "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlx"
SIGNED: list[Event] = [
    Started("msg_1", MODEL),
    ThinkingDelta("I should ", 0),
    ThinkingDelta("look.\n", 0),
    ThinkingDelta("", 0, SIGNATURE),
    RedactedThinking(CIPHER, 1),
    ToolStart("toolu_1", "f", 2),
    ToolDelta("{}", 2),
    Finished(stop="tool", usage=Usage(input_tokens=3, output_tokens=9)),
]
KEPT = (Thinking("I should look.\n", SIGNATURE), Thinking(data=CIPHER))


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("face", ["openai-chat", "anthropic"])
def test_signed_thinking_survives_a_client_that_echoes(face: str, streamed: bool) -> None:
    """Anthropic's signatures come back to Anthropic byte for byte, through both faces."""
    events = decoded("anthropic", stream_of("anthropic", SIGNED))
    if streamed:
        message = gathered(face, stream_of(face, events))
    else:
        message = message_of(face, FACES[face].encode_reply(fold(events)))
    result: Any = (
        {"role": "tool", "tool_call_id": "toolu_1", "content": "ok"}
        if face == "openai-chat"
        else {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}],
        }
    )
    body = {
        "model": "m",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "x"}, message, result],
    }
    chat = call_of(FACES[face], msgspec.json.encode(body)).chat()
    assert chat.messages[1].parts[:2] == KEPT

    again = DIALECTS["anthropic"].encode_chat(chat, Traits(model=MODEL))
    blocks = msgspec.json.decode(again.body)["messages"][1]["content"]
    assert blocks[0] == {"type": "thinking", "thinking": KEPT[0].text, "signature": SIGNATURE}
    assert blocks[1] == {"type": "redacted_thinking", "data": CIPHER}

    elsewhere = DIALECTS["openai-chat"].encode_chat(chat, Traits(model="gpt-5"))
    assert SIGNATURE.encode() not in elsewhere.body
    assert words_of(chat).get("thinking_history", "thinking") in elsewhere.dropped


def message_of(face: str, body: bytes) -> dict[str, Any]:
    reply = msgspec.json.decode(body)
    if face == "openai-chat":
        return dict(reply["choices"][0]["message"])
    return {"role": "assistant", "content": reply["content"]}


def gathered(face: str, wire: bytes) -> dict[str, Any]:
    """The message as a plain client gathers it from the stream."""
    if face == "anthropic":
        return message_of(face, FACES[face].encode_reply(fold(decoded(face, wire))))
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls: list[Any] = []
    for line in wire.splitlines():
        if not line.startswith(b"data: {"):
            continue
        for choice in msgspec.json.decode(line[6:])["choices"]:
            delta = choice["delta"]
            message.setdefault("reasoning_details", []).extend(delta.get("reasoning_details", ()))
            for call in delta.get("tool_calls", ()):
                if "id" in call:
                    calls.append(call)
                else:
                    calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return {**message, "tool_calls": calls}


@crossings
def test_a_refusal_is_told_in_the_callers_words(face: str, dialect: str) -> None:
    reply = Reply(id="r", model="m", blocks=(Refusal("No."),), stop="refusal", usage=Usage(1, 1))
    wire = FACES[dialect].encode_reply(reply)
    got = DIALECTS[face].decode_reply(
        FACES[face].encode_reply(DIALECTS[dialect].decode_reply(wire))
    )
    assert got.stop == "refusal"
    assert "".join(b.text for b in got.blocks if isinstance(b, Text | Refusal)) == "No."
