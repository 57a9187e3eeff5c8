"""Where a deployment of LiteLLM is asked: its `litellm_params` as an endpoint.

Reference: https://docs.litellm.ai/docs/providers, one page for each prefix.
"""

import re
from decimal import Decimal

from msgspec import Struct

from octoplex.catalog.provider import catalogue
from octoplex.cli.importing.clouds import (
    NAME,
    headers,
    host_of,
    is_openai,
    project,
    region,
    signing,
)
from octoplex.cli.importing.draft import NO_KEY, Draft, upper
from octoplex.cli.importing.endpoints import Endpoint, Endpoints, base_of, region_of
from octoplex.cli.importing.given import Given
from octoplex.cli.importing.litellm_names import SERVERS, model_of, row_of, split

AZURE = "azure-openai-deployments"
UNDATED = ("v1", "preview", "latest")
"""Versions of Azure's API that is not dated."""
AWS = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
AWS |= {"aws_session_token": "AWS_SESSION_TOKEN"}
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_ORGANISATION = re.compile(r"org-[A-Za-z0-9]{1,40}")


class Located(Struct, frozen=True):
    """A model of theirs and where it is asked. `wanted` names a table of its own."""

    prefix: str
    row: str
    model: str
    endpoint: Endpoint
    wanted: str


