"""What proves who asks, so that no reply can show it: providers echo keys, and whole headers.

    Veiled(client, secrets).send(request, limits)      the client, for one key of one provider

The request carries the `Veil`, the `Response` applies it: a stream, too, loses a secret that came
in two reads. Tokens that a vendor hands out for a key are read off each request (`proofs`).
"""

from collections.abc import Coroutine, Iterable
from typing import Any
from urllib.parse import parse_qsl

from octoplex.transport.http import Request, Response, Sender
from octoplex.transport.oauth import IN_QUERY
from octoplex.transport.response import Limits
from octoplex.wire.redact import Veil

PROOFS = frozenset({"authorization", "x-vault-token", "x-amz-security-token"})
PROOFS_IN_FORM = frozenset({"client_secret", "assertion", "WebIdentityToken", IN_QUERY})


def proofs(request: Request) -> set[str]:
    """What a request says to prove who asks: in its headers, its query or its form."""
    line, *lines = (request.head + request.extra).decode("latin-1").split("\r\n")
    pairs = parse_qsl(line.partition(" ")[2].rpartition(" ")[0].partition("?")[2])
    if b"application/x-www-form-urlencoded" in request.head:
        pairs += parse_qsl(request.body.decode("latin-1"))
    found = {value for name, value in pairs if name in PROOFS_IN_FORM}
    for field in lines:
        name, _, value = field.partition(": ")
        if name in PROOFS:
            found |= {value, value.rpartition(" ")[2]}
    return found


class Veiled:
    """Implements `Sender`: what comes back does not show these secrets."""

    __slots__ = ("_client", "_secrets", "_tokens", "_veil")

    def __init__(self, client: Sender, secrets: Iterable[str], *, tokens: bool) -> None:
        """`tokens`: requests carry what was handed out for the key."""
        self._client, self._secrets, self._tokens = client, tuple(secrets), tokens
        self._veil = Veil(self._secrets) or None

    def send(self, request: Request, limits: Limits) -> Coroutine[Any, Any, Response]:
        """Send; see `Sender`. No coroutine of its own: it is on the path of every call."""
        veil = self._veil
        request.veil = Veil((*self._secrets, *proofs(request))) if self._tokens else veil
        return self._client.send(request, limits)
