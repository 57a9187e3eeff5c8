"""Which vendors hand out tokens for a key, and how: `auth` of a row -> a `Grant`."""

from octoplex.transport.google import google_grant
from octoplex.transport.origin import Proxies
from octoplex.transport.tokens import Grant
from octoplex.wire.error import BadConfig

GRANTED = frozenset({"google"})
"""The ways of authorisation whose key is not sent but changed for a token."""


def grant_for(auth: str, secret: str, proxies: Proxies) -> Grant:
    """The grant of a key.

    Raises:
        BadConfig: the key is not of the form that its vendor hands out.
    """
    match auth:
        case "google":
            return google_grant(secret, proxies)
        case _:
            raise BadConfig(f"Nobody here knows how to get a token by {auth}.")
