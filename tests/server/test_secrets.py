"""Secrets kept elsewhere: fetched at the start and at a reload, and shown to nobody."""

import json
from pathlib import Path

from tests.server.conftest import Run
from tests.server.gate import Gate, file
from tests.server.provider import chat_body
from tests.upstream_server import Upstream, says

FIRST, SECOND = "sk-canary-vault-first-91c7", "sk-canary-vault-second-44e0"


def _kept(value: str) -> bytes:
    """https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#sample-response-2"""
    return json.dumps({"data": {"data": {"key": value}, "metadata": {"version": 1}}}).encode()


def test_a_secret_that_changed_at_its_keeper_is_met_by_a_reload(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        broken = says(b'{"errors": ["Vault is sealed"]}', status=503)
        keeper = Upstream(says(_kept(FIRST)), broken, says(_kept(SECOND)))
        async with Upstream(says(chat_body())) as up, keeper:
            text = file(a=up).replace("env:UP_KEY", "vault://kv/llm#key")
            env = {"VAULT_ADDR": keeper.url, "VAULT_TOKEN": "canary-token-of-vault"}
            async with Gate(tmp_path, text, env=env) as gate:
                assert (await gate.chat("a/m")).status == 200
                refused = await gate.control({"do": "reload"})
                assert "vault://kv/llm#key: 127.0.0.1 answered 503: Vault is sealed" in str(refused)
                assert (await gate.chat("a/m")).status == 200, "the old one stays in force"
                assert await gate.control({"do": "reload"}) == {"ok": "reloaded"}
                assert (await gate.chat("a/m")).status == 200
                seen = b"".join(gate.seen) + gate.log.read_bytes() + gate.out.read_bytes()
            keys = [entry.headers[b"authorization"].decode() for entry in up.book]
        assert keys == [f"Bearer {FIRST}"] * 2 + [f"Bearer {SECOND}"]
        kept = [path.read_bytes() for path in gate.data.rglob("*") if path.is_file()]
        for canary in (FIRST, SECOND, "canary-token-of-vault"):
            assert canary.encode() not in seen
            assert not any(canary.encode() in content for content in kept)

    run(main())