class LiteLLMEndpoints:
    """Deployments to endpoints. `usual` are the timeouts of all."""

    def __init__(self, given: Given, draft: Draft, usual: tuple[tuple[str, Decimal], ...]) -> None:
        self._draft, self._usual = draft, usual
        self._endpoints = Endpoints(draft)
        self._shared = {
            c.text("credential_name"): c.table("credential_values")
            for c in given.tables("credential_list")
        }

    def locate(self, params: Given, model: str) -> Located | None:
        """Where a model is asked; None where nobody can say, which is noted."""
        if model == "*":
            return Located("*", "", "*", Endpoint(), "")
        shared = self._shared.get(params.text("litellm_credential_name"), Given({}))
        prefix, rest = split(model, params.text("custom_llm_provider"))
        own, region = model_of(row_of(prefix, rest), rest)
        row = row_of(prefix, own)
        base = self._base(params, shared, row, prefix)
        if prefix in SERVERS and base and not is_openai(base):
            row = ""
        if not row and not base:
            says = "no provider is known for it: add [providers.NAME] with dialect and base_url."
            self._draft.left_out(params.path, says)
            return None
        if not row and prefix not in SERVERS:
            says = "its provider is not known here; it is asked as one that speaks openai-chat."
            self._draft.differs(params.path, says)
        endpoint = self._place(prefix, row, base, (params, shared), region)
        wanted = f"{prefix}-{host_of(base)}" if not row else ""
        return Located(prefix, row, own, endpoint, wanted)

    def target(self, located: Located, where: str) -> str:
        """`provider/model`, or "" with a note."""
        return self._endpoints.target(located.endpoint, located.model, located.wanted, where)

    def provider(self, located: Located, wanted: str, where: str) -> str:
        """The table of a wildcard, by the name that its callers use where that is possible."""
        if wanted and wanted != located.row:
            if not self._endpoints.copyable(located.endpoint):
                wanted = ""
            elif located.row:
                says = f"no price is listed under the name {wanted}: add [prices] if keys have $."
                self._draft.to_set(where, says)
        return self._endpoints.name(located.endpoint, wanted or located.wanted, where)

    def _base(self, params: Given, shared: Given, row: str, prefix: str) -> str:
        for table in (params, shared):
            for key in ("api_base", "base_url"):
                given = table.text(key)
                if given and given.lower() not in NO_KEY:
                    named = self._draft.variable_in(given)
                    url = self._draft.address(given, table.at(key), named or prefix)
                    url = base_of(row, url)
                    if prefix == "huggingface" and not url.endswith("/v1"):
                        url += "/v1"  # as LiteLLM adds it, for an endpoint of one's own
                    return "" if row and url == catalogue()[row].base_url else url
        return ""

    def _place(
        self, prefix: str, row: str, base: str, tables: tuple[Given, Given], region: str
    ) -> Endpoint:
        version = next(filter(None, (t.text("api_version") for t in tables)), "")
        if row == AZURE and version in UNDATED:
            row, version = "azure-openai", ""
        named = row or f"{prefix}-{host_of(base)}"
        keys, bearer = self._keys(row, tables, named)
        if not keys and base:
            keys = self._unsaid_key(prefix, row, tables[0].path)
        return Endpoint(
            row=row,
            base_url=base,
            region=self._region(row, tables, region),
            keys=keys,
            bearer=bearer,
            headers=tuple(self._headers(tables, named)),
            query=tuple(self._query(row, version, tables)),
            account=tuple(self._account(row, tables)),
            timeouts=self._usual,
        )

    def _keys(
        self, row: str, tables: tuple[Given, Given], named: str
    ) -> tuple[tuple[str, ...], bool]:
        """The key that a deployment names, and whether it is a bearer."""
        if row and catalogue()[row].auth == "sigv4":
            for table in tables:
                signing(self._draft, table, AWS)
        for table in tables:
            for key in ("api_key", "azure_ad_token", "vertex_credentials"):
                text = table.text(key)
                if not text or text.lower() in NO_KEY:
                    continue
                if key == "vertex_credentials" and text.endswith(".json") and "{" not in text:
                    return (f"file:{text}",), False
                reference = self._draft.reference(text, table.at(key), f"{upper(named)}_KEY")
                return (reference,), key == "azure_ad_token"
        return (), False

    def _unsaid_key(self, prefix: str, row: str, where: str) -> tuple[str, ...]:
        """The key for an address of theirs where none is named: a key belongs to its host."""
        known = catalogue().get(row)
        if known is None or known.local or not known.key_env or known.auth == "sigv4":
            return ()
        if "{" in known.base_url:
            usual = f"{prefix.upper()}_API_KEY"
            return (self._draft.named(usual if usual in known.key_env else known.key_env[0]),)
        says = "no key is sent to another address than the vendor's unasked: add api_key there."
        self._draft.to_set(where, says)
        return ()

    def _region(self, row: str, tables: tuple[Given, Given], known: str) -> str:
        for table in tables:
            project(self._draft, table, "vertex_project")
            for key in ("aws_region_name", "vertex_location", "vertex_ai_location"):
                known = known or region(self._draft, row, table, key)
        return region_of(row, known)

    def _headers(self, tables: tuple[Given, Given], named: str) -> list[tuple[str, str]]:
        found: dict[str, str] = {}
        for table in tables:
            organisation = table.text("organization")
            if _ORGANISATION.fullmatch(organisation):
                found["openai-organization"] = organisation
            elif organisation:
                where = table.at("organization")
                wanted = f"{upper(named)}_ORGANIZATION"
                found["openai-organization"] = self._draft.reference(organisation, where, wanted)
            for inner in (table.table("extra_headers"), table.table("headers")):
                found |= headers(self._draft, inner)
        return list(found.items())

    def _query(self, row: str, version: str, tables: tuple[Given, Given]) -> list[tuple[str, str]]:
        where = tables[0].at("api_version")
        if version and not row.startswith("azure"):
            self._draft.left_out(where, "only Azure's API has a version to name.")
        if not version or not row.startswith("azure"):
            return []
        if _VERSION.fullmatch(version):
            return [("api-version", version)]
        return [("api-version", self._draft.reference(version, where, "AZURE_API_VERSION"))]

    def _account(self, row: str, tables: tuple[Given, Given]) -> list[tuple[str, str]]:
        if row != "watsonx":
            return []
        found = {
            n: self._draft.plain(t.text(n)) for t in tables for n in ("project_id", "space_id")
        }
        return [(name, value) for name, value in found.items() if NAME.fullmatch(value)]
