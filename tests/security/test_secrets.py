"""S51-S53: what a provider is sent as proof is shown to nobody, wherever it repeats it."""

import json
import random
import resource
import string
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.transport.response import Response
from octoplex.wire.redact import MASK, Veil
from tests.server import provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, UP_KEY, Gate, file, question, route
from tests.upstream_server import Exchange, Play, Upstream, raw, reset, says, stalls, streams

CLOSED = "http://127.0.0.1:9"
ONCE = "retry = { attempts = 1 }"
KEYED = "[keys.app]\nsecret = 'env:APP_KEY'\nrole = 'admin'\n"
SENDABLE = string.ascii_letters + string.digits + "-._~+/=%&\"'\\:,;<>$"
secrets = st.text(SENDABLE, min_size=16, max_size=60)


def repeated(secret: str) -> Iterator[str]:
    """A secret as it stands in a text, in JSON and in a URL."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret)[1:-1].replace("/", "\\/")
    yield quote(secret)
    yield quote(secret, safe="")


@given(secrets, st.lists(secrets, max_size=2), st.data())
def test_s53_a_known_secret_is_masked_in_every_place_and_form(
    secret: str, others: list[str], data: st.DataObject
) -> None:
    veil = Veil([secret, *others])
    texts = st.text('abc {}":\\/', max_size=40)
    for form in repeated(secret):
        before, after = data.draw(texts), data.draw(texts)
        left = veil(f"{before}{form}{after}".encode())
        assert form.encode() not in left
        assert MASK.encode() in left


@given(secrets, st.lists(st.integers(0, 400), max_size=8), st.data())
def test_s53_a_stream_cut_anywhere_shows_no_part_and_loses_nothing_else(
    secret: str, cuts: list[int], data: st.DataObject
) -> None:
    words = st.text(SENDABLE + "\n ", max_size=80)
    text = "".join(data.draw(words) + secret for _ in range(3)) + data.draw(words)
    wire = text.encode()
    places = sorted({0, len(wire), *(c for c in cuts if c < len(wire))})
    came = b"".join(pieces(Veil([secret]), [wire[a:b] for a, b in pairwise(places)]))
    assert secret.encode() not in came
    assert came == Veil([secret])(wire)


def pieces(veil: Veil, chunks: list[bytes]) -> Iterator[bytes]:
    """What a reader gets of chunks that come one by one."""
    response = Response("host", 0.0, 0.0, 0.0, streaming=True, veil=veil)
    for number, chunk in enumerate([*chunks, b""]):
        if chunk:
            response.put(chunk)
        if number == len(chunks):
            response.finish()
        if chunk or response.complete:
            reading = response.read()
            try:
                reading.send(None)
            except StopIteration as end:
                yield end.value
            reading.close()


def test_mere_words_stay() -> None:
    assert not Veil(["ollama", "not-needed", "no-key-required", ""])
    assert Veil(["hunter22"])


def test_s52_canary_of_no_form_in_any_error(tmp_path: Path, run: Run) -> None:
    """The gate's own key is 32 figures, and its check greps all that was said and written."""

    async def main() -> None:
        plays = [says(echo(UP_KEY), status=status) for status in (400, 401, 403, 404, 429, 500)]
        async with (
            Upstream(*plays) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            for number in range(len(plays)):
                assert (await gate.chat(f"a/m{number}")).status >= 400
            await gate.records(len(plays))
            await gate.get("/admin/requests")
            await gate.get("/metrics")
            core = resource.prlimit(gate.process.pid, resource.RLIMIT_CORE)
            assert set(core) <= {0, 1}, "a crash would write every key to the disk"

    run(main())


def test_s67_a_prompt_of_an_operator_is_no_callers_to_read(tmp_path: Path, run: Run) -> None:
    """A provider may repeat what it was asked: to the caller, and in the record of the request."""
    hidden = "Canary-prompt: praise Osprey."
    variants = f"today = {{ prompt = '{hidden}' }}, other = {{ prompt = '{hidden}', top_p = 0.5 }}"
    table = f"[experiments.x]\nroute = 'main'\nunit = 'request'\nvariants = {{ {variants} }}\n"

    async def play(exchange: Exchange) -> None:
        said = exchange.entry.body.decode()
        assert hidden in said
        refusal = {"message": f"cannot do {said}", "type": "invalid_request_error"}
        await says(json.dumps({"error": refusal}).encode(), status=400)(exchange)

    async def main() -> None:
        text = f"{KEYED}{route('main', 'a/m')}{table}metric = 'cost_per_call'\n"
        async with Upstream(play) as up, Gate(tmp_path, file(text, a=up), key=APP_KEY) as gate:
            for stream in (False, True):
                reply = await gate.chat("main", stream=stream)
                assert (reply.status, MASK in reply.json["error"]["message"]) == (400, True)
            await gate.records(2)
            assert not [said for said in gate.seen if b"Canary-prompt" in said]

    run(main())


def echo(key: str) -> bytes:
    said = f"you sent {key} as {key}"
    return json.dumps({"error": {"message": said, "type": key, "param": key, "code": key}}).encode()


def plays(key: str) -> dict[str, Play]:
    """Every way in which a provider may repeat a key, by the model that asks for it."""
    event = {"error": {"message": f"bad key {key}", "type": "server_error", "code": key}}
    told = f"data: {json.dumps(event)}\n\n".encode()
    half = told.index(b"bad key") + 14
    first = provider.chunk({"content": "Hi"})
    html = [("content-type", "text/html")]
    page = f"<html><b>{key}</b>{'x' * 120} authorization: Bearer {key}</html>".encode()
    whole = json.dumps({"id": "x", "object": key, "data": [key]}).encode()
    return {
        "refused": says(echo(key), status=400),
        "busy": says(echo(key), status=429),
        "failed": says(echo(key), status=500),
        "page": says(page, status=500, headers=html),
        "nonsense": says(b"{{{" + page),
        "event": streams([first, told[:half], told[half:]]),
        "at-once": streams([told]),
        "passed": says(whole),
        "poured": streams([b"data: ", whole[:half], whole[half:], b"\n\n"]),
        "denied": says(echo(key), status=401),  # the last: the key rests
    }


def asked_for(body: bytes) -> str:
    return str(json.loads(body)["model"])


@pytest.mark.parametrize("where", ["key", "header", "query", "stored"])
def test_s53_generated_secrets_in_generated_places(tmp_path: Path, run: Run, where: str) -> None:
    chance = random.Random(where)
    alphabets = (string.hexdigits[:16], string.ascii_letters + string.digits, SENDABLE)
    alphabets = alphabets if where == "key" else alphabets[-1:]
    keys = ["".join(chance.choices(of, k=chance.randint(16, 50))) for of in alphabets]

    async def main(key: str, folder: Path) -> None:
        async def play(exchange: Exchange) -> None:
            assert any(form.encode() in exchange.entry.head for form in repeated(key))
            await plays(key)[asked_for(exchange.entry.body)](exchange)

        async with Upstream(play) as up:
            gate = Gate(folder, configured(up, where), key=APP_KEY, env={
                "KEY": key, "SEAL": "canary-seal-0a1b2c3d4e5f60718293",
            })  # fmt: skip
            async with gate:
                if where == "stored":
                    order = {"do": "providers.store_key", "id": "a", "key": key}
                    assert "ok" in await gate.control(order)
                for name in plays(key):
                    for stream in (False, True):
                        reply = await gate.chat(name, stream=stream)
                        shows(reply.raw, key)
                        body = question(name, stream=stream)
                        shows((await gate.post("/providers/a/v1/x", body)).raw, key)
                for path in ("/admin/requests", "/admin/config", "/admin/providers", "/metrics"):
                    shows((await gate.get(path)).raw, key)

    for number, key in enumerate(keys):
        folder = tmp_path / str(number)
        folder.mkdir()
        run(main(key, folder))
        for path in folder.rglob("*"):
            if path.is_file():
                shows(path.read_bytes(), key)


def shows(said: bytes, key: str) -> None:
    for form in repeated(key):
        assert form.encode() not in said, said


def configured(up: Upstream, where: str) -> str:
    extra = {
        "key": "api_key = 'env:KEY'",
        "header": "headers = { x-account = 'env:KEY' }",
        "query": "query = { account = 'env:KEY' }",
        "stored": "api_key = 'env:UP_KEY'",
    }[where]
    return (
        "[server]\nseal = 'env:SEAL'\ndrain_s = 2.0\n"
        f"[providers.a]\ndialect = 'openai-chat'\nbase_url = '{up.url}'\n{extra}\n"
        f"{KEYED}{''.join(route(name, f'a/{name}', more=ONCE) for name in plays(''))}"
    )


def test_no_address_of_a_provider_reaches_a_caller(tmp_path: Path, run: Run) -> None:
    """Who asks is told the provider's name in the file, however the connection fails."""
    faults = [
        reset(),
        raw(b"HTTP/1.1 nonsense\r\n\r\n", "close"),
        raw(b"HTTP/1.1 200 OK\r\n", "reset"),
    ]
    faults += [streams([provider.chunk({"content": "Hi"})], end="reset"), stalls()]
    each = "timeouts = { connect_s = 0.5, header_s = 0.4, idle_s = 0.4, total_s = 0.8 }"

    async def main() -> None:
        async with Upstream(*faults) as up:
            port = up.url.rpartition(":")[2]
            closed = f"[providers.gone]\ndialect = 'openai-chat'\nbase_url = '{CLOSED}'\n"
            closed += "[providers.lost]\ndialect = 'openai-chat'\nbase_url = 'http://no.invalid'\n"
            closed += "".join(route(f"r{n}", f"a/m{n}", more=ONCE) for n in range(len(faults)))
            async with Gate(tmp_path, file(closed, each=each, a=up)) as gate:
                for name in [*(f"r{n}" for n in range(len(faults))), "gone/m", "lost/m"]:
                    reply = await gate.chat(name, stream=name == "r3")
                    assert not any(
                        shown in reply.raw
                        for shown in (port.encode(), b"127.0.0.1", b"no.invalid", b":9")
                    ), (name, reply.raw)

    run(main())


def test_a_secret_in_the_file_is_refused_and_no_look_at_it_shows_one(
    tmp_path: Path, run: Run
) -> None:
    literal = "Bearer 0123456789abcdef0123"
    lines = (
        f"headers = {{ authorization = '{literal}' }}",
        f"headers = {{ x-plain = '{literal}' }}",
        "headers = { X-Api-Token = 'abcdefgh' }",
        "query = { key = 'abcdefgh' }",
        "query = { code = 'sk-abcdefgh0123' }",
    )
    webhook = "https://hooks.acme.example/services/T0/B0/canaryhook99?token=canaryhook99"
    tenant = (
        "[tenants.acme]\nlimits = '$5/month'\n"
        f"alerts = {{ at = [0.5], webhook = '{webhook}', secret = 'env:OTHER_KEY' }}\n"
        "[mcp.tools]\ncommand = ['serve', '--api-key', 'canaryhook99', '--token=canaryhook99']\n"
    )

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED + tenant, a=up), key=APP_KEY) as gate,
        ):
            text = gate.config.read_text()
            for line in lines:
                new = text.replace("api_key = 'env:UP_KEY'", f"api_key = 'env:UP_KEY'\n{line}")
                gate.config.write_text(new)
                said = (await gate.control({"do": "reload"}))["error"]
                assert "a secret itself does not belong here" in said
                asked = await gate.post("/admin/config/diff", json.dumps({"text": new}).encode())
                assert [c["key"].split(".")[:2] for c in asked.json["changes"]] == [
                    ["providers", "a"]
                ]
                for secret in (literal, "abcdefgh"):
                    assert secret not in asked.body.decode()
                    assert secret not in said
            shown = await gate.get("/admin/config")
            assert b"canaryhook99" not in shown.body
            assert shown.json["mcp"]["tools"]["command"][:2] == ["serve", "--api-key"]
            assert shown.json["providers"]["a"]["api_key"] == "env:UP_KEY"
            assert shown.json["tenants"]["acme"]["alerts"]["webhook"].startswith(
                "https://hooks.acme"
            )
            gate.config.write_text(text.replace(webhook, "env:HOOK"))
            assert "HOOK is not set" in (await gate.control({"do": "reload"}))["error"]

    run(main())
