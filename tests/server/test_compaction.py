"""`POST /v1/responses/compact` by OpenAI's SDK, before providers that compact and that do not.

What OpenAI answers is typed from its reference:
https://developers.openai.com/api/reference/resources/responses/methods/compact
"""

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import CompactedResponse

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, route
from tests.server.provider import BILL
from tests.server.responses_scene import DIALECTS, OTHER, OURS, config, create, missing, sdk, sent
from tests.server.turns import BYE, SUNNY, turns
from tests.upstream_server import Play, Upstream, says

# The SDK's own model of a message in an output is an assistant's; it warns of the user's.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")

Json = dict[str, Any]
PAID = provider.nano(BILL)
CIPHER = "gAAAAABpM0Yj-9tK"
COMPACTED: Json = {
    "id": "resp_001",
    "object": "response.compaction",
    "created_at": 1731459200,
    "output": [
        {
            "id": "msg_000",
            "type": "message",
            "status": "completed",
            "content": [{"type": "input_text", "text": "Find out."}],
            "role": "user",
        },
        {"id": "cmp_001", "type": "compaction", "encrypted_content": CIPHER},
    ],
    "usage": {
        "input_tokens": BILL[0],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": BILL[1],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": sum(BILL),
    },
}
WIRE = json.dumps(COMPACTED, indent=1).encode()
TALK: list[Any] = [
    {"type": "web_search_call", "id": "ws_1", "encrypted_content": 7},
    {"type": "message", "role": "user", "content": "Find out."},
    {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "12 degrees"},
    {"type": "message", "role": "assistant", "content": "It is 12 degrees."},
]
NEXT: Any = {"type": "message", "role": "user", "content": "And now?"}


def native(text: str, name: str = "up") -> str:
    """The file, its provider one that compacts itself."""
    table = f"[providers.{name}]\n"
    return text.replace(table, f"{table}quirks = ['compacts']\n")


def budgeted(text: str) -> str:
    """The file, its key one of a dollar."""
    return text.replace("[keys.app]\n", "[keys.app]\nlimits = '$1/total'\n")


def said(dialect: str) -> Play:
    """A whole reply of one text, `SUNNY`."""
    return turns(dialect, stream=False)[1]


def items(compacted: CompactedResponse) -> list[Any]:
    return [item.model_dump(exclude_none=True, warnings=False) for item in compacted.output]


def sealed(compacted: CompactedResponse) -> Any:
    return items(compacted)[-1]


# -- a provider that compacts itself ----------------------------------------------------------


def test_a_provider_that_compacts_is_asked_verbatim(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(says(WIRE, billed=BILL), said("openai-responses")) as up:
            defaults = route("main", "up/m", more="defaults = { temperature = 0.5 }")
            text = budgeted(native(config(defaults, up=("openai-responses", up))))
            async with Gate(tmp_path, text, key=APP_KEY) as gate, sdk(gate) as client:
                body = {"model": "main", "input": TALK, "prompt_cache_key": "x", "new": [1]}
                reply = await gate.post("/v1/responses/compact", json.dumps(body).encode())
                assert (reply.status, reply.body) == (200, WIRE)
                assert int(reply.headers["x-octoplex-cost-nano"]) == PAID
                assert up.book[0].path == "/responses/compact"
                assert sent(up, 0) == body | {"model": "m"}
                assert json.dumps(TALK).encode() in up.book[0].body
                (row,) = await gate.rows()
                assert (row["nano"], row["estimated"]) == (PAID, 0)
                made = reply.json["output"]
                again = await create(client, model="main", input=[*made, NEXT])
                assert again.output_text == SUNNY
                assert sent(up)["input"][1] == COMPACTED["output"][1]

    run(main())


@pytest.mark.parametrize("dialect", DIALECTS[:2])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_a_provider_compacted_is_dropped_and_named_elsewhere(
    tmp_path: Path, run: Run, dialect: str, stream: bool
) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns(dialect, stream=stream)[1:]) as up,
            Gate(tmp_path, config(up=(dialect, up)), key=APP_KEY) as gate,
        ):
            body = {"model": "up/m", "input": [*COMPACTED["output"], NEXT], "stream": stream}
            reply = await gate.post("/v1/responses", json.dumps(body).encode())
            assert reply.status == 200
            assert reply.headers["x-octoplex-dropped"] == "input[1]"
            assert CIPHER.encode() not in up.book[0].body
            told = [m["content"] for m in sent(up)["messages"]]
            assert "Find out." in json.dumps(told[0])
            assert "And now?" in json.dumps(told[-1])

    run(main())


