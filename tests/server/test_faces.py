"""The doors of Responses and Gemini where streams are silent, broken or signed.

Keep-alives must not look like events: Gemini's package takes a comment for JSON, so on its
face they are blank lines, and nothing trails. Faults of the other faces: test_faults_stream.
"""

import asyncio
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from google import genai
from google.genai import errors, types

from octoplex.assembly.arrival import Arrival, Patience, read_call
from octoplex.assembly.dialects import dialects, faces
from octoplex.server.out import Quiet
from octoplex.transport.http import Client
from octoplex.transport.origin import NO_PROXIES
from octoplex.transport.sigv4 import Credentials, Scope
from octoplex.upstreams.source import Making, Signer, Source
from octoplex.upstreams.upstream import Upstream as Asked
from octoplex.wire.event import Text, fold, unfold
from tests.sdk import others
from tests.sdk.vendors import text
from tests.server import provider
from tests.server.caller import ask, comments
from tests.server.check import GRAMMARS
from tests.server.conftest import Run
from tests.server.gate import Gate, file, route
from tests.server.inside import Inside, inside
from tests.upstream_server import Exchange, Play, Upstream, head, says, streams

SAID = "Hello, world!"
HI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def late(events: list[bytes], gap_s: float = 0.4, *, end: str = "done") -> Play:
    """Events after a silence."""

    async def play(exchange: Exchange) -> None:
        kind = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        exchange.send(head(200, kind))
        await asyncio.sleep(gap_s)  # the model thinks
        if end == "reset":
            exchange.reset()
            return
        exchange.bill(*provider.BILL)
        exchange.chunk(b"".join(events))
        exchange.send(b"0\r\n\r\n")

    return play


def hurry() -> Quiet:
    return Quiet(after_s=0.1, step_s=0.02)


GEMINI = others.gemini_events([text(SAID)], "end_turn")
RESPONSES = others.response_events([text(SAID)], "end_turn")


def googles(gate: Inside, model: str) -> str:
    """What Google's package reads of a stream, in a thread of its own."""
    client = httpx2.Client(transport=httpx2.HTTPTransport(verify=False))
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{gate.port}", httpx_client=client)
    with client:
        google = genai.Client(api_key="none", http_options=options)
        stream = google.models.generate_content_stream(model=model, contents="Hi")
        return "".join(chunk.text or "" for chunk in stream)


def test_f11_googles_package_waits_over_keep_alives(tmp_path: Path, run: Run) -> None:
    """Its own provider, verbatim, and another one, written anew."""

    async def main() -> None:
        async with (
            Upstream(late(GEMINI)) as gem,
            Upstream(late(provider.chat_events())) as a,
            inside(tmp_path, file(gem=gem, a=a), hurry()) as gate,
        ):
            for model in ("gem/m", "a/m"):
                assert await asyncio.to_thread(googles, gate, model) == SAID
            await gate.rows(2)

    run(main())


@pytest.mark.parametrize("query", ["?alt=sse", ""], ids=["sse", "array"])
@pytest.mark.parametrize("name", ["gem", "a"])
def test_f11_geminis_keep_alives_are_blank_lines(
    tmp_path: Path, run: Run, name: str, query: str
) -> None:
    async def main() -> None:
        events = GEMINI if name == "gem" else provider.chat_events()
        async with (
            Upstream(late(events)) as up,
            inside(tmp_path, file(**{name: up}), hurry()) as gate,
        ):
            path = f"/v1beta/models/{name}/m:streamGenerateContent{query}"
            reply = await ask(gate.port, "POST", path, json.dumps(HI).encode())
            assert reply.complete
            assert comments(reply.body) == []
            blank = [piece for _, piece in reply.pieces if piece == b"\n"]
            assert len(blank) >= 2
            assert reply.pieces[0][1] == b"\n"
            replies = reply.json if not query else [json.loads(d) for _, d in reply.events]
            said = [p["text"] for r in replies for p in r["candidates"][0]["content"]["parts"]]
            assert "".join(said) == SAID
            assert replies[-1]["candidates"][0]["finishReason"] == "STOP"
            await gate.rows(1)

    run(main())


@pytest.mark.parametrize("name", ["resp", "a"])
def test_f11_responses_are_kept_alive_by_comments(tmp_path: Path, run: Run, name: str) -> None:
    async def main() -> None:
        events = RESPONSES if name == "resp" else provider.chat_events()
        async with (
            Upstream(late(events)) as up,
            inside(tmp_path, file(**{name: up}), hurry()) as gate,
        ):

            def asks() -> str:
                http = httpx2.Client(transport=httpx2.HTTPTransport(verify=False))
                url = f"http://127.0.0.1:{gate.port}/v1"
                with (
                    openai.OpenAI(api_key="none", base_url=url, http_client=http) as gpt,
                    gpt.responses.stream(model=f"{name}/m", input="Hi") as stream,
                ):
                    return stream.get_final_response().output_text

            assert await asyncio.to_thread(asks) == SAID
            body = json.dumps({"model": f"{name}/m", "input": "Hi", "stream": True}).encode()
            reply = await ask(gate.port, "POST", "/v1/responses", body)
            assert reply.pieces[0][1] == b": keep-alive\n\n"
            assert any(c.startswith("x-octoplex-cost-nano: ") for c in comments(reply.body))
            await gate.rows(2)

    run(main())


