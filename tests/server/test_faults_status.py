"""What a provider's status means for the caller: F30, F35, F37, over real sockets."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.check import error_of, finished, plain_text
from tests.server.conftest import Run
from tests.server.gate import Gate, file, route
from tests.server.scene import CROSSINGS, scene
from tests.upstream_server import Upstream, says


def later(seconds: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


FORMS: dict[str, tuple[Callable[[], dict[str, str]], float]] = {
    "seconds": (lambda: {"retry-after": "30"}, 30),
    "float": (lambda: {"retry-after": "20.5"}, 20.5),
    "date": (lambda: {"retry-after": format_datetime(later(60), usegmt=True)}, 60),
    "milliseconds": (lambda: {"retry-after-ms": "45000"}, 45),
    "never": (lambda: {"retry-after": "1000000000"}, 86_400),
    "openai": (
        lambda: {"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"},
        360,
    ),
    "rfc3339": (
        lambda: {"anthropic-ratelimit-tokens-reset": f"{later(90):%Y-%m-%dT%H:%M:%SZ}"},
        90,
    ),
}
AT_ONCE = {
    "past": {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    "negative": {"retry-after": "-5"},
    "zero": {"retry-after": "0"},
    "none": {},
    "garbage": {"retry-after": "soon"},
}


@pytest.mark.parametrize("form", FORMS)
def test_f30_a_long_wait_is_told_and_not_waited(tmp_path: Path, run: Run, form: str) -> None:
    """The key rests, the caller hears how long, and a second call is not sent at all."""
    made, wait_s = FORMS[form]
    headers = made()

    async def main() -> None:
        async with scene(tmp_path, lambda d: [provider.fails(d, 429, headers.items())]) as at:
            for face, name in CROSSINGS[:1] + CROSSINGS[3:]:
                began = time.time()
                reply = await at.gate.chat(f"{name}/m", face)
                assert reply.status == 429
                assert error_of(reply, face)["code"] == "upstream_busy"
                told = min(wait_s, 600) if wait_s > 600 else wait_s
                assert told - 4 <= int(reply.headers["retry-after"]) <= wait_s + 2
                assert int(reply.headers["retry-after-ms"]) <= (wait_s + 2) * 1000
                assert reply.headers["x-should-retry"] == "false"
                assert time.time() - began < 2
                again = await at.gate.chat(f"{name}/m", face)
                assert again.status in (429, 503)
                assert int(again.headers["retry-after"]) >= min(wait_s, 600) - 5
            assert len(at.book) == 2
            assert all(r["nano"] == 0 for r in await at.gate.rows(2))

    run(main())


@pytest.mark.parametrize("form", AT_ONCE)
def test_f30_a_short_or_unreadable_wait_is_waited_out(tmp_path: Path, run: Run, form: str) -> None:
    async def main() -> None:
        async with (
            Upstream(
                provider.fails("openai-chat", 429, AT_ONCE[form].items()),
                provider.whole("openai-chat"),
            ) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            reply = await gate.chat("a/m")
            assert plain_text(reply, "openai-chat") == "Hello, world!"
            assert len(up.book) == 2
            assert [r["nano"] for r in await gate.rows(2)] == [0, provider.nano(provider.BILL)]

    run(main())


def test_f30_another_key_of_the_pool_is_asked_at_once(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        busy = provider.fails("openai-chat", 429, [("retry-after", "2")])
        async with Upstream(busy, provider.whole("openai-chat")) as up:
            text = file(a=up).replace("'env:UP_KEY'", "['env:UP_KEY', 'env:OTHER_KEY']")
            async with Gate(tmp_path, text) as gate:
                began = time.time()
                assert (await gate.chat("a/m")).status == 200
                assert time.time() - began < 1
                keys = [e.headers[b"authorization"] for e in up.book]
                assert len(set(keys)) == 2
                (record,) = await gate.records()
                labels = [a["key"] for a in record["attempts"]]
                assert labels == ["env:UP_KEY", "env:OTHER_KEY"]

    run(main())


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 529])
def test_f35_failures_are_retried_then_fall_over(tmp_path: Path, run: Run, status: int) -> None:
    async def main() -> None:
        more = "retry = { attempts = 2, backoff_s = 0.02 }"
        text = route("main", "a/m", "claude/m", more=more) + route("one", "a/m1", more=more)

        async with (
            Upstream(provider.fails("openai-chat", status)) as a,
            Upstream(provider.whole("anthropic"), provider.streamed("anthropic")) as claude,
            Gate(tmp_path, file(text, a=a, claude=claude)) as gate,
        ):
            reply = await gate.chat("main", "anthropic")
            assert plain_text(reply, "anthropic") == "Hello, world!"
            assert reply.headers["x-octoplex-attempts"] == "3"
            finished(await gate.chat("main", stream=True), "openai-chat")
            for face in ("openai-chat", "anthropic"):
                reply = await gate.chat("one", face)
                shown = 529 if status == 503 else status
                if shown == 529 and face == "openai-chat":
                    shown = 503
                assert reply.status == shown
                error = error_of(reply, face)
                if shown == 529:
                    assert error["type"] == "overloaded_error"
                assert reply.headers["x-should-retry"] == "false"
            rows = await gate.rows(10)
            paid = [r["nano"] for r in rows if r["state"] == "settled"]
            assert paid == [provider.nano(provider.BILL)] * 2
            records = await gate.records(4)
            assert [len(r["attempts"]) for r in records] == [2, 2, 3, 3]

    run(main())


def test_f37_when_every_target_rests_it_says_until_when(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        more = "retry = { attempts = 1 }"
        text = route("main", "a/m", "claude/m", more=more)
        async with scene(
            tmp_path, lambda d: [provider.fails(d, 503, [("retry-after", "40")])], text
        ) as at:
            first = await at.gate.chat("main")
            assert first.status == 503
            for face in ("openai-chat", "anthropic"):
                began = time.time()
                reply = await at.gate.chat("main", face)
                assert reply.status == 503
                assert error_of(reply, face)["code"] == "no_target"
                assert 30 <= int(reply.headers["retry-after"]) <= 40
                assert time.time() - began < 1
            assert len(at.book) == 2
            assert [r["status"] for r in await at.gate.records(3)] == [503, 503, 503]
            await at.gate.rows(2)

    run(main())


@pytest.mark.parametrize("status", [401, 403])
def test_a_providers_401_never_reaches_the_caller(tmp_path: Path, run: Run, status: int) -> None:
    async def main() -> None:
        async with scene(tmp_path, lambda d: [provider.fails(d, status)]) as at:
            for face, name in CROSSINGS[1:3]:
                reply = await at.gate.chat(f"{name}/m", face)
                assert reply.status in (502, 503)
                error_of(reply, face)
            assert all(r["nano"] == 0 for r in await at.gate.rows(2))

    run(main())


def test_a_rejection_is_the_providers_verdict(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        def plays(dialect: str):
            body = provider.error_body(dialect, "invalid_request_error", "temperature is too hot")
            return [says(body, status=400)]

        async with scene(tmp_path, plays, route("main", "a/m", "claude/m")) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}/m", face)
                assert reply.status == 400
                assert "temperature is too hot" in error_of(reply, face)["message"]
            assert (await at.gate.chat("main")).status == 400
            assert len(at.book) == 5
            await at.gate.rows(5)

    run(main())


def test_a_status_that_http_does_not_have_is_a_broken_reply(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with scene(tmp_path, lambda d: [provider.fails(d, 999)]) as at:
            for face, name in CROSSINGS:
                reply = await at.gate.chat(f"{name}/m-{face}", face)
                assert reply.status == 502
                assert error_of(reply, face)["code"] == "bad_upstream_response"
            passed = await at.gate.post("/providers/a/chat/completions", b'{"model":"m9"}')
            assert passed.status == 999

    run(main())