def test_when_it_fails_another_target_is_asked_for_a_summary(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(says(b"{}", 500)) as bad,
            Upstream(said("anthropic")) as good,
        ):
            few = route("main", "bad/m", "good/m", more="retry = { attempts = 1 }")
            text = config(few, bad=("openai-responses", bad), good=("anthropic", good))
            async with Gate(tmp_path, native(text, "bad"), key=APP_KEY) as gate:
                body = json.dumps({"model": "main", "input": TALK}).encode()
                reply = await gate.post("/v1/responses/compact", body)
                assert reply.status == 200
                assert reply.json["output"][-1]["encrypted_content"].startswith("octoplex:")
                assert reply.headers["x-octoplex-model"] == "good/m"
                assert reply.headers["x-octoplex-attempts"] == "2"
                assert bad.book[0].path == "/responses/compact"
                (record,) = await gate.records()
                assert (record["nano"], record["status"]) == (PAID, 200)
                assert [a["target"] for a in record["attempts"]] == ["bad/m", "good/m"]

    run(main())


# -- any other --------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("other", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_summary_stands_for_the_conversation_at_any_target(
    tmp_path: Path, run: Run, dialect: str, other: str, stream: bool
) -> None:
    async def main() -> None:
        async with (
            Upstream(said(dialect)) as up,
            Upstream(*turns(other, stream=stream)[2:]) as on,
        ):
            text = config(up=(dialect, up), on=(other, on))
            async with Gate(tmp_path, text, key=APP_KEY) as gate, sdk(gate) as client:
                made = await client.responses.compact(model="up/m", input=TALK, instructions="Hm")
                assert OURS.fullmatch(made.id)
                user, item = items(made)
                assert user["content"] == [{"type": "input_text", "text": "Find out."}]
                assert (user["role"], user["status"]) == ("user", "completed")
                assert item["encrypted_content"].startswith("octoplex:compaction:")
                assert (made.usage.input_tokens, made.usage.output_tokens) == BILL
                asked = up.book[0].body
                assert up.book[0].path != "/responses/compact"
                assert b"[assistant calls weather]" in asked
                assert b"[result of weather]\\n12 degrees" in asked
                assert "tools" not in sent(up)
                (row,) = await gate.rows()
                assert (row["nano"], row["estimated"]) == (PAID, 0)
                after = await create(client, stream, model="on/m", input=[*made.output, NEXT])
                assert after.output_text == BYE
                told = on.book[0].body
                assert SUNNY.encode() in told
                assert b"octoplex:compaction" not in told
                assert b"Find out." in told
                assert b"And now?" in told

    run(main())


