"""Access tokens for Google Cloud from a key file, without its SDK. Implements `Grant`.

    service account:  JWT signed with RS256  -> POST to `token_uri` -> token, good for an hour
    signed-in user:   the refresh token of `gcloud auth application-default login` -> the same

RS256 needs the `cryptography` package, which is the extra `vertex` and no dependency of the
core: its absence is told where the key is read, as what to install.

References: https://developers.google.com/identity/protocols/oauth2/service-account#httprest,
https://developers.google.com/identity/protocols/oauth2/web-server#offline

Not promised: other kinds of credentials (external accounts, the metadata server).
"""

from base64 import urlsafe_b64encode
from importlib.util import find_spec
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from octoplex.transport.http import Request
from octoplex.transport.origin import Origin, Proxies
from octoplex.transport.tokens import Token
from octoplex.wire.error import BadConfig, UpstreamBroken, UpstreamDenied, UpstreamFailed

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URI = "https://oauth2.googleapis.com/token"
LIFETIME_S = 3_600

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LATER = frozenset({"internal_failure", "server_error", "temporarily_unavailable"})
_json = msgspec.json.Encoder().encode


class Account(Struct, frozen=True):
    """What is used of a key file: a service account's, or a signed-in user's."""

    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    token_uri: str = TOKEN_URI
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""

    def __repr__(self) -> str:
        return f"Account({self.client_email or self.client_id!r})"


class _Granted(Struct):
    access_token: str = ""
    expires_in: float = LIFETIME_S
    error: str = ""


_read_account = msgspec.json.Decoder(Account).decode
_read_granted = msgspec.json.Decoder(_Granted).decode


class Google(Struct, frozen=True):
    """The grant of one key file."""

    account: Account
    origin: Origin

    def request(self, now: float) -> Request:
        """The form to post.

        Raises:
            UpstreamDenied: nothing can be signed with the key.
        """
        account = self.account
        if account.refresh_token:
            form = {
                "grant_type": "refresh_token",
                "client_id": account.client_id,
                "client_secret": account.client_secret,
                "refresh_token": account.refresh_token,
            }
        else:
            form = {"grant_type": _GRANT, "assertion": _assertion(account, now).decode()}
        kind = (("content-type", "application/x-www-form-urlencoded"),)
        body = urlencode(form).encode()
        return Request(self.origin, self.origin.head("POST", "", kind), body, idempotent=True)

    def read(self, body: bytes, now: float) -> Token:
        """The token in the reply, whatever its status.

        Raises:
            UpstreamDenied: Google does not accept the key.
            UpstreamBroken: it is no such reply.
        """
        try:
            granted = _read_granted(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamBroken("Google's reply to a request for a token cannot be read") from None
        if granted.error in _LATER:
            raise UpstreamFailed(f"Google gives out nothing now ({granted.error})")
        if granted.error:
            raise UpstreamDenied(f"Google does not accept our account ({granted.error[:200]})")
        if not granted.access_token:
            raise UpstreamBroken("Google's reply to a request for a token holds none")
        return Token(granted.access_token, now + granted.expires_in)


def google_grant(text: str, proxies: Proxies) -> Google:
    """Read a key file as the Cloud console or `gcloud` writes it.

    Raises:
        BadConfig: it is none, or nothing here can sign with it.
    """
    try:
        account = _read_account(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        account = Account()
    if not (account.client_email and account.private_key) and not account.refresh_token:
        raise BadConfig(
            "The Google credentials are not a JSON key file with client_email and private_key, nor "
            "with a refresh_token; download one from the Cloud console, or run "
            "`gcloud auth application-default login`"
        )
    if not account.refresh_token:
        if not account.private_key.lstrip().startswith("-----BEGIN "):
            raise BadConfig("The private_key of the Google service account is no key in PEM")
        if find_spec("cryptography") is None:
            raise BadConfig(
                "Signing for Google Cloud needs the cryptography package: "
                "pip install 'octoplex[vertex]'"
            )
    return Google(account, Origin.parse(account.token_uri, proxies))


def _assertion(account: Account, now: float) -> bytes:
    head = {"alg": "RS256", "typ": "JWT"}
    if account.private_key_id:
        head["kid"] = account.private_key_id
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": int(now),
        "exp": int(now) + LIFETIME_S,
    }
    text = b".".join(_base64(_json(part)) for part in (head, claims))
    return text + b"." + _base64(_signed(account.private_key, text))


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _signed(key: str, text: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        private = serialization.load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise UpstreamDenied("The private_key of our Google account is not an RSA key in PEM")
    return private.sign(text, padding.PKCS1v15(), hashes.SHA256())
