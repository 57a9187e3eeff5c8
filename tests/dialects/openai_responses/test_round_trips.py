"""What goes out and comes back is the same, up to what the dialect cannot say.

Its losses, each documented in the module that has it: a failed tool result becomes text,
one-text system turns at the head become instructions, neighbouring turns of the assistant
merge, tool results come first in a user's turn; `strict` is always said.
"""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from octoplex.dialects.dialect import Traits
from octoplex.dialects.foreign import pin
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
from octoplex.wire.error import InvalidCall
from octoplex.wire.event import Block, Refusal, Reply, Text, Thinking, ToolUse, Usage, fold, unfold
from tests.dialects.grammar.openai_responses import check
from tests.dialects.openai_responses.wires import DIALECT, FACE, call, call_of
from tests.dialects.typed import plain

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
idents = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
json_text = st.dictionaries(words, st.integers() | words, max_size=3).map(
    lambda value: msgspec.json.encode(value).decode()
)
counts = st.integers(0, 10**8)
own = st.builds(lambda id_, cipher: pin("openai-responses", f"{id_}:{cipher}"), idents, idents)
thoughts = st.builds(Thinking, words, own) | own.map(lambda proof: Thinking(data=proof))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    read, wrote = draw(counts), draw(counts)
    cached = draw(st.integers(0, read))
    return Usage(
        input_tokens=read,
        output_tokens=wrote,
        cached_tokens=cached,
        cache_write_tokens=draw(st.integers(0, read - cached)),
        reasoning_tokens=draw(st.integers(0, wrote)),
    )


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    kinds = thoughts | words.map(Text) | words.map(Refusal) | words.map(Thinking)
    blocks: list[Block] = draw(st.lists(kinds, max_size=5))
    ids = draw(st.lists(idents, unique=True, max_size=3))
    calls = [ToolUse(id_, draw(idents), draw(json_text)) for id_ in ids]
    mixed = draw(st.permutations([*blocks, *calls]))
    refused = any(isinstance(b, Refusal) for b in mixed)
    ends = ["length"] if refused else ["end", "length", "refusal"]
    stop = "tool" if calls else draw(st.sampled_from([*ends, *(["refusal"] if refused else [])]))
    return Reply(
        id=draw(idents), model=draw(words), blocks=tuple(mixed), stop=stop, usage=draw(usages())
    )


@given(replies())
def test_reply(reply: Reply) -> None:
    body = FACE.encode_reply_to(call(), reply)
    assert DIALECT.decode_reply(body) == reply
    seen = DIALECT.read_whole(body)
    assert (seen.model, seen.usage) == (reply.model, reply.usage)


@given(replies(), st.booleans())
def test_stream(reply: Reply, at_once: bool) -> None:
    encoder = FACE.encoder(call(stream=True))
    events = unfold(reply)
    wire = b"".join(
        [encoder.feed(part) for part in ([events] if at_once else [[e] for e in events])]
    )
    check(wire)
    decoder = DIALECT.decoder()
    again = fold([*decoder.feed(wire), *decoder.end()])
    assert canonical(again) == canonical(reply)
    scanner = DIALECT.scanner(hide_usage=False)
    assert scanner.feed(wire) is wire
    assert scanner.usage == reply.usage
    assert scanner.ended
    whole = json.loads(wire.splitlines()[-2][6:])["response"]
    expected = json.loads(FACE.encode_reply_to(call(stream=True), reply))
    assert without_ids(whole) == without_ids(expected)


def canonical(reply: Reply) -> Any:
    """A stream announces the id of a reasoning item before its maker's own is known."""
    blocks = []
    for block in reply.blocks:
        if isinstance(block, Thinking):
            proof = (block.signature or block.data).rpartition(":")[2]
            block = Thinking(block.text, proof)
        blocks.append(block)
    return blocks, reply.id, reply.model, reply.stop, reply.usage


def without_ids(response: Any) -> Any:
    for item in response["output"]:
        if item["type"] == "reasoning":
            del item["id"]
    return response


