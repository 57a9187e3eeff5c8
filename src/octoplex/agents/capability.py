"""What a step may do: a token of its own, which says so and which nobody else can write.

    mint = Mint()
    token = mint.mint(order, offer, agent.allow)        for Order.grant
    grant = mint.checker().check(order)                 raises Failed("refused")
    grant.need("write:workspace/out/plot.png")

There is one vocabulary, KIND:WHAT, from the configuration file to the arm:

    read:workspace[/PATH]    write:workspace[/PATH]     that place and what lies below it; what may
                                                        be written may be read
    run:NAME   run:command   a program that has a grammar (`policy/`); "command" is every one but
                             those that run whatever they are told: sh, python
    net:HOST   net:*.HOST    a host, on 80 and 443, or on the port behind a colon
    mcp:SERVER.TOOL   mcp:SERVER.*                      a tool of another server
    memory:read   memory:write

What an action needs (`Offer.needs`) is written alike. `{POINTER}` in it stands for an input: each
element of a list, and nothing is needed for one that is not given. What names no input may be
allowed in part, and then it is that part which is granted; with a `?` at its end also none. A token
holds what is both needed and allowed, so never more than the agent was allowed.

A token is bound to task, step, action, inputs, what may be spent and when it ends, and signed by
Ed25519 (RFC 8032): who checks cannot sign. It is base64url of JSON, a dot, base64url of the
signature; nothing in it says how it is to be checked. The private key is made when the process
starts and never leaves it; a task that goes on elsewhere gets new tokens there.

Needs the `cryptography` package (extra `agents`).
"""

import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

import msgspec
from msgspec import Struct

from octoplex.agents.place import covers, place_of
from octoplex.agents.references import NOWHERE, at, references
from octoplex.agents.words import Failed, Offer, Order
from octoplex.wire.error import BadConfig

MOST_S, SPARE_S = 3_600.0, 5.0
"""How long a token lasts at most, and beyond what its step may take."""
SHELLS = frozenset({"sh", "python"})
"""Programs that `run:command` is not: they run whatever they are told."""
ANY_HOST = "net:*"
"""A need, never a capability: whatever hosts are allowed."""
_MOST_BYTES = 64 * 1024
_CONTEXT = b"octoplex grant 1\0"
_FORMS = {
    "run": re.compile(r"[a-z0-9][a-z0-9+._\-]{0,63}"),
    "net": re.compile(r"(\*\.)?([0-9a-z](?:[0-9a-z.\-]*[0-9a-z])?)(:\d{1,5})?"),
    "mcp": re.compile(r"[A-Za-z0-9_\-]{1,64}\.(?:[A-Za-z0-9_.\-]{1,128}|\*)"),
    "memory": re.compile("read|write"),
}
"""What is written behind the colon; places aside (`_place`)."""
_HOLE = re.compile(r"\{([^{}]*)\}")
_EXAMPLES = "read:workspace, write:workspace/out, run:python, net:api.github.com, mcp:github.*"
_WORKSPACE = "workspace"


def checked(capability: str) -> str:
    """A capability as it is compared: one spelling for each.

    Raises:
        BadConfig: it is none.
    """
    kind, _, what = capability.partition(":")
    what = what.lower() if kind == "net" else what
    if kind in ("read", "write"):
        found = _place(what)
    else:
        found = what if kind in _FORMS and _FORMS[kind].fullmatch(what) else None
    if found is None:
        raise BadConfig(f'allow: "{capability[:80]}" is no capability; write one like {_EXAMPLES}.')
    return "run:python" if (kind, found) == ("run", "python3") else f"{kind}:{found}"


def _place(what: str) -> str | None:
    root, _, path = what.partition("/")
    if root != _WORKSPACE or path.startswith("/"):
        return None
    try:
        return f"{root}/{place_of(path)}".rstrip("/")
    except Failed:
        return None


def is_covered(capability: str, by: str) -> bool:
    """Whether who has one of these may do the other; both as `checked` spells them."""
    kind, _, what = capability.partition(":")
    own_kind, _, own = by.partition(":")
    if own_kind == "write" and kind == "read":
        own_kind = "read"
    if kind != own_kind:
        return False
    if kind in ("read", "write"):
        return covers(own, what)
    if kind == "net":
        return _has_host(own, what)
    if kind == "mcp" and own.endswith(".*"):
        return what.startswith(own[:-1])
    return own == what or (kind == "run" and own == "command" and what not in SHELLS)


