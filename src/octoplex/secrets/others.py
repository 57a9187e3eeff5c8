"""Secrets kept by the machine's keyring, Google Cloud, Azure and Vault.

References: https://keyring.readthedocs.io/en/latest/,
https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access,
https://learn.microsoft.com/en-us/rest/api/keyvault/secrets/get-secret/get-secret,
https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow,
https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2

Experimental: those of Google Cloud, Azure and Vault were tried against scripted servers only.
Not promised: managed identities of Azure, and ways into Vault other than a token.
"""

import asyncio
from base64 import b64decode
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from octoplex.secrets.keeper import Errand, asked, refused, text_of
from octoplex.secrets.reference import Reference
from octoplex.transport.google import google_grant
from octoplex.transport.http import Request
from octoplex.transport.oauth import Exchange
from octoplex.transport.origin import Origin
from octoplex.transport.tokens import Token, proven
from octoplex.wire.error import BadConfig

GOOGLE = "https://secretmanager.googleapis.com"
METADATA = "http://metadata.google.internal"
MICROSOFT = "https://login.microsoftonline.com"
KEY_VAULT_VERSION = "7.4"


async def keyring(reference: Reference, errand: Errand) -> str:
    """A password of the keyring: its service and user are what `keyring set` was told."""
    try:
        from keyring import get_password
        from keyring.errors import KeyringError
    except ImportError:
        raise BadConfig("this needs the keyring package: pip install 'octoplex[keyring]'") from None
    service, _, user = reference.path.rpartition("/")
    try:
        found = await asyncio.to_thread(get_password, service, user)
    except KeyringError as error:
        raise BadConfig(f"the keyring gives out nothing: {error}") from None
    if found is None:
        raise BadConfig(f"the keyring has no such password; run `keyring set {service} {user}`")
    return str(found)


class Metadata(Struct, frozen=True):
    """The grant of a machine of Google Cloud: its own account, without a key."""

    origin: Origin

    def request(self, now: float) -> Request:
        """What to ask."""
        path = "/computeMetadata/v1/instance/service-accounts/default/token"
        head = self.origin.head("GET", path, (("metadata-flavor", "Google"),))
        return Request(self.origin, head, idempotent=True)

    def read(self, body: bytes, now: float) -> Token:
        """The token in the reply."""
        return Exchange("Google", self.origin).read(body, now)


async def google(reference: Reference, errand: Errand) -> str:
    """A version of a secret; the latest where none is named."""
    env = errand.env
    origin = Origin.parse(env.get("GCPSECRETS_URL") or GOOGLE, errand.proxies)
    project, _, name = reference.path.partition("/")
    version = reference.option("version") or "latest"
    path = f"/v1/projects/{quote(project)}/secrets/{quote(name)}/versions/{quote(version)}:access"
    request = Request(origin, origin.head("GET", path), idempotent=True)
    file = env.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if file:
        tokens = errand.purse.of(google_grant(text_of(file), errand.proxies))
    else:
        host = env.get("GCE_METADATA_HOST")
        tokens = errand.purse.of(Metadata(Origin.parse(f"http://{host}" if host else METADATA)))
    status, reply = await asked(errand, await proven(request, tokens))
    try:
        return b64decode(reply["payload"]["data"]).decode()
    except (KeyError, TypeError, ValueError):
        raise refused(errand, request, status, _error_of(reply)) from None


async def azure(reference: Reference, errand: Errand) -> str:
    """A secret of a vault, for an application of Entra (client id and client secret)."""
    tenant = errand.needed("AZURE_TENANT_ID")
    host = errand.env.get("AZURE_AUTHORITY_HOST") or MICROSOFT
    login = Origin.parse(f"{host.rstrip('/')}/{quote(tenant)}/oauth2/v2.0/token", errand.proxies)
    form = (
        ("grant_type", "client_credentials"),
        ("client_id", errand.needed("AZURE_CLIENT_ID")),
        ("client_secret", errand.needed("AZURE_CLIENT_SECRET")),
        ("scope", "https://vault.azure.net/.default"),
    )
    tokens = errand.purse.of(Exchange("Microsoft", login, form=form))
    vault, _, name = reference.path.partition("/")
    url = errand.env.get("AZUREKEYVAULT_URL") or f"https://{vault}.vault.azure.net"
    origin = Origin.parse(url, errand.proxies)
    version = reference.option("version")
    path = f"/secrets/{quote(name)}{f'/{quote(version)}' if version else ''}"
    path += f"?api-version={KEY_VAULT_VERSION}"
    request = Request(origin, origin.head("GET", path), idempotent=True)
    status, reply = await asked(errand, await proven(request, tokens))
    if status == 200 and isinstance(reply, dict) and isinstance(reply.get("value"), str):
        return str(reply["value"])
    raise refused(errand, request, status, _error_of(reply))


def _error_of(reply: Any) -> str:
    """What Google and Microsoft say is wrong."""
    error = reply.get("error") if isinstance(reply, dict) else None
    return str(error.get("message", "")) if isinstance(error, dict) else ""


async def vault(reference: Reference, errand: Errand) -> Any:
    """The fields of a secret of a KV engine, of version 2 or, where there is none, 1."""
    origin = Origin.parse(errand.needed("VAULT_ADDR"), errand.proxies)
    token = errand.env.get("VAULT_TOKEN") or _token_file(errand)
    headers = [("x-vault-token", token), ("x-vault-request", "true")]
    if errand.env.get("VAULT_NAMESPACE"):
        headers.append(("x-vault-namespace", errand.env["VAULT_NAMESPACE"]))
    mount, _, path = reference.path.partition("/")
    version = reference.option("version")
    ways = (f"/v1/{quote(mount)}/data/{quote(path)}", f"/v1/{quote(mount)}/{quote(path)}")
    for way in ways:
        query = f"?version={quote(version)}" if version and way is ways[0] else ""
        request = Request(origin, origin.head("GET", way + query, headers), idempotent=True)
        status, reply = await asked(errand, request)
        data = reply.get("data") if isinstance(reply, dict) else None
        if status == 200 and isinstance(data, dict):
            return data["data"] if way is ways[0] and isinstance(data.get("data"), dict) else data
        if status not in (404, 400):
            break
    errors = reply.get("errors") if isinstance(reply, dict) else None
    said = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
    raise refused(errand, request, status, said or "there is no such secret")


def _token_file(errand: Errand) -> str:
    """The token that `vault login` left."""
    try:
        return text_of(f"{errand.env.get('HOME', '~')}/.vault-token")
    except BadConfig:
        return errand.needed("VAULT_TOKEN")
