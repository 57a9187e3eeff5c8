"""Dialects that only providers speak: what every caller's face says to them, and hears.

    caller's body --face--> Chat --dialect--> provider's body      (judged by `requests.py`)
    caller's stream <--face-- events <--dialect-- provider's stream

Requests are those of every face's transcripts, streams and replies those of the dialects'
own, so a new transcript anywhere is a new crossing.
"""

import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octoplex.dialects.bedrock_converse import BedrockConverse
from octoplex.dialects.cohere_v2 import CohereV2
from octoplex.dialects.dialect import Dialect, Traits
from octoplex.dialects.ernie_v1 import ErnieV1
from octoplex.dialects.expression import MEMBERS, WEIGHTS
from octoplex.dialects.gigachat import GigaChat
from octoplex.dialects.oci import Oci
from octoplex.dialects.ollama import Ollama
from octoplex.dialects.replicate import Replicate
from octoplex.dialects.watsonx import Watsonx
from octoplex.dialects.words import words_of
from octoplex.wire.chat import (
    Chat,
    Format,
    Media,
    Message,
    Part,
    TextPart,
    ThinkingAsk,
    Tool,
    ToolChoice,
)
from octoplex.wire.error import Unsupported
from octoplex.wire.event import Refusal, Reply, Text, Thinking, Usage, fold, unfold
from tests.dialects.grammar import requests
from tests.dialects.test_crossings import (
    CHECKS,
    FACES,
    KEPT,
    SIGNED,
    decoded,
    gathered,
    stream_of,
)
from tests.dialects.test_crossings import DIALECTS as PLAYED
from tests.dialects.test_transcripts import CASES, call_of, read, ways
from tests.dialects.typed import build

DIALECTS: dict[str, Dialect] = {
    "bedrock-converse": BedrockConverse(),
    "cohere-v2": CohereV2(),
    "ollama": Ollama(),
    "oci": Oci(),
    "replicate": Replicate(),
    "watsonx": Watsonx(),
    "gigachat": GigaChat(),
    "ernie-v1": ErnieV1(),
}
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
ECHOING = ("openai-chat", "anthropic")
"""Faces whose clients send the assistant's message back as `gathered` has it."""
MODELS = {
    "bedrock-converse": CLAUDE,
    "cohere-v2": "command-a-03-2025",
    "ollama": "qwen3",
    "oci": "meta.llama-3.3-70b-instruct",
    "replicate": "openai/gpt-5",
    "watsonx": "ibm/granite-4-h-small",
    "gigachat": "GigaChat-2-Max",
    "ernie-v1": "ernie-4.0-8k",
}
FOLDERS = {name.replace("-", "_"): name for name in DIALECTS}

OWN = [case for case in CASES if case.parent.name in FOLDERS]
STREAMS = [c for c in OWN if list(c.glob("stream.*")) and not (c / "error.json").exists()]
REPLIES = [c for c in OWN if (c / "reply.typed.json").exists()]
ASKED = [c for c in CASES if (c / "request.json").exists() and (c / "chat.json").exists()]


def named(case: Path | str) -> str:
    return case if isinstance(case, str) else f"{case.parent.name}/{case.name}"


def check_request(dialect: str, body: bytes) -> None:
    getattr(requests, dialect.replace("-", "_"))(body)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", ASKED, ids=named)
def test_every_request_is_sent_whole_or_says_what_it_lacks(case: Path, dialect: str) -> None:
    """`pains.md` row 20: what changes the answer is expressed, refused or, if asked, dropped."""
    chat = build(Chat, read(case, "chat.json"))
    traits = Traits(model=MODELS[dialect])
    lenient = msgspec.structs.replace(traits, drop_unsupported=True)
    sent = DIALECTS[dialect].encode_chat(chat, lenient)
    check_request(dialect, sent.body)
    refused = ""
    try:
        assert DIALECTS[dialect].encode_chat(chat, traits) == sent
    except Unsupported as error:
        refused = str(error.facts["param"])
    assert not refused or refused in sent.dropped


