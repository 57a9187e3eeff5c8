"""The real `google-genai` package reads what the face writes, and the face what it sends.

Over a transport that is no network: the package's own parsing, retries and errors.
"""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from google import genai

from octoplex.dialects.gemini import GeminiFace
from octoplex.wire import error as errors
from octoplex.wire.chat import Message, TextPart
from octoplex.wire.event import (
    Event,
    Finished,
    Reply,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    ToolUse,
    Usage,
)
from tests.dialects.grammar.gemini import check
from tests.dialects.test_transcripts import call_of

FACE = GeminiFace()
ASK = b'{"contents":[{"parts":[{"text":"x"}]}]}'
SIGNATURE = "octoplex:gemini:EqQBCgIYAhIM1gbcDa9GJwZA2b3h"
USAGE = Usage(input_tokens=20, output_tokens=9, cached_tokens=12, reasoning_tokens=2)
REPLY = Reply(
    id="msg_1",
    model="claude-sonnet-4-5",
    blocks=(
        Thinking("Compare.", "c2ln"),
        Text("Looking."),
        ToolUse("call_1", "weather", '{"city":"Paris"}'),
        ToolUse("call_2", "time", ""),
    ),
    stop="tool",
    usage=USAGE,
)
EVENTS: list[Event] = [
    Started("msg_1", "claude-sonnet-4-5"),
    ThinkingDelta("Comp", 0),
    ThinkingDelta("are.", 0, "c2ln"),
    TextDelta("Look", 1),
    TextDelta("ing.", 1),
    ToolStart("call_1", "weather", 2),
    ToolDelta('{"city":', 2),
    ToolDelta('"Paris"}', 2),
    Finished(stop="tool", usage=USAGE),
]


def client(answer: Callable[[httpx2.Request], httpx2.Response]) -> Any:
    transport = httpx2.MockTransport(answer)
    options = genai.types.HttpOptions(
        base_url="http://octoplex.test", httpx_client=httpx2.Client(transport=transport)
    )
    return genai.Client(api_key="none", http_options=options)


def saying(body: bytes, status: int = 200, kind: str = "application/json") -> Any:
    headers = {"content-type": kind}
    return client(lambda _: httpx2.Response(status, content=body, headers=headers))


def ask(of: Any) -> Any:
    return of.models.generate_content(model="m", contents="x")


def written(events: list[Event]) -> bytes:
    encoder = FACE.encoder(call_of(FACE, ASK))
    wire = b"".join([encoder.feed([event]) for event in events])
    check(wire)
    return wire


def test_a_whole_reply() -> None:
    reply = ask(saying(FACE.encode_reply(REPLY)))
    thought, text, *calls = reply.candidates[0].content.parts
    assert (thought.text, thought.thought) == ("Compare.", True)
    assert text.text == "Looking."
    assert [(c.function_call.id, c.function_call.args) for c in calls] == [
        ("call_1", {"city": "Paris"}),
        ("call_2", {}),
    ]
    assert reply.candidates[0].finish_reason.name == "STOP"
    assert (reply.model_version, reply.response_id) == ("claude-sonnet-4-5", "msg_1")
    usage = reply.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (20, 7)
    assert (usage.thoughts_token_count, usage.cached_content_token_count) == (2, 12)
    assert usage.total_token_count == 29


def test_a_stream() -> None:
    of = saying(written(EVENTS), kind="text/event-stream")
    chunks = list(of.models.generate_content_stream(model="m", contents="x"))
    parts = [p for c in chunks for p in c.candidates[0].content.parts]
    assert "".join(p.text for p in parts if p.thought) == "Compare."
    assert "".join(p.text for p in parts if p.text and not p.thought) == "Looking."
    assert [p.function_call.name for p in parts if p.function_call] == ["weather"]
    assert chunks[-1].candidates[0].finish_reason.name == "STOP"
    assert chunks[-1].usage_metadata.total_token_count == 29


