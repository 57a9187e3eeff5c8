"""A running gateway between real SDKs and scripted vendors, all on loopback."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.upstream_server import Entry, Play, Upstream, says

START_S = 20.0
SPARE = 36
SPARE_MODELS = 40
"""Providers of each dialect that a test can have to itself, for keys rest; and models of the
first of them, for breakers open."""

KEYS = {
    "app": "sk-app-4f6d0c",
    "few": "sk-few-77aa01",
    "counter": "sk-counter-5150",
    "poor": "sk-poor-90b2",
    "narrow": "sk-nar-1",
}


SPEAKERS = {
    "oai": ("openai-chat", "/v1"),
    "claude": ("anthropic", "/v1"),
    "resp": ("openai-responses", "/v1"),
    "gem": ("gemini", "/v1beta"),
    "rock": ("bedrock-converse", ""),
    "inv": ("bedrock-anthropic", ""),
    "vex": ("vertex-anthropic", "/v1/projects/acme/locations/global/publishers/anthropic"),
    "vert": ("vertex", "/v1/projects/acme/locations/global/publishers/google"),
    "sage": ("sagemaker", "/endpoints"),
    "oci": ("oci", "/20231130/actions"),
    "rep": ("replicate", "/v1"),
    "coh": ("cohere-v2", "/v2"),
    "oll": ("ollama", "/api"),
    "wat": ("watsonx", "/ml/v1"),
    "giga": ("gigachat", "/api/v1"),
    "qian": ("ernie-v1", "/rpc/2.0/ai_custom/v1/wenxinworkshop"),
}
"""Prefix of the providers' names -> the dialect they speak, and the path of their base URL."""
PRICED = {
    "oai": "oai/gpt-5.1",
    "claude": "claude/claude-sonnet-4-5",
    "resp": "resp/gpt-5.1",
    "gem": "gem/gemini-3-flash-preview",
    "rock": "rock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "inv": "inv/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "vex": "vex/claude-sonnet-4-5@20250929",
    "vert": "vert/gemini-3-flash-preview",
    "sage": "sage/my-endpoint",
    "oci": "oci/meta.llama-3.3-70b-instruct",
    "coh": "coh/command-a-reasoning-08-2025",
    "oll": "oll/qwen3:8b",
    "wat": "wat/ibm/granite-4-h-small",
    "giga": "giga/GigaChat-2-Max",
    "qian": "qian/ernie-4.0-8k",
}
"""A model of each that costs a dollar per million tokens in and ten per million out."""
WORDS = {"inv": "claude", "vex": "claude", "vert": "gem", "sage": "oai"}
"""Those whose bodies have another's words, in an envelope of their own."""
MORE = {"wat": 'account = { project_id = "acme" }\n'}
"""What the table of a provider must say beside."""
ONE_CALL = {"giga", "qian"}
"""Those that call one tool in a reply at most."""


def words(target: str) -> str:
    """Whose words a target's bodies have."""
    return WORDS.get(target, target)


class Vendor:
    """A scripted upstream in a thread of its own, told by the test what to answer."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.upstream = Upstream(says(b"{}", 500))
        self._wait(self.upstream.__aenter__())

    def _wait(self, doing: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(10)

    @property
    def port(self) -> int:
        return self.upstream.port

    def plays(self, *plays: Play) -> "Vendor":
        """Answer the next requests like this, the last one for ever; forget what was."""
        self.upstream.plays = deque(plays)
        self.upstream.book.clear()
        return self

    @property
    def book(self) -> list[Entry]:
        return self.upstream.book

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The bodies of the requests so far."""
        return [json.loads(entry.body) for entry in self.book if entry.body]

    def close(self) -> None:
        self._wait(self.upstream.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def configured(folder: Path, vendors: Mapping[str, Vendor], more: str = "") -> str:
    """The file: each vendor under many names, so that no test meets another's breaker."""
    tables = [f'[server]\ndata = "{folder}/data"\ndrain_s = 1.0\n']
    for prefix, (dialect, path) in SPEAKERS.items():
        tables += [
            f'[providers.{name}]\ndialect = "{dialect}"\napi_key = "env:VENDOR_KEY"\n'
            f'base_url = "http://127.0.0.1:{vendors[prefix].port}{path}"\n{MORE.get(prefix, "")}'
            f'[models.once-{name}]\ntry = ["{name}/gpt-or-claude"]\n'
            f"retry = {{ attempts = 1 }}\n"
            for name in (prefix, *(f"{prefix}{n}" for n in range(SPARE)))
        ]
        tables += [
            f'[models.only-{prefix}-{n}]\ntry = ["{prefix}/only-{n}"]\nretry = {{ attempts = 1 }}\n'
            for n in range(SPARE_MODELS)
        ]
    tables.append(
        '[providers.counts]\ndialect = "openai-responses"\nquirks = ["counts_input"]\n'
        f'base_url = "http://127.0.0.1:{vendors["resp"].port}/v1"\napi_key = "env:VENDOR_KEY"\n'
    )
    tables += [
        f'[providers.{name}]\ndialect = "openai-chat"\nquirks = ["{quirk}"]\n'
        f'base_url = "http://127.0.0.1:{vendors["oai"].port}/v1"\napi_key = "env:VENDOR_KEY"\n'
        for name, quirk in (("objects", "no_json_schema"), ("words", "no_response_format"))
    ]
    tables.append(
        '[models.twice]\ntry = ["words/some-model"]\nretry = { json_attempts = 2 }\n'
        '[models.then]\ntry = ["words/some-model", "oai/gpt-5.1"]\nretry = { json_attempts = 1 }\n'
    )
    priced = (*PRICED.values(), "words/some-model", "rep/meta/llama")
    tables.append(
        f'[providers.azure-openai-deployments]\napi_key = "env:VENDOR_KEY"\n'
        f'base_url = "http://127.0.0.1:{vendors["oai"].port}"\n'
    )
    prices = [f'"{model}" = {{ input = 1.0, output = 10.0 }}' for model in priced]
    tables.append(
        '[prices]\n"oai/gpt-priced" = { input = 1.0, output = 1.0 }\n'
        + "\n".join(prices) + "\n"
        '[keys.app]\nsecret = "env:KEY_APP"\nlimits = "6000 req/min, 90M tok/min"\n'
        '[keys.few]\nsecret = "env:KEY_FEW"\nlimits = "2 req/min"\n'
        '[keys.counter]\nsecret = "env:KEY_COUNTER"\nlimits = "1 req/min, 100 tok/min"\n'
        '[keys.poor]\nsecret = "env:KEY_POOR"\nlimits = "$0.000001/month"\n'
        '[keys.narrow]\nsecret = "env:KEY_NARROW"\nmodels = ["oai/gpt-5-mini"]\n'
    )  # fmt: skip
    return "\n".join(tables) + more


@contextlib.contextmanager
def running(folder: Path, config: str, *launcher: str, keyed: bool = True) -> Iterator[str]:
    """A gateway process on a free port; gives its base URL."""
    file = folder / "octoplex.toml"
    file.write_text(config)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "VENDOR_KEY": "sk-vendor-1"}
    env |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    if keyed:
        env |= {f"KEY_{name.upper()}": value for name, value in KEYS.items()}
    start = launcher or (sys.executable, "-m", "octoplex")
    line = [*start, "serve", "--config", str(file), "--port", str(port)]
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(line, env=env, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    try:
        _await_ready(process, url, log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert process.returncode == 0, log.read_text()


def _await_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health/ready") as ready:
            if ready.status == 200:
                return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