def test_a_summary_goes_on_in_what_is_stored_and_in_the_next_one(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(said("openai-chat")) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            first = await create(client, model="up/m", input="The code word is cobalt.")
            made = await client.responses.compact(model="up/m", previous_response_id=first.id)
            assert b"[user]\\nThe code word is cobalt." in up.book[1].body
            assert f"[assistant]\\n{SUNNY}".encode() in up.book[1].body
            assert items(made)[0]["content"][0]["text"] == "The code word is cobalt."
            then = await create(client, model="up/m", input=[sealed(made), NEXT])
            listed = await client.responses.input_items.list(then.id, order="asc")
            assert listed.data[0].model_dump(exclude_none=True) == sealed(made)
            again: Json = {"model": "up/m", "previous_response_id": then.id}
            await create(client, input="More", **again)
            assert [m["role"] for m in sent(up)["messages"]][1:] == ["user", "assistant", "user"]
            assert SUNNY in sent(up)["messages"][0]["content"]
            await client.responses.compact(input="More", **again)
            assert b"[developer]\\nEarlier parts" in up.book[-1].body
            counted = await client.responses.input_tokens.count(model="up/m", input=[sealed(made)])
            assert counted.input_tokens > 10
            await missing(
                client.responses.compact(model="up/m", previous_response_id=made.id),
                "previous_response_id",
            )

    run(main())


def test_a_summary_is_its_makers_alone_and_outlives_the_process(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(said("openai-chat")) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
        ):
            async with sdk(gate) as client:
                item = sealed(await client.responses.compact(model="up/m", input=TALK))
            gate.kill()
            await gate.start()
            async with sdk(gate) as client, sdk(gate, OTHER) as other:
                await create(client, model="up/m", input=[item, NEXT])
                asked = len(up.book)
                content = item["encrypted_content"]
                for who, spoilt in (
                    (other, content),
                    (client, content[:-4] + "AAAA"),
                    (client, content.replace("compaction:", "compaction:A")),
                    (client, "octoplex:compaction:"),
                ):
                    changed = [item | {"encrypted_content": spoilt}, NEXT]
                    for door in (who.responses.create, who.responses.compact):
                        with pytest.raises(openai.BadRequestError) as error:
                            await door(model="up/m", input=changed)
                        assert error.value.param == "input"
                        assert "compact the conversation again" in str(error.value)
                assert len(up.book) == asked

    run(main())


# -- what goes wrong --------------------------------------------------------------------------


def test_what_the_model_cannot_take_or_finish_is_told(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        long = {"message": "Too many tokens.", "code": "context_length_exceeded"}
        full = says(json.dumps({"error": long}).encode(), 400)
        cut = json.loads(provider.chat_body("It was about"))
        cut["choices"][0]["finish_reason"] = "length"
        empty = provider.chat_body("")
        plays = (full, says(json.dumps(cut).encode(), billed=BILL), says(empty, billed=BILL))
        async with (
            Upstream(*plays) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            with pytest.raises(openai.BadRequestError) as error:
                await client.responses.compact(model="up/m", input=TALK)
            assert error.value.code == "context_length_exceeded"
            for _ in plays[1:]:
                with pytest.raises(openai.InternalServerError) as failed:
                    await client.responses.compact(model="up/m", input=TALK)
                assert failed.value.status_code == 502
                assert "nothing was compacted" in str(failed.value)
            assert [row["nano"] for row in await gate.rows(3)] == [0, PAID, PAID]

    run(main())


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": [7]}, "input[0]"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "approval"}]}, "input[0]"),
        ({"input": [COMPACTED["output"][1]]}, "input"),
        ({"instructions": 7}, "instructions"),
        ({"previous_response_id": 7}, "previous_response_id"),
        ({"stream": True}, "stream"),
    ],
)
def test_nonsense_is_refused_by_its_name(
    tmp_path: Path, run: Run, members: Json, param: str
) -> None:
    async def main() -> None:
        async with (
            Upstream(said("openai-chat")) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
        ):
            body = json.dumps({"model": "up/m", "input": "Hi", **members}).encode()
            reply = await gate.post("/v1/responses/compact", body)
            assert (reply.status, reply.json["error"]["param"]) == (400, param)
            assert not up.book

    run(main())


def test_the_prompt_and_media_are_reserved(tmp_path: Path, run: Run) -> None:
    """A budget that holds the words alone does not hold what is asked around them."""

    async def main() -> None:
        words = {"type": "input_text", "text": "What is it?"}
        image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
        async with Upstream(said("openai-chat")) as up:
            text = budgeted(config(up=("openai-chat", up)))
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                for content in ([words], [words, image]):
                    body = {"model": "up/m", "input": [{"role": "user", "content": content}]}
                    raw = json.dumps(body).encode()
                    reply = await gate.post("/v1/responses/compact", raw)
                    assert reply.status == 200
                    assert reply.headers["x-octoplex-added"] == "max_tokens"
                rows = await gate.rows(2)
                plain, pictured = (row["reserved_nano"] for row in rows)
                assert plain >= len(up.book[0].body) // 3 * 1_000
                assert 900_000 <= pictured - plain <= 1_100_000

    run(main())
