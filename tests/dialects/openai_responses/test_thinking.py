"""Thinking travels through every client and comes back only to who made it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from octoplex.dialects.anthropic import Anthropic, AnthropicFace
from octoplex.dialects.dialect import Dialect, Face, Traits
from octoplex.dialects.foreign import made_by, pin, unpin, without_foreign
from octoplex.dialects.gemini import Gemini
from octoplex.dialects.openai_chat import OpenAIChat, OpenAIChatFace
from octoplex.dialects.openai_responses.reasoning import own_item, read_reasoning, write_reasoning
from octoplex.dialects.openai_responses.shapes import read_item
from octoplex.dialects.words import words_of
from octoplex.wire.event import Event, Reply, Text, Thinking, Usage, fold
from tests.dialects.openai_responses.wires import DIALECT, FACE, call, done, end, sse, start
from tests.dialects.test_transcripts import call_of

CIPHER = "gAAAAABoISQ24OyVRYbk=="
ITEM = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": CIPHER}
SUMMED = {**ITEM, "id": "rs_2", "summary": [{"type": "summary_text", "text": "Hm."}]}
FACES: dict[str, Face] = {
    "openai-chat": OpenAIChatFace(),
    "anthropic": AnthropicFace(),
    "openai-responses": FACE,
}
OTHERS: list[Dialect] = [OpenAIChat(), Anthropic(), Gemini()]
NONE = frozenset[str]()
ASK = b'{"model":"m","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"x"}]}'
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def thought() -> list[Event]:
    """What a provider of this dialect thought, said and was billed for."""
    decoder = DIALECT.decoder()
    said = {"type": "message", "content": [{"type": "output_text", "text": "Well."}]}
    wire = sse(start(), done(ITEM, 0), done(SUMMED, 1), done(said, 2), end())
    return [*decoder.feed(wire), *decoder.end()]


def history(face: str, streamed: bool) -> Any:
    """The conversation after that reply, as a plain client of the face sends it back."""
    writer = FACES[face]
    body = writer.encode_reply(fold(thought()))
    if streamed and face == "openai-chat":
        wire = writer.encoder(call_of(writer, ASK)).feed(thought())
        details = [
            detail
            for line in wire.splitlines()
            if line.startswith(b"data: {")
            for choice in json.loads(line[6:])["choices"]
            for detail in choice["delta"].get("reasoning_details", ())
        ]
        said: Any = {"role": "assistant", "content": "Well.", "reasoning_details": details}
    elif streamed and face == "openai-responses":
        wire = writer.encoder(call(stream=True)).feed(thought())
        said = json.loads(wire.splitlines()[-2][6:])["response"]["output"]
    else:
        reply = json.loads(body)
        said = {
            "openai-chat": lambda: reply["choices"][0]["message"],
            "anthropic": lambda: {"role": "assistant", "content": reply["content"]},
            "openai-responses": lambda: reply["output"],
        }[face]()
    user = {"role": "user", "content": "x"}
    return [user, *(said if isinstance(said, list) else [said]), user]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("face", FACES)
def test_a_cipher_survives_a_client_that_echoes(face: str, streamed: bool) -> None:
    turns = history(face, streamed)
    body = {"model": "m", "max_tokens": 99, "messages": turns, "input": turns}
    del body["messages" if face == "openai-responses" else "input"]
    chat = call_of(FACES[face], json.dumps(body).encode()).chat()

    again = json.loads(DIALECT.encode_chat(chat, Traits(model="gpt-5")).body)["input"]
    items = [item for item in again if item["type"] == "reasoning"]
    assert [item["encrypted_content"] for item in items] == [CIPHER, CIPHER]
    assert [item["summary"] for item in items] == [ITEM["summary"], SUMMED["summary"]]
    if face != "openai-responses" or not streamed:  # there the id was announced before
        assert [item["id"] for item in items] == ["rs_1", "rs_2"]

    for dialect in OTHERS:
        elsewhere = dialect.encode_chat(chat, Traits(model="m"))
        assert CIPHER.encode() not in elsewhere.body
        assert words_of(chat).get("thinking_history", "thinking") in elsewhere.dropped


@pytest.mark.parametrize(
    "quirks", [NONE, frozenset({"echo_reasoning"}), frozenset({"echo_reasoning_details"})]
)
@pytest.mark.parametrize("face", ["openai-chat", "anthropic"])
def test_a_cipher_never_passes_verbatim_to_another(face: str, quirks: frozenset[str]) -> None:
    turns = history(face, streamed=False)
    left = without_foreign(face, Raw(json.dumps(turns).encode()), quirks)
    assert left is not None
    assert CIPHER.encode() not in bytes(left)
    assert b"Well." in bytes(left)


def test_thinking_of_others_never_passes_verbatim_to_openai() -> None:
    blocks = (Thinking("Hm.", "c2ln"), Thinking(data="cmVk"), Thinking("Plain."), Text("Well."))
    reply = Reply(id="r", model="m", blocks=blocks, stop="end", usage=Usage(1, 1))
    output = json.loads(FACE.encode_reply(reply))["output"]
    turns = [{"role": "user", "content": 'I say "octoplex:" aloud'}, ITEM, *output]
    body = {"model": "m", "input": turns}
    assert FACE.read_head({k: Raw(json.dumps(v).encode()) for k, v in body.items()}).may_hold_media
    left = without_foreign("openai-responses", Raw(json.dumps(turns).encode()), NONE)
    assert left is not None
    assert json.loads(bytes(left)) == [turns[0], ITEM, output[-1]]
    assert without_foreign("openai-responses", Raw(json.dumps(turns[:2]).encode()), NONE) is None
    odd = Raw(b'["octoplex:x", 7]')
    assert without_foreign("openai-responses", odd, NONE) is None


@given(words, words)
def test_pins(maker: str, proof: str) -> None:
    maker = maker.replace(":", "")
    assert unpin(pin(maker, proof)) == (maker, proof)
    assert made_by(Thinking("x", pin(maker, proof))) == maker
    assert made_by(Thinking("x", "c2ln")) == made_by(Thinking(data="cmVk")) == "anthropic"
    assert made_by(Thinking("x")) == ""


proofs = words.map(lambda proof: proof if unpin(proof)[0] is None else "c2ln")
signed = st.builds(Thinking, words | st.just(""), proofs) | proofs.map(lambda d: Thinking(data=d))
elsewhere = st.builds(Thinking, words, proofs.map(lambda proof: pin("gemini", proof)))


@given(signed | elsewhere | st.builds(Thinking, words))
def test_thinking_of_others_comes_back_from_a_client(thinking: Thinking) -> None:
    item = write_reasoning(thinking, "rs_0")
    cut = {**item, "summary": item["summary"] if not made_by(thinking) else []}
    assert read_reasoning(read_item(Raw(json.dumps(cut).encode()))) == thinking
    assert own_item(thinking) is None
