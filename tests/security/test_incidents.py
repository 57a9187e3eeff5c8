"""What happened to other gateways, and does not happen here. One test for each incident."""

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from octoplex.reflex.keys import Hasher, Keyring, KeySpec, from_config
from octoplex.server.table import routes
from octoplex.wire.error import Unauthorized
from tests.server import caller, provider
from tests.server.conftest import Run
from tests.server.gate import APP_KEY, PATHS, UP_KEY, Gate, file, question
from tests.test_house import ROOT
from tests.upstream_server import Upstream, says

CHAT = PATHS["openai-chat"]
KEYED = "[keys.app]\nsecret = 'env:APP_KEY'\n"


def test_litellm_pypi_2026_03_a_release_runs_nothing_at_start() -> None:
    """1.82.8 brought a .pth file, which every start of Python runs."""
    assert not list((ROOT / "src").rglob("*.pth"))
    project = (ROOT / "pyproject.toml").read_text()
    assert 'build-backend = "setuptools.build_meta"' in project
    assert not (ROOT / "setup.py").exists(), "a build that runs code of ours"
    where = "import site, sys; print([p for p in sys.modules if p.startswith('octoplex')])"
    done = subprocess.run(
        [sys.executable, "-c", where], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"


def test_cve_2026_42208_a_credential_never_meets_sql(tmp_path: Path, run: Run) -> None:
    """Keys are looked up by hash in memory; the database is not asked on the way in."""
    sql = [
        "' OR '1'='1",
        "x' UNION SELECT secret FROM keys --",
        "\\'; ATTACH DATABASE 'x' AS y; --",
    ]

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up)) as gate,
        ):
            for text in sql:
                for path in ("/v1/models", "/v1/requests", "/v1/key"):
                    bad = [("authorization", f"Bearer {text}")]
                    reply = await caller.ask(gate.port, "GET", path, None, bad)
                    assert reply.status == 401
            gate.key = APP_KEY
            for text in sql:  # nor do ids and cursors
                name = text.replace(" ", "%20").replace("'", "%27")
                assert (await gate.get(f"/v1/requests/{name}")).status == 404
                listed = await gate.get(f"/v1/requests?before={name}")
                assert listed.status in (200, 400)
                assert not listed.json.get("data")

    run(main())
    assert not list(tmp_path.rglob("x"))


def test_cve_2026_42203_no_door_renders_a_template() -> None:
    """POST /prompts/test of LiteLLM rendered Jinja2 of any caller."""
    assert not [r for r in routes() if re.search("prompt|template|test|preview", r.path)]


def test_cve_2026_42271_no_door_starts_a_command(tmp_path: Path, run: Run) -> None:
    """/mcp-rest/test of LiteLLM ran a command that the body named."""
    found = [r.path for r in routes() if re.search("mcp|exec|run|shell|tool", r.path)]
    assert found == ["/mcp"]
    named = {"command", "args", "argv", "env", "url", "cmd", "server"}

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            asks = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
            tools = (await gate.post("/mcp", msgspec.json.encode(asks))).json["result"]["tools"]
            assert tools
            for tool in tools:
                assert not named & tool["inputSchema"].get("properties", {}).keys(), tool["name"]

    run(main())


def test_badhost_2026_48710_the_path_is_that_of_the_request_line(tmp_path: Path, run: Run) -> None:
    """With `Host: x/health/live?` another framework saw another path than it routed."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            for host in ("localhost/health/live?", "localhost#", "localhost/health/live/../"):
                for key in ([], gate.headers()):
                    lines = [("host", host), *key]
                    reply = await caller.ask(gate.port, "GET", "/v1/requests", None, lines)
                    assert reply.status == 400

    run(main())


def test_cve_2026_35030_keys_that_begin_alike_are_two() -> None:
    """A cache of LiteLLM knew a token by its first 20 characters."""
    hasher = Hasher(b"p" * 32)
    one, other = "oct-" + "a" * 40 + "1", "oct-" + "a" * 40 + "2"
    ring = Keyring(hasher, [from_config(KeySpec(name="one"), one, hasher)])
    assert ring.find(one.encode()).name == "one"
    for near in (other, one[:-1], one + "x", one[:20]):
        with pytest.raises(Unauthorized):
            ring.find(near.encode())


def test_cve_2026_35029_no_key_changes_the_configuration(tmp_path: Path, run: Run) -> None:
    """/config/update of LiteLLM took what any key sent."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            for path in ("/config/update", "/v1/config", "/admin/config", "/reload", "/v1/keys",
                         "/key/generate", "/admin/keys", "/admin/providers/a"):  # fmt: skip
                for method in ("POST", "PUT", "PATCH"):
                    body = b'{"limits": "", "models": ["*"]}'
                    reply = await caller.ask(gate.port, method, path, body, gate.headers())
                    assert reply.status in (401, 403, 404, 405), (method, path, reply.status)
            assert (await gate.get("/v1/key")).json["name"] == "app"

    run(main())


