"""Tokens of three vendors that change a key at an endpoint of their own. Implements `Grant`.

    IBM     an API key, in a form          -> a bearer for an hour
    Sber    the authorization key (Basic)  -> a bearer for half an hour
    Baidu   API key and secret key         -> a parameter of the query, for 30 days

What consists of two values is written as one secret with a colon between: Baidu's
`API_KEY:SECRET_KEY`, and at Sber `CLIENT_ID:CLIENT_SECRET` in place of the base64 of it.

References: https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey,
https://developers.sber.ru/docs/ru/gigachat/api/reference/rest/post-token,
https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Ilkkrb0i5

Not promised: Baidu's other way in, by signatures.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import uuid4

import msgspec
from msgspec import Struct

from octoplex.transport.http import Request
from octoplex.transport.origin import Origin, Proxies
from octoplex.transport.tokens import Token
from octoplex.wire.error import BadConfig, UpstreamBroken, UpstreamDenied
from octoplex.wire.redact import MASK, redact

IBM_URL = "https://iam.cloud.ibm.com/identity/token"
SBER_URL = "https://ngw.devices.sberbank.ru:9443/api/v2/oauth"
BAIDU_URL = "https://aip.baidubce.com/oauth/2.0/token"
SBER_SCOPE = "GIGACHAT_API_PERS"
"""What a person's key is good for; companies' are for GIGACHAT_API_B2B or GIGACHAT_API_CORP."""
IN_QUERY = "access_token"

_SECRET = frozenset({"apikey", "client_secret"})
_LIFETIME_S = 1_800.0
"""For a reply that does not say how long its token lasts."""
_MILLISECONDS = 1e11
"""Unix times above this are not in seconds."""
_APIKEY = "urn:ibm:params:oauth:grant-type:apikey"


class _Granted(Struct):
    """A reply of any of them. `tok` and `exp` are Sber's older names."""

    access_token: str = ""
    tok: str = ""
    expires_in: float | None = None
    expires_at: float | None = None
    exp: float | None = None
    error: str | None = None
    error_description: str | None = None
    message: str | None = None
    error_message: str | None = msgspec.field(name="errorMessage", default=None)


_read = msgspec.json.Decoder(_Granted, strict=False).decode


class Exchange(Struct, frozen=True):
    """The grant of one key: what is posted where, and whether its tokens go in the query."""

    vendor: str
    origin: Origin
    query: tuple[tuple[str, str], ...] = ()
    form: tuple[tuple[str, str], ...] = ()
    basic: str = ""
    in_query: str = ""

    def __repr__(self) -> str:
        return f"Exchange({self.vendor!r})"

    def request(self, now: float) -> Request:
        """The form to post."""
        headers = [("content-type", "application/x-www-form-urlencoded")]
        if self.basic:
            headers += [("authorization", f"Basic {self.basic}"), ("rquid", str(uuid4()))]
        path = "?" + urlencode(self.query) if self.query else ""
        head = self.origin.head("POST", path, headers)
        return Request(self.origin, head, urlencode(self.form).encode(), idempotent=True)

    def read(self, body: bytes, now: float) -> Token:
        """The token in the reply, whatever its status.

        Raises:
            UpstreamDenied: the vendor does not accept the key.
            UpstreamBroken: it is no such reply.
        """
        try:
            told = _read(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            why = f"{self.vendor}'s reply to a request for a token cannot be read"
            raise UpstreamBroken(why) from None
        value = told.access_token or told.tok
        if value:
            return Token(value, _end(told, now), self.in_query)
        said = told.error_description or told.error or told.error_message or told.message
        if said:
            for value in self._secrets():
                said = said.replace(value, MASK)
            shown = redact(said)[:200]
            raise UpstreamDenied(f"{self.vendor} gives our account no token: {shown}")
        raise UpstreamBroken(f"{self.vendor}'s reply to a request for a token holds none")

    def _secrets(self) -> list[str]:
        """What is posted as proof, and what a pair in Base64 is made of."""
        found = [v for name, v in (*self.query, *self.form) if name in _SECRET]
        pair = b64decode(self.basic).decode("utf-8", "replace") if self.basic else ""
        return [v for v in (*found, self.basic, pair, pair.partition(":")[2]) if v]


def _end(told: _Granted, now: float) -> float:
    at = told.expires_at or told.exp
    if at is not None:
        return at / 1_000 if at > _MILLISECONDS else at
    return now + (told.expires_in or _LIFETIME_S)


def ibm_grant(key: str, account: Mapping[str, str], proxies: Proxies) -> Exchange:
    """The grant of an API key of IBM Cloud."""
    form = (("grant_type", _APIKEY), ("apikey", key.strip()))
    return Exchange("IBM", _origin(account, IBM_URL, proxies), form=form)


def sber_grant(key: str, account: Mapping[str, str], proxies: Proxies) -> Exchange:
    """The grant of an authorization key of GigaChat, or of what it is made of.

    Raises:
        BadConfig: it is neither.
    """
    key = key.strip()
    basic = b64encode(key.encode()).decode() if ":" in key else key
    try:
        pair = b64decode(basic, validate=True)
    except (binascii.Error, ValueError):
        pair = b""
    if b":" not in pair.strip(b":"):
        raise BadConfig(
            "The key of GigaChat is neither the authorization key of Sber's studio (base64) nor "
            "CLIENT_ID:CLIENT_SECRET; a client secret alone is not enough"
        )
    form = (("scope", account.get("scope", SBER_SCOPE)),)
    return Exchange("Sber", _origin(account, SBER_URL, proxies), form=form, basic=basic)


def baidu_grant(key: str, account: Mapping[str, str], proxies: Proxies) -> Exchange:
    """The grant of an application at Baidu Qianfan.

    Raises:
        BadConfig: it is not two values.
    """
    id_, colon, secret = key.strip().partition(":")
    if not (id_ and colon and secret):
        raise BadConfig(
            "The key of Baidu Qianfan is not API_KEY:SECRET_KEY, the two values of an application "
            "with a colon between them"
        )
    query = (("grant_type", "client_credentials"), ("client_id", id_), ("client_secret", secret))
    origin = _origin(account, BAIDU_URL, proxies)
    return Exchange("Baidu", origin, query=query, in_query=IN_QUERY)


def _origin(account: Mapping[str, str], url: str, proxies: Proxies) -> Origin:
    return Origin.parse(account.get("token_url", url), proxies)
