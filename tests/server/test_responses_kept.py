"""Which responses are kept and how long, and how they are read again."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, Gate
from tests.server.responses_scene import DIALECTS, OURS, config, create, missing, sdk, sent, stored
from tests.server.turns import BYE, SUNNY, turns
from tests.upstream_server import Upstream, streams

# -- what is kept, and how long ---------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_nothing_is_written_of_what_may_not_be_stored(
    tmp_path: Path, run: Run, dialect: str, stream: bool
) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns(dialect, stream=stream)[1:]) as up,
            Gate(tmp_path, config(up=(dialect, up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            made = await create(client, stream, model="up/m", input="x", store=False)
            if dialect != "openai-responses":
                assert OURS.fullmatch(made.id)
                assert made.store is False  # type: ignore[attr-defined]
            else:
                assert sent(up)["store"] is False
            await missing(client.responses.retrieve(made.id))
            assert not (gate.data / "responses.db").exists()

    run(main())


def test_zero_days_keep_nothing_and_say_so(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(*turns("openai-chat", stream=False)[1:]) as up:
            text = config(up=("openai-chat", up))
            async with Gate(tmp_path, text, key=APP_KEY) as gate, sdk(gate) as client:
                kept = await create(client, model="up/m", input="x")
                assert (await client.responses.retrieve(kept.id)).id == kept.id
                assert stored(gate) == 1
                gate.write(config("", "responses_days = 0", up=("openai-chat", up)))
                gate.hup()
                while (made := await create(client, model="up/m", input="x")).store:  # type: ignore[attr-defined]
                    pass
                await missing(client.responses.retrieve(made.id))
                await missing(client.responses.retrieve(kept.id))

    run(main())


def test_responses_outlive_the_process(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns("openai-chat", stream=False)[1:]) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
        ):
            async with sdk(gate) as client:
                made = await create(client, model="up/m", input="x")
                assert await client.responses.retrieve(made.id) == made
            gate.kill()
            await gate.start()
            async with sdk(gate) as client:
                assert await client.responses.retrieve(made.id) == made
                on: dict[str, Any] = {"model": "up/m", "previous_response_id": made.id}
                assert (await create(client, input="y", **on)).output_text == BYE
                assert len(sent(up)["messages"]) == 3

    run(main())


def test_a_response_that_cannot_be_kept_is_answered_all_the_same(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns("openai-chat", stream=False)[1:]) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            (gate.data / "responses.db").mkdir()  # a file that nobody can open
            made = await create(client, model="up/m", input="x")
            assert made.output_text == SUNNY
            reply = await gate.get(f"/v1/responses/{made.id}")
            assert reply.status == 503
            assert str(gate.data) not in reply.body.decode()
            metrics = (await gate.get("/metrics")).body.decode()
            assert 'octoplex_log{kind="responses_dropped"} 1' in metrics
            assert "a response is not stored" in gate.log.read_text()

    run(main())


def test_a_stream_that_breaks_off_is_not_kept(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        cut = streams([provider.chunk({"role": "assistant", "content": "Hel"})], "close")
        async with (
            Upstream(cut) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            with pytest.raises(openai.APIError):
                await create(client, True, model="up/m", input="x")
            assert stored(gate) == 0

    run(main())


# -- reading ----------------------------------------------------------------------------------


def test_input_items_come_in_pages(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns("openai-chat", stream=False)[1:]) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
            sdk(gate) as client,
        ):
            said = [{"role": "user", "content": f"{number}"} for number in range(25)]
            made = await create(client, model="up/m", input=said)
            path = f"/v1/responses/{made.id}/input_items"

            def texts(page: Any) -> list[str]:
                return [item["content"][0]["text"] for item in page["data"]]

            newest = (await gate.get(path)).json
            assert newest["object"] == "list"
            assert texts(newest) == [f"{n}" for n in range(24, 4, -1)]
            assert newest["has_more"] is True
            assert newest["first_id"] == newest["data"][0]["id"]
            rest = (await gate.get(f"{path}?after={newest['last_id']}")).json
            assert texts(rest) == [f"{n}" for n in range(4, -1, -1)]
            assert rest["has_more"] is False
            oldest = (await gate.get(f"{path}?order=asc&limit=3")).json
            assert texts(oldest) == ["0", "1", "2"]
            every = [i.id async for i in client.responses.input_items.list(made.id, limit=4)]
            assert len(every) == 25
            for wrong, param in (
                ("limit=0", "limit"),
                ("limit=101", "limit"),
                ("limit=x", "limit"),
                ("order=up", "order"),
                ("after=msg_none", "after"),
            ):
                reply = await gate.get(f"{path}?{wrong}")
                assert (reply.status, reply.json["error"]["param"]) == (400, param)
            assert (await gate.get(f"/v1/responses/{made.id}/nothing")).status == 404
            replayed = await gate.get(f"/v1/responses/{made.id}?stream=true")
            assert (replayed.status, replayed.json["error"]["param"]) == (400, "stream")

    run(main())


@pytest.mark.parametrize("previous", [7, "", [], {}, "x" * 10_000])
def test_odd_ids_are_refused(tmp_path: Path, run: Run, previous: Any) -> None:
    async def main() -> None:
        async with (
            Upstream(*turns("openai-chat", stream=False)[1:]) as up,
            Gate(tmp_path, config(up=("openai-chat", up)), key=APP_KEY) as gate,
        ):
            body = {"model": "up/m", "input": "x", "previous_response_id": previous}
            reply = await gate.post("/v1/responses", json.dumps(body).encode())
            assert reply.status == (404 if isinstance(previous, str) else 400)
            assert reply.json["error"]["param"] == "previous_response_id"
            assert up.book == []

    run(main())
