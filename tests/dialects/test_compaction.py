"""Compaction without I/O: what a model is asked, what goes out, and what comes back.

Shapes: https://developers.openai.com/api/reference/resources/responses/methods/compact
"""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from octoplex.dialects.openai_responses import compaction as c
from octoplex.dialects.verbatim import split
from octoplex.wire.ask import Call
from octoplex.wire.chat import TextPart
from octoplex.wire.error import InvalidCall
from octoplex.wire.event import Usage

Json = dict[str, Any]


def mac(text: bytes) -> bytes:
    return hashlib.blake2b(text, key=b"pepper", digest_size=32).digest()


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def item(content: str) -> Json:
    return {"type": "compaction", "id": "cmp_1", "encrypted_content": content}


def asked(**members: Any) -> list[tuple[str, str]]:
    """Role and text of what a model is asked."""
    body = json.dumps({"model": "m", **members}).encode()
    call = Call("id", "openai-responses", "m", body, 0.0, op="compact", fields=split(body))
    chat = c.read_compaction(call)
    assert (chat.tools, chat.server_tools, chat.tool_choice, chat.format) == ((), (), None, None)
    told = []
    for message in chat.messages:
        (part,) = message.parts
        assert isinstance(part, TextPart)
        told.append((message.role, part.text))
    return told


def test_a_conversation_is_told_as_a_text() -> None:
    (system, how), (user, text) = asked(
        instructions="Be brief.",
        tools=[{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
        tool_choice="required",
        text={"format": {"type": "json_object"}},
        input=[
            {"role": "user", "content": [
                {"type": "input_text", "text": "And here?"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            ]},
            {"type": "reasoning", "id": "rs_1", "summary": [
                {"type": "summary_text", "text": "I look it up."},
            ]},
            {"type": "function_call", "call_id": "call_1", "name": "weather",
             "arguments": '{"city":"Oslo"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "12 degrees"},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "It is 12 degrees.", "annotations": []},
            ]},
            {"type": "function_call", "call_id": "call_2", "name": "weather", "arguments": "{}"},
        ],
    )  # fmt: skip
    assert (system, user) == ("system", "user")
    assert how == c.SUMMARISE
    assert text == (
        "<transcript>\n[system]\nBe brief.\n\n[user]\nAnd here?\n\n[user]\n(image)\n\n"
        "[assistant thinks]\nI look it up.\n\n[assistant calls weather]\n"
        '{"city":"Oslo"}\n\n[result of weather]\n12 degrees\n\n[assistant]\nIt is 12 degrees.\n\n'
        "[assistant calls weather]\n{}\n</transcript>\n\nWrite the summary now."
    )
    assert len(how) + len(asked(input="x")[1][1]) <= c.PROMPT_BYTES


def test_the_reply_has_the_users_messages_and_the_item() -> None:
    input_ = raw(
        [
            {"role": "user", "content": "One"},
            {"role": "developer", "content": "Rules"},
            {"role": "assistant", "content": "Two"},
            {"type": "message", "id": "msg_7", "role": "user", "content": []},
        ]
    )
    told = json.loads(c.write_compacted("resp_ab", 9, input_, "sealed", Usage(3, 2)))
    one, other, last = told["output"]
    assert one == {
        "type": "message",
        "id": "msg_in_ab_0",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "One"}],
    }
    assert (other["id"], other["status"]) == ("msg_7", "completed")
    assert last == {"type": "compaction", "id": "cmp_ab", "encrypted_content": "sealed"}
    assert (told["object"], told["usage"]["total_tokens"]) == ("response.compaction", 5)
    assert c.is_compacted(json.dumps(told).encode())
    assert not c.is_compacted(b'{"object":"response"}')
    assert not c.is_compacted(b"[")


@given(st.text(), st.text())
def test_a_summary_comes_back_to_its_owner(summary: str, owner: str) -> None:
    sealed = c.seal(summary, owner, mac)
    before: Json = {"role": "user", "content": "One"}
    first, second = json.loads(bytes(c.opened(raw([before, item(sealed)]), owner, mac)))
    assert first == before
    assert (second["type"], second["role"]) == ("message", "developer")
    assert second["content"] == [{"type": "input_text", "text": c.CARRIED + summary}]
    with pytest.raises(InvalidCall):
        c.opened(raw([item(sealed)]), owner + "x", mac)


@given(st.data())
def test_a_summary_that_was_changed_is_refused(data: st.DataObject) -> None:
    sealed = c.seal("The code word is cobalt.", "app", mac)
    at = data.draw(st.integers(len("octoplex:compaction:"), len(sealed) - 1))
    letter = data.draw(st.sampled_from("Aa0_-.=").filter(lambda one: one != sealed[at]))
    for changed in (sealed[:at] + letter + sealed[at + 1 :], sealed[:at], sealed + "AAAA"):
        with pytest.raises(InvalidCall) as refused:
            c.opened(raw([item(changed)]), "app", mac)
        assert refused.value.facts["param"] == "input"


SEALED = "octoplex:compaction:AAAA"


@pytest.mark.parametrize(
    "input_",
    [
        [item("gAAAAcipher")],
        [{"role": "user", "content": SEALED}],
        [{"type": "reasoning", "encrypted_content": SEALED}],
        [{"type": 7}, SEALED],
        [SEALED],
        SEALED,
    ],
)
def test_what_is_not_a_summary_of_ours_stays(input_: Any) -> None:
    assert json.loads(bytes(c.opened(raw(input_), "app", mac))) == input_
