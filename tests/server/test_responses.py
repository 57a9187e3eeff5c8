"""Conversations that go on by id: OpenAI's own SDK against providers of three dialects."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate
from tests.server.responses_scene import DIALECTS, OTHER, OURS, config, create, missing, sdk, sent
from tests.server.turns import ARGUMENTS, BYE, CIPHER, IDS, SIGNATURE, SUNNY, TOOL, turns
from tests.upstream_server import Upstream

# -- conversations ----------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_conversation_with_a_tool_goes_on_by_id(
    tmp_path: Path, run: Run, dialect: str, stream: bool
) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns(dialect, stream=stream)) as up,
            Gate(tmp_path, config(up=(dialect, up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            ask: dict[str, Any] = {"model": "up/m", "tools": [TOOL]}
            first = await create(
                client, stream, **ask, input="How is Oslo?", instructions="Be short."
            )
            (call,) = [item for item in first.output if item.type == "function_call"]
            assert json.loads(call.arguments) == json.loads(ARGUMENTS)
            result = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
            second = await create(
                client, stream, **ask, input=[result], previous_response_id=first.id
            )
            assert second.output_text == SUNNY
            third = await create(
                client, stream, **ask, input="Thanks", previous_response_id=second.id
            )
            assert third.output_text == BYE

            native = dialect == "openai-responses"
            made = [first, second, third]
            if native:
                assert [one.id for one in made] == IDS[:3]
            else:
                assert all(OURS.fullmatch(one.id) for one in made)
                said = [one.previous_response_id for one in made]
                assert said == [None, first.id, second.id]
                assert {one.store for one in made} == {True}  # type: ignore[attr-defined]
            assert len({one.id for one in made}) == 3
            CHECKS[dialect](sent(up, 1), sent(up, 2))
            for one in made:
                assert (await client.responses.retrieve(one.id)) == one
            items = [i async for i in client.responses.input_items.list(third.id, order="asc")]
            kinds = [item.type for item in items]
            thought = [] if dialect == "openai-chat" else ["reasoning"]
            call_kinds = [*thought, "function_call", "function_call_output"]
            assert kinds == ["message", *call_kinds, "message", "message"]
            assert len({item.id for item in items}) == len(items)
            # Every one of them is paid for and recorded like any other call.
            rows = await gate.rows(3)
            assert {row["nano"] for row in rows} == {provider.nano(provider.BILL)}

    run(main())


def check_chat(second: dict[str, Any], third: dict[str, Any]) -> None:
    roles = [message["role"] for message in third["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert second["messages"][1]["tool_calls"][0]["function"]["arguments"] == ARGUMENTS
    assert second["messages"][2]["content"] == "sun"


def check_claude(second: dict[str, Any], third: dict[str, Any]) -> None:
    thought, use = second["messages"][1]["content"]
    assert thought == {"type": "thinking", "thinking": "I look it up.", "signature": SIGNATURE}
    assert (use["type"], use["input"]) == ("tool_use", {"city": "Oslo"})
    assert "system" not in second, "instructions are not carried over"
    assert [m["role"] for m in third["messages"]][:3] == ["user", "assistant", "user"]


def check_responses(second: dict[str, Any], third: dict[str, Any]) -> None:
    for body in (second, third):
        assert "previous_response_id" not in body
        assert "store" not in body
    question, thought, call, result = second["input"]
    assert question["content"] == [{"type": "input_text", "text": "How is Oslo?"}]
    assert thought == {
        "type": "reasoning", "id": "rs_0a1b2c3d0", "summary": [], "encrypted_content": CIPHER,
    }  # fmt: skip
    assert (call["id"], result["output"]) == ("fc_0a1b2c3d0", "sun")
    assert [i.get("role") for i in third["input"][4:]] == ["assistant", "user"]


CHECKS = {
    "openai-chat": check_chat,
    "anthropic": check_claude,
    "openai-responses": check_responses,
}


@pytest.mark.parametrize("cipher", [True, False], ids=["ciphered", "bare"])
def test_a_conversation_may_change_its_target(tmp_path: Path, run: Run, cipher: bool) -> None:
    """Begun at one provider of Responses, it goes on at another, at Claude, and back again."""

    async def main() -> None:
        responses = "openai-responses"
        async with (
            Upstream(*turns(responses, stream=False, cipher=cipher)) as one,
            Upstream(*turns(responses, stream=False)[1:]) as two,
            Upstream(*turns("anthropic", stream=False)[1:]) as claude,
        ):
            ups = {"one": (responses, one), "two": (responses, two), "c": ("anthropic", claude)}
            async with Gate(tmp_path, config(**ups), key=APP_KEY) as gate, sdk(gate) as client:
                first = await create(client, model="one/m", input="How is Oslo?", tools=[TOOL])
                result = {"type": "function_call_output", "call_id": "call_1", "output": "sun"}
                on: dict[str, Any] = {"input": [result], "previous_response_id": first.id}

                home = await create(client, model="one/m", **on)
                kinds = [item["type"] for item in sent(one)["input"]]
                assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
                assert sent(one)["input"][1]["id"] == "rs_0a1b2c3d0"

                await create(client, model="two/m", **on)
                kinds = [item["type"] for item in sent(two)["input"]]
                assert ("reasoning" in kinds) == cipher
                (call,) = [i for i in sent(two)["input"] if i["type"] == "function_call"]
                assert ("id" in call) == cipher

                there = await create(client, model="c/m", **on)
                assert OURS.fullmatch(there.id)
                assert [m["role"] for m in sent(claude)["messages"]] == [
                    "user", "assistant", "user",
                ]  # fmt: skip
                back = {"previous_response_id": there.id, "input": "And now?"}
                await create(client, model="one/m", **back)
                kinds = [item["type"] for item in sent(one)["input"]]
                assert kinds[:4] == [
                    "message", "reasoning", "function_call", "function_call_output",
                ]  # fmt: skip
                assert home.output_text == SUNNY

    run(main())


def test_items_are_referred_to_by_id(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns("anthropic", stream=False)) as up,
            Gate(tmp_path, config(up=("anthropic", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
            sdk(gate, OTHER) as stranger,
        ):
            first = await create(client, model="up/m", input="How is Oslo?", tools=[TOOL])
            (asked,) = (await client.responses.input_items.list(first.id)).data
            ids = [asked.id, *(item.id for item in first.output)]
            references = [{"type": "item_reference", "id": id_} for id_ in ids]
            call_id = first.output[-1].call_id  # type: ignore[union-attr]
            result = {"type": "function_call_output", "call_id": call_id, "output": "sun"}
            on: dict[str, Any] = {"model": "up/m", "input": [*references, result]}
            second = await create(client, **on)
            assert second.output_text == SUNNY
            assert sent(up)["messages"][1]["content"][0]["signature"] == SIGNATURE
            # What was referred to is part of what is kept, not the references.
            shown = [i.type async for i in client.responses.input_items.list(second.id)]
            assert shown[::-1] == ["message", "reasoning", "function_call", "function_call_output"]
            await missing(stranger.responses.create(**on), "input[0]")
            await client.responses.delete(first.id)
            third = await create(client, **on)
            assert third.output_text == BYE, "the items came again with the second"
            await client.responses.delete(second.id)
            await client.responses.delete(third.id)
            await missing(client.responses.create(**on), "input[0]")

    run(main())


def test_tokens_of_a_conversation_are_counted_whole(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns("openai-chat", stream=False)[1:]) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            first = await create(client, model="up/m", input="word " * 3_000)
            ask: dict[str, Any] = {"model": "up/m", "input": "And?"}
            alone = await client.responses.input_tokens.count(**ask)
            whole = await client.responses.input_tokens.count(**ask, previous_response_id=first.id)
            assert whole.input_tokens > 2_000 + alone.input_tokens

    run(main())


# -- whose they are ---------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_another_keys_response_is_as_absent_as_none(tmp_path: Path, run: Run, dialect: str) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns(dialect, stream=False)[1:]) as up,
            Gate(tmp_path, config(up=(dialect, up)), key=APP_KEY) as gate,
            sdk(gate) as client,
            sdk(gate, OTHER) as stranger,
        ):
            mine = await create(client, model="up/m", input="A secret")
            calls = len(up.book)
            unknown = "resp_octo" + "0" * 40
            for id_ in (mine.id, unknown, "resp_", "' or 1=1"):
                await missing(stranger.responses.retrieve(id_))
                await missing(stranger.responses.delete(id_))
                await missing(stranger.responses.cancel(id_))
                await missing(stranger.responses.input_items.list(id_))
            for id_ in (mine.id, unknown):
                on: dict[str, Any] = {"model": "up/m", "input": "x", "previous_response_id": id_}
                await missing(stranger.responses.create(**on), "previous_response_id")
                await missing(stranger.responses.input_tokens.count(**on), "previous_response_id")
            assert len(up.book) == calls, "nothing of it reached the provider"
            assert (await client.responses.retrieve(mine.id)).output_text == SUNNY
            gate.key = OTHER
            assert {r["status"] for r in await gate.records(8)} == {404}

    run(main())


def test_a_deleted_response_is_gone(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        responses = "openai-responses"
        async with (
            Upstream(*turns(responses, stream=False)[1:]) as up,
            Gate(tmp_path, config(up=(responses, up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            made = await create(client, model="up/m", input="Hello")
            reply = await gate.post(f"/v1/responses/{made.id}/cancel", b"")
            assert reply.status == 400
            assert reply.json["error"]["param"] == "background"
            await client.responses.delete(made.id)
            await missing(client.responses.delete(made.id))
            await missing(client.responses.retrieve(made.id))
            # The provider still has it, and is not asked for it.
            on: dict[str, Any] = {"model": "up/m", "input": "x", "previous_response_id": made.id}
            await missing(client.responses.create(**on), "previous_response_id")
            assert len(up.book) == 1

    run(main())


def test_an_id_that_is_not_ours_is_the_providers_to_know(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        responses = "openai-responses"
        async with (
            Upstream(*turns(responses, stream=False)[1:]) as up,
            Upstream(*turns("openai-chat", stream=False)[1:]) as chat,
        ):
            ups = {"up": (responses, up), "chat": ("openai-chat", chat)}
            async with Gate(tmp_path, config(**ups), key=APP_KEY) as gate, sdk(gate) as client:
                on: dict[str, Any] = {"input": "x", "previous_response_id": "resp_elsewhere"}
                made = await create(client, model="up/m", **on)
                assert sent(up)["previous_response_id"] == "resp_elsewhere"
                assert sent(up)["input"] == "x"
                await missing(client.responses.create(model="chat/m", **on), "previous_response_id")
                # What came of it lies at the provider in part, so only there it goes on.
                more: dict[str, Any] = {"input": "y", "previous_response_id": made.id}
                await create(client, model="up/m", **more)
                assert sent(up)["previous_response_id"] == made.id
                await missing(
                    client.responses.create(model="chat/m", **more), "previous_response_id"
                )
                assert chat.book == []
                assert (await client.responses.retrieve(made.id)).id == made.id
                reference: Any = [{"type": "item_reference", "id": "msg_68abcdef"}]
                await create(client, model="up/m", input=reference)
                assert sent(up)["input"] == reference
                await missing(client.responses.create(model="chat/m", input=reference), "input[0]")

    run(main())
