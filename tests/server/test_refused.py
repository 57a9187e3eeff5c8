"""What never became a call: told to its caller, counted, and recorded if the caller is known."""

from pathlib import Path

from tests.server import caller, provider
from tests.server.caller import request
from tests.server.check import FACES
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, Gate, file, question
from tests.upstream_server import Upstream

KEY = "\n[keys.app]\nsecret = 'env:APP_KEY'\n"


def test_a_known_callers_refusals_are_records(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            text = file(KEY, "max_body = '2KiB'", a=up)
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                seen = []
                for face in FACES:
                    for body in (b"{", b"[]", b'{"model":"a/m"}', question("a/m", user="x" * 4000)):
                        reply = await gate.post(PATHS[face], body)
                        seen.append((face, reply.status))
                async with gate.line() as line:  # it leaves before its body has come
                    line.send(
                        request("POST", PATHS["openai-chat"], question("a/m"), gate.headers())[:-9]
                    )
                seen.append(("openai-chat", 499))
                rows = await gate.records(9)
                assert [(r["face"], r["status"]) for r in reversed(rows)] == seen
                assert {r["key"] for r in rows} == {"app"}
                assert [r["outcome"] for r in rows] == ["left"] + ["failed"] * 8
                assert {s for _, s in seen} == {400, 413, 499}
                assert all(r["error"] and r["error_code"] for r in rows)
                assert not up.book

    run(main())


def test_a_stranger_is_counted_and_leaves_no_record(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            gate = Gate(tmp_path, file(KEY, a=up), key=APP_KEY)
            async with gate:
                for _ in range(3):
                    body = question("a/m")
                    reply = await caller.ask(gate.port, "POST", PATHS["anthropic"], body)
                    assert reply.status == 401
                assert (await gate.post("/nowhere", b"{}")).status == 404
                assert (await gate.chat("a/m")).status == 200
                await gate.records(1)
                figures = (await gate.get("/metrics")).body.decode()
                refused = (
                    'octoplex_requests_total{provider="",model="",route="",status_class="4xx"} 4'
                )
                assert refused in figures

    run(main())


def test_a_request_whose_body_is_cut_by_a_shutdown_is_a_record(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            text = file(KEY, "drain_s = 0.1", a=up).replace("drain_s = 2.0\n", "")
            gate = Gate(tmp_path, text, key=APP_KEY)
            async with gate:
                async with gate.line() as line:
                    pairs = [*gate.headers(), ("expect", "100-continue")]
                    asked = request("POST", PATHS["openai-chat"], question("a/m"), pairs)
                    line.send(asked[:-9])
                    assert (await line.head()).status == 100  # it waits for the rest
                    assert await gate.stop() == 0
                    assert (await line.reply()).status == 503
                await gate.start()
                (record,) = await gate.records(1)
                assert (record["status"], record["outcome"]) == (503, "stopped")
                assert (record["key"], record["error_code"]) == ("app", "stopping")

    run(main())
