"""Secrets of Google Cloud, Azure, Vault and the keyring, from their documented replies."""

import asyncio
import json
from base64 import b64encode
from pathlib import Path

import keyring
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from keyring.backend import KeyringBackend

from octoplex.cli import link
from octoplex.secrets import fetched
from octoplex.secrets.keeper import WAIT_S
from octoplex.wire.error import BadConfig
from tests.upstream_server import Exchange, Upstream, says


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


# https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
GOOGLE = {
    "name": "projects/123/secrets/llm/versions/3",
    "payload": {"data": b64encode(b"canary-google").decode(), "dataCrc32c": "1"},
}


async def test_google_with_a_key_file(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    token = says(_json({"access_token": "canary-token", "expires_in": 3600}))
    async with Upstream(token) as login, Upstream(says(_json(GOOGLE))) as keeper:
        account = {
            "client_email": "llm@example.iam.gserviceaccount.com",
            "private_key": key.decode(),
            "token_uri": f"{login.url}/token",
        }
        file = tmp_path / "account.json"
        file.write_text(json.dumps(account))
        env = {"GOOGLE_APPLICATION_CREDENTIALS": str(file), "GCPSECRETS_URL": keeper.url}
        name = "gcpsecrets://acme/llm?version=3"
        assert await fetched([name], env) == {name: "canary-google"}
        (entry,) = keeper.book
    assert entry.path == "/v1/projects/acme/secrets/llm/versions/3:access"
    assert entry.headers[b"authorization"] == b"Bearer canary-token"


async def test_google_on_its_own_machines() -> None:
    token = says(_json({"access_token": "canary-token", "expires_in": 3600}))
    async with Upstream(token) as machine, Upstream(says(_json(GOOGLE))) as keeper:
        host = machine.url.removeprefix("http://")
        env = {"GCE_METADATA_HOST": host, "GCPSECRETS_URL": keeper.url}
        name = "gcpsecrets://acme/llm"
        assert await fetched([name], env) == {name: "canary-google"}
        assert machine.book[0].headers[b"metadata-flavor"] == b"Google"
        assert keeper.book[0].path.endswith("/versions/latest:access")


async def test_what_google_says_is_passed_on() -> None:
    token = says(_json({"access_token": "canary-token", "expires_in": 3600}))
    said = {"error": {"code": 404, "message": "Secret [llm] not found.", "status": "NOT_FOUND"}}
    async with Upstream(token) as machine, Upstream(says(_json(said), status=404)) as keeper:
        host = machine.url.removeprefix("http://")
        env = {"GCE_METADATA_HOST": host, "GCPSECRETS_URL": keeper.url}
        with pytest.raises(BadConfig, match=r"gcpsecrets://acme/llm: .* 404: Secret \[llm\]"):
            await fetched(["gcpsecrets://acme/llm"], env)


# https://learn.microsoft.com/en-us/rest/api/keyvault/secrets/get-secret/get-secret
AZURE = {
    "value": "canary-azure",
    "id": "https://v.vault.azure.net/secrets/llm/4387e9f3d6e14c459867679a90fd0f79",
    "attributes": {"enabled": True, "recoveryLevel": "Recoverable+Purgeable"},
}


async def test_azure_for_an_application() -> None:
    token = says(_json({"token_type": "Bearer", "expires_in": 3599, "access_token": "canary-t"}))
    async with Upstream(token) as login, Upstream(says(_json(AZURE))) as keeper:
        env = {
            "AZURE_TENANT_ID": "tenant",
            "AZURE_CLIENT_ID": "client",
            "AZURE_CLIENT_SECRET": "canary-client",
            "AZURE_AUTHORITY_HOST": login.url,
            "AZUREKEYVAULT_URL": keeper.url,
        }
        names = ["azurekeyvault://v/llm", "azurekeyvault://v/llm?version=4387"]
        assert await fetched(names, env) == dict.fromkeys(names, "canary-azure")
        assert len(login.book) == 1  # one token for both
        assert login.book[0].path == "/tenant/oauth2/v2.0/token"
        assert b"scope=https%3A%2F%2Fvault.azure.net%2F.default" in login.book[0].body
        paths = {entry.path for entry in keeper.book}
    assert paths == {"/secrets/llm?api-version=7.4", "/secrets/llm/4387?api-version=7.4"}


async def test_azure_says_what_is_not_set() -> None:
    with pytest.raises(BadConfig, match=r"azurekeyvault://v/llm: .*AZURE_TENANT_ID is not set"):
        await fetched(["azurekeyvault://v/llm"], {})


# https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#sample-response-2
KV2 = {"data": {"data": {"key": "canary-vault"}, "metadata": {"version": 2}}}
# https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v1#sample-response
KV1 = {"auth": None, "data": {"key": "canary-old"}, "lease_duration": 2764800}


async def test_vault_of_version_2() -> None:
    async with Upstream(says(_json(KV2))) as keeper:
        env = {"VAULT_ADDR": keeper.url, "VAULT_TOKEN": "canary", "VAULT_NAMESPACE": "team"}
        name = "vault://kv/prod/llm#key?version=2"
        assert await fetched([name], env) == {name: "canary-vault"}
        (entry,) = keeper.book
    assert entry.path == "/v1/kv/data/prod/llm?version=2"
    assert entry.headers[b"x-vault-token"] == b"canary"
    assert entry.headers[b"x-vault-namespace"] == b"team"


async def test_vault_of_version_1_and_the_token_of_vault_login(tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text("canary-login\n")
    async with Upstream(says(_json({"errors": []}), status=404), says(_json(KV1))) as keeper:
        env = {"VAULT_ADDR": keeper.url, "HOME": str(tmp_path)}
        assert await fetched(["vault://kv/llm#key"], env) == {"vault://kv/llm#key": "canary-old"}
        assert [entry.path for entry in keeper.book] == ["/v1/kv/data/llm", "/v1/kv/llm"]
        assert keeper.book[0].headers[b"x-vault-token"] == b"canary-login"


@pytest.mark.parametrize(
    ("status", "body", "says_"),
    [
        (403, {"errors": ["permission denied"]}, "answered 403: permission denied"),
        (404, {"errors": []}, "there is no such secret"),
        (503, {"errors": ["Vault is sealed"]}, "answered 503: Vault is sealed"),
    ],
)
async def test_what_vault_says_is_passed_on(status: int, body: object, says_: str) -> None:
    async with Upstream(says(_json(body), status=status)) as keeper:
        env = {"VAULT_ADDR": keeper.url, "VAULT_TOKEN": "canary-vault"}
        with pytest.raises(BadConfig) as caught:
            await fetched(["vault://kv/llm#key"], env)
    assert str(caught.value).startswith("vault://kv/llm#key: ")
    assert says_ in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("errors", [5, "canary", {"a": "canary"}, None])
async def test_errors_that_are_no_list_are_not_shown(errors: object) -> None:
    async with Upstream(says(_json({"errors": errors}), status=403)) as keeper:
        env = {"VAULT_ADDR": keeper.url, "VAULT_TOKEN": "hvs"}
        with pytest.raises(BadConfig, match="answered 403: there is no such secret") as caught:
            await fetched(["vault://kv/llm#key"], env)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", [403, 500])
@pytest.mark.parametrize("before", [0, 290])
async def test_a_keeper_that_shows_our_token_shows_nothing(status: int, before: int) -> None:
    token = "token.of-no.known-form"
    said = {"errors": ["." * before + f" {token} is not allowed " + "x" * 5000]}
    async with Upstream(says(_json(said), status=status)) as keeper:
        env = {"VAULT_ADDR": keeper.url, "VAULT_TOKEN": token}
        with pytest.raises(BadConfig) as caught:
            await fetched(["vault://kv/llm#key"], env)
    assert "toke" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("before", [0, 190])
async def test_a_login_that_shows_our_client_secret_shows_nothing(before: int) -> None:
    secret = "plainly+of/no~form"
    said = {"error": "invalid_client", "error_description": "." * before + f" '{secret}' is wrong"}
    async with Upstream(says(_json(said), status=401)) as login:
        env = {
            "AZURE_TENANT_ID": "tenant",
            "AZURE_CLIENT_ID": "client",
            "AZURE_CLIENT_SECRET": secret,
            "AZURE_AUTHORITY_HOST": login.url,
        }
        with pytest.raises(BadConfig) as caught:
            await fetched(["azurekeyvault://v/llm"], env)
    assert "plain" not in str(caught.value)


async def test_all_tries_of_one_reference_share_one_deadline() -> None:
    """Vault is asked in two ways; each alone would be in time."""
    no = says(_json({"errors": []}), status=404)

    async def late(exchange: Exchange) -> None:
        await asyncio.sleep(0.6)
        await no(exchange)

    async with Upstream(late) as keeper:
        env = {"VAULT_ADDR": keeper.url, "VAULT_TOKEN": "hvs"}
        with pytest.raises(BadConfig, match="its keeper did not answer within 1 s"):
            await fetched(["vault://kv/llm#key"], env, wait_s=1.0)
        assert len(keeper.book) == 2


def test_the_shell_waits_longer_than_a_reload_may_take() -> None:
    assert link.WAIT_S > WAIT_S


async def test_what_is_no_json_is_not_shown() -> None:
    async with Upstream(says(b"<p>canary-page</p>")) as keeper:
        env = {"VAULT_ADDR": keeper.url, "VAULT_TOKEN": "canary-vault"}
        with pytest.raises(BadConfig, match="answered 200 with what is no JSON") as caught:
            await fetched(["vault://kv/llm#key"], env)
    assert "canary" not in str(caught.value)


async def test_the_keyring() -> None:
    class Ring(KeyringBackend):
        """A keyring in memory: those of desktops want a session."""

        priority = 1  # type: ignore[assignment]

        def get_password(self, service: str, username: str) -> str | None:
            return "canary-ring" if (service, username) == ("octo/plex", "openai") else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

        def delete_password(self, service: str, username: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    try:
        name = "keyring:octo/plex/openai"
        assert await fetched([name], {}) == {name: "canary-ring"}
        with pytest.raises(BadConfig, match="run `keyring set octoplex nobody`"):
            await fetched(["keyring:octoplex/nobody"], {})
    finally:
        keyring.set_keyring(before)
