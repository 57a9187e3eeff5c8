"""Thought signatures come back to Gemini through clients that know nothing of them.

A stock client keeps a tool call's id, name and arguments, and nothing else.
"""

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from octoplex.dialects.dialect import Traits
from octoplex.dialects.foreign import HISTORY, without_foreign
from octoplex.dialects.gemini.signatures import SUBSTITUTE
from octoplex.dialects.signed_ids import LONGEST, MARK, sign, unsign
from octoplex.wire.chat import Chat
from octoplex.wire.event import (
    Event,
    Finished,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    Usage,
    fold,
)
from tests.dialects.test_crossings import DIALECTS, FACES, decoded, stream_of
from tests.dialects.test_transcripts import call_of

FIRST = "CpcHAdHtim9+q4rstcbvQC0ic4x1/vqQlCJWgE+UZ6dTLYGHMMBkF/AxqL5UmP6SY46uYC8t4BTiFs84wQ=="
THIRD = "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"
GEMINI_3 = Traits(model="gemini-3-flash-preview", thinking="effort")
STEP: list[Event] = [
    Started("r1", "gemini-3-flash-preview"),
    ToolStart("a1", "lights", 0, FIRST),
    ToolDelta('{"on":true}', 0),
    ToolStart("a2", "music", 1),
    ToolDelta("{}", 1),
    ToolStart("a3", "doors", 2, THIRD),
    ToolDelta("{}", 2),
    Finished(stop="tool", usage=Usage(9, 9)),
]
FOREIGN_FACES = ["openai-chat", "anthropic", "openai-responses"]


def calls_of(face: str, body: bytes) -> list[dict[str, str]]:
    """What a stock client keeps of the tool calls in a whole reply."""
    reply = json.loads(body)
    if face == "openai-chat":
        found = reply["choices"][0]["message"]["tool_calls"]
        return [{"id": c["id"], **c["function"]} for c in found]
    if face == "anthropic":
        found = [b for b in reply["content"] if b["type"] == "tool_use"]
        return [
            {"id": b["id"], "name": b["name"], "arguments": json.dumps(b["input"])} for b in found
        ]
    found = [i for i in reply["output"] if i["type"] == "function_call"]
    return [{"id": i["call_id"], "name": i["name"], "arguments": i["arguments"]} for i in found]


def next_turn(face: str, calls: list[dict[str, str]]) -> dict[str, Any]:
    """The request in which a stock client answers them."""
    if face == "openai-chat":
        said = [
            {
                "id": c["id"],
                "type": "function",
                "function": {"name": c["name"], "arguments": c["arguments"]},
            }
            for c in calls
        ]
        results = [{"role": "tool", "tool_call_id": c["id"], "content": "ok"} for c in calls]
        turns = [{"role": "assistant", "content": None, "tool_calls": said}, *results]
        return {"model": "m", "messages": [{"role": "user", "content": "Go."}, *turns]}
    if face == "anthropic":
        uses = [
            {
                "type": "tool_use",
                "id": c["id"],
                "name": c["name"],
                "input": json.loads(c["arguments"]),
            }
            for c in calls
        ]
        answers = [{"type": "tool_result", "tool_use_id": c["id"], "content": "ok"} for c in calls]
        history: list[Any] = [{"role": "user", "content": "Go."}]
        history += [{"role": "assistant", "content": uses}, {"role": "user", "content": answers}]
        return {"model": "m", "max_tokens": 9, "messages": history}
    items: list[Any] = [{"role": "user", "content": "Go."}]
    items += [
        {
            "type": "function_call",
            "call_id": c["id"],
            "name": c["name"],
            "arguments": c["arguments"],
        }
        for c in calls
    ]
    items += [{"type": "function_call_output", "call_id": c["id"], "output": "ok"} for c in calls]
    return {"model": "m", "input": items}


def body_for(face: str, *, streamed: bool) -> bytes:
    """The next request of a client that was given the step."""
    events = decoded("gemini", stream_of("gemini", STEP))
    if streamed:
        events = decoded(face, stream_of(face, events))
        calls = [
            {"id": c.id, "name": c.name, "arguments": c.arguments} for c in fold(events).tool_calls
        ]
    else:
        calls = calls_of(face, FACES[face].encode_reply(fold(events)))
    return json.dumps(next_turn(face, calls)).encode()


def sent_to(traits: Traits, chat: Chat) -> Any:
    return json.loads(DIALECTS["gemini"].encode_chat(chat, traits).body)["contents"]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("face", FOREIGN_FACES)
def test_pain_16_parallel_calls_keep_their_signatures(face: str, streamed: bool) -> None:
    chat = call_of(FACES[face], body_for(face, streamed=streamed)).chat()
    _, step, results = sent_to(GEMINI_3, chat)
    assert [p.get("thoughtSignature") for p in step["parts"]] == [FIRST, None, THIRD]
    assert [p["functionCall"]["id"] for p in step["parts"]] == ["a1", "a2", "a3"]
    answered = [p["functionResponse"] for p in results["parts"]]
    assert [(a["id"], a["name"]) for a in answered] == [
        ("a1", "lights"),
        ("a2", "music"),
        ("a3", "doors"),
    ]


@pytest.mark.parametrize("face", FOREIGN_FACES)
def test_no_other_provider_is_sent_a_signature(face: str) -> None:
    chat = call_of(FACES[face], body_for(face, streamed=True)).chat()
    for name, dialect in DIALECTS.items():
        body = dialect.encode_chat(chat, Traits(model="gpt-5")).body
        assert MARK.encode() not in body, name
        assert (FIRST.encode() in body) == (name == "gemini")