def _has_host(own: str, what: str) -> bool:
    host, _, port = what.partition(":")
    own_host, _, own_port = own.partition(":")
    if port != own_port:
        return False
    return host == own_host or (own_host.startswith("*.") and host.endswith(own_host[1:]))


def narrowed(
    allow: Iterable[str], needs: Iterable[str], inputs: Mapping[str, Any]
) -> tuple[str, ...]:
    """What of the needs of an action with these inputs is allowed.

    Raises:
        Failed: something that it needs is not; names it.
        BadConfig: what is allowed is no capability.
    """
    allowed = [checked(one) for one in allow]
    found: dict[str, None] = {}
    for need in needs:
        bare = need.removesuffix("?")
        for one in _filled(bare, inputs):
            met = _met(one, allowed, in_part="{" not in need)
            if not met and not need.endswith("?"):
                raise Failed("refused", f"This agent may not {one}: {_among(allowed)}.")
            found |= dict.fromkeys(met)
    return tuple(one for one in found if not _is_within_another(one, found))


def lacking(
    allow: Iterable[str], needs: Iterable[str], inputs: Mapping[str, Any]
) -> tuple[str, ...]:
    """What an action needs and nothing of what is allowed covers, before its inputs are all known.

    An input that refers to another step, as a whole or in part, counts as one that is allowed.
    """
    known = {name: value for name, value in inputs.items() if not any(references(value))}
    found = []
    for need in needs:
        try:
            narrowed(allow, (need,), known)
        except Failed:
            found.append(need)
    return tuple(found)


def leaves(offer: Offer) -> bool:
    """Whether what an action is given goes out: to a host, or to a tool of another server."""
    return any(need.startswith(("net:", "mcp:")) for need in offer.needs)


def _among(allowed: Sequence[str]) -> str:
    return f"it may {', '.join(allowed)}" if allowed else "it may do nothing"


def _met(need: str, allowed: Sequence[str], *, in_part: bool) -> list[str]:
    """What of a need is allowed: all of it, or, `in_part`, those parts of it that are."""
    if any(is_covered(need, one) for one in allowed):
        return [need]
    return [one for one in allowed if in_part and _is_part(one, need)]


def _is_part(one: str, need: str) -> bool:
    """Whether what is allowed is part of a need. A place that may be written may be read."""
    if need == ANY_HOST:
        return one.startswith("net:")
    if need.startswith("read:") and one.startswith("write:"):
        return covers(need.removeprefix("read:"), one.removeprefix("write:"))
    return is_covered(one, need) and one.partition(":")[0] == need.partition(":")[0]


def _is_within_another(one: str, among: Iterable[str]) -> bool:
    return any(other != one and is_covered(one, other) for other in among)


def _filled(need: str, inputs: Mapping[str, Any]) -> list[str]:
    """A need with the input that it names, once for each element where that is a list."""
    hole = _HOLE.search(need)
    if hole is None:
        return [need if need == ANY_HOST else _asked(need)]
    value = at(inputs, f"/{hole[1]}")
    values = value if isinstance(value, list) else [] if value in (None, NOWHERE) else [value]
    found = []
    for one in values:
        if not isinstance(one, str):
            raise Failed("refused", f"{hole[1]} must be a text, to say what is needed of {need}.")
        if need.startswith(("read:", "write:")):
            one = place_of(one)
        found.append(_asked(need[: hole.start()] + one + need[hole.end() :]))
    return found


def _asked(need: str) -> str:
    try:
        return checked(need)
    except BadConfig as error:
        raise Failed("refused", str(error).removeprefix("allow: ")) from None


class Grant(Struct, frozen=True, forbid_unknown_fields=True):
    """What a token says. `*_at` are seconds since 1970, `inputs` is a digest of them."""

    id: str
    task_id: str
    step_id: str
    action: str
    inputs: str
    can: tuple[str, ...]
    nanos: int
    seconds: float
    issued_at: float
    expires_at: float

    def may(self, capability: str) -> bool:
        """Whether it covers this."""
        one = _asked(capability)
        return any(is_covered(one, own) for own in self.can)

    def need(self, capability: str) -> None:
        """Raise `Failed` unless it covers this."""
        if not self.may(capability):
            raise Failed("refused", f"This step may not {_asked(capability)}: {_among(self.can)}.")

    @property
    def readable(self) -> tuple[str, ...]:
        """Places below the workspace that may be read: those that may be written are."""
        return self.of("read") + self.of("write")

    def of(self, kind: str) -> tuple[str, ...]:
        """What it holds of one kind; places below the workspace, "" for all of it."""
        own = [one.partition(":")[2] for one in self.can if one.startswith(kind + ":")]
        if kind in ("read", "write"):
            own = [one.removeprefix(_WORKSPACE).lstrip("/") for one in own]
        return tuple(own)