texts = words.map(TextPart)
images = st.just(Media(kind="image", data="AAAA", media_type="image/png")) | words.map(
    lambda w: Media(kind="image", url=f"https://x.test/{w}", detail="low")
)
files = words.map(
    lambda w: Media(kind="document", data="AAAA", media_type="application/pdf", title=w)
)
files |= st.just(Media(kind="document", url="https://x.test/a.pdf"))
files |= st.just(Media(kind="document", file_id="file-1"))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    roles = st.sampled_from(["system", "developer"])
    turns = [Message(draw(roles), (part,)) for part in draw(st.lists(texts, max_size=2))]
    for _ in range(draw(st.integers(1, 3))):
        turns.append(
            Message("user", tuple(draw(st.lists(texts | images | files, min_size=1, max_size=3))))
        )
        ids = draw(st.lists(idents, unique=True, max_size=3))
        calls = [ToolCall(ToolUse(id_, draw(idents), draw(json_text))) for id_ in ids]
        said: list[Part] = draw(st.lists(texts | thoughts | words.map(Refusal), max_size=3))
        mixed = draw(st.permutations([*said, *calls]))
        turns.append(Message("assistant", tuple(mixed) or (draw(texts),)))
        if calls:
            inner = st.lists(texts | images, min_size=1, max_size=2).map(tuple)
            results = [ToolResult(c.use.id, draw(inner)) for c in calls]
            turns.append(Message("user", (*results, *draw(st.lists(texts, max_size=1)))))
            turns.append(Message("assistant", (draw(texts),)))
    return tuple(turns)


schemas = json_text.map(lambda text: Raw(text.encode()))
maybe = st.none


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    tool = st.builds(
        Tool, name=idents, description=maybe() | words, schema=schemas, strict=st.booleans()
    )
    tools = tuple(draw(st.lists(tool, max_size=2)))
    choice = st.sampled_from(["auto", "any", "none"]).map(lambda mode: ToolChoice(mode=mode))
    choice |= idents.map(lambda name: ToolChoice(mode="named", name=name))
    efforts = st.sampled_from(["low", "high", "max"])
    return Chat(
        model="m",
        dialect="openai-responses",
        messages=draw(conversations()),
        stream=(stream := draw(st.booleans())),
        usage_in_stream=stream,
        max_tokens=draw(maybe() | st.integers(16, 10**6)),
        temperature=draw(maybe() | st.floats(0, 2)),
        top_p=draw(maybe() | st.floats(0, 1)),
        tools=tools,
        tool_choice=draw(maybe() | choice) if tools else None,
        parallel_tools=draw(maybe() | st.booleans()) if tools else None,
        format=draw(maybe() | st.builds(Format) | st.builds(Format, schema=schemas, name=idents)),
        thinking=draw(maybe() | st.builds(ThinkingAsk, effort=efforts)),
        user=draw(maybe() | words),
        metadata=draw(maybe() | schemas),
        service_tier=draw(maybe() | st.just("flex")),
        verbosity=draw(maybe() | st.just("low")),
        prompt_cache_key=draw(maybe() | st.just("k")),
        extra=draw(st.just({}) | st.just({"later": Raw(b"[1]")})),
        native=draw(st.just({}) | st.just({"prompt": Raw(b'{"id":"p"}')})),
    )


@given(chats())
def test_chat(chat: Chat) -> None:
    sent = DIALECT.encode_chat(chat, Traits(model="m"))
    assert sent.dropped == ()
    assert plain(call_of(sent.body).chat()) == plain(chat)


@given(chats())
def test_what_counts_is_what_is_asked(chat: Chat) -> None:
    asked = json.loads(DIALECT.encode_chat(chat, Traits(model="m")).body)
    counted = json.loads(DIALECT.encode_count(chat, Traits(model="m")).body)
    assert counted["input"] == asked["input"]
    assert counted.get("tools") == asked.get("tools")
    assert not {"stream", "store", "max_output_tokens", "temperature"} & counted.keys()


ITEMS = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["user", "input_text", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "text", "output", "call_id", "summary", "name", "id"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=10,
)
KINDS = st.sampled_from(
    ["message", "reasoning", "function_call", "function_call_output", "shell_call_output", "odd"]
)


KINDED = st.builds(
    lambda kind, item: {**(item if isinstance(item, dict) else {}), "type": kind}, KINDS, ITEMS
)


@given(st.lists(ITEMS | KINDED, min_size=1, max_size=3))
def test_any_request_is_understood_or_refused(items: list[Any]) -> None:
    odd = {"input": items, "tools": items, "text": items[0], "tool_choice": items[0]}
    for name, value in odd.items():
        try:
            chat = call(**{name: value}).chat()
        except InvalidCall:
            continue
        DIALECT.encode_chat(chat, Traits(model="m", drop_unsupported=True))
