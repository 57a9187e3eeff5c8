"""Row 17: the cases of the Open Responses compliance suite, at every upstream dialect.

The 17 cases are those of its command-line runner (github.com/openresponses/openresponses,
`src/lib/compliance-tests.ts`); what it demands of a reply is in `openresponses.py`. Codex itself
and the AI SDK, whose parser judges each event: `tests/clients`.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import msgspec
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.pains import openresponses
from tests.sdk import vendors as v
from tests.sdk.house import KEYS, PRICED, Vendor
from tests.sdk.others import OTHERS
from tests.sdk.sides import answer, every_target
from tests.server.caller import events
from tests.upstream_server import says, streams

Json = dict[str, Any]
HEART = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQ"
    "DwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


def said(role: str, content: Any, **more: Any) -> Json:
    return {"type": "message", "role": role, "content": content, **more}


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a location",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}
HELLO, CALL = v.text("Hello, how are you?"), v.use("call_1", "get_weather", location="Paris")
CASES: dict[str, tuple[Json, Any]] = {
    "basic-response": ({"input": [said("user", "Say hello in exactly 3 words.")]}, HELLO),
    "assistant-phase": (
        {
            "input": [
                said("assistant", "I should answer with the saved number.", phase="commentary"),
                said("assistant", "The number is four.", phase="final_answer"),
                said("user", "Repeat only the number."),
            ]
        },
        HELLO,
    ),
    "streaming-response": ({"input": [said("user", "Count from 1 to 5.")], "stream": True}, HELLO),
    "system-prompt": (
        {"input": [said("system", "You are a pirate."), said("user", "Say hello.")]},
        HELLO,
    ),
    "tool-calling": (
        {"input": [said("user", "What's the weather like in Paris?")], "tools": [WEATHER]},
        CALL,
    ),
    "image-input": (
        {
            "input": [
                said(
                    "user",
                    [
                        {"type": "input_text", "text": "What do you see? One sentence."},
                        {"type": "input_image", "image_url": HEART},
                    ],
                )
            ]
        },
        HELLO,
    ),
    "multi-turn": (
        {
            "input": [
                said("user", "My name is Alice."),
                said("assistant", "Hello Alice! Nice to meet you."),
                said("user", "What is my name?"),
            ]
        },
        HELLO,
    ),
}


@pytest.fixture
def http(gateway: str) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {KEYS['app']}"}
    with httpx2.Client(base_url=f"{gateway}/v1", headers=headers) as client:
        yield client


BLIND = {"giga", "qian"}
"""Those that take no images by their bytes."""


@every_target
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES)
def test_row17_a_case_of_the_compliance_suite(
    http: httpx2.Client, behind: Mapping[str, Vendor], target: str, case: str, stream: bool
) -> None:
    """Each is played streamed as well, which the suite does for one of them."""
    asked, block = CASES[case]
    stop = "tool_use" if block is CALL else "end_turn"
    up = behind[target].plays(answer(target, block, stop=stop, stream=stream))
    reply = http.post("/responses", json={"model": PRICED[target], **asked, "stream": stream})
    if case == "image-input" and target in BLIND:
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "input_image.image_url")
        return
    assert reply.status_code == 200, reply.text
    told = [json.loads(data) for _, data in events(reply.content)] if stream else []
    response = told[-1]["response"] if stream else reply.json()
    if target != "resp":  # what passes verbatim is its provider's to answer for
        openresponses.resource(response)
        assert [openresponses.event(value) for value in told][:1] == ["response.created"] * stream
    kinds = [item["type"] for item in response["output"]]
    assert kinds == ["function_call" if block is CALL else "message"]
    assert response["status"] == "completed"
    if case == "image-input":
        assert HEART.partition(",")[2].encode() in up.book[0].body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_row17_a_phase_is_kept_where_there_is_one(
    http: httpx2.Client, behind: Mapping[str, Vendor], stream: bool
) -> None:
    """`response-output-phase-schema`: OpenAI's own models have it, and want it back."""
    whole, told, kind = OTHERS["openai-responses"]
    old, new = b'"role": "assistant"', b'"role": "assistant", "phase": "commentary"'
    body = whole([HELLO], "end_turn").replace(old, new)
    wires = [wire.replace(old, new) for wire in told([HELLO], "end_turn")]
    up = behind["resp"].plays(streams(wires, content_type=kind) if stream else says(body))
    asked: Json = {"model": PRICED["resp"], "input": [said("user", "Hi")], "stream": stream}
    reply = http.post("/responses", json=asked)
    told_back = json.loads(events(reply.content)[-1][1]) if stream else reply.json()
    (item,) = (told_back["response"] if stream else told_back)["output"]
    assert item["phase"] == "commentary"
    http.post("/responses", json={**asked, "input": [*asked["input"], item, said("user", "And?")]})
    assert up.asked[1]["input"][1]["phase"] == "commentary"


# -- compaction -----------------------------------------------------------------------------

SLATE = [
    said("user", [{"type": "input_text", "text": "Remember the compaction code word: slate."}]),
    said("assistant", [{"type": "output_text", "text": "OK."}]),
    said("user", [{"type": "input_text", "text": "Compress this conversation for later."}]),
]


def compacted(http: httpx2.Client, target: str) -> Json:
    asked = {"model": PRICED[target], "input": SLATE, "prompt_cache_key": "compliance"}
    reply = http.post("/responses/compact", json=asked)
    assert reply.status_code == 200, reply.text
    msgspec.convert(reply.json(), openresponses.Compacted)
    told: Json = reply.json()
    return told