def test_f11_a_failure_after_keep_alives_is_in_band(tmp_path: Path, run: Run) -> None:
    """Nothing was said yet, so the failure is the first event, numbered as one."""

    async def main() -> None:
        once = route("one", "a/m", more="retry = { attempts = 1 }")
        async with (
            Upstream(late([], 0.3, end="reset")) as a,
            inside(tmp_path, file(once, a=a), hurry()) as gate,
        ):
            body = json.dumps({"model": "one", "input": "Hi", "stream": True}).encode()
            reply = await ask(gate.port, "POST", "/v1/responses", body)
            _, _, rest = reply.body.rpartition(b": keep-alive\n\n")
            wire, _, _ = rest.partition(b": x-octoplex")
            GRAMMARS["openai-responses"](wire)
            assert b'"code":"bad_upstream_response"' in wire
            with pytest.raises(errors.ServerError) as raised:
                await asyncio.to_thread(googles, gate, "one")
            assert raised.value.code == 502
            path = "/v1beta/models/one:streamGenerateContent"
            array = await ask(gate.port, "POST", path, json.dumps(HI).encode())
            (said,) = array.json
            assert said["error"]["status"] == "UNAVAILABLE"
            await gate.rows(3)

    run(main())


@pytest.mark.parametrize("name", ["gem", "a"])
def test_f07_a_json_array_that_breaks_off_ends_in_the_error(
    tmp_path: Path, run: Run, name: str
) -> None:
    """It is whole JSON, and its last item is the error."""

    async def main() -> None:
        events = GEMINI[:1] if name == "gem" else provider.chat_events()[:3]
        once = route("one", f"{name}/m", more="retry = { attempts = 1 }")
        async with (
            Upstream(streams(events)) as up,
            Gate(tmp_path, file(once, **{name: up})) as gate,
        ):
            path = "/v1beta/models/one:streamGenerateContent"
            reply = await gate.post(path, json.dumps(HI).encode())
            assert reply.complete
            *said, error = reply.json
            assert said
            assert "finishReason" not in json.dumps(said)
            assert error["error"]["code"] == 502
            assert error["error"]["details"][0]["metadata"]["request_id"]
            (row,) = await gate.rows(1)
            assert (row["outcome"], row["estimated"]) == ("cut", 1)

    run(main())


# -- a signature over each request ----------------------------------------------------------


def signature(entry: Any, secret: str) -> str:
    """What AWS would compute of a request as it came, from its own documentation.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    said = entry.headers[b"authorization"].decode().removeprefix("AWS4-HMAC-SHA256 ")
    parts = dict(part.split("=", 1) for part in said.split(", "))
    _, day, region, service, last = parts["Credential"].split("/")
    names = parts["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "content-type"} <= {*names}
    lines = "".join(f"{n}:{entry.headers[n.encode()].decode()}\n" for n in names)
    path = entry.target.decode().replace("%", "%25")
    body = hashlib.sha256(entry.body).hexdigest()
    request = f"POST\n{path}\n\n{lines}\n{';'.join(names)}\n{body}"
    scope = f"{day}/{region}/{service}/{last}"
    hashed = hashlib.sha256(request.encode()).hexdigest()
    words = f"AWS4-HMAC-SHA256\n{entry.headers[b'x-amz-date'].decode()}\n{scope}\n{hashed}"
    key = f"AWS4{secret}".encode()
    for step in (day, region, service, last):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    assert hmac.new(key, words.encode(), hashlib.sha256).hexdigest() == parts["Signature"]
    return parts["Credential"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_signed_request_is_what_aws_would_sign(run: Run, stream: bool) -> None:
    """Over a real socket: the path as it stands on the line, `host` and the body as they came."""

    async def main() -> None:
        blocks = [text(SAID)]
        kind = "application/vnd.amazon.eventstream"
        play = (
            streams(others.converse_events(blocks, "end_turn"), content_type=kind)
            if stream
            else says(others.converse(blocks, "end_turn"))
        )
        client = Client()
        async with Upstream(play) as rock:
            source = Source(
                id="rock", title="", base_url=rock.url, paths={"bedrock-converse": ""},
                auth="sigv4", keys=(),
                signer=Signer(
                    Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "a/session+token=="),
                    Scope("eu-central-1", "bedrock"),
                ),
            )  # fmt: skip
            making = Making(dialects=dialects(), proxies=NO_PROXIES)
            target = Asked(source.spec("us.anthropic.claude-x-v1:0", None, making), client)
            question = {"model": "m", "messages": [{"role": "user", "content": "Grüße"}]}
            body = json.dumps({**question, "stream": stream}).encode()
            arrival = Arrival("req", faces()["openai-chat"], 0.0, Patience(9e9, 9e9))
            answer = await target(read_call(arrival, body))
            if answer.body:
                events = unfold(answer.reply())
            else:
                events = [event async for frame in answer for event in frame.events()]
            assert fold(events).blocks == (Text(SAID),)
            (entry,) = rock.book
            verb = b"converse-stream" if stream else b"converse"
            assert entry.target == b"/model/us.anthropic.claude-x-v1%3A0/" + verb
            assert entry.headers[b"x-amz-security-token"] == b"a/session+token=="
            who = signature(entry, "wJalrXUtnFEMI/K7MDENG")
            assert who.split("/")[0] == "AKIDEXAMPLE"
            assert b"wJalrXUtnFEMI" not in entry.data
        client.close()

    run(main())
