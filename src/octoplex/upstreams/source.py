"""A provider as this installation can use it: the catalogue's row, the file's table, keys.

    row (catalog/providers/NAME.toml)  +  [providers.NAME]  +  environment  ->  Source

A Source is usable when it has every key and variable it needs; otherwise it says what is
missing, by name. It turns a model id into the `Spec` of an `Upstream`, once per target.

The path of an operation follows each vendor's own custom for base URLs: OpenAI's hold the
`/v1`, Anthropic's do not; a prefix that ends in `/v1` is taken as it is either way.
"""

import time
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from octoplex.catalog.families import Family, family
from octoplex.dialects.dialect import Counter, Dialect, Form, Traits
from octoplex.dialects.openai_responses import OpenAIResponses
from octoplex.dialects.paths import in_path
from octoplex.dialects.single import OPERATIONS, Shape, choose, follows, shape_of
from octoplex.transport import sigv4
from octoplex.transport.http import Sender
from octoplex.transport.oci_sign import OciSigner, oci_key
from octoplex.transport.origin import Origin, Proxies
from octoplex.transport.public import is_private_name
from octoplex.transport.sigv4 import Credentials, Scope, Unsigned
from octoplex.transport.tokens import Purse, Tokens
from octoplex.transport.veiled import Veiled
from octoplex.upstreams.config import Timeouts
from octoplex.upstreams.count import Counting
from octoplex.upstreams.grants import GRANTED, grant_for
from octoplex.upstreams.passed_bill import endings_of
from octoplex.upstreams.passing import Way
from octoplex.upstreams.single import SingleSpec
from octoplex.upstreams.upstream import Sign, Spec, Wait, Wire
from octoplex.wire.ask import Operation
from octoplex.wire.error import BadConfig, InvalidCall

ANTHROPIC_VERSION = "2023-06-01"
USER_AGENT = "octoplex/0.1"
RESPONSES = OpenAIResponses.name
SILENT_FIRST_S, SILENT_IDLE_S = 300.0, 120.0
USUAL = ("openai-chat", "openai-responses", "anthropic", "gemini")
"""The dialects whose operations a path tells, also at a provider of which that is not known."""
COUNT_IN = (
    "anthropic",
    "vertex-anthropic",
    "bedrock-anthropic",
    "gemini",
    "vertex",
    "openai-responses",
)
"""The dialects in which tokens are counted, the one most callers ask in first."""


class Secret(Struct, frozen=True):
    """One key of a pool. `label` names where it came from; only `value` is secret."""

    label: str
    value: str

    def __repr__(self) -> str:
        return f"Secret({self.label!r})"


class Signer(Struct, frozen=True):
    """Whose AWS signature, and what it is good for."""

    credentials: Credentials
    scope: Scope


