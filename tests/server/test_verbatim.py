"""The verbatim promise, turn by turn: hashes of what went up and of what came down.

Within a dialect every top-level value of a request and every event or body of a reply is
the same bytes on both sides, whatever is in them.
"""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.sdk import others
from tests.sdk.vendors import text
from tests.server import provider
from tests.server.check import FACES
from tests.server.conftest import Run
from tests.server.gate import PATHS, Gate, file
from tests.upstream_server import Upstream, says, streams

NAMES = {
    "openai-chat": "a",
    "anthropic": "claude",
    "openai-responses": "resp",
    "gemini": "gem",
}
"""By face, a provider that speaks its dialect."""
HISTORY = {"openai-responses": "input", "gemini": "contents"}
"""The member with the turns; elsewhere `messages`."""

ODD = (
    rb'{"a":1.0e0,"b":-0.0,"c":1E+2,"d":100000000000000000000000001,"e":0.1000000000000000055,'
    rb'"f":"\u00e9\ud83e\udd91\/\u2028\\u0041","g":[ 1 ,  2 ],"h":{"x":1,"x":2},"":null,'
    rb'"\u0000":"\u0000"}'
)
SIGNATURE = b"EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds8\\/+a=="


def hashed(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()[:16]


def members(body: bytes) -> dict[str, str]:
    """Hash of every top-level value, by name."""
    split = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return {name: hashed(bytes(raw)) for name, raw in split.items()}


def pretty(fields: dict[str, bytes], dice: random.Random) -> bytes:
    """A body with its members in their order and white space between them."""
    space = [b"", b" ", b"\n  ", b"\t"]
    pieces = [
        b"%b%b%b:%b%b" % (
            dice.choice(space), json.dumps(name).encode(), dice.choice(space),
            dice.choice(space), value,
        )
        for name, value in fields.items()
    ]  # fmt: skip
    return b"{" + b",".join(pieces) + dice.choice(space) + b"}"


def turn(face: str, history: list[bytes], stream: bool) -> dict[str, bytes]:
    """The members of one turn; values are bytes that no encoder of ours would write."""
    if face in HISTORY:
        return new_turn(face, history, stream)
    content = (
        b'[{"type" : "text","text":"caf\\u00e9 \xf0\x9f\xa6\x91 \\/",'
        b'"cache_control":{"type": "ephemeral"}}]'
    )
    user = b'{"role":"user","content":%b}' % (content if face == "anthropic" else b'"ca\\u0066\\/"')
    fields = {
        "model": b'"%b/m"' % (b"claude" if face == "anthropic" else b"a"),
        "messages": b"[ " + b" ,\n".join([*history, user]) + b"]",
        "max_tokens": b"50",
        "temperature": b"1.0e0",
        "metadata": b'{"user_id":"u\\u0031", "n":1}',
        "not_yet_invented": ODD,
        "tools": b'[{"type":"function", "function":{"name":"f","parameters":{"type":"object"}}}]'
        if face != "anthropic"
        else b'[{"name":"f", "input_schema":{"type":"object","properties":{}},"x":1.50}]',
        "na\u00efve": b"[[],{}]",
    }
    if stream:
        fields["stream"] = b"true"
        if face != "anthropic":
            fields["stream_options"] = b'{"include_usage" : true,"x":[1e1]}'
    return fields


def new_turn(face: str, history: list[bytes], stream: bool) -> dict[str, bytes]:
    """The same on the faces of Responses and Gemini; the latter's URL has model and stream."""
    word = b'"caf\\u00e9 \xf0\x9f\xa6\x91 \\/"'
    common = {"not_yet_invented": ODD, "na\u00efve": b"[[],{}]"}
    if face == "gemini":
        user = b'{"role":"user","parts":[{"text" : %b}]}' % word
        return {
            "contents": b"[ " + b" ,\n".join([*history, user]) + b"]",
            "generationConfig": b'{"maxOutputTokens": 50,"temperature" : 1.0e0,"x":[1e1]}',
            "tools": b'[{"functionDeclarations":[{"name":"f", "parameters":{"type":"OBJECT"}}]}]',
            "safetySettings": b"[ ]",
            **common,
        }
    user = b'{"role":"user","content":[{"type" : "input_text","text":%b}]}' % word
    return {
        "model": b'"resp/m"',
        "input": b"[ " + b" ,\n".join([*history, user]) + b"]",
        "max_output_tokens": b"50",
        "temperature": b"1.0e0",
        "store": b"false",
        "metadata": b'{"user_id":"u\\u0031", "n":"1"}',
        "tools": b'[{"type":"function", "name":"f","parameters":{"type":"object"},"x":1.50}]',
        **common,
        **({"stream": b"true"} if stream else {}),
    }


def said(face: str, number: int) -> bytes:
    """An assistant's turn of the history, with a signature."""
    if face == "gemini":
        return (
            b'{"role":"model","parts":[{"text":"h\\u006d","thought":true},'
            b'{"text":"turn %d", "thoughtSignature":"%b"}]}'
        ) % (number, SIGNATURE)
    if face == "openai-responses":
        return (
            b'{"type":"reasoning","id":"rs_%d","summary":[ ],"encrypted_content":"%b"},'
            b'{"role":"assistant","content":[{"type":"output_text","text":"h\\u006d"}]}'
        ) % (number, SIGNATURE)
    if face == "anthropic":
        return (
            b'{"role":"assistant","content":[{"type":"thinking","thinking":"h\\u006d","signature":'
            b'"%b"},{"type":"redacted_thinking","data":"%b"},{"type":"text","text":"turn %d"}]}'
        ) % (SIGNATURE, SIGNATURE, number)
    return b'{"role":"assistant","content":"turn %d","x_signed":[{"data":"%b"}]}' % (
        number,
        SIGNATURE,
    )


def whole_body(face: str) -> bytes:
    made = {
        "openai-chat": provider.chat_body,
        "anthropic": provider.message_body,
        "openai-responses": lambda: others.response([text("Hello!")], "end_turn"),
        "gemini": lambda: others.gemini([text("Hello!")], "end_turn"),
    }[face]()
    return made[:-1] + b', "odd" : ' + ODD + b"\n}\n"


def stream_events(face: str) -> list[bytes]:
    """A stream with values of odd spelling, and a signature, in its events."""
    if face == "gemini":
        made = others.gemini_events([text("Hello!")], "end_turn")
        odd = b'"thoughtSignature" : "' + SIGNATURE + b'","odd":' + ODD
        return [e.replace(b'{"text": "', b"{" + odd + b',"text" : "') for e in made]
    if face == "openai-responses":
        made = others.response_events([text("Hello!")], "end_turn")
        odd = b'"odd":' + ODD + b',"output_index" : 0'
        return [e.replace(b'"output_index": 0', odd) for e in made]
    made = provider.message_events() if face == "anthropic" else provider.chat_events()
    odd = [e.replace(b'"index": 0', b'"odd":' + ODD + b',"index" : 0') for e in made]
    if face != "anthropic":
        return odd
    block = {"type": "thinking", "thinking": "", "signature": ""}
    signed = (
        b'{"type":"content_block_delta","index":0,'
        b'"delta":{"type":"signature_delta","signature":"%b"}}'
    )
    thinking = [
        provider.named("content_block_start", index=0, content_block=block),
        b"event: content_block_delta\ndata: " + signed % SIGNATURE + b"\n\n",
        provider.named("content_block_stop", index=0),
    ]
    rest = [e.replace(b'"index" : 0', b'"index" : 1') for e in odd[1:]]
    return [odd[0], *thinking, *rest]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("face", NAMES)
def test_a_conversation_passes_byte_for_byte(
    tmp_path: Path, run: Run, face: str, stream: bool
) -> None:
    name, turns = NAMES[face], HISTORY.get(face, "messages")
    path = PATHS.get(face, "/v1beta/models/gem/m:generateContent")
    if face == "gemini" and stream:
        path = "/v1beta/models/gem/m:streamGenerateContent?alt=sse"

    async def main() -> None:
        dice = random.Random(5)
        events, body = stream_events(face), whole_body(face)
        play = streams(events) if stream else says(body)
        async with Upstream(play) as up, Gate(tmp_path, file(**{name: up})) as gate:
            history: list[bytes] = []
            prefix = b""
            for number in range(4):
                fields = turn(face, history, stream)
                reply = await gate.post(path, pretty(fields, dice))
                assert reply.status == 200, reply.body
                got = members(up.book[-1].body)
                assert face == "gemini" or got.pop("model") == hashed(b'"m"')
                want = {n: hashed(v) for n, v in fields.items() if n != "model"}
                assert got == want
                sent = msgspec.json.decode(up.book[-1].body, type=dict[str, msgspec.Raw])
                assert bytes(sent[turns]).startswith(prefix), "the cache's prefix moved"
                if stream:
                    lines = b"".join(events)
                    assert reply.body.startswith(lines)
                    after = reply.body[len(lines) :].decode().split("\n")
                    assert all(line.startswith(":") or not line for line in after)
                    assert any(after) == (face != "gemini"), "its SDK reads over no comment"
                    assert hashed(reply.body[: len(lines)]) == hashed(lines)
                else:
                    assert hashed(reply.body) == hashed(body)
                history += [fields[turns].strip(b"[] ").split(b" ,\n")[-1], said(face, number)]
                prefix = b"[ " + b" ,\n".join(history[:-1])

    run(main())


def test_a_json_array_holds_the_events_byte_for_byte(tmp_path: Path, run: Run) -> None:
    """Gemini's other form of a stream: what each event says, between brackets and commas."""

    async def main() -> None:
        events = stream_events("gemini")
        async with Upstream(streams(events)) as up, Gate(tmp_path, file(gem=up)) as gate:
            body = pretty(turn("gemini", [], True), random.Random(3))
            reply = await gate.post("/v1beta/models/gem/m:streamGenerateContent", body)
            assert reply.headers["content-type"] == "application/json"
            assert up.book[0].target == b"/models/m:streamGenerateContent?alt=sse"
            said = [event.removeprefix(b"data: ").strip() for event in events]
            left = reply.body
            for value in said:
                between, _, left = left.partition(value)
                assert between.strip(b"\r\n ") in (b"[", b",")
            assert left.strip() == b"]"
            assert len(reply.json) == len(events)

    run(main())


def test_what_is_changed_is_what_the_documents_say(tmp_path: Path, run: Run) -> None:
    """docs/decisions/verbatim.md: the model's name, and usage that nobody asked for."""

    async def main() -> None:
        events = provider.chat_events()
        async with Upstream(streams(events)) as up, Gate(tmp_path, file(a=up)) as gate:
            fields = turn("openai-chat", [], True)
            del fields["stream_options"]
            reply = await gate.post(PATHS["openai-chat"], pretty(fields, random.Random(1)))
            sent: dict[str, Any] = json.loads(up.book[0].body)
            assert sent["stream_options"] == {"include_usage": True}
            assert sent.keys() - fields.keys() == {"stream_options"}
            shown = b"".join(e for e in events if b'"choices": []' not in e)
            assert reply.body.startswith(shown)
            assert b"prompt_tokens" not in reply.body
            (row,) = await gate.rows()
            assert (row["nano"], row["estimated"]) == (provider.nano(provider.BILL), 0)

    run(main())


@pytest.mark.parametrize("spelling", [b'"model"', b'"mod\\u0065l"', b'"\\u006dodel"'])
def test_two_models_are_refused(tmp_path: Path, run: Run, spelling: bytes) -> None:
    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            for face in FACES:
                body = (
                    b'{"model":"a/m","max_tokens":5,"messages":[{"role":"user","content":"x"}],%b:"a/n"}'
                    % spelling
                )
                reply = await gate.post(PATHS[face], body)
                assert reply.status == 400
            assert up.book == []

    run(main())


def test_only_named_headers_travel(tmp_path: Path, run: Run) -> None:
    """Credentials, cookies and whatever else a caller sends stay here."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("anthropic")) as claude,
            Upstream(provider.whole("openai-chat")) as a,
            Gate(tmp_path, file(a=a, claude=claude)) as gate,
        ):
            trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            sent = [
                ("traceparent", trace),
                ("tracestate", "x=1"),
                ("anthropic-beta", "context-1m-2025-08-07"),
                ("cookie", "session=secret"),
                ("x-forwarded-for", "1.2.3.4"),
                ("authorization", "Bearer caller-key-0000"),
                ("x-evil", "1"),
                ("openai-organization", "org"),
            ]
            for model in ("a/m", "claude/m"):
                for face in FACES:
                    body = gate.question(model, face).partition(b"\r\n\r\n")[2]
                    assert (await gate.post(PATHS[face], body, *sent)).status == 200
            for entry in [*a.book, *claude.book]:
                names = set(entry.headers)
                assert not names & {
                    b"cookie",
                    b"x-forwarded-for",
                    b"x-evil",
                    b"openai-organization",
                }
                assert b"caller-key" not in entry.head
                assert entry.headers[b"traceparent"] == trace.encode()
            betas = [b"anthropic-beta" in e.headers for e in claude.book]
            assert betas == [False, True]  # only within the dialect
            assert not any(b"anthropic-beta" in e.headers for e in a.book)

    run(main())
