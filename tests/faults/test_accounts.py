"""F31, F32, F34: what is wrong with the account or the model at a provider."""

import json
from pathlib import Path

from tests.server import provider
from tests.server.check import FACES, error_of
from tests.server.conftest import Run
from tests.server.gate import UP_KEY, Gate, file, route
from tests.upstream_server import Upstream, says

SECOND = "sk-canary-second-77aa31"
POOL = "api_key = ['env:UP_KEY', 'env:UP_KEY_2']"
# https://developers.openai.com/api/docs/guides/error-codes
QUOTA = {
    "error": {
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "type": "insufficient_quota",
        "param": None,
        "code": "insufficient_quota",
    }
}
DENIED = {
    "error": {
        "message": f"Incorrect API key provided: {UP_KEY}.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
}
GONE = {
    "error": {
        "message": "The model `m` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }
}


def _says(error: object, status: int) -> object:
    return says(json.dumps(error).encode(), status=status)


def _pool(up: Upstream) -> str:
    return file(route("main", "a/m"), a=up).replace("api_key = 'env:UP_KEY'", POOL)


def _keys(up: Upstream) -> list[str]:
    sent = [entry.headers[b"authorization"].decode() for entry in up.book]
    return ["first" if UP_KEY in key else "second" for key in sent]


def test_f31_a_key_without_credit_rests_and_another_is_asked(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        good = provider.whole("openai-chat")
        async with (
            Upstream(_says(QUOTA, 429), good) as up,  # type: ignore[arg-type]
            Gate(tmp_path, _pool(up), env={"UP_KEY_2": SECOND}) as gate,
        ):
            for _ in range(4):
                assert (await gate.chat("main")).status == 200
            assert _keys(up) == ["first", "second", "second", "second", "second"]
            metrics = (await gate.get("/metrics")).body
            assert b"sk-canary" not in metrics

    run(main())


def test_f31_the_only_key_without_credit_is_told_and_left_alone(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(_says(QUOTA, 429)) as up,  # type: ignore[arg-type]
            Gate(tmp_path, file(route("main", "a/m"), a=up)) as gate,
        ):
            statuses = [(await gate.chat("main")).status for _ in range(3)]
            assert statuses[0] == 502
            assert set(statuses[1:]) <= {502, 503}
            assert len(up.book) == 1

    run(main())


def test_f32_a_refused_key_rests_and_its_text_is_seen_nowhere(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        good = provider.whole("openai-chat")
        async with (
            Upstream(_says(DENIED, 401), good) as up,  # type: ignore[arg-type]
            Gate(tmp_path, _pool(up), env={"UP_KEY_2": SECOND}) as gate,
        ):
            for _ in range(3):
                assert (await gate.chat("main")).status == 200
            assert _keys(up) == ["first", "second", "second", "second"]

    run(main())


def test_f32_the_caller_of_a_refused_key_sees_502_on_every_face(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(_says(DENIED, 401)) as up,  # type: ignore[arg-type]
            Gate(tmp_path, file(route("main", "a/m"), a=up)) as gate,
        ):
            for face in FACES:
                reply = await gate.chat("main", face)
                assert reply.status in (502, 503)
                error_of(reply, face)
                assert b"sk-canary" not in reply.raw
            assert len(up.book) == 1, "it rests"

    run(main())


def test_f34_a_model_that_is_gone_is_passed_over(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(_says(GONE, 404)) as up,  # type: ignore[arg-type]
            Upstream(provider.whole("openai-chat")) as other,
            Gate(tmp_path, file(route("main", "a/m", "b/m"), a=up, b=other)) as gate,
        ):
            reply = await gate.chat("main")
            assert reply.status == 200
            assert reply.headers["x-octoplex-model"] == "b/m"
            alone = await gate.chat("a/m")
            assert alone.status == 404
            assert "m" in error_of(alone, "openai-chat")["message"]

    run(main())