@pytest.mark.parametrize("face", FOREIGN_FACES)
def test_a_verbatim_history_goes_on_without_signatures(face: str) -> None:
    """The conversation changes to a provider of the face's own dialect."""
    call = call_of(FACES[face], body_for(face, streamed=True))
    assert call.may_hold_media, "nobody would look"
    turns = without_foreign(face, call.fields[HISTORY[face]], frozenset())
    assert turns is not None
    text = bytes(turns)
    assert MARK.encode() not in text
    assert text.count(b'"a1') == 2
    assert json.loads(text) == json.loads(
        json.dumps(json.loads(bytes(call.fields[HISTORY[face]])))
        .replace(sign("a1", FIRST), "a1")
        .replace(sign("a3", THIRD), "a3")
    )


def test_where_a_signature_was_lost_its_substitute_stands_in() -> None:
    calls = [{"id": id_, "name": id_, "arguments": "{}"} for id_ in ("x", "y")]
    body = json.dumps(next_turn("openai-chat", calls))
    chat = call_of(FACES["openai-chat"], body.encode()).chat()
    step = sent_to(GEMINI_3, chat)[1]
    assert [p.get("thoughtSignature") for p in step["parts"]] == [SUBSTITUTE, None]
    older = sent_to(Traits(model="gemini-2.5-flash", thinking="budget"), chat)[1]
    assert not any("thoughtSignature" in p for p in older["parts"])


def test_a_signature_of_a_text_survives_a_client_that_echoes_thinking() -> None:
    reply = DIALECTS["gemini"].decode_reply(
        b'{"candidates":[{"content":{"parts":[{"text":"Hi.","thoughtSignature":"%b"}]},'
        b'"finishReason":"STOP"}]}' % THIRD.encode()
    )
    content = json.loads(FACES["anthropic"].encode_reply(reply))["content"]
    assert [b["type"] for b in content] == ["text", "thinking"]
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": content}]
    asked = {"model": "m", "max_tokens": 9, "messages": [*turns, {"role": "user", "content": "y"}]}
    call = call_of(FACES["anthropic"], json.dumps(asked).encode())
    assert sent_to(GEMINI_3, call.chat())[1]["parts"] == [
        {"text": "Hi.", "thoughtSignature": THIRD}
    ]
    bare = without_foreign("anthropic", call.fields["messages"], frozenset())
    assert bare is not None
    assert THIRD.encode() not in bytes(bare)
    elsewhere = DIALECTS["anthropic"].encode_chat(call.chat(), Traits(model="claude-opus-5-5"))
    assert THIRD.encode() not in elsewhere.body
    assert elsewhere.dropped == ("thinking",)


def test_another_providers_thinking_is_taken_out_of_a_gemini_history() -> None:
    reply = fold(decoded("anthropic", stream_of("anthropic", THOUGHT)))
    content = json.loads(FACES["gemini"].encode_reply(reply))["candidates"][0]["content"]
    user = {"role": "user", "parts": [{"text": "x"}]}
    snake = json.loads(json.dumps(content).replace("thoughtSignature", "thought_signature"))
    for said in (content, snake):
        raw = Raw(json.dumps([user, said, user]).encode())
        turns = without_foreign("gemini", raw, frozenset())
        assert turns is not None
        kept = json.loads(bytes(turns))
        assert [list(p) for p in kept[1]["parts"]] == [["text"]]
        assert kept[0] == kept[2] == user
    assert without_foreign("gemini", Raw(json.dumps([user]).encode()), frozenset()) is None
    thought = Raw(json.dumps([user, {**content, "parts": content["parts"][:1]}, user]).encode())
    assert json.loads(bytes(without_foreign("gemini", thought, frozenset()) or b"")) == [user, user]


THOUGHT: list[Event] = [
    Started("m", "claude-sonnet-4-5"),
    ThinkingDelta("Hm.", 0, "EqQBCgIYAh=="),
    TextDelta("Hi.", 1),
    Finished(stop="end", usage=Usage(1, 2)),
]

base64s = st.binary(min_size=1, max_size=60).map(lambda data: b64encode(data).decode())
ids = st.text(min_size=1, max_size=20).filter(lambda i: MARK not in i)


@given(ids, base64s)
def test_ids_and_signatures_come_apart_as_they_were(id_: str, signature: str) -> None:
    signed = sign(id_, signature)
    assert unsign(signed) == (id_, signature)
    assert signed.removeprefix(id_).replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("odd", ["", "not base64!", "abc", "A" * (LONGEST + 4), "ab-_"])
def test_what_is_no_signature_is_not_carried(odd: str) -> None:
    assert sign("a", odd) == "a"


@pytest.mark.parametrize("id_", [MARK, f"a{MARK}", f"a{MARK}!", f"a{MARK}A", "a", ""])
def test_ids_that_only_look_signed_stay(id_: str) -> None:
    assert unsign(id_) == (id_, "")


def test_only_ids_lose_their_signatures() -> None:
    signed = sign("a1", FIRST)
    message = {"content": f'"id":"{signed}" and {signed}', "tool_call_id": signed, "n": 1.50}
    raw = Raw(msgspec.json.encode([message]))
    turns = without_foreign("openai-chat", raw, frozenset())
    assert json.loads(bytes(turns or b"")) == [{**message, "tool_call_id": "a1"}]
