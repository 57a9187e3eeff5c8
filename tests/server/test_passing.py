"""`/providers/{id}/...`: what passes, what stays, and that no gate is walked around."""

import json
from pathlib import Path

import pytest

from tests.server import provider
from tests.server.check import error_of
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, UP_KEY, Gate, file
from tests.upstream_server import Upstream, says, streams

KEY = (
    "\n[keys.app]\nsecret = 'env:APP_KEY'\nmodels = ['a/m', 'a/-']\nlimits = '3 req/min, $5/day'\n"
)


def test_everything_passes_but_what_is_the_callers_own(tmp_path: Path, run: Run) -> None:
    said = b'{"id": "file-1","purpose":"batch" }'

    async def main() -> None:
        headers = [("content-type", "application/json"), ("x-private", "no")]
        async with Upstream(says(said, 201, headers)) as up:
            gate = Gate(tmp_path, file(KEY, a=up), key=APP_KEY)
            async with gate:
                reply = await gate.post(
                    "/providers/a/files/some%20name?a=1&key=" + APP_KEY + "&b=x%26y",
                    b'{"any": 1e0 }',
                    ("content-type", "application/json"),
                    ("openai-organization", "org-1"),
                    ("cookie", "session=canary"),
                    ("x-octoplex-foo", "bar"),
                )
                assert (reply.status, reply.body) == (201, said)
                assert reply.headers["content-type"] == "application/json"
                assert "x-private" not in reply.headers
                assert reply.headers["x-octoplex-provider"] == "a"
                (entry,) = up.book
                assert entry.head.startswith(b"POST /files/some%20name?a=1&b=x%26y HTTP/1.1\r\n")
                assert entry.body == b'{"any": 1e0 }'
                head = entry.head.lower()
                assert b"openai-organization: org-1\r\n" in head
                assert b"authorization: bearer " + UP_KEY.encode() in head
                assert b"canary-caller" not in head
                assert b"cookie" not in head
                assert b"x-octoplex" not in head
                (row,) = await gate.rows(1)
                assert (row["nano"], row["model"]) == (0, "-")
                (record,) = await gate.records(1)
                assert (record["op"], record["status"]) == ("pass", 201)

    run(main())


def test_what_names_a_model_is_metered_like_a_call(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(says(provider.chat_body())) as up:
            gate = Gate(tmp_path, file(KEY, a=up), key=APP_KEY)
            async with gate:
                body = json.dumps({"model": "m", "messages": []}).encode()
                assert (await gate.post("/providers/a/chat/completions", body)).status == 200
                (row,) = await gate.rows(1)
                assert row["nano"] == provider.nano(provider.BILL)
                other = json.dumps({"model": "dearer"}).encode()
                refused = await gate.post("/providers/a/responses", other)
                assert (refused.status, error_of(refused, "openai-chat")["code"]) == (
                    403,
                    "forbidden",
                )
                for _ in range(2):
                    assert (await gate.get("/providers/a/models")).status in (200, 429)
                assert (await gate.get("/providers/a/models")).status == 429

    run(main())


@pytest.mark.parametrize(
    "path", ["v1beta/models/{}:generateContent", "model/{}/invoke", "openai/deployments/{}/x"]
)
def test_a_model_in_the_path_is_metered_too(tmp_path: Path, run: Run, path: str) -> None:
    async def main() -> None:
        async with (
            Upstream(says(provider.chat_body())) as up,
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
        ):
            assert (await gate.post("/providers/a/" + path.format("m"), b"{}")).status == 200
            (row,) = await gate.rows(1)
            assert (row["model"], row["nano"]) == ("m", provider.nano(provider.BILL))
            dearer = await gate.post("/providers/a/" + path.format("dearer"), b"{}")
            assert dearer.status == 403
            assert len(up.book) == 1

    run(main())


def test_streams_and_failures_pass_as_they_are(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        events = [b"data: 1\n\n", b"data: 2\n\n"]
        text = KEY.replace("3 req", "300 req")
        plays = (
            streams(events),
            streams(events, end="reset"),
            says(b'{"error": "busy"}', 429),
            says(b'{"error": "who?"}', 401),
        )
        async with Upstream(*plays) as up:
            gate = Gate(tmp_path, file(text, a=up), key=APP_KEY)
            async with gate:
                reply = await gate.post("/providers/a/x", b"{}")
                assert (reply.body, reply.complete) == (b"".join(events), True)
                assert reply.headers["content-type"].startswith("text/event-stream")
                reply = await gate.post("/providers/a/x", b"{}")
                assert not reply.complete
                reply = await gate.get("/providers/a/x")
                assert (reply.status, reply.body) == (429, b'{"error": "busy"}')
                reply = await gate.get("/providers/a/x")
                assert reply.status == 502
                assert error_of(reply, "openai-chat")["code"] == "upstream_denied"
                asked = len(up.book)
                for path in (
                    "/providers/a/",
                    "/providers/a",
                    "/providers/a/../x",
                    "/providers/a/%2e%2e/x",
                ):
                    assert (await gate.get(path)).status in (400, 404), path
                assert (await gate.get("/providers/nobody/x")).status in (403, 404)
                assert len(up.book) == asked == 4

    run(main())


def test_no_carrier_of_the_callers_key_passes(tmp_path: Path, run: Run) -> None:
    """Also where the provider's own key goes in another header than the caller's."""

    async def main() -> None:
        text = KEY.replace("models = ['a/m', 'a/-']\n", "")
        async with Upstream(says(b"{}")) as up:
            gate = Gate(tmp_path, file(text, claude=up), key=APP_KEY)
            async with gate:
                carried = [
                    ("x-api-key", APP_KEY),
                    ("x-goog-api-key", APP_KEY),
                    ("api-key", APP_KEY),
                ]
                reply = await gate.post(f"/providers/claude/x?key={APP_KEY}", b"{}", *carried)
                assert reply.status == 200
                (entry,) = up.book
                assert b"canary-caller" not in entry.data.lower()
                assert f"x-api-key: {UP_KEY}".encode() in entry.head.lower()
                assert b"authorization" not in entry.head.lower()

    run(main())


def test_a_header_of_the_operator_is_no_callers_to_replace(tmp_path: Path, run: Run) -> None:
    each = "headers = { OpenAI-Organization = 'org-ours' }"

    async def main() -> None:
        async with (
            Upstream(says(b"{}")) as up,
            Gate(tmp_path, file("", "", each=each, a=up)) as gate,
        ):
            theirs = ("openai-organization", "org-theirs")
            assert (await gate.post("/providers/a/v1/x", b"{}", theirs)).status == 200
            lines = up.book[0].head.lower().split(b"\r\n")
            assert [n for n in lines if n.startswith(b"openai-organization")] == [
                b"openai-organization: org-ours"
            ]

    run(main())