@every_target
def test_row17_a_conversation_is_compacted(
    http: httpx2.Client, behind: Mapping[str, Vendor], target: str
) -> None:
    """`compact-response`: the user's messages, and one item for all of it."""
    up = behind[target].plays(answer(target, HELLO))
    output = compacted(http, target)["output"]
    assert [item["type"] for item in output] == ["message", "message", "compaction"]
    assert [item["content"] for item in output[:2]] == [SLATE[0]["content"], SLATE[2]["content"]]
    assert output[2]["encrypted_content"]
    assert b"slate" in up.book[0].body


def test_row17_a_compaction_needs_a_model(http: httpx2.Client) -> None:
    """`compact-missing-model`."""
    reply = http.post("/responses/compact", json={"input": SLATE})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")
    assert "`model` is missing" in reply.json()["error"]["message"]


# -- the websocket form ---------------------------------------------------------------------

over_four = pytest.mark.parametrize("target", ["oai", "claude", "resp", "gem"])
NOT_FOUND = ("invalid_request_error", "previous_response_not_found")
REFUSED = json.dumps({"error": {"message": "No tool call found for that output."}}).encode()


class Socket:
    """One connection, on which each request is answered to its end."""

    def __init__(self, line: ClientConnection, target: str) -> None:
        self._line, self.model, self._native = line, PRICED[target], target == "resp"

    def create(self, text: Any, **more: Any) -> tuple[Json, str]:
        """The response of the last event, and the code of the error that there was instead."""
        asked = {"type": "response.create", "model": self.model, "store": False, "input": text}
        self._line.send(json.dumps({**asked, **more}))
        while True:
            event: Json = json.loads(self._line.recv(timeout=10))
            if event["type"] == "error":
                return {}, event["error"]["code"] or event["error"]["type"]
            if not self._native:
                openresponses.event(event)
            if event["type"] in ENDS:
                response: Json = event["response"]
                return response, (response["error"] or {}).get("code", "")


ENDS = {"response.completed", "response.failed", "response.incomplete"}


@contextlib.contextmanager
def connected(gateway: str, target: str) -> Iterator[Socket]:
    headers = {"authorization": f"Bearer {KEYS['app']}"}
    address = gateway.replace("http", "ws", 1)
    with connect(f"{address}/v1/responses", additional_headers=headers) as line:
        yield Socket(line, target)


@over_four
def test_row17_websocket_responses_one_after_the_other(
    gateway: str, behind: Mapping[str, Vendor], target: str
) -> None:
    """`websocket-response`, `websocket-sequential-responses`."""
    behind[target].plays(answer(target, HELLO, stream=True))
    with connected(gateway, target) as socket:
        for text in ("Reply with exactly: first", "Reply with exactly: second"):
            response, code = socket.create(text)
            assert (response["status"], code) == ("completed", "")
            assert response["output"]


@over_four
def test_row17_websocket_continuation(
    gateway: str, behind: Mapping[str, Vendor], target: str
) -> None:
    """`websocket-continuation`: what nobody stores is gone on from on its own connection."""
    up = behind[target].plays(answer(target, HELLO, stream=True))
    with connected(gateway, target) as socket:
        first, _ = socket.create("Remember the code word: cobalt. Reply with OK.")
        second, code = socket.create("What is the code word?", previous_response_id=first["id"])
        assert (second["status"], code) == ("completed", "")
    assert b"cobalt" in up.book[1].body


@over_four
def test_row17_websocket_recovery_on_another_connection(
    gateway: str, behind: Mapping[str, Vendor], target: str
) -> None:
    """`websocket-reconnect-store-false-recovery`, `websocket-previous-response-not-found`.

    An id that is not ours is its provider's to know.
    """
    hello = answer(target, HELLO, stream=True)
    lost = [v.openai_error(400, *NOT_FOUND, "There is none.")] * 2 if target == "resp" else []
    behind[target].plays(hello, *lost, hello)
    with connected(gateway, target) as socket:
        first, _ = socket.create("Remember the code word: copper. Reply with OK.")
    with connected(gateway, target) as socket:
        for id_ in (first["id"], "resp_openresponses_missing_1"):
            _, code = socket.create("Go on.", previous_response_id=id_)
            assert code == "previous_response_not_found"
        response, code = socket.create("Start anew.")
        assert (response["status"], code) == ("completed", "")


@over_four
def test_row17_websocket_forgets_what_a_failed_turn_went_on_from(
    gateway: str, behind: Mapping[str, Vendor], target: str
) -> None:
    """`websocket-failed-continuation-evicts-cache`."""
    lost = [v.openai_error(400, *NOT_FOUND, "There is none.")] if target == "resp" else []
    behind[target].plays(answer(target, HELLO, stream=True), says(REFUSED, 400), *lost)
    with connected(gateway, target) as socket:
        first, _ = socket.create("Remember the code word: ember. Reply with OK.")
        result = {"type": "function_call_output", "call_id": "call_missing", "output": "None."}
        _, code = socket.create([result], previous_response_id=first["id"])
        assert code
        _, code = socket.create("Go on.", previous_response_id=first["id"])
        assert code == "previous_response_not_found"


@over_four
def test_row17_websocket_goes_on_from_a_compaction(
    http: httpx2.Client, gateway: str, behind: Mapping[str, Vendor], target: str
) -> None:
    """`websocket-compact-new-chain`: its output begins a chain, which goes on as any other."""
    stream = answer(target, HELLO, stream=True)
    up = behind[target].plays(answer(target, v.text("The code word is slate.")), stream)
    output = compacted(http, target)["output"]
    with connected(gateway, target) as socket:
        first, code = socket.create([*output, said("user", "What is the code word?")])
        assert (first["status"], first["previous_response_id"], code) == ("completed", None, "")
        _, code = socket.create("Say it again.", previous_response_id=first["id"])
        assert code == ""
    for entry in up.book[1:]:
        assert b"The code word is slate." in entry.body
        assert b"octoplex:compaction" not in entry.body
