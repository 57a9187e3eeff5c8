"""Where Bifrost asks a provider: `network_config`, and what each key adds to it.

Its base URLs end before the `/v1` that most of the catalogue's hold.

Reference: https://docs.getbifrost.ai/deployment-guides/config-json/providers
"""

from collections.abc import Mapping

import msgspec

from octoplex.catalog.provider import catalogue
from octoplex.cli.importing.clouds import headers, is_openai, project, region, signing
from octoplex.cli.importing.draft import NO_KEY, Draft, upper
from octoplex.cli.importing.endpoints import Endpoint, base_of
from octoplex.cli.importing.given import Given

ROWS: Mapping[str, str] = {"azure": "azure-openai", "sgl": "sglang"}
AWS = {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY"}
AWS |= {"session_token": "AWS_SESSION_TOKEN"}


class BifrostEndpoints:
    """Providers and their keys to endpoints."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def site(self, name: str, given: Given) -> Endpoint | None:
        """What all keys of a provider share; None where nobody knows how to ask it."""
        custom, network = given.table("custom_provider_config"), given.table("network_config")
        kind = custom.text("base_provider_type") or name
        row = ROWS.get(kind, kind)
        if row not in catalogue():
            row = ""
        url = network.text("base_url")
        base = self._base(row, url, network.at("base_url"), name) if url else ""
        if row == "openai" and base and not is_openai(base):
            row = ""
        if not row and not base:
            says = "no provider of that name is known: add dialect and base_url to its table."
            self._draft.left_out(given.path, says)
            return None
        seconds = {
            "idle_s": network.number("stream_idle_timeout_in_seconds"),
            "total_s": network.number("default_request_timeout_in_seconds"),
        }
        return Endpoint(
            row=row,
            base_url=base,
            headers=tuple(headers(self._draft, network.table("extra_headers")).items()),
            timeouts=tuple((key, s) for key, s in seconds.items() if s),
        )

    def lane(
        self, name: str, site: Endpoint, key: Given, models: list[str]
    ) -> tuple[Endpoint, dict[str, str]]:
        """The endpoint of one key, and the provider's own names for models of its callers."""
        publisher = "google/" if site.row == "vertex" else "\0"
        aliases = {m: m.removeprefix(publisher) for m in models if m.startswith(publisher)}
        aliases |= _texts(key.table("aliases"))
        endpoint = self._keyed(name, site, key)
        for kind in ("azure", "bedrock", "vertex", "ollama", "sgl", "vllm"):
            inner = key.table(f"{kind}_key_config")
            aliases |= _texts(inner.table("deployments"))
            where = "endpoint" if kind == "azure" else "url"
            url = inner.text(where)
            if url:
                base = self._base(endpoint.row, url, inner.at(where), name)
                endpoint = msgspec.structs.replace(endpoint, base_url=base)
            served = inner.text("model_name")
            aliases |= dict.fromkeys([m for m in models if m != "*"] if served else [], served)
            endpoint = self._in_cloud(endpoint, inner)
        return endpoint, aliases

    def _keyed(self, name: str, site: Endpoint, key: Given) -> Endpoint:
        inner = key.table("value")
        text = key.text("value") or inner.text("value")
        variable = inner.text("env_var") or inner.text("ref")
        inner.any("from_env"), inner.any("type")
        if variable:
            text = variable if variable.startswith("env.") else f"env.{variable}"
        if text.lower() in NO_KEY:
            return site
        label = key.text("name")
        wanted = f"{upper(label if label.startswith(name) else f'{name} {label}')}_KEY"
        reference = self._draft.reference(text, key.at("value"), wanted)
        return msgspec.structs.replace(site, keys=(reference,))

    def _in_cloud(self, endpoint: Endpoint, inner: Given) -> Endpoint:
        signing(self._draft, inner, AWS)
        project(self._draft, inner, "project_id")
        if "auth_credentials" in inner:
            inner.any("auth_credentials")
            says = 'write api_key = "file:PATH" of the key file, or GOOGLE_APPLICATION_CREDENTIALS.'
            self._draft.to_set(inner.at("auth_credentials"), says)
        known = region(self._draft, endpoint.row, inner, "region")
        return msgspec.structs.replace(endpoint, region=known) if known else endpoint

    def _base(self, row: str, url: str, where: str, name: str) -> str:
        named = self._draft.variable_in(url)
        base = base_of(row, self._draft.address(url, where, named or name))
        known = catalogue().get(row)
        if not base.endswith("/v1") and (known is None or known.base_url.endswith("/v1")):
            base += "/v1"
        return "" if known and base == known.base_url else base


def _texts(table: Given) -> dict[str, str]:
    return {name: text for name in table.names() if (text := table.text(name))}
