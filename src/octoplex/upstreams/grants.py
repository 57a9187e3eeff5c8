"""Which vendors hand out tokens for a key, and how: `auth` of a row -> a `Grant`."""

from collections.abc import Mapping

from octoplex.transport.google import google_grant
from octoplex.transport.oauth import baidu_grant, ibm_grant, sber_grant
from octoplex.transport.origin import Proxies
from octoplex.transport.tokens import Grant
from octoplex.wire.error import BadConfig

GRANTED = frozenset({"google", "ibm-iam", "sber", "access-token"})
"""The ways of authorisation whose key is not sent but changed for a token."""


def grant_for(auth: str, secret: str, account: Mapping[str, str], proxies: Proxies) -> Grant:
    """The grant of a key; `account` is what its vendor is told beside it.

    Raises:
        BadConfig: the key is not of the form that its vendor hands out.
    """
    match auth:
        case "google":
            return google_grant(secret, proxies)
        case "ibm-iam":
            return ibm_grant(secret, account, proxies)
        case "sber":
            return sber_grant(secret, account, proxies)
        case "access-token":
            return baidu_grant(secret, account, proxies)
        case _:
            raise BadConfig(f"Nobody here knows how to get a token by {auth}.")
