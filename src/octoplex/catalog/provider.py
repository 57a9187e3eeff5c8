"""Who can be asked: one small TOML file per provider, read into frozen rows.

`providers/NAME.toml` is the row of provider NAME. A provider that speaks a known
dialect is a file and no code. `evidence` is "verified" where the tests hold a request and a
whole reply with the values that the vendor's own page shows, and "listed" where they hold less;
nothing here was tried against a live endpoint.

    request URL = base_url + dialects[dialect] + operation

where the operation is the dialect's own (`OPERATIONS`), and the dialect preferred for
callers of none of them comes first. `base_url` never ends in a slash; a value of
`base_url_env`, or a region's URL, takes its place unchanged, so a row is cut where the
vendor's own environment variable is cut (OPENAI_BASE_URL holds the `/v1`,
ANTHROPIC_BASE_URL does not). Names in braces in `base_url` and in a region's URL are
filled from the environment variables in `variables`.

A row need not say what follows from the rest (`_unsaid`): `local` where it has a `detect`,
`auth = "none"` where a local server has no `key_env`, the `service` that AWS signs for where it
has the row's name, and in `variables` what a cloud's own tools use (`USUAL`), or the
`base_url_env` of a `base_url` that is nothing but "{server}".

What is no chat: `paths` holds the path below `base_url` of an operation that has no
custom, or another than the custom (`Provider.path_of`), and `bodies` names the shape of
its body where that is not OpenAI's, or for rerank not Jina's.

Not promised: that a provider offers every model it names in every dialect. Where
the vendor offers the second dialect for some models only, the row leaves it out.
"""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

from octoplex.catalog.quirk import Parameter, Quirk
from octoplex.wire.error import BadConfig

DialectName = Literal[
    "openai-chat",
    "openai-responses",
    "anthropic",
    "vertex-anthropic",
    "bedrock-anthropic",
    "gemini",
    "vertex",
    "bedrock-converse",
    "cohere-v2",
    "ollama",
    "oci",
    "replicate",
    "sagemaker",
    "watsonx",
    "gigachat",
    "ernie-v1",
]
"""The dialects that this version speaks to providers, and so what a configuration may name."""
KnownDialect = Literal[DialectName]
"""What rows may name: those, and dialects whose module is still to be written; none is now."""
IMPLEMENTED: frozenset[str] = frozenset(get_args(DialectName))

OPERATIONS: Mapping[KnownDialect, str] = MappingProxyType(
    {
        "openai-chat": "/chat/completions",
        "openai-responses": "/responses",
        "anthropic": "/messages",
        "vertex-anthropic": "/models/{model}:rawPredict",
        "bedrock-anthropic": "/model/{model}/invoke",
        "gemini": "/models/{model}:generateContent",
        "vertex": "/models/{model}:generateContent",
        "bedrock-converse": "/model/{model}/converse",
        "cohere-v2": "/chat",
        "ollama": "/chat",
        "watsonx": "/text/chat",
        "replicate": "/models/{model}/predictions",
        "sagemaker": "/{model}/invocations",
        "oci": "/chat",
        "gigachat": "/chat/completions",
        "ernie-v1": "/chat/{model}",
    }
)
"""The path of a plain chat below `base_url` and the dialect's prefix."""

Auth = Literal[
    "bearer",
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-portkey-api-key",
    "none",
    "sigv4",
    "google",
    "ibm-iam",
    "oci",
    "sber",
    "oauth",
    "token",
    "access-token",
]
"""How the key travels: `Authorization: Bearer`, alone in the header of that name, or not at all.

The rest takes more than a header: AWS signs (`sigv4`, for the `service` of the row), Google,
IBM and Sber hand out tokens for a service account or a key, OCI signs with RSA, `oauth` is
another vendor's own token endpoint, `token` is `Authorization: Token KEY`, `access-token` a query
parameter that an endpoint hands out.
"""
SENT: frozenset[Auth] = frozenset(
    {
        "bearer",
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-portkey-api-key",
        "none",
        "sigv4",
        "google",
        "oci",
        "ibm-iam",
        "sber",
        "access-token",
    }
)
"""The ways of authorisation that this version knows."""
Modality = Literal[
    "chat", "embed", "rerank", "moderation", "image", "video", "stt", "tts", "realtime", "ocr"
]
SERVED: frozenset[Modality] = frozenset({"chat", "embed", "rerank", "moderation"})
"""What this version asks of a provider; a row with nothing of it cannot be used."""
Operation = Literal["chat", "embed", "rerank", "moderation"]
Body = Literal["openai", "cohere", "jina", "voyage", "mistral", "mixedbread", "nomic", "tei"]
"""Shape of a request that is no chat, by whose API it is."""
CUSTOM: Mapping[Operation, str] = MappingProxyType(
    {"embed": "/embeddings", "moderation": "/moderations", "rerank": "/rerank"}
)
"""Where an OpenAI-compatible server has them, beside its `/chat/completions`."""
Batches = Literal["openai", "anthropic"]
"""By whose API a provider takes batches."""
Evidence = Literal["verified", "listed"]
Cloud = Literal["aws", "azure", "gcp", "ibm", "oci"]
USUAL: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "aws": {"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
        "gcp": {
            "region": ("GOOGLE_VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"),
            "project": ("GOOGLE_VERTEX_PROJECT", "GOOGLE_CLOUD_PROJECT"),
        },
        "oci": {"region": ("OCI_REGION", "OCI_CLI_REGION")},
    }
)
"""The variables in which a cloud's own tools keep what stands in braces in its URLs."""

# Path(__file__), not importlib.resources: importing that costs 10 ms of the start.
FOLDER = Path(__file__).parent / "providers"