@pytest.mark.parametrize(("face", "case"), list(itertools.product(FACES, STREAMS)), ids=named)
def test_every_stream_crosses(face: str, case: Path) -> None:
    dialect = DIALECTS[FOLDERS[case.parent.name]]
    for pieces in ways(case):
        decoder = dialect.decoder()
        events = [event for piece in pieces for event in decoder.feed(piece)]
        events += decoder.end()
        wire = stream_of(face, events)
        assert said(fold(decoded(face, wire))) == said(fold(events))


@pytest.mark.parametrize(("face", "case"), list(itertools.product(FACES, REPLIES)), ids=named)
def test_every_reply_crosses(face: str, case: Path) -> None:
    reply = build(Reply, read(case, "reply.typed.json"))
    told = FACES[face].encode_reply(reply)
    assert said(PLAYED[face].decode_reply(told)) == said(reply)
    CHECKS[face](stream_of(face, unfold(reply)))


def said(reply: Reply) -> Any:
    """What a caller must hear, whatever ids and places its dialect gives it."""
    text = "".join(b.text for b in reply.blocks if isinstance(b, Text | Refusal))
    calls = [(c.name, msgspec.json.decode(c.arguments)) for c in reply.tool_calls]
    return text, calls


BASE = Chat(
    model="m",
    messages=(Message("user", (TextPart("x"),)),),
    tools=(Tool(name="f", schema=msgspec.Raw(b'{"type":"object"}')),),
)
FIELDS: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 3,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "logit_bias": msgspec.Raw(b'{"1":1}'),
    "seed": 1,
    "stop": ("a",),
    "n": 2,
    "logprobs": True,
    "top_logprobs": 1,
    "modalities": ("audio",),
    "response_format": Format(schema=msgspec.Raw(b'{"type":"object"}')),
    "tools": (Tool(name="g"),),
    "server_tools": (msgspec.Raw(b'{"type":"web_search"}'),),
    "tool_choice": ToolChoice(mode="any"),
    "parallel_tool_calls": False,
    "thinking": ThinkingAsk(effort="high"),
    "user": "u",
    "metadata": msgspec.Raw(b'{"a":"b"}'),
    "service_tier": "flex",
    "verbosity": "low",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "safety_identifier": "s",
    "extra": {"extra": msgspec.Raw(b"1")},
    "native": {"native": msgspec.Raw(b"1")},
}


def test_every_field_is_tried() -> None:
    assert set(FIELDS) == set(MEMBERS)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("field", FIELDS)
def test_no_field_is_lost_in_silence(field: str, dialect: str) -> None:
    """`pains.md` row 31: each field reaches the provider, or is named."""
    chat = msgspec.structs.replace(BASE, **{MEMBERS[field]: FIELDS[field]}, dialect="another")
    named_or_sent(dialect, chat, BASE, field)


def media(kind: Any, **given_by: Any) -> Media:
    return Media(kind=kind, **given_by)