class Source(Struct, frozen=True, kw_only=True):
    """One provider, resolved. `missing` says what keeps it from being used, "" if nothing."""

    id: str
    title: str
    base_url: str
    paths: Mapping[str, str]
    """Dialect -> path prefix below `base_url`, the preferred one first."""
    auth: str
    keys: tuple[Secret, ...]
    missing: str = ""
    for_now: bool = False
    """What is missing may come without another file: a server's start, an operator's word."""
    found: str = ""
    """Where its key was found: a variable's name, or a table of the file."""
    headers: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    hidden: tuple[str, ...] = ()
    """Those of their values that the file refers to as secrets."""
    quirks: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    account: Mapping[str, str] = {}
    """What the vendor wants to be told beside the key."""
    models: tuple[str, ...] = ()
    timeouts: Timeouts = Timeouts()
    region: str = ""
    local: bool = False
    """Its row is a server's that people run themselves, wherever that is (`here`)."""
    modalities: tuple[str, ...] = ("chat",)
    regions: tuple[str, ...] = ()
    percent: int = 100
    """What the region charges in percent of the listed price."""
    moved: bool = False
    """Its URL is not the catalogue's, so that nothing is known of where that is."""
    signer: Signer | None = None
    operations: Mapping[str, tuple[str, str]] = {}
    """Modality -> path below `base_url` and shape of the body, where they are documented."""
    known: bool = True
    """It has a row: what that does not say, it does not do."""
    counts: str | None = None
    """Path prefix of the token count, where it does not follow from `paths`."""

    @property
    def usable(self) -> bool:
        """Whether it can be asked now."""
        return not self.missing

    @property
    def private(self) -> bool:
        """Whether its server is on a private network or this machine, and so may load models."""
        try:
            host = urlsplit(self.base_url).hostname
        except ValueError:
            return False
        return bool(host) and is_private_name(str(host))

    @property
    def here(self) -> bool:
        """A local server where its owner is, so far as an address can tell; it bills nobody."""
        return self.local and self.private

    def sender(self, key: Secret | None, client: Sender) -> Sender:
        """The client for what is asked with this key: no reply shows what was sent as proof."""
        secrets = [word for value in self.hidden for word in (value, value.rpartition(" ")[2])]
        if key is not None:
            secrets.append(key.value)
        if self.signer is not None:
            secrets += [self.signer.credentials.secret_key, self.signer.credentials.session_token]
        return Veiled(client, secrets, tokens=self.auth in GRANTED)

    def spec(self, model: str, key: Secret | None, make: "Making") -> Spec:
        """Everything that can be known about this model and key before a call."""
        kind = family(self.id, model)
        origin = self._origin(make)
        wires: dict[str, Wire] = {}
        for name, prefix in self.paths.items():
            dialect = make.dialects.get(name)
            if dialect is not None and self._speaks(dialect, model):
                wire = self._wire(origin, prefix, dialect, model, key)
                wires.setdefault(wire.words, wire)
        traits = self._traits(model, kind, make)
        return Spec(
            provider=self.id,
            origin=origin,
            wires=wires,
            traits=traits,
            wait=self._wait(kind, make),
            sign=self._sign(origin, key),
            tokens=self._tokens(key, make),
            compacting=self._compacting(wires.get(RESPONSES), origin, key),
            usage_on_request="no_stream_options" not in traits.quirks,
        )

    def single(
        self, op: Operation, model: str, key: Secret | None, make: "Making"
    ) -> SingleSpec | None:
        """How this provider does an operation of one body; None where it does not."""
        found = self._shape(op)
        if found is None:
            return None
        dialect, shape = found
        origin = self._origin(make)
        prefix, path = self.paths.get(dialect, ""), shape.path_for(model)
        if not dialect:
            path = self.operations[OPERATIONS[op]][0]
        path = self._path(dialect, origin, prefix, path, model)
        kind = family(self.id, model)
        return SingleSpec(
            provider=self.id,
            origin=origin,
            shape=shape,
            head=self._head(origin, dialect, path, key),
            model=model,
            wait=self._wait(kind, make),
            tokens=self._tokens(key, make),
            usage_on_request="no_stream_options" not in self.quirks | kind.quirks,
        )

    @property
    def serves(self) -> tuple[str, ...]:
        """Those of its modalities that can be asked for here."""
        able = {of for op, of in OPERATIONS.items() if op != "complete" and self._shape(op)}
        return tuple(m for m in self.modalities if m in able or (m == "chat" and self.paths))

    def _shape(self, op: Operation) -> tuple[str, Shape] | None:
        """An operation of one body as it has it, and the dialect it follows from; "": the row."""
        modality = OPERATIONS[op]
        if modality not in self.modalities:
            return None
        shape = shape_of(op, self.operations.get(modality, ("", ""))[1])
        if shape is not None:
            return "", shape
        names = [n for n in self.paths if not self.known or follows(op, n)]
        shapes = ((name, choose(op, name, self.account)) for name in names)
        return next(((name, shape) for name, shape in shapes if shape is not None), None)

    def prefix_of(self, dialect: str) -> str:
        """The path below the base URL before the operations of a dialect."""
        origin = Origin.parse(self.base_url)
        return self._path(dialect, origin, self.paths[dialect], "", "").partition("?")[0]

    def passing(self, key: Secret | None, make: "Making") -> Way | None:
        """How requests for paths that nobody here understands reach this provider.

        None where each must be signed for what it is.
        """
        if self.signer is not None or self.auth == "oci":
            return None
        origin = self._origin(make)
        usual = {"user-agent": USER_AGENT}
        if "anthropic" in self.paths:
            usual["anthropic-version"] = ANTHROPIC_VERSION
        ours = self._credentials(key)

        def head(method: str, path: str, sent: tuple[tuple[str, str], ...]) -> bytes:
            if self.query:
                path += ("&" if "?" in path else "?") + urlencode(self.query)
            try:
                return origin.head(method, path, {**usual, **dict(sent), **ours}.items())
            except BadConfig as error:
                raise InvalidCall(f"This path or header cannot be passed on: {error}") from None

        spoken = [*self.paths, *USUAL]
        return Way(
            provider=self.id,
            origin=origin,
            head=head,
            wait=self._wait(family(self.id, ""), make),
            endings=endings_of(make.dialects[name] for name in spoken if name in make.dialects),
            tokens=self._tokens(key, make),
        )

    def counting(self, model: str, key: Secret | None, make: "Making") -> Counting | None:
        """How this provider counts tokens; None where it does not."""
        counting = [name for name in COUNT_IN if name in self.paths]
        if "counts_input" not in self.quirks and "openai-responses" in counting:
            counting.remove("openai-responses")  # a path of OpenAI's own, which others lack
        found = counting[0] if counting else COUNT_IN[0]
        prefix = self.paths.get(found) if self.counts is None else self.counts
        dialect = make.dialects.get(found)
        if prefix is None or not isinstance(dialect, Counter) or not self._speaks(dialect, model):
            return None
        kind = family(self.id, model)
        origin = self._origin(make)
        wait = self._wait(kind, make)
        path = self._path(found, origin, prefix, dialect.count_path_for(model), model)
        return Counting(
            provider=self.id,
            origin=origin,
            dialect=dialect,
            words=dialect.words if isinstance(dialect, Form) else dialect.name,
            head=self._head(origin, found, path, key),
            path=origin.path + path,
            traits=self._traits(model, kind, make),
            connect_s=wait.connect_s,
            wait_s=wait.first_s,
            tokens=self._tokens(key, make),
            sign=self._sign(origin, key),
        )

    def _origin(self, make: "Making") -> Origin:
        """Where it is asked; callers are told its id, not its address."""
        return msgspec.structs.replace(Origin.parse(self.base_url, make.proxies), called=self.id)

    def _speaks(self, dialect: object, model: str) -> bool:
        """Whether a dialect of this provider is one for this model."""
        return not isinstance(dialect, Form) or len(self.paths) == 1 or dialect.serves(model)

    def _traits(self, model: str, kind: Family, make: "Making") -> Traits:
        return Traits(
            model=model,
            output_cap=kind.output_cap,
            thinking=kind.thinking,
            efforts=kind.efforts,
            quirks=self.quirks | kind.quirks,
            account=self.account,
            drop_unsupported=make.drop_unsupported,
            alone=make.alone,
            # A deployment is named by its owner: what it takes is the caller's to know.
            listed=self.known and not any("{model}" in path for path in self.paths.values()),
            refuses=self.refuses | kind.refuses,
            refuses_thinking=kind.refuses_thinking,
            tools=kind.tools,
            vision=kind.vision,
            prefill=kind.prefill if kind.name.startswith("claude") else None,
        )

    def _wire(
        self, origin: Origin, prefix: str, dialect: Dialect, model: str, key: Secret | None
    ) -> Wire:
        def made(stream: bool) -> tuple[bytes, str]:
            operation = dialect.path_for(model, stream=stream)
            path = self._path(dialect.name, origin, prefix, operation, model)
            return self._head(origin, dialect.name, path, key), origin.path + path

        (head, path), (stream_head, stream_path) = made(False), made(True)
        if head == stream_head:
            stream_head = head
        form = dialect if isinstance(dialect, Form) else None
        return Wire(
            dialect=dialect,
            words=form.words if form else dialect.name,
            head=head,
            stream_head=stream_head,
            path=path,
            stream_path=stream_path,
            seal=form.seal if form else None,
        )

    def _compacting(self, wire: Wire | None, origin: Origin, key: Secret | None) -> Wire | None:
        """Where this provider compacts conversations itself; None where it does not."""
        if wire is None or "compacts" not in self.quirks:
            return None
        prefix = self.paths[RESPONSES]
        path = self._path(RESPONSES, origin, prefix, OpenAIResponses.compact_path, "")
        head, path = self._head(origin, RESPONSES, path, key), origin.path + path
        return msgspec.structs.replace(
            wire, head=head, stream_head=head, path=path, stream_path=path
        )

    def _path(self, dialect: str, origin: Origin, prefix: str, operation: str, model: str) -> str:
        """Path and query of an operation below the base URL."""
        prefix = prefix.rstrip("/")
        if dialect == "anthropic" and not (origin.path + prefix).endswith("/v1"):
            operation = "/v1" + operation
        path = prefix + operation
        if "{model}" in path:
            path = path.replace("{model}", in_path(model))
        if self.query:
            path += ("&" if "?" in path else "?") + urlencode(self.query)
        return path

    def _sign(self, origin: Origin, key: Secret | None) -> Sign | None:
        """AWS and Oracle want each request signed; nobody else does."""
        if self.auth == "oci" and key is not None:
            oracles = OciSigner(oci_key(key.value))
            host = origin.authority
            return lambda path, body: oracles.sign(host, path, body, formatdate(usegmt=True))
        signer = self.signer
        if signer is None:
            return None

        def sign(target: str, body: bytes) -> Sequence[tuple[str, str]]:
            path, _, query = target.partition("?")
            headers = (("content-type", "application/json"),)
            unsigned = Unsigned(
                method="POST",
                host=origin.authority,
                path=path,
                query=query,
                headers=headers,
                body=body,
            )
            return sigv4.sign(unsigned, signer.credentials, signer.scope, time.time())

        return sign

    def _tokens(self, key: Secret | None, make: "Making") -> Tokens | None:
        """What the vendor hands out for the key, where that is not sent itself."""
        if key is None or make.purse is None or self.auth not in GRANTED:
            return None
        return make.purse.of(grant_for(self.auth, key.value, self.account, make.proxies))

    def _head(self, origin: Origin, dialect: str, path: str, key: Secret | None) -> bytes:
        headers = {"content-type": "application/json", "user-agent": USER_AGENT}
        if dialect == "anthropic":
            headers["anthropic-version"] = ANTHROPIC_VERSION
        return origin.head("POST", path, {**headers, **self._credentials(key)}.items())

    def _credentials(self, key: Secret | None) -> dict[str, str]:
        """The header with the key, and those that the operator gives."""
        if key is None or self.auth in {"none", "sigv4", "oci"} or self.auth in GRANTED:
            return dict(self.headers)
        if self.auth == "bearer":
            return {"authorization": f"Bearer {key.value}", **self.headers}
        return {self.auth: key.value, **self.headers}

    def wait(self, model: str, make: "Making") -> Wait:
        """How long a model is waited for; known also of a provider that cannot be asked yet."""
        return self._wait(family(self.id, model), make)

    def _wait(self, kind: Family, make: "Making") -> Wait:
        """The contract's defaults, then the server's, the provider's own, the route's."""
        slow = kind.reasons_silently or self.private
        wait = Wait(first_s=SILENT_FIRST_S, idle_s=SILENT_IDLE_S) if slow else Wait()
        for given in (make.usual, self.timeouts, make.timeouts):
            changes = {
                "connect_s": given.connect_s,
                "first_s": given.header_s,
                "idle_s": given.idle_s,
                "plain_s": given.total_s,
                "stream_s": given.total_s,
            }
            kept = {name: value for name, value in changes.items() if value is not None}
            wait = msgspec.structs.replace(wait, **kept)
        return wait


class Making(Struct, frozen=True, kw_only=True):
    """What a route says of the targets it makes; `usual` are the timeouts of every provider.

    Without a `purse` nothing can be asked of a provider that hands out tokens.
    """

    dialects: Mapping[str, Dialect]
    proxies: Proxies
    usual: Timeouts = Timeouts()
    timeouts: Timeouts = Timeouts()
    drop_unsupported: bool = False
    alone: bool = True
    purse: Purse | None = None
