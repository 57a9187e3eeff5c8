"""What is kept of a response, and how the next request goes on from it."""

import json
from typing import Any

import pytest
from msgspec import Raw

from octoplex.dialects.openai_responses import OpenAIResponsesFace, stored
from octoplex.wire.error import InvalidCall, NotFound
from octoplex.wire.event import Reply, Text, Thinking, ToolUse, Usage, unfold
from tests.dialects.openai_responses.wires import FACE, call, call_of, written


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def plain(items: list[Raw]) -> Any:
    return [json.loads(bytes(item)) for item in items]


REPLY = Reply(
    id="resp_1",
    model="claude",
    blocks=(Thinking("Hm.", "c2ln"), Text("One moment."), ToolUse("c1", "f", "{}")),
    stop="tool",
    usage=Usage(1, 2),
)


def test_text_becomes_an_item_with_an_id() -> None:
    text = {"type": "input_text", "text": "Hi"}
    assert plain(stored.input_items(raw("Hi"), "resp_1")) == [
        {"type": "message", "id": "msg_in_1_0", "role": "user", "content": [text]}
    ]


def test_items_get_ids_and_keep_their_own() -> None:
    items = [{"role": "user", "content": "x"}, {"type": "reasoning", "id": "rs_9", "summary": []}]
    found = plain(stored.input_items(raw(items), "resp_1"))
    assert found[0] == {"type": "message", "id": "msg_in_1_0", "role": "user", "content": "x"}
    assert found[1] == items[1]
    assert [i["id"] for i in found] == [
        i["id"] for i in plain(stored.input_items(raw(items), "resp_1"))
    ]


def test_a_conversation_goes_on_from_what_was_kept() -> None:
    """Two turns by `previous_response_id` mean what they mean when the caller sends it all."""
    body = FACE.encode_reply_to(call(), REPLY)
    kept = [*stored.input_items(raw("Hi"), "resp_1"), *stored.output_items(body)]
    new = [{"type": "function_call_output", "call_id": "c1", "output": "done"}]
    again = call(input=json.loads(bytes(stored.joined(kept, raw(new))))).chat()
    roles = [m.role for m in again.messages]
    assert roles == ["user", "assistant", "user"]
    assert again.messages[1].parts[0] == Thinking("Hm.", "c2ln")
    more = call_of(b'{"model":"m","input":%b}' % bytes(stored.joined(kept, raw("And?")))).chat()
    assert more.messages[-1].role == "user"
    assert len(json.loads(bytes(stored.joined(kept, None)))) == len(kept)


def test_a_stream_holds_the_same_response() -> None:
    wire = written(unfold(REPLY))
    whole = stored.final_response(wire)
    assert whole is not None
    assert json.loads(whole) == json.loads(FACE.encode_reply_to(call(stream=True), REPLY))
    assert stored.final_response(wire[:400]) is None
    assert stored.final_response(b"event: response.completed\ndata: {\n\n") is None


def test_references_are_resolved_or_refused() -> None:
    item = raw({"type": "message", "id": "msg_1", "role": "user", "content": "x"})
    asked = raw([{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "y"}])
    found = stored.resolved(asked, {"msg_1": item}.get)
    assert json.loads(bytes(found))[0]["content"] == "x"
    assert json.loads(bytes(found))[1] == {"role": "user", "content": "y"}
    assert stored.resolved(raw("text"), {}.get) == raw("text")
    with pytest.raises(NotFound) as caught:
        stored.resolved(raw([{"id": "msg_2"}]), {}.get)
    assert caught.value.facts["param"] == "input[0]"


@pytest.mark.parametrize("odd", [7, {"a": 1}, [1], None])
def test_what_is_no_input_is_the_callers_fault(odd: Any) -> None:
    with pytest.raises(InvalidCall):
        stored.input_items(raw(odd), "resp_1")
    if odd != [1]:
        with pytest.raises(InvalidCall):
            stored.joined([], raw(odd))
    assert stored.output_items(b"nonsense") == []


def test_references_are_found_and_are_nobodys_items() -> None:
    message = {"type": "message", "id": "msg_1", "role": "user", "content": "x"}
    bare = {"role": "user", "content": "y"}
    reference = {"type": "item_reference", "id": "rs_1"}
    items = raw([message, bare, reference, {"id": "rs_2"}])
    assert stored.referred(items) == ["rs_1", "rs_2"]
    assert stored.referred(raw("text")) == []
    found = [Raw(json.dumps(item).encode()) for item in (message, bare, reference)]
    assert plain(list(stored.by_id(found).values())) == [message]
    with pytest.raises(InvalidCall):
        stored.referred(raw({"no": "list"}))


@pytest.mark.parametrize(
    ("role", "part"),
    [
        ("user", {"type": "input_text", "text": "Hi"}),
        ("system", {"type": "input_text", "text": "Hi"}),
        ("assistant", {"type": "output_text", "text": "Hi", "annotations": []}),
    ],
)
def test_a_listed_message_has_parts(role: str, part: dict[str, Any]) -> None:
    item = {"type": "message", "id": "m", "role": role, "content": "Hi"}
    assert json.loads(bytes(stored.listed(raw(item)))) == {**item, "content": [part]}
    for other in ({**item, "content": [part]}, {"type": "reasoning", "id": "r"}, {"content": 1}):
        kept = raw(other)
        assert stored.listed(kept) is kept


def test_reasoning_without_a_cipher_stays_where_it_is_known() -> None:
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    call_ = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f"}
    search = {"type": "web_search_call", "id": "ws_1"}
    ciphered = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"}
    bare = {"type": "reasoning", "id": "rs_2", "summary": []}
    for whole in (raw([message, call_, ciphered]), raw("text")):
        assert stored.portable(whole) is whole
    taken = json.loads(bytes(stored.portable(raw([bare, message, ciphered, call_, search]))))
    assert [item.get("id") for item in taken] == [None, "rs_1", None, "ws_1"]
    assert [item["type"] for item in taken] == [
        "message", "reasoning", "function_call", "web_search_call",
    ]  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True])
def test_the_face_of_one_reply_gives_its_id(streamed: bool) -> None:
    face = OpenAIResponsesFace(stores=True, reply_id="resp_ours0")
    if streamed:
        body = stored.final_response(face.encoder(call()).feed(unfold(REPLY)))
    else:
        body = face.encode_reply_to(call(), REPLY)
    assert body is not None
    said = json.loads(body)
    assert (said["id"], said["store"]) == ("resp_ours0", True)
    assert [item["id"] for item in said["output"]] == ["rs_ours0_0", "msg_ours0_1", "fc_ours0_2"]