DEEP: dict[str, Part] = {
    "image.url": media("image", url="https://x.test/a.png"),
    "image.data": media("image", data="AAAA", media_type="image/png"),
    "image.file_id": media("image", file_id="f"),
    "document.url": media("document", url="https://x.test/a.pdf"),
    "document.data": media("document", data="AAAA", media_type="text/plain"),
    "document.file_id": media("document", file_id="f"),
    "audio.url": media("audio", url="https://x.test/a.wav"),
    "audio.data": media("audio", data="AAAA", media_type="audio/wav"),
    "audio.file_id": media("audio", file_id="f"),
    "cache_control": TextPart("y", msgspec.Raw(b'{"type":"ephemeral"}')),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("field", DEEP)
def test_no_part_is_lost_in_silence(field: str, dialect: str) -> None:
    plain = (TextPart("y"),) if field == "cache_control" else ()
    chat, base = (
        msgspec.structs.replace(BASE, messages=(Message("user", (TextPart("x"), *parts)),))
        for parts in ((DEEP[field],), plain)
    )
    named_or_sent(dialect, chat, base, field)


SINGLE = {("gigachat", "parallel_tool_calls"), ("ernie-v1", "parallel_tool_calls")}
"""What is kept without a word: one call in a reply is all that these dialects have."""
PARTLY = {("ernie-v1", "response_format")}
"""What is named and yet a part of it said: JSON, without its schema."""


def named_or_sent(dialect: str, chat: Chat, base: Chat, field: str) -> None:
    lenient = Traits(model=MODELS[dialect], drop_unsupported=True)
    sent = DIALECTS[dialect].encode_chat(chat, lenient)
    changed = sent.body != DIALECTS[dialect].encode_chat(base, lenient).body
    is_named = words_of(chat).get(field, field) in sent.dropped
    assert changed != is_named or (dialect, field) in SINGLE | PARTLY
    if is_named and WEIGHTS[field] == "answer":
        with pytest.raises(Unsupported):
            DIALECTS[dialect].encode_chat(chat, Traits(model=MODELS[dialect]))


@pytest.mark.parametrize("face", ECHOING)
def test_signed_thinking_of_bedrock_survives_three_turns(face: str) -> None:
    """`pains.md` row 15: signatures come back byte for byte, redacted blocks included."""
    messages: list[Any] = [{"role": "user", "content": "x"}]
    for _ in range(3):
        messages.append(gathered(face, stream_of(face, SIGNED)))
        messages.append(
            {"role": "tool", "tool_call_id": "toolu_1", "content": "ok"}
            if face == "openai-chat"
            else {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}],
            }
        )
    body = msgspec.json.encode({"model": "m", "max_tokens": 99, "messages": messages})
    chat = call_of(FACES[face], body).chat()
    sent = DIALECTS["bedrock-converse"].encode_chat(chat, Traits(model=CLAUDE))
    assert sent.dropped == ()
    turns = msgspec.json.decode(sent.body)["messages"]
    for turn in turns[1::2]:
        signed = {"text": KEPT[0].text, "signature": KEPT[0].signature}
        assert turn["content"][:2] == [
            {"reasoningContent": {"reasoningText": signed}},
            {"reasoningContent": {"redactedContent": KEPT[1].data}},
        ]
    for other in ("cohere-v2", "ollama"):
        elsewhere = DIALECTS[other].encode_chat(chat, Traits(model=MODELS[other]))
        assert words_of(chat).get("thinking_history", "thinking") in elsewhere.dropped
        assert KEPT[0].signature.encode() not in elsewhere.body


@pytest.mark.parametrize("face", ECHOING)
@pytest.mark.parametrize("dialect", ["cohere-v2", "ollama"])
def test_unsigned_thinking_comes_back_to_those_who_take_it(face: str, dialect: str) -> None:
    blocks = (Thinking("Why."), Text("So."))
    reply = Reply(id="r", model="m", blocks=blocks, stop="end", usage=Usage(3, 9))
    message = gathered(face, stream_of(face, unfold(reply)))
    if face == "openai-chat":
        message |= {"content": "So.", "reasoning_content": "Why."}
        message.pop("reasoning_details", None)
        message.pop("tool_calls")
    asked = [{"role": "user", "content": "x"}, message, {"role": "user", "content": "y"}]
    body = msgspec.json.encode({"model": "m", "max_tokens": 99, "messages": asked})
    chat = call_of(FACES[face], body).chat()
    sent = DIALECTS[dialect].encode_chat(chat, Traits(model=MODELS[dialect], thinking="budget"))
    assert sent.dropped == ()
    assert b"Why." in sent.body


def test_calls_without_ids_get_one_of_their_own_in_every_reply() -> None:
    """Ollama names no calls: the ids made for two replies of one conversation must differ."""
    body = (
        b'{"model":"m","created_at":"%b","done":true,"message":{"role":"assistant",'
        b'"tool_calls":[{"function":{"name":"f"}},{"function":{"name":"f"}}]}}'
    )
    stamps = (b"2025-01-01T00:00:00.000000001Z", b"2025-01-01T00:00:00.000000002Z")
    made = [c.id for s in stamps for c in Ollama().decode_reply(body % s).tool_calls]
    again = [c.id for s in stamps for c in Ollama().decode_reply(body % s).tool_calls]
    assert made == again
    assert len(set(made)) == 4


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("amazon.nova-pro-v1:0", False, "/model/amazon.nova-pro-v1%3A0/converse"),
        ("m", True, "/model/m/converse-stream"),
        (
            "arn:aws:bedrock:eu-west-1:1:inference-profile/x",
            True,
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/converse-stream",
        ),
    ],
)
def test_the_model_of_bedrock_is_in_the_path(model: str, stream: bool, path: str) -> None:
    assert BedrockConverse().path_for(model, stream=stream) == path