class Detect(Struct, frozen=True, forbid_unknown_fields=True):
    """How to find a local server: GET `path` on loopback `port` answers 200."""

    port: int
    path: str


class Provider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row. `id` is the file's name.

    `account` is what the vendor wants to be told beside the key: names that its dialect
    or its `auth` knows, and the variables that hold them.

    The first of `key_env` that is set wins; where a key consists of two values the second is
    in the variable of `secret_env` at the same place, and a colon joins them. A token in one
    of `bearer_env` takes its place and goes as a bearer, whatever `auth` says. A `local`
    server needs no key and is sent one only if it is there; on a private network it costs
    nothing.

    `regions` are those with a URL of their own; a `cloud` row has its cloud's as well
    (`regions.toml`), in the place of `{region}` or, without one, because the account is
    there. `query` goes with every request; `${NAME:-x}` in it is a variable, or x where that
    is not set. `region_percent` is what a region charges in percent of the listed price, 100
    where it says nothing. `residency` says where `base_url` itself answers, by country
    and "eu", and only where that is one place; `forwards` that others answer, wherever
    they are. `unusable` is one sentence on why nobody can use the row here.
    `refuses` names the fields that it answers 400 to, whatever the model.
    `batches` is for a vendor whose documentation has them, and `batch_percent` what a line
    of one costs in percent of the listed price.
    """

    id: str = ""
    title: str
    docs: str
    base_url: str
    dialects: dict[KnownDialect, str]
    modalities: tuple[Modality, ...]
    evidence: Evidence
    unusable: str = ""
    key_env: tuple[str, ...] = ()
    secret_env: tuple[str, ...] = ()
    bearer_env: tuple[str, ...] = ()
    base_url_env: str = ""
    variables: dict[str, tuple[str, ...]] = {}
    account: dict[str, tuple[str, ...]] = {}
    auth: Auth = "bearer"
    service: str = ""
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    paths: dict[Operation, str] = {}
    bodies: dict[Operation, Body] = {}
    cloud: Cloud | None = None
    regions: dict[str, str] = {}
    region_percent: dict[str, int] = {}
    residency: tuple[str, ...] = ()
    forwards: bool = False
    quirks: frozenset[Quirk] = frozenset()
    refuses: frozenset[Parameter] = frozenset()
    local: bool = False
    detect: Detect | None = None
    batches: Batches | None = None
    batch_percent: int = 50

    def url(self, dialect: KnownDialect, operation: str = "", base_url: str = "") -> str:
        """Join the URL of an operation; `base_url` replaces the row's.

        Without an operation it is the chat, with `{model}` where the path names it.
        """
        operation = operation or self.paths.get("chat", OPERATIONS[dialect])
        return (base_url or self.base_url) + self.dialects[dialect] + operation

    def path_of(self, operation: Operation) -> str | None:
        """Path below `base_url` of an operation that is no chat; None where none is known."""
        if operation in self.paths:
            return self.paths[operation]
        prefix = self.dialects.get("openai-chat")
        if prefix is None or operation not in self.modalities or operation not in CUSTOM:
            return None
        return prefix + CUSTOM[operation]

    def body_of(self, operation: Operation) -> Body:
        """Shape of the body of an operation that is no chat."""
        return self.bodies.get(operation, "jina" if operation == "rerank" else "openai")

    def base_url_in(self, region: str) -> str:
        """The base URL of a region; other names in braces stay."""
        return self.regions.get(region) or self.base_url.replace("{region}", region)

    @property
    def obstacle(self) -> str:
        """Why this version cannot ask it, in one sentence; "" when it can."""
        if self.unusable:
            return self.unusable
        if SERVED.isdisjoint(self.modalities):
            return f"It serves {_and(self.modalities)} only, and this version asks for none of it."
        if self.dialects and IMPLEMENTED.isdisjoint(self.dialects):
            return f"It speaks {_and(self.dialects)}, which this version does not."
        if self.auth not in SENT:
            return f"Its requests are authorised by {self.auth}, which this version cannot do."
        return ""


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)


@cache
def catalogue() -> Mapping[str, Provider]:
    """Every shipped row by id, in alphabetical order, read once per process.

    Raises:
        BadConfig: a row is wrong; names the file and the key.
    """
    return rows_in(FOLDER)


def rows_in(folder: Path) -> Mapping[str, Provider]:
    """Every row of a folder, as `catalogue` has them."""
    rows = {p.stem: read(p) for p in sorted(folder.glob("*.toml"), key=lambda p: p.stem)}
    return MappingProxyType(rows)


@cache
def providers() -> Mapping[str, Provider]:
    """The rows that this version can ask: those without an obstacle.

    Raises:
        BadConfig: a row is wrong; names the file and the key.
    """
    return MappingProxyType({id_: row for id_, row in catalogue().items() if not row.obstacle})


def read(path: Path) -> Provider:
    """Read one row.

    Raises:
        BadConfig: it is no TOML, a key is unknown or missing, or a value is wrong.
    """
    try:
        row = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert({**_unsaid(row, path.stem), **row, "id": path.stem}, Provider)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadConfig(f"providers/{path.name}: {error}.") from None


def _unsaid(row: Mapping[str, Any], id_: str) -> dict[str, Any]:
    """What follows from what a row says, so that it need not say it."""
    local = "detect" in row or row.get("local", False)
    added: dict[str, Any] = {"local": local}
    if local and "key_env" not in row:
        added["auth"] = "none"
    if row.get("auth") == "sigv4":
        added["service"] = id_
    if row.get("base_url") == "{server}" and "base_url_env" in row:
        added["variables"] = {"server": [row["base_url_env"]]}
    named = USUAL.get(row.get("cloud", ""), {})
    if there := {k: v for k, v in named.items() if f"{{{k}}}" in row.get("base_url", "")}:
        added["variables"] = there
    return added
