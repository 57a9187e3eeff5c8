"""What every keeper of secrets is: something that answers for one reference.

`Errand` is what it is given: the client, the environment, the clock. `asked` sends one request
and gives the reply as JSON, or says in a sentence why there is none; what a keeper says of a
secret's value never stands in it, nor what it was sent to prove who asks.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from octoplex.secrets.reference import Reference
from octoplex.transport.http import Limits, Request, Response, Sender
from octoplex.transport.origin import Proxies
from octoplex.transport.tokens import Purse
from octoplex.transport.veiled import proofs
from octoplex.wire.error import BadConfig
from octoplex.wire.redact import MASK, redact

WAIT_S = 15.0
"""How long all requests for one reference may take together."""
SHORTEST_PROOF = 4
"""What is shorter would be masked in common words."""


class Asking:
    """A client that remembers what proves who asks, so that no keeper's reply can show it."""

    def __init__(self, client: Sender) -> None:
        self._client = client
        self._proofs: set[str] = set()

    async def send(self, request: Request, limits: Limits) -> Response:
        """Send."""
        self._proofs |= proofs(request)
        return await self._client.send(request, limits)

    def veiled(self, text: str) -> str:
        """The text without what was sent as proof."""
        for proof in sorted(self._proofs, key=len, reverse=True):
            if len(proof) >= SHORTEST_PROOF:
                text = text.replace(proof, MASK)
        return text


class Errand(Struct, frozen=True):
    """With what secrets are fetched. `env` is the environment that the gateway was started in."""

    client: Asking
    env: Mapping[str, str]
    purse: Purse
    now: Callable[[], float] = time.time

    @property
    def proxies(self) -> Proxies:
        """The proxies of the environment."""
        return Proxies.of(self.env)

    def needed(self, *names: str) -> str:
        """The first of these variables that is set.

        Raises:
            BadConfig: none is.
        """
        for name in names:
            if self.env.get(name):
                return self.env[name]
        raise BadConfig(f"the environment variable {' or '.join(names)} is not set")


class Keeper(Protocol):
    """Knows one kind of reference."""

    async def __call__(self, reference: Reference, errand: Errand, /) -> Any:
        """The secret: a text, or an object whose members are.

        Raises:
            GatewayError: it cannot be had; the message says why.
        """
        ...


async def sent(errand: Errand, request: Request) -> tuple[int, bytes]:
    """Send; the status and the body.

    Raises:
        GatewayError: nobody answered, or not with a whole reply.
    """
    response = await errand.client.send(request, Limits())
    if response.body is None:
        response.close()
        raise BadConfig(f"{request.origin.host} answered with a stream")
    return response.status, response.body


async def asked(errand: Errand, request: Request) -> tuple[int, Any]:
    """Send; the status and the reply's JSON.

    Raises:
        GatewayError: as `sent`, or what answered does not speak JSON.
    """
    status, body = await sent(errand, request)
    try:
        return status, msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadConfig(f"{request.origin.host} answered {status} with what is no JSON") from None


def refused(errand: Errand, request: Request, status: int, said: object) -> BadConfig:
    """A keeper's own words for why it gives out nothing, masked before they are cut."""
    words = redact(errand.client.veiled(str(said)))[:300].strip(" .") if said else ""
    return BadConfig(f"{request.origin.host} answered {status}{f': {words}' if words else ''}")


def picked(reference: Reference, value: Any) -> str:
    """The text of a secret, or of one member of it.

    Raises:
        BadConfig: there is no such member, it is empty, or neither a text nor a whole number.
    """
    if reference.field:
        if isinstance(value, str):
            try:
                value = msgspec.json.decode(value)
            except msgspec.DecodeError:
                raise BadConfig("the secret is not a JSON object, so it has no fields") from None
        if not isinstance(value, dict) or reference.field not in value:
            known = ", ".join(sorted(value)) if isinstance(value, dict) else "none"
            raise BadConfig(f"the secret has no field {reference.field!r}; it has: {known}")
        value = value[reference.field]
    if isinstance(value, dict):
        raise BadConfig(f"the secret has fields; name one: #{next(iter(sorted(value)), 'FIELD')}")
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        kind = _KINDS.get(type(value), "no text")
        raise BadConfig(f"the secret is {kind}, and must be a text")
    text = str(value).strip()
    if not text:
        raise BadConfig("the secret is empty")
    return text


_KINDS = {
    type(None): "null",
    bool: "true or false",
    list: "a list",
    float: "a number with a point",
}


def text_of(path: str) -> str:
    """What stands in a file.

    Raises:
        BadConfig: it cannot be read.
    """
    try:
        return Path(path).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path} cannot be read: {error}") from None
