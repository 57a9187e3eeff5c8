"""Where TensorZero asks a model: a provider's table, or the short form `type::model`.

Reference: https://www.tensorzero.com/docs/gateway/configuration-reference, and for where keys
are https://www.tensorzero.com/docs/operations/manage-credentials
"""

from collections.abc import Mapping

from octoplex.catalog.provider import catalogue
from octoplex.cli.importing.clouds import SHOWN, host_of, is_openai, project, region, signing
from octoplex.cli.importing.draft import Draft
from octoplex.cli.importing.endpoints import Endpoint, Endpoints, base_of
from octoplex.cli.importing.given import Given

ROWS: Mapping[str, str] = {
    "aws_bedrock": "bedrock",
    "aws_sagemaker": "sagemaker",
    "azure": "azure-openai",
    "gcp_vertex_anthropic": "vertex-anthropic",
    "gcp_vertex_gemini": "vertex",
    "google_ai_studio_gemini": "gemini",
}
DEFAULTS: Mapping[str, str] = {"google_ai_studio_gemini": "GOOGLE_AI_STUDIO_API_KEY"}
"""The variable of a key where it is not `TYPE_API_KEY`."""
KEYLESS = frozenset({"sglang", "tgi"})
AWS = {"access_key_id": "AWS_ACCESS_KEY_ID", "secret_access_key": "AWS_SECRET_ACCESS_KEY"}
AWS |= {"session_token": "AWS_SESSION_TOKEN", "api_key": "AWS_BEARER_TOKEN_BEDROCK"}


class TensorZeroEndpoints:
    """Providers of models to endpoints. `types` is `[provider_types]`."""

    def __init__(self, types: Given, draft: Draft) -> None:
        self._draft, self._endpoints = draft, Endpoints(draft)
        self._usual: dict[str, Given] = {}
        for name in types.names():
            kind = "google_ai_studio_gemini" if name == "google_ai_studio" else name
            self._usual[kind] = types.table(name).table("defaults")

    def target(self, given: Given, name: str) -> str:
        """`provider/model` for a provider of a model; "" with a note."""
        kind = given.text("type")
        row = ROWS.get(kind, kind)
        ids = ("endpoint_name", "model_name", "model_id", "deployment_id", "endpoint_id")
        model = next(filter(None, map(given.text, ids)), name)
        if "endpoint_id" in given and row == "vertex":
            row = "vertex-endpoints"
        if row not in catalogue():
            self._draft.left_out(given.path, "a provider of this type is not known here.")
            return ""
        if given.text("api_type") == "responses":
            says = "which dialect is spoken goes by the caller's: POST /v1/responses for this one."
            self._draft.differs(given.at("api_type"), says)
        endpoint = self._place(kind, row, given)
        wanted = f"{kind}-{host_of(endpoint.base_url)}" if not endpoint.row else ""
        return self._endpoints.target(endpoint, model, wanted, given.path)

    def shorthand(self, model: str, where: str) -> str:
        """`provider/model` for `type::model`; "" with a note."""
        kind, colons, name = model.partition("::")
        row = ROWS.get(kind, kind)
        if not colons or not name or row not in catalogue():
            self._draft.left_out(where, "it names a model that is not in the file.")
            return ""
        name = name.removeprefix("responses::")
        endpoint = Endpoint(row=row, keys=self._keys(kind, row, "", Given({})))
        return self._endpoints.target(endpoint, name, "", where)

    def _place(self, kind: str, row: str, given: Given) -> Endpoint:
        base = ""
        headers: dict[str, str] = {}
        for key in ("api_base", "endpoint", "endpoint_url"):
            text = given.text(key)
            if text and text != "none":
                named = self._draft.variable_in(text)
                base = base_of(row, self._draft.address(text, given.at(key), named or kind))
        if base == catalogue()[row].base_url:
            base = ""
        if row == "openai" and base and not is_openai(base):
            row = ""
        for header in given.tables("extra_headers"):
            name, text = header.text("name"), header.text("value")
            if name and text:
                headers |= self._draft.header(name, text, header.at("value"), SHOWN)
        return Endpoint(
            row=row,
            base_url=base,
            region=region(self._draft, row, given, "region" if "region" in given else "location"),
            keys=self._keys(kind, row, base, given),
            headers=tuple(headers.items()),
        )

    def _keys(self, kind: str, row: str, base: str, given: Given) -> tuple[str, ...]:
        known = catalogue().get(row)
        if known and known.auth in ("sigv4", "google"):
            self._cloud(kind, given)
            return self._file(kind, given)
        found, usual = [], self._usual.get(kind, Given({}))
        for table, key in ((given, "api_key_location"), (usual, "api_key_location")):
            inner = table.table(key)
            said = [table.text(key), inner.text("default"), inner.text("fallback")]
            found = [s for s in said if s]
            if found:
                break
        keys = [self._key(location, given.at("api_key_location")) for location in found]
        if not found and kind not in KEYLESS:
            variable = DEFAULTS.get(kind, f"{kind.upper()}_API_KEY")
            if known and not base and variable in known.key_env:
                return ()
            keys = [self._draft.named(variable)] if known and not known.local else []
        return tuple(dict.fromkeys(k for k in keys if k))

    def _key(self, location: str, where: str) -> str:
        named = self._draft.variable_in(location)
        if named:
            return self._draft.named(named)
        if location.startswith("path::"):
            return f"file:{location.removeprefix('path::')}"
        if location != "none":
            self._draft.left_out(where, "callers do not bring providers' keys: name a variable.")
        return ""

    def _file(self, kind: str, given: Given) -> tuple[str, ...]:
        """A key file of Google Cloud."""
        usual = self._usual.get(kind, Given({}))
        inner = given.table("credential_location")
        location = given.text("credential_location") or inner.text("default")
        location = location or usual.text("credential_location")
        where = given.at("credential_location")
        if location.startswith("path::"):
            return (f"file:{location.removeprefix('path::')}",)
        if location and location not in ("sdk", "path_from_env::GOOGLE_APPLICATION_CREDENTIALS"):
            says = "set GOOGLE_APPLICATION_CREDENTIALS to the key file that this names."
            self._draft.to_set(where, says)
        elif kind.startswith("gcp") and not location:
            says = "set GOOGLE_APPLICATION_CREDENTIALS to what GCP_VERTEX_CREDENTIALS_PATH holds."
            self._draft.to_set(given.path, says)
        return ()

    def _cloud(self, kind: str, given: Given) -> None:
        if kind.startswith("aws"):
            signing(self._draft, given, AWS)
            given.text("hosted_provider")
        project(self._draft, given, "project_id")
