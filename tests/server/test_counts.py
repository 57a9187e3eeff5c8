"""A count of tokens that the provider should make and cannot: an estimate that says so."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.server.caller import Reply
from tests.server.conftest import Run
from tests.server.gate import QUICK, Gate, file
from tests.upstream_server import Play, Upstream, closed_port, reset, says, stalls

TEXT = [("content-type", "text/html")]
FAILS = {
    "500": says(b'{"error": {"message": "Oops", "type": "server_error"}}', 500),
    "502 of a proxy": says(b"<html>Bad Gateway</html>", 502, TEXT),
    "529": says(b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', 529),
    "429": says(b'{"error": {"message": "Slow", "type": "requests"}}', 429, [("retry-after", "9")]),
    "401": says(b'{"error": {"message": "No", "type": "authentication_error"}}', 401),
    "reset": reset(),
    "stall": stalls(),
    "no count": says(b"{}"),
}
INVALID_URL = {
    "error": {
        "message": "Invalid URL (POST /v1/responses/input_tokens)",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
}
"""As OpenAI, and servers like it, answer for a path that they lack:
https://community.openai.com/t/invalid-url-post-v1-chat-completions-error/29191"""


COUNTS = 'quirks = ["counts_input"]\n'


async def counted(gate: Gate, face: str, provider: str) -> Reply:
    if face == "anthropic":
        body = {"model": f"{provider}/m", "messages": [{"role": "user", "content": "Hello"}]}
        return await gate.post("/v1/messages/count_tokens", json.dumps(body).encode())
    body = {"model": f"{provider}/m", "input": "Hello"}
    return await gate.post("/v1/responses/input_tokens", json.dumps(body).encode())


def is_estimate(reply: Reply) -> bool:
    return (
        reply.status == 200
        and reply.json["input_tokens"] > 0
        and reply.headers.get("x-octoplex-estimated") == "true"
    )


@pytest.mark.parametrize("how", FAILS)
def test_where_the_counter_fails_it_is_estimated(tmp_path: Path, run: Run, how: str) -> None:
    async def main() -> None:
        play: Play = FAILS[how]
        async with (
            Upstream(play) as claude,
            Upstream(play) as resp,
            Gate(tmp_path, file(each=COUNTS + QUICK, claude=claude, resp=resp)) as gate,
        ):

            async def twice(face: str, name: str) -> None:
                for _ in range(2):  # the second time it may rest
                    reply = await counted(gate, face, name)
                    assert is_estimate(reply), (face, name, reply.raw)

            faces, names = ("anthropic", "openai-responses"), ("claude", "resp")
            await asyncio.gather(*[twice(face, name) for face in faces for name in names])
            assert claude.book
            assert resp.book

    run(main())


def test_where_nobody_listens_it_is_estimated(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(says(b"")) as claude:
            text = file(each=QUICK, claude=claude)
            text = text.replace(claude.url, f"http://127.0.0.1:{closed_port()}/v1")
            async with Gate(tmp_path, text) as gate:
                assert is_estimate(await counted(gate, "anthropic", "claude"))

    run(main())


def test_a_path_that_the_vendor_lacks_is_no_model_that_it_lacks(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        error = dict(INVALID_URL["error"])
        gone = error | {"message": "The model `m` does not exist", "code": "model_not_found"}
        async with (
            Upstream(
                says(json.dumps(INVALID_URL).encode(), 404),
                says(json.dumps({"error": gone}).encode(), 404),
                says(json.dumps({"error": error | {"message": "bad"}}).encode(), 400),
            ) as resp,
            Gate(tmp_path, file(each=COUNTS, resp=resp)) as gate,
        ):
            assert is_estimate(await counted(gate, "openai-responses", "resp"))
            assert (await counted(gate, "openai-responses", "resp")).status == 404
            assert (await counted(gate, "openai-responses", "resp")).status == 400
            assert len(resp.book) == 3

    run(main())
