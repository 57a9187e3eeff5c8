"""Predictions over real sockets: done at once, later, as a stream, and not at all.

`Replicate` plays the provider; a gateway process is before it. Whatever happens, each attempt
has one settled row, and a prediction that nobody waits for any more is cancelled.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from octoplex.transport.origin import NO_PROXIES, Origin
from octoplex.upstreams.prediction import own_address
from octoplex.wire.error import UpstreamBroken
from tests.server import provider
from tests.server.caller import events
from tests.server.check import FACES, error_of, finished, stream_of
from tests.server.conftest import Run
from tests.server.gate import UP_KEY, Gate, file, route, until
from tests.server.predicting import BILL, Replicate, event, said
from tests.upstream_server import Upstream, says

AT_ONCE_S = 0.25
MODEL = "rep/meta/llama"


@dataclass
class Scene:
    gate: Gate
    up: Upstream
    said: Replicate

    def paths(self) -> list[str]:
        return [f"{e.head.split()[0].decode()} {e.path}" for e in self.up.book]

    async def has_left_it_alone(self) -> None:
        await asyncio.sleep(0.1)
        assert self.said.cancelled == []


@asynccontextmanager
async def before(
    folder: Path, played: Replicate, more: str = "", each: str = ""
) -> AsyncIterator[Scene]:
    async with Upstream(played.play) as up:
        text = (
            f"[providers.rep]\ndialect = 'replicate'\nbase_url = '{up.url}/v1'\n"
            f"api_key = 'env:UP_KEY'\n{each}\n"
        )
        price = f'"{MODEL}" = {provider.PRICE}\n'
        async with Gate(folder, file(f"{price}{text}{more}")) as gate:
            yield Scene(gate, up, played)


def text_of(body: dict[str, Any]) -> str:
    if "choices" in body:
        return str(body["choices"][0]["message"]["content"])
    return "".join(b["text"] for b in body["content"])


def said_in(found: list[dict[str, Any]]) -> str:
    """The text of a stream of either face."""
    deltas = [e["choices"][0]["delta"] if e.get("choices") else e.get("delta", {}) for e in found]
    return "".join(d.get("content") or d.get("text") or "" for d in deltas)


def test_a_prediction_that_is_done_at_once(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with before(tmp_path, Replicate("Hel", "lo")) as at:
            for face in FACES:
                reply = await at.gate.chat(MODEL, face)
                assert (reply.status, text_of(reply.json)) == (200, "Hello")
            entry = at.up.book[0]
            assert entry.path == "/v1/models/meta/llama/predictions"
            assert entry.headers[b"authorization"] == b"Bearer " + UP_KEY.encode()
            assert entry.headers[b"prefer"] == b"wait=60"
            assert 5 <= int(entry.headers[b"cancel-after"].removesuffix(b"s")) <= 3600
            assert json.loads(entry.body) == {"input": {"prompt": "Hello", "max_tokens": 50}}
            assert len(at.up.book) == len(FACES)
            for row in await at.gate.rows(len(FACES)):
                assert (row["input_tokens"], row["output_tokens"]) == BILL
                assert (row["outcome"], row["estimated"]) == ("done", 0)

    run(main())


def test_one_that_goes_on_is_looked_at_until_it_is_done(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with before(tmp_path, Replicate("Late", looks=2, fails=[503])) as at:
            reply = await at.gate.chat(MODEL)
            assert text_of(reply.json) == "Late"
            looks = ["GET /v1/predictions/p1"] * 3
            assert at.paths() == ["POST /v1/models/meta/llama/predictions", *looks]
            look = at.up.book[-1]
            assert look.headers[b"authorization"] == b"Bearer " + UP_KEY.encode()
            assert b"content-type" not in look.headers
            (row,) = await at.gate.rows()
            assert (row["input_tokens"], row["estimated"]) == (BILL[0], 0)
            await at.has_left_it_alone()

    run(main())


@pytest.mark.parametrize("face", FACES)
def test_a_stream_and_its_bill(tmp_path: Path, run: Run, face: str) -> None:
    async def main() -> None:
        async with before(tmp_path, Replicate("Once", " upon\n\n", "a time")) as at:
            reply = await at.gate.chat(MODEL, face, stream=True)
            found = finished(reply, face)
            assert said_in(found) == "Once upon\n\na time"
            assert at.paths()[1:] == ["GET /stream/p1", "GET /v1/predictions/p1"]
            made, listened, billed = at.up.book
            assert json.loads(made.body)["stream"] is True
            assert b"prefer" not in made.headers
            assert listened.headers[b"accept"] == b"text/event-stream"
            assert listened.headers[b"authorization"] == b"Bearer " + UP_KEY.encode()
            assert billed.body == b""
            (row,) = await at.gate.rows()
            assert (row["input_tokens"], row["output_tokens"]) == BILL
            assert (row["outcome"], row["estimated"]) == ("done", 0)
            await at.has_left_it_alone()

    run(main())


@pytest.mark.parametrize("stops", ["done", "stall"])
def test_a_bill_that_does_not_come_is_estimated(tmp_path: Path, run: Run, stops: str) -> None:
    async def main() -> None:
        async with before(tmp_path, Replicate("Hi", fails=[500], stops=stops)) as at:
            finished(await at.gate.chat(MODEL, stream=True), "openai-chat")
            (row,) = await at.gate.rows()
            assert (row["outcome"], row["estimated"]) == ("done", 1)
            await at.has_left_it_alone()

    run(main())


def test_a_model_without_a_stream_is_told_as_one(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with before(tmp_path, Replicate("Hi", looks=1, streams=False)) as at:
            reply = await at.gate.chat(MODEL, stream=True)
            finished(reply, "openai-chat")
            assert b"Hi" in reply.body
            (row,) = await at.gate.rows()
            assert (row["input_tokens"], row["estimated"]) == (BILL[0], 0)

    run(main())


LEAVING = {
    "while it goes on": (Replicate("x", looks=10**6), False, 2),
    "before its first word": (Replicate(events=[event("logs", "boot")], stops="stall"), True, 2),
    "between two words": (Replicate(events=said("One")[:1], stops="stall"), True, 2),
}


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("when", LEAVING)
def test_who_leaves_has_it_cancelled(tmp_path: Path, run: Run, when: str, hard: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        scripted, stream, requests = LEAVING[when]
        played = Replicate(
            *scripted.texts, looks=scripted.looks, events=scripted.events, stops=scripted.stops
        )
        async with before(tmp_path, played) as at:
            async with at.gate.line() as line:
                line.send(at.gate.question(MODEL, stream=stream))
                await until(lambda: len(at.up.book) >= requests)
                if when == "between two words":
                    await line.head()
                    await line.until(b"One")
                left_at = loop.time()
                line.leave(hard)
                await until(lambda: bool(played.cancelled))
                assert played.cancelled[0].received_at - left_at < AT_ONCE_S
                if stream:
                    listened = at.up.book[1]
                    await until(lambda: listened.closed_at is not None)
                    assert (listened.closed_at or 0.0) - left_at < AT_ONCE_S
            (row,) = await at.gate.rows()
            assert (row["outcome"], row["estimated"]) == ("left", 1)
            assert 0 < row["nano"] < row["reserved_nano"]
            (record,) = await at.gate.records()
            assert record["outcome"] == "left"
            (cancel,) = played.cancelled
            assert cancel.head.startswith(b"POST /v1/predictions/p1/cancel ")
            assert cancel.headers[b"authorization"] == b"Bearer " + UP_KEY.encode()

    run(main())


def test_who_leaves_before_its_address_is_known(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with before(tmp_path, Replicate(hangs=True)) as at:
            async with at.gate.line() as line:
                line.send(at.gate.question(MODEL))
                await until(lambda: len(at.up.book) == 1)
                left_at = loop.time()
                line.leave(False)
                entry = at.up.book[0]
                await until(lambda: entry.closed_at is not None)
                assert (entry.closed_at or 0.0) - left_at < AT_ONCE_S
            (row,) = await at.gate.rows()
            assert (row["outcome"], row["estimated"]) == ("left", 1)
            await at.has_left_it_alone()

    run(main())


@pytest.mark.parametrize("stream", [False, True])
def test_what_takes_too_long_is_cancelled(tmp_path: Path, run: Run, stream: bool) -> None:
    async def main() -> None:
        played = Replicate("x", looks=10**6, streams=False)
        each = "timeouts = { total_s = 1.2 }"
        more = route("main", MODEL, more="retry = { attempts = 1 }")
        async with before(tmp_path, played, more, each) as at:
            reply = await at.gate.chat("main", stream=stream)
            assert reply.status == 504
            assert error_of(reply, "openai-chat")["code"] == "upstream_slow"
            await until(lambda: bool(played.cancelled))
            assert int(at.up.book[0].headers[b"cancel-after"].removesuffix(b"s")) == 5
            (row,) = await at.gate.rows()
            assert (row["outcome"], row["estimated"]) == ("cut", 1)

    run(main())


@pytest.mark.parametrize(
    ("played", "status", "code"),
    [
        (Replicate(looks=1, status="failed", error="CUDA out of memory"), 502, "upstream_failed"),
        (Replicate(looks=1, status="canceled"), 502, "upstream_failed"),
        (Replicate("x", looks=9, fails=[500, 502, 503]), 502, "upstream_failed"),
        (Replicate("x", looks=9, fails=[404]), 502, "upstream_failed"),
    ],
    ids=["failed", "canceled", "looks that fail", "a look that is refused"],
)
def test_one_that_does_not_succeed(
    tmp_path: Path, run: Run, played: Replicate, status: int, code: str
) -> None:
    async def main() -> None:
        more = route("main", MODEL, more="retry = { attempts = 1 }")
        async with before(tmp_path, played, more) as at:
            reply = await at.gate.chat("main")
            assert reply.status == status
            assert error_of(reply, "openai-chat")["code"] == code
            (row,) = await at.gate.rows()
            if played.texts:  # nobody knows how it ended: it may be billed
                await until(lambda: bool(played.cancelled))
                assert row["nano"] == row["reserved_nano"]
            else:
                await at.has_left_it_alone()

    run(main())


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("script", "stops", "code"),
    [
        ([event("output", "Half"), event("error", "Out of memory")], "done", "upstream_failed"),
        ([event("output", "Half")], "done", "bad_upstream_response"),
        ([event("output", "Half")], "reset", "bad_upstream_response"),
        ([event("output", "Half"), event("done", '{"reason":"error"}')], "done", "upstream_failed"),
    ],
    ids=["error", "polite", "reset", "done with an error"],
)
def test_a_stream_that_breaks_is_told_in_band(
    tmp_path: Path, run: Run, script: list[bytes], stops: str, code: str, face: str
) -> None:
    async def main() -> None:
        more = route("main", MODEL, more="rescue = 'off'")
        async with before(tmp_path, Replicate(events=script, stops=stops), more) as at:
            reply = await at.gate.chat("main", face, stream=True)
            found = stream_of(reply, face)
            assert b"Half" in reply.body
            assert code in json.dumps(found[-1])
            (row,) = await at.gate.rows()
            assert (row["outcome"], row["estimated"]) == ("cut", 1)
            if code == "bad_upstream_response":  # nobody has said that it ended
                await until(lambda: bool(at.said.cancelled))
            else:
                await at.has_left_it_alone()

    run(main())


def test_the_next_target_answers_in_its_place(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        reply = says(
            b'{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant",'
            b'"content":"Here."},"finish_reason":"stop"}],'
            b'"usage":{"prompt_tokens":1,"completion_tokens":1}}'
        )
        async with Upstream(reply) as other:
            more = (
                f"[providers.a]\ndialect = 'openai-chat'\nbase_url = '{other.url}'\n"
                f"api_key = 'env:UP_KEY'\n"
                + route("main", MODEL, "a/m", more="retry = { attempts = 1 }")
            )
            played = Replicate(looks=1, status="failed", error="no")
            async with before(tmp_path, played, more) as at:
                answered = await at.gate.chat("main")
                assert text_of(answered.json) == "Here."
                assert answered.headers["x-octoplex-attempts"] == "2"

    run(main())


@pytest.mark.parametrize(("which", "stream"), [("get", False), ("stream", True), ("cancel", False)])
def test_a_key_follows_no_address_elsewhere(
    tmp_path: Path, run: Run, which: str, stream: bool
) -> None:
    """What a reply names is the provider's word, and may be anyone's."""

    async def main() -> None:
        async with Upstream(says(b"{}")) as elsewhere:
            urls = {which: f"{elsewhere.url}/v1/predictions/p1"}
            looks = 1 if which == "get" else 10**6
            played = Replicate("x", looks=looks, urls=urls)
            more = route("main", MODEL, more="retry = { attempts = 1 }")
            each = "timeouts = { total_s = 1.2 }"
            async with before(tmp_path, played, more, each) as at:
                reply = await at.gate.chat("main", stream=stream)
                code = error_of(reply, "openai-chat")["code"]
                assert code == ("upstream_slow" if which == "cancel" else "bad_upstream_response")
                assert str(elsewhere.port) not in reply.body.decode()
                if which != "cancel":
                    await until(lambda: bool(played.cancelled))
                (row,) = await at.gate.rows()
                assert row["estimated"] == 1
            assert elsewhere.book == []

    run(main())


BASE = Origin.parse("https://api.replicate.com/v1")
OWN = Origin.parse("http://127.0.0.1:7070/v1")


@pytest.mark.parametrize(
    ("url", "base", "path"),
    [
        ("https://api.replicate.com/v1/predictions/p1", BASE, "/v1/predictions/p1"),
        ("https://stream.replicate.com/v1/files/bcwr?a=b", BASE, "/v1/files/bcwr?a=b"),
        ("https://STREAM.Replicate.com:443", BASE, "/"),
        ("http://127.0.0.1:7070/v1/predictions/p1", OWN, "/v1/predictions/p1"),
    ],
)
def test_own_addresses_are_followed(url: str, base: Origin, path: str) -> None:
    origin, found = own_address(url, base, NO_PROXIES)
    assert found == path
    assert origin.path == ""


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://api.replicate.com/v1", BASE),
        ("https://api.replicate.com:8443/v1", BASE),
        ("https://replicate.com.evil.example/v1", BASE),
        ("https://evilreplicate.com/v1", BASE),
        ("https://user@evil.example/v1", BASE),
        ("https://api.replicate.com@evil.example/", BASE),
        ("https://169.254.169.254/latest", BASE),
        ("https://stream.replicate.com/v1", OWN),
        ("http://127.0.0.1:7071/v1", OWN),
        ("https://127.0.0.1:7070/v1", OWN),
        ("file:///etc/passwd", OWN),
        ("/v1/predictions/p1", BASE),
        ("", BASE),
        ("https://[::1", BASE),
        ("https://api.replicate.com/a b", BASE),
        ("https://api.replicate.com/\r\nx: y", BASE),
    ],
)
def test_any_other_is_not(url: str, base: Origin) -> None:
    with pytest.raises(UpstreamBroken) as caught:
        own_address(url, base, NO_PROXIES)
    assert caught.value.reached
    assert "evil" not in str(caught.value)


def test_events_are_typed_by_hand() -> None:
    """The script itself: a text with blank lines is one event."""
    assert events(event("output", "a\n\nb")) == [("output", "a\n\nb")]