_read = msgspec.json.Decoder(Grant).decode
_write = msgspec.json.Encoder(order="deterministic").encode


def digest(inputs: Mapping[str, Any]) -> str:
    """What inputs a token is for. Raises `Failed`: nobody can write them down."""
    try:
        return sha256(_write(inputs)).hexdigest()[:32]
    except RecursionError:
        raise Failed("refused", "The inputs are nested too deeply; make them flatter.") from None


def unsigned(order: Order, offer: Offer, allow: Iterable[str], now: float = 0.0) -> Grant:
    """What a step may do. By itself it is for whoever uses an arm without tokens.

    Raises:
        Failed: the step needs what is not allowed.
    """
    return Grant(
        id=token_urlsafe(12),
        task_id=order.task_id,
        step_id=order.step_id,
        action=order.action,
        inputs=digest(order.inputs),
        can=narrowed(allow, offer.needs, order.inputs),
        nanos=order.nanos,
        seconds=order.seconds,
        issued_at=now,
        expires_at=now + min(order.seconds + SPARE_S, MOST_S),
    )


class Mint:
    """Makes tokens. It alone has the key."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """`now` is seconds since 1970.

        Raises:
            BadConfig: the package that signs is not there.
        """
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError:
            raise BadConfig(
                "Agents need the cryptography package: pip install 'octoplex[agents]'."
            ) from None
        self._key, self._now = Ed25519PrivateKey.generate(), now

    def mint(self, order: Order, offer: Offer, allow: Iterable[str]) -> str:
        """A token for this order, with what of `allow` its action needs.

        Raises:
            Failed: it needs what is not allowed.
        """
        payload = _write(unsigned(order, offer, allow, self._now()))
        return f"{_coded(payload)}.{_coded(self._key.sign(_CONTEXT + payload))}"

    def checker(self) -> "Checker":
        """Who accepts its tokens, and can make none."""
        return Checker(self._key.public_key().public_bytes_raw(), self._now)


class Checker:
    """Says what a token is good for. What is revoked is kept in memory until it would end."""

    def __init__(self, public: bytes, now: Callable[[], float] = time.time) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self._key, self._now = Ed25519PublicKey.from_public_bytes(public), now
        self._invalid = InvalidSignature
        self._revoked: dict[str, float] = {}
        """Ids of tokens and of tasks, and when they were revoked."""

    def check(self, order: Order) -> Grant:
        """What the order's token grants.

        Raises:
            Failed: it has none that is good for it, here and now.
        """
        grant = self._signed(order.grant)
        now = self._now()
        if not grant.issued_at - SPARE_S <= now < grant.expires_at:
            raise _refused("has expired")
        if grant.id in self._revoked or grant.issued_at <= self._revoked.get(
            f"task {grant.task_id}", float("-inf")
        ):
            raise _refused("was revoked")
        own = (order.task_id, order.step_id, order.action, digest(order.inputs))
        if own != (grant.task_id, grant.step_id, grant.action, grant.inputs):
            raise _refused("is for another step, action or input")
        if order.nanos > grant.nanos or order.seconds > grant.seconds:
            raise _refused("allows less money or time than the order")
        return grant

    def revoke(self, token_id: str) -> None:
        """Have a token count no more."""
        self._put(token_id)

    def revoke_task(self, task_id: str) -> None:
        """Have no token count that this task has now."""
        self._put(f"task {task_id}")

    def _put(self, name: str) -> None:
        now = self._now()
        self._revoked = {n: at for n, at in self._revoked.items() if now - at < MOST_S + SPARE_S}
        self._revoked[name] = now

    def _signed(self, token: str) -> Grant:
        if not token:
            raise _refused("is missing")
        try:
            payload, signature = map(_decoded, token.split("."))
            self._key.verify(signature, _CONTEXT + payload)
            return _read(payload)
        except (self._invalid, ValueError):
            raise _refused("is none, or not ours") from None


def _refused(why: str) -> Failed:
    return Failed("refused", f"The capability token of this step {why}.")


def _coded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """The bytes of base64url; only of the one way to write them.

    Raises:
        ValueError: it is written otherwise.
    """
    if len(text) > _MOST_BYTES:
        raise ValueError(text[:20])
    data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if _coded(data) != text:
        raise ValueError(text[:20])
    return data
