"""What never became a call: told to its caller, counted, and recorded if the caller is known."""

from pathlib import Path

import pytest

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


NONSENSE = {
    "no UTF-8": b'"\xff"',
    "half a character": b'"\\ud800"',
    "too deep": b'"", "x": ' + b"[" * 100_000 + b"]" * 100_000,
}
DOORS = (
    *(("POST", path, "model") for path in (*PATHS.values(), "/v1/embeddings")),
    ("POST", "/v1/guard", "text"),
    ("POST", "/v1/feedback", "comment"),
    ("POST", "/mcp", "method"),
    ("POST", "/v1/batches", "endpoint"),
    ("POST", "/v1/messages/batches", "requests"),
    ("POST", "/admin/keys", "name"),
    ("POST", "/admin/keys/x/rotate", "overlap_s"),
    ("PUT", "/admin/providers/a/key", "key"),
    ("POST", "/admin/cache/purge", "model"),
    ("POST", "/admin/config/diff", "text"),
)


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_is_the_callers_fault_at_every_door(tmp_path: Path, run: Run, value: str) -> None:
    async def main() -> None:
        async with Upstream(provider.whole("openai-chat")) as up:
            text = file(f"{KEY}role = 'admin'\n", a=up)
            async with Gate(tmp_path, text, key=APP_KEY) as gate:
                for method, path, name in DOORS:
                    body = b'{"%b": %b}' % (name.encode(), NONSENSE[value])
                    reply = await caller.ask(gate.port, method, path, body, gate.headers())
                    assert reply.status == 400, (method, path, reply.body)

    run(main())


@pytest.mark.parametrize("path", PATHS.values())
def test_a_body_that_is_nearly_too_deep_is_no_defect_of_ours(
    tmp_path: Path, run: Run, path: str
) -> None:
    """It can be read at the door, and not where a guard looks at it with more on the stack."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file("[guard]\npii = 'mask'\n", a=up)) as gate,
        ):
            seen = set()
            for depth in range(930, 1_000):
                turn = b'{"role": "user", "content": %b}' % (b"[" * depth + b"]" * depth)
                name = b"input" if path.endswith("responses") else b"messages"
                body = b'{"model": "a/m", "max_tokens": 9, "%b": [%b]}' % (name, turn)
                seen.add((await caller.ask(gate.port, "POST", path, body)).status)
            assert seen <= {200, 400}

    run(main())