def test_a_failure_in_the_stream_is_raised() -> None:
    encoder = FACE.encoder(call_of(FACE, ASK))
    wire = encoder.feed(EVENTS[:5]) + encoder.fail(errors.UpstreamOverloaded("Overloaded."))
    of = saying(wire, kind="text/event-stream")
    with pytest.raises(genai.errors.ServerError) as caught:
        list(of.models.generate_content_stream(model="m", contents="x"))
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (errors.InvalidCall("no", param="contents"), "ClientError", "INVALID_ARGUMENT"),
        (errors.Unauthorized("no"), "ClientError", "UNAUTHENTICATED"),
        (errors.TooFast("no", retry_after_s=2), "ClientError", "RESOURCE_EXHAUSTED"),
        (errors.UpstreamDenied("no"), "ServerError", "UNAVAILABLE"),
        (errors.UpstreamSlow("no"), "ServerError", "DEADLINE_EXCEEDED"),
    ],
)
def test_errors(error: errors.GatewayError, kind: str, status: str) -> None:
    of = saying(FACE.encode_error(error, "req-1"), FACE.status(error))
    with pytest.raises(getattr(genai.errors, kind)) as caught:
        ask(of)
    assert (caught.value.code, caught.value.status) == (FACE.status(error), status)


def test_counting_tokens() -> None:
    counted = saying(FACE.encode_count(17)).models.count_tokens(model="m", contents="x")
    assert counted.total_tokens == 17


def test_a_chat_of_the_package_keeps_every_proof() -> None:
    """Its own history, with tools over two turns: bytes may change alphabet, not value."""
    sent: list[tuple[str, bytes]] = []
    thought = Thinking("Hm.", "EqQB+/8=")
    signed = Text("Hi."), Thinking("", SIGNATURE)
    answers = [
        Reply(id="r1", model="m", blocks=(thought, *signed), stop="end", usage=USAGE),
        Reply(id="r2", model="m", blocks=(Text("Bye."),), stop="end", usage=USAGE),
    ]

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append((str(request.url), request.read()))
        return httpx2.Response(200, content=FACE.encode_reply(answers[len(sent) - 1]))

    chat = client(answer).chats.create(model="gemini-2.5-flash")
    assert chat.send_message("Hello").text == "Hi."
    chat.send_message("And?")
    url, body = sent[1]
    place = FACE.read_path(url.partition("/models/")[2])
    assert (place.model, place.stream) == ("gemini-2.5-flash", False)
    turns = call_of(FACE, body).chat().messages
    assert turns[1] == Message("assistant", (thought, TextPart("Hi."), Thinking("", SIGNATURE)))


def test_what_the_package_sends_is_understood() -> None:
    sent: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.read())
        return httpx2.Response(200, content=FACE.encode_reply(REPLY))

    types = genai.types
    tool = types.FunctionDeclaration(
        name="f",
        parameters=types.Schema(
            type="OBJECT", properties={"a": types.Schema(type="STRING", nullable=True)}
        ),
    )
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        temperature=0.5,
        stop_sequences=["END"],
        tools=[types.Tool(function_declarations=[tool])],
        thinking_config=types.ThinkingConfig(thinking_budget=1024, include_thoughts=True),
        response_mime_type="application/json",
        response_json_schema={"type": "object"},
    )
    client(answer).models.generate_content(model="m", contents=["x"], config=config)
    chat = call_of(FACE, sent[0]).chat()
    assert [m.role for m in chat.messages] == ["system", "user"]
    assert (chat.temperature, chat.stop, chat.extra, chat.native) == (0.5, ("END",), {}, {})
    assert chat.thinking is not None
    assert (chat.thinking.enabled, chat.thinking.budget_tokens) == (True, 1024)
    assert json.loads(bytes(chat.tools[0].schema or b"")) == {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}},
    }
    assert chat.format is not None
