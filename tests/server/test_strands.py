"""Responses over a websocket: the same promises as over HTTP, and what OpenAI's page adds.

https://developers.openai.com/api/docs/guides/websocket-mode
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate, file, route, until
from tests.server.responses_scene import DIALECTS, OURS, config, create, sdk, sent
from tests.server.talking import Gated, id_of, said, talk
from tests.server.turns import ARGUMENTS, BYE, SIGNATURE, SUNNY, TOOL, turns
from tests.upstream_server import Play, Upstream

KEYS = "[keys.app]\nsecret = 'env:APP_KEY'\n"
HELLO = "Hello, world!"
AT_ONCE_S = 0.25
NOT_FOUND = (400, "previous_response_not_found", "previous_response_id")


def lost(event: dict[str, Any]) -> tuple[int, str, str]:
    return event["status"], event["error"]["code"], event["error"]["param"]


# -- going on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_sdk_goes_on_by_id(tmp_path: Path, run: Run, dialect: str, store: bool) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns(dialect, stream=True)) as up,
            Gate(tmp_path, config(up=(dialect, up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            ask: Any = {"model": "up/m", "tools": [TOOL], "store": store, "stream_id": "main"}
            async with client.responses.connect() as connection:
                await connection.response.create(**ask, input="How is Oslo?")
                first = await ended(connection)
                (call,) = [item for item in first.output if item.type == "function_call"]
                assert json.loads(call.arguments) == json.loads(ARGUMENTS)
                result: Any = {
                    "type": "function_call_output", "call_id": call.call_id, "output": "sun",
                }  # fmt: skip
                await connection.response.create(
                    **ask, input=[result], previous_response_id=first.id
                )
                second = await ended(connection)
                assert second.output_text == SUNNY
                await connection.response.create(
                    **ask, input="Thanks", previous_response_id=second.id
                )
                third = await ended(connection)
                assert third.output_text == BYE
            if dialect == "anthropic":
                thought, use = sent(up, 1)["messages"][1]["content"]
                assert (thought["signature"], use["name"]) == (SIGNATURE, "weather")
            if dialect == "openai-responses":
                kinds = [item["type"] for item in sent(up, 1)["input"]]
                assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
                assert sent(up).keys() == {"model", "tools", "input", "stream", "store"}
            rows = await gate.rows(3)
            assert {row["nano"] for row in rows} == {provider.nano(provider.BILL)}
            assert {r["stream"] for r in await gate.records(3)} == {True}
            # What may be stored is there for everybody with the key, the rest for nobody.
            assert (gate.data / "responses.db").exists() == store
            async with talk(gate) as other:
                await other.create("up/m", "And?", previous_response_id=third.id, store=store)
                if store:
                    assert said(await other.answer(checked=False)) == BYE
                elif dialect == "openai-responses":  # it may be the provider's own: it is asked
                    await other.answer(checked=False)
                    assert sent(up)["previous_response_id"] == third.id
                else:
                    assert lost(await other.refused()) == NOT_FOUND

    run(main())


async def ended(connection: Any) -> Any:
    async for event in connection:
        assert event.stream_id == "main", event
        assert event.type not in ("error", "response.failed"), event
        if event.type == "response.completed":
            return event.response
    raise AssertionError("it was closed")


def test_what_http_stored_goes_on_here_and_back(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns("openai-chat", stream=True)[1:]) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
            talk(gate) as ws,
        ):
            first = await create(client, True, model="up/m", input="Hello")
            await ws.create("up/m", "More", previous_response_id=first.id)
            second = await ws.answer()
            assert said(second) == BYE
            assert second[0]["response"]["previous_response_id"] == first.id
            await create(
                client, True, model="up/m", input="More", previous_response_id=id_of(second)
            )
            roles = [m["role"] for m in sent(up)["messages"]]
            assert roles == ["user", "assistant", "user", "assistant", "user"]

    run(main())


def test_a_strand_remembers_its_newest_alone(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns("openai-chat", stream=True)[1:]) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            talk(gate) as ws,
        ):

            async def asked(strand: str, previous: str | None, **more: Any) -> Any:
                await ws.create(
                    "up/m",
                    "x",
                    stream_id=strand,
                    store=False,
                    previous_response_id=previous,
                    **more,
                )
                return await ws.answer(strand)

            first = await asked("main", None)
            second = await asked("main", id_of(first))
            # a fork goes on from what another strand said last, and leaves it there
            fork = await asked("fork", id_of(second))
            assert len(sent(up)["messages"]) == 5
            assert said(await asked("main", id_of(second))) == BYE
            for gone in (first, second):
                (event,) = await asked("main", id_of(gone))
                assert lost(event) == NOT_FOUND
                assert event["stream_id"] == "main"
            # a failed fork leaves its parent, a failed continuation does not
            calls = len(up.book)
            (bad,) = await asked("third", id_of(fork), temperature="hot")
            assert bad["status"] == 400
            (bad,) = await asked("fork", id_of(fork), temperature="hot")
            assert bad["status"] == 400
            (event,) = await asked("fork", id_of(fork))
            assert lost(event) == NOT_FOUND
            assert len(up.book) == calls

    run(main())


@pytest.mark.parametrize("store", [True, False])
def test_what_its_provider_does_not_store_is_not_named_to_it(
    tmp_path: Path, run: Run, store: bool
) -> None:
    """Reasoning without a cipher is known by its id alone, and to nobody if it is not stored."""

    async def main() -> None:
        dialect = "openai-responses"
        async with (
            Upstream(*turns(dialect, stream=True, cipher=False)) as up,
            Gate(tmp_path, config(up=(dialect, up)), key=APP_KEY) as gate,
            talk(gate) as ws,
        ):
            await ws.create("up/m", tools=[TOOL], store=store)
            first = await ws.answer(checked=False)
            result = {"type": "function_call_output", "call_id": "call_1", "output": "sun"}
            await ws.create("up/m", [result], store=store, previous_response_id=id_of(first))
            assert said(await ws.answer(checked=False)) == SUNNY
            kinds = [item["type"] for item in sent(up)["input"]]
            assert ("reasoning" in kinds) == store
            (call,) = [item for item in sent(up)["input"] if item["type"] == "function_call"]
            assert ("id" in call) == store

    run(main())


def test_zero_days_are_remembered_too(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(*turns("openai-chat", stream=True)[1:]) as up:
            text = config("", "responses_days = 0", up=("openai-chat", up))
            async with Gate(tmp_path, text, key=APP_KEY) as gate, talk(gate) as ws:
                await ws.create("up/m")
                first = await ws.answer()
                assert first[-1]["response"]["store"] is False
                await ws.create("up/m", "x", previous_response_id=id_of(first))
                assert said(await ws.answer()) == BYE

    run(main())


@pytest.mark.parametrize("store", [True, False])
def test_a_warm_up_asks_nobody(tmp_path: Path, run: Run, store: bool) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns("openai-chat", stream=True)[1:]) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            talk(gate) as ws,
        ):
            await ws.create("up/m", "Hello", generate=False, store=store)
            warm = await ws.answer()
            assert said(warm) == ""
            assert OURS.fullmatch(id_of(warm))
            assert up.book == []
            await ws.create("up/m", [], previous_response_id=id_of(warm), store=store)
            assert said(await ws.answer()) == SUNNY
            assert [m["role"] for m in sent(up)["messages"]] == ["user"]
            assert "generate" not in sent(up)
            await ws.create("nobody/m", generate=False)
            assert (await ws.refused())["status"] == 404
            await ws.create("up/m", generate=True)
            assert said(await ws.answer()) == BYE
            assert "generate" not in sent(up)
            records = (await gate.get("/v1/requests")).json["data"]
            assert [r["op"] for r in records].count("prepare") == 2
            # over HTTP there is no such thing
            body = {"model": "up/m", "input": "x", "generate": False, "stream": True}
            assert (await gate.post("/v1/responses", json.dumps(body).encode())).status == 200
            await gate.rows(3)

    run(main())


def test_a_warm_up_passes_the_gate(tmp_path: Path, run: Run) -> None:
    limited = "[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '3 req/min'\nmodels = ['a/m']\n"

    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat")) as up,
            Gate(tmp_path, file(limited, a=up), key=APP_KEY) as gate,
            talk(gate) as ws,
        ):
            await ws.create("a/other", "x", generate=False)
            assert (await ws.refused())["status"] == 403
            for _ in range(3):
                await ws.create("a/m", "x", generate=False)
                assert said(await ws.answer()) == ""
            await ws.create("a/m", "x", generate=False)
            assert (await ws.refused())["status"] == 429
            assert up.book == []

    run(main())


# -- strands ----------------------------------------------------------------------------------


def test_a_strand_is_a_row_and_strands_run_beside_each_other(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        async with (
            Upstream(gated) as up,
            Gate(tmp_path, file(a=up)) as gate,
            talk(gate) as ws,
        ):
            await ws.create("a/m", "one")
            await ws.create("a/m", "two")  # at once: it waits for its turn
            await ws.create("a/m", "three", stream_id="other")
            for strand in ("", "other"):
                await ws.until("response.output_text.delta", strand)
            gated.let("three")
            assert said(await ws.answer("other")) == HELLO, "nobody waits for another strand"
            assert len(up.book) == 2, "the second of a strand is not begun before the first ends"
            gated.let("one")
            assert said(await ws.answer()) == HELLO
            await ws.until("response.output_text.delta")
            assert list(gated.open)[2:] == ["two"]
            gated.let("two")
            assert said(await ws.answer()) == HELLO

    run(main())


def test_sixteen_run_at_once_and_thirty_two_have_names(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        async with (
            Upstream(gated) as up,
            Gate(tmp_path, file(a=up)) as gate,
            talk(gate) as ws,
        ):
            names = [f"s-{n}.{'x' * 200}_" for n in range(32)]
            for name in names:
                await ws.create("a/m", name, stream_id=name)
            await ws.create("a/m", "x", stream_id="one-more")
            event = await ws.refused("one-more")
            assert event["error"]["code"] == "websocket_stream_limit_reached"
            await until(lambda: len(up.book) == 16)
            for name in names[:16]:
                await ws.until("response.output_text.delta", name)
            assert len(up.book) == 16
            await ws.create("a/m", "", stream_id=None)  # the default one has no name
            for done, name in enumerate([*names, ""]):
                await until(lambda: name in gated.open)  # noqa: B023
                assert len(gated.open) - done <= 16
                gated.let(name)
                assert said(await ws.answer(name)) == HELLO
            await gate.rows(33)

    run(main())


def test_what_waits_is_bounded(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        async with (
            Upstream(gated) as up,
            Gate(tmp_path, file("", "max_body = '8 KB'", a=up)) as gate,
            talk(gate) as ws,
        ):
            await ws.create("a/m")
            await until(lambda: len(gated.open) == 1)
            for _ in range(3):
                await ws.create("a/m", "x" * 3_000, stream_id="s")
            for _ in range(2):
                await ws.create("a/m", "x" * 3_000, stream_id="t")
            assert (await ws.refused("t"))["status"] == 429, "by their bytes"
            await ws.create("a/m", "y", stream_id="s")
            for _ in range(70):
                await ws.create("a/m", "z", stream_id="u")
            assert (await ws.refused("u"))["status"] == 429, "by their number"
            assert len(up.book) <= 4

    run(main())


# -- refusals ---------------------------------------------------------------------------------


def test_what_is_wrong_is_said_and_the_connection_stays(tmp_path: Path, run: Run) -> None:
    limits = "[keys.app]\nsecret = 'env:APP_KEY'\nmodels = ['a/*', 'nobody/*']\n"

    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat")) as up,
            Gate(tmp_path, file(limits, a=up, b=up), key=APP_KEY) as gate,
            talk(gate) as ws,
        ):

            async def refused(text: str, strand: str = "") -> tuple[int, str | None, str | None]:
                await ws.socket.send(text)
                return lost(await ws.refused(strand))

            assert (await refused("nonsense"))[0] == 400
            assert (await refused("[]"))[0] == 400
            assert (await refused('{"type":"response.create","model":"a","model":"b"}'))[0] == 400
            assert await refused("{}") == (400, None, "type")
            assert await refused('{"type":"response.cancel"}') == (400, None, "type")
            for bad in ("", "a b", "x" * 257, 7, "ü"):
                event = {"type": "response.create", "model": "a/m", "input": "x", "stream_id": bad}
                told = (400, "invalid_stream_id", "stream_id")
                assert await refused(json.dumps(event)) == told
            await ws.send(
                type="response.steer", previous_response_id="resp_1", input="Faster", stream_id="m"
            )
            steered = await ws.event()
            assert steered["type"] == "response.steer.failed"
            assert steered["error"]["code"] == "steering_not_supported"
            assert steered["steer"] == {"previous_response_id": "resp_1", "input": "Faster"}
            for status, param, members in (
                (400, "model", {"input": "x"}),
                (400, "input", {"model": "a/m"}),
                (400, "background", {"model": "a/m", "input": "x", "background": True}),
                (404, "model", {"model": "nobody/m", "input": "x"}),
                (403, "model", {"model": "b/m", "input": "x"}),
            ):
                await ws.send(type="response.create", stream_id="m", **members)
                event = await ws.refused("m")
                assert (event["status"], event["error"]["param"]) == (status, param), members
                assert event["error"]["headers"]["x-request-id"].startswith("req_")
            number = '{"type":"response.create","model":"a/m","previous_response_id":1e999}'
            assert await refused(number) == (400, None, "previous_response_id")
            await ws.create("a/m", stream=False)  # implied, whatever it says
            assert said(await ws.answer()) == HELLO
            assert len(up.book) == 1
            assert sent(up).keys() >= {"model", "stream"}
            # What was a request has a record, as over HTTP.
            statuses = [r["status"] for r in await gate.records(10)]
            assert sorted(statuses) == [200, 400, 400, 400, 400, 400, 400, 400, 403, 404]

    run(main())


def test_rates_and_budgets_are_those_of_http(tmp_path: Path, run: Run) -> None:
    keys = (
        "[keys.app]\nsecret = 'env:APP_KEY'\nlimits = '2 req/min'\n"
        "[keys.other]\nsecret = 'env:OTHER_KEY'\nlimits = '$0.000001/day'\n"
    )

    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat")) as up,
            Gate(tmp_path, file(keys, a=up), key=APP_KEY) as gate,
        ):
            async with talk(gate) as ws:
                for _ in range(2):
                    await ws.create("a/m")
                    assert said(await ws.answer()) == HELLO
                await ws.create("a/m")
                event = await ws.refused()
                assert (event["status"], event["error"]["code"]) == (429, "rate_limit_exceeded")
                assert int(event["error"]["headers"]["retry-after"]) > 0
            async with talk(gate, "oct-other-0f1e2d3c4b5a6978") as ws:
                await ws.create("a/m")
                event = await ws.refused()
                assert (event["status"], event["error"]["code"]) == (402, "insufficient_quota")
            assert len(up.book) == 2

    run(main())


def test_a_revoked_key_is_told_no_more_and_asks_no_more(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        gated = Gated()
        async with Upstream(gated) as up, Gate(tmp_path, file(a=up)) as gate:
            gate.key = (await gate.control({"do": "keys.new", "name": "x"}))["ok"]["secret"]
            async with talk(gate) as ws:
                await ws.create("a/m")
                await ws.until("response.output_text.delta")
                await gate.control({"do": "keys.revoke", "name": "x"})
                failed = await ws.until("response.failed")
                assert "revoked" in failed["response"]["error"]["message"]
                await ws.create("a/m", stream_id="late")
                event = await ws.refused("late")
                assert (event["status"], event["error"]["code"]) == (401, "invalid_api_key")
                gated.let()
            assert len(up.book) == 1
            gate.key = (await gate.control({"do": "keys.new", "name": "y"}))["ok"]["secret"]

    run(main())


def test_a_reload_is_met_by_the_next_request(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.streamed("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
            talk(gate) as ws,
        ):
            await ws.create("later")
            assert (await ws.refused())["status"] == 404
            gate.write(file(route("later", "a/m"), a=up))
            assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
            await ws.create("later")
            assert said(await ws.answer()) == HELLO

    run(main())


@pytest.mark.filterwarnings("ignore:connect:DeprecationWarning")  # of the SDK's own
def test_the_sync_sdk_has_its_own_way_in(tmp_path: Path, run: Run) -> None:
    plays: list[Play] = [provider.streamed("openai-chat")]

    async def main() -> None:
        async with Upstream(*plays) as up, Gate(tmp_path, file(a=up)) as gate:

            def ask() -> str:
                client = openai.OpenAI(api_key="x", base_url=f"http://127.0.0.1:{gate.port}/v1")
                with client, client.responses.connect() as connection:
                    connection.response.create(model="a/m", input="Hello")
                    for event in connection:
                        if event.type == "response.completed":
                            return event.response.output_text
                return ""

            assert await asyncio.to_thread(ask) == HELLO

    run(main())
