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
                    ("openai-beta", "assistants=v2"),
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
                assert b"openai-beta: assistants=v2\r\n" in head
                assert b"openai-organization" not in head  # who pays is the operator's to say
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
                assert "the model 'a/dearer'; it" in refused.json["error"]["message"]
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
            for body in (b"{}", b'{"model":"m"}'):  # the path is what the provider goes by
                dearer = await gate.post("/providers/a/" + path.format("dearer"), body)
                assert dearer.status == 403
            assert len(up.book) == 1

    run(main())


# Typed from https://developers.openai.com/api/reference/resources/responses/streaming-events
RESPONSES = [
    provider.named("response.created", response={"id": "resp_1", "status": "in_progress"}),
    provider.named("response.output_text.delta", item_id="msg_1", delta="Hello"),
    provider.named(
        "response.completed",
        response={
            "id": "resp_1",
            "status": "completed",
            "usage": {"input_tokens": 12, "output_tokens": 7, "total_tokens": 19},
        },
    ),
]
# Typed from https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
GEMINI = [
    {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "index": 0}]},
    {
        "candidates": [{"content": {"parts": [{"text": "."}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 7},
    },
]


@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("chat/completions", provider.chat_events()),
        ("v1/messages", provider.message_events()),
        ("responses", RESPONSES),
        ("models/m:streamGenerateContent?alt=sse", [provider.data(event) for event in GEMINI]),
    ],
)
def test_a_stream_is_billed_what_it_reports(
    tmp_path: Path, run: Run, path: str, events: list[bytes]
) -> None:
    async def main() -> None:
        async with (
            Upstream(streams([b"".join(events)[:-1]])) as up,  # cut: it closes without a blank line
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
        ):
            body = b'{"model":"m","stream":true}'
            assert (await gate.post("/providers/a/" + path, body)).body == b"".join(events)[:-1]
            (row,) = await gate.rows(1)
            assert (row["nano"], row["estimated"]) == (provider.nano(provider.BILL), False)
            (record,) = await gate.records(1)
            assert record["stream"] is True

    run(main())


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("v1/messages", provider.message_body()),
        ("models/m:streamGenerateContent", json.dumps(GEMINI, indent=1).encode()),
        ("completions", provider.chat_body().replace(b"choices", b"x")),
        # https://developers.openai.com/api/reference/resources/images/methods/generate
        (
            "images/generations",
            b'{"usage":{"input_tokens":12,"output_tokens":7,"total_tokens":19}}',
        ),
    ],
)
def test_a_whole_reply_is_billed_what_it_reports(
    tmp_path: Path, run: Run, path: str, reply: bytes
) -> None:
    async def main() -> None:
        async with (
            Upstream(says(reply)) as up,
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
        ):
            said = await gate.post("/providers/a/" + path, b'{"model":"m"}')
            assert said.body == reply
            (row,) = await gate.rows(1)
            assert (row["nano"], row["estimated"]) == (provider.nano(provider.BILL), False)

    run(main())


def test_a_stream_without_a_bill_is_estimated(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with (
            Upstream(streams(provider.chat_events(bill=None))) as up,
            Gate(tmp_path, file(KEY, a=up), key=APP_KEY) as gate,
        ):
            body = b'{"model":"m","stream":true}'
            assert (await gate.post("/providers/a/chat/completions", body)).status == 200
            (row,) = await gate.rows(1)
            assert row["estimated"]
            said = len("".join(provider.WORDS))
            assert (row["input_tokens"], row["output_tokens"]) == (9, -(-said // 3))

    run(main())


@pytest.mark.parametrize("status", [401, 403])
def test_a_path_that_our_key_may_not_take_rests_nobody(
    tmp_path: Path, run: Run, status: int
) -> None:
    async def main() -> None:
        plays = (says(b'{"error": "who?"}', status), says(provider.chat_body()))
        text = KEY.replace("'a/m', 'a/-'", "'a/*'")
        async with Upstream(*plays) as up, Gate(tmp_path, file(text, a=up), key=APP_KEY) as gate:
            denied = await gate.get("/providers/a/admin")
            assert error_of(denied, "openai-chat")["code"] == "upstream_denied"
            assert (await gate.chat("a/m")).status == 200
            assert (await gate.get("/providers/a/models")).status == 200

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
                reply = await gate.post("/providers/a/files/x", b"{}")
                assert (reply.body, reply.complete) == (b"".join(events), True)
                assert reply.headers["content-type"].startswith("text/event-stream")
                reply = await gate.post("/providers/a/files/x", b"{}")
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
                reply = await gate.post(f"/providers/claude/files/x?key={APP_KEY}", b"{}", *carried)
                assert reply.status == 200
                (entry,) = up.book
                assert b"canary-caller" not in entry.data.lower()
                assert f"x-api-key: {UP_KEY}".encode() in entry.head.lower()
                assert b"authorization" not in entry.head.lower()

    run(main())


def test_of_the_clouds_own_headers_only_known_ones_pass(tmp_path: Path, run: Run) -> None:
    stays = (
        "x-ms-authorization-auxiliary", "x-ms-token-aad-access-token", "x-ms-client-principal",
        "x-goog-iap-jwt-assertion", "x-goog-authenticated-user-email", "x-goog-user-project",
        "x-goog-iam-authority-selector", "x-goog-iam-authorization-token", "x-amzn-oidc-data",
        "x-amzn-bedrock-service-tier", "x-amzn-bedrock-performanceconfig-latency",
    )  # fmt: skip
    passes = (
        "x-goog-api-client", "x-goog-upload-protocol", "x-ms-client-request-id",
        "x-amzn-bedrock-guardrailidentifier", "anthropic-beta",
    )  # fmt: skip

    async def main() -> None:
        async with Upstream(says(b"{}")) as up, Gate(tmp_path, file("", a=up)) as gate:
            sent = [(name, f"value-of-{name}") for name in (*stays, *passes)]
            assert (await gate.post("/providers/a/v1/x", b"{}", *sent)).status == 200
            (entry,) = up.book
            assert {name for name in stays if name.encode() in entry.data} == set()
            for name in passes:
                assert entry.headers[name.encode()] == f"value-of-{name}".encode()

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