def test_cve_2024_6587_a_caller_names_no_server(tmp_path: Path, run: Run) -> None:
    """`api_base` in a body sent LiteLLM's keys to whoever was named."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Upstream(says(b"{}")) as thief,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            for name in ("api_base", "base_url", "custom_llm_provider", "api_key", "host"):
                body = question("a/m", **{name: thief.url})
                assert (await gate.post(CHAT, body)).status == 200
            for header in ("x-portkey-custom-host", "helicone-openai-api-base", "x-base-url"):
                reply = await gate.post(CHAT, question("a/m"), (header, thief.url))
                assert reply.status == 200
            assert thief.book == []

    run(main())


def test_cve_2024_9606_a_key_is_never_half_shown(tmp_path: Path, run: Run) -> None:
    """Logs of LiteLLM masked only the first characters of keys."""
    shown = f"sk-proj-{'*' * 40}{UP_KEY[-4:]}"
    said = json.dumps({"error": {"message": f"Incorrect API key: {UP_KEY} or {shown}"}}).encode()

    async def main() -> None:
        async with (
            Upstream(says(said, status=401)) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            reply = await gate.chat("a/m")
            assert reply.status >= 500
            seen = reply.raw + gate.log.read_bytes()
            assert UP_KEY[-4:].encode() not in seen
            assert UP_KEY[:8].encode() not in seen

    run(main())


def test_bifrost_5768_without_keys_nothing_is_open_to_others(tmp_path: Path, run: Run) -> None:
    """Bifrost's check of callers let everybody through while it was not configured."""
    beside = tmp_path / "exposed"
    beside.mkdir()

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(a=up)) as gate,
        ):
            for row in routes():
                if row.who == "anyone":
                    continue
                path = row.path + ("x" if row.path.endswith("/") else "")
                body = None if row.method == "GET" else b"{}"
                bad = [("host", "203.0.113.9:8080")]
                reply = await caller.ask(gate.port, row.method, path, body, bad)
                assert reply.status == 403, (row.path, reply.status)
        text = file(a=up).replace("[server]\n", "[server]\nlisten = '0.0.0.0:0'\n", 1)
        exposed = Gate(beside, text)
        process = exposed.spawn()
        assert process.wait(20) != 0
        assert "no key is configured" in exposed.log.read_text()

    run(main())


def test_bifrost_937_every_path_is_behind_the_key() -> None:
    """Basic auth protected `/` alone: here each row says who may ask, and none says nothing."""
    assert {row.who for row in routes()} <= {"key", "anyone", "loopback", "admin"}
    assert {r.path for r in routes() if r.who == "anyone"} == {
        "/health/live", "/health/ready", "/openapi.json",
    }  # fmt: skip


def test_open_webui_2026_45339_every_header_meets_the_same_limits(tmp_path: Path, run: Run) -> None:
    """`x-api-key` went around what `Authorization` was held to."""

    async def main() -> None:
        key = "[keys.app]\nsecret = 'env:APP_KEY'\nmodels = ['b/*']\nlimits = '3 req/min'\n"
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(key, a=up, b=up)) as gate,
        ):
            carriers = [("authorization", f"Bearer {APP_KEY}")]
            carriers += [(n, APP_KEY) for n in ("x-api-key", "x-goog-api-key", "api-key")]
            for carrier in carriers:
                reply = await caller.ask(gate.port, "POST", CHAT, question("a/m"), [carrier])
                assert reply.status == 403, carrier[0]
            statuses = []
            for carrier in carriers:
                reply = await caller.ask(gate.port, "POST", CHAT, question("b/m"), [carrier])
                statuses.append(reply.status)
            assert statuses == [200, 200, 200, 429]

    run(main())


def test_open_webui_2026_45349_a_conversation_is_its_keys_own(tmp_path: Path, run: Run) -> None:
    """Whoever knew a chat's id could take it over."""
    keys = KEYED + "[keys.other]\nsecret = 'env:OTHER_KEY'\n"

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(keys, a=up), key=APP_KEY) as gate,
        ):
            asked = json.dumps({"model": "a/m", "input": "my secret plan"}).encode()
            made = await gate.post("/v1/responses", asked)
            id_ = made.json["id"]
            gate.key = "oct-other-0f1e2d3c4b5a6978"
            assert (await gate.get(f"/v1/responses/{id_}")).status == 404
            assert (await gate.get(f"/v1/responses/{id_}/input_items")).status == 404
            gone = await caller.ask(
                gate.port, "DELETE", f"/v1/responses/{id_}", None, gate.headers()
            )
            assert gone.status == 404
            on = {"model": "a/m", "input": "and?", "previous_response_id": id_}
            reply = await gate.post("/v1/responses", json.dumps(on).encode())
            assert reply.status in (400, 404)
            assert len(up.book) == 1
            gate.key = APP_KEY
            assert (await gate.get(f"/v1/responses/{id_}")).status == 200

    run(main())


def test_langflow_2025_34291_no_page_of_another_origin_is_served(tmp_path: Path, run: Run) -> None:
    """CORS with credentials for every origin; here none is allowed that the file does not name."""

    async def main() -> None:
        async with (
            Upstream(provider.whole("openai-chat")) as up,
            Gate(tmp_path, file(KEYED, a=up), key=APP_KEY) as gate,
        ):
            evil = ("origin", "https://evil.example")
            reply = await gate.post(CHAT, question("a/m"), evil)
            names = {name for name in reply.headers if name.startswith("access-control")}
            assert not names
            asked = [evil, ("access-control-request-method", "POST")]
            preflight = await caller.ask(gate.port, "OPTIONS", CHAT, None, asked)
            assert not {n for n in preflight.headers if n.startswith("access-control")}

    run(main())
