"""Access tokens for Google Cloud from a service account's key, without its SDK.

    key file -> JWT signed with RS256 -> POST to `token_uri` -> bearer token, good for an hour

Pure: `token_request` writes the body to post (as a form), `read_token` reads what comes
back; the clock is an argument. Who posts and who keeps the token is not decided here.

RS256 needs the `cryptography` package. It is no dependency of the core, so its absence is
told as what to install.

Reference: https://developers.google.com/identity/protocols/oauth2/service-account#httprest

Not promised: other kinds of credentials (external accounts, users, the metadata server).
"""

from base64 import urlsafe_b64encode
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from octoplex.wire.error import BadConfig, UpstreamBroken, UpstreamDenied

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIFETIME_S = 3_600

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_json = msgspec.json.Encoder().encode


class ServiceAccount(Struct, frozen=True):
    """What is used of a key file."""

    client_email: str
    private_key: str
    private_key_id: str = ""
    project_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email!r})"


class Token(Struct, frozen=True):
    """A bearer token; `expires_at` is Unix time in seconds."""

    value: str
    expires_at: float

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


class _Granted(Struct):
    access_token: str = ""
    expires_in: float = LIFETIME_S
    error: str = ""


_read_account = msgspec.json.Decoder(ServiceAccount).decode
_read_granted = msgspec.json.Decoder(_Granted).decode


def read_account(text: bytes) -> ServiceAccount:
    """Read a key file as the Cloud console gives it.

    Raises:
        BadConfig: it is none.
    """
    try:
        return _read_account(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadConfig(
            "The Google service account is not a JSON key file with client_email and private_key; "
            "download one from the Cloud console"
        ) from None


def token_request(account: ServiceAccount, now: float, scope: str = SCOPE) -> bytes:
    """The form to post to the account's `token_uri`. `now` is Unix time in seconds.

    Raises:
        BadConfig: the key cannot be used, or nothing here can sign with it.
    """
    head = {"alg": "RS256", "typ": "JWT"}
    if account.private_key_id:
        head["kid"] = account.private_key_id
    claims = {
        "iss": account.client_email,
        "scope": scope,
        "aud": account.token_uri,
        "iat": int(now),
        "exp": int(now) + LIFETIME_S,
    }
    text = b".".join(_base64(_json(part)) for part in (head, claims))
    assertion = text + b"." + _base64(_signed(account.private_key, text))
    return urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()


def read_token(body: bytes, now: float) -> Token:
    """The token in a reply to `token_request`, whatever its status.

    Raises:
        UpstreamDenied: Google does not accept the key.
        UpstreamBroken: it is no such reply.
    """
    try:
        granted = _read_granted(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamBroken("Google's reply to a request for a token cannot be read") from None
    if granted.error:
        raise UpstreamDenied(f"Google gives our service account no token: {granted.error[:200]}")
    if not granted.access_token:
        raise UpstreamBroken("Google's reply to a request for a token holds none")
    return Token(granted.access_token, now + granted.expires_in)


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _signed(key: str, text: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
    except ImportError:
        raise BadConfig(
            "Signing for Google Cloud needs the cryptography package: pip install cryptography"
        ) from None
    try:
        private = serialization.load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise BadConfig("The private_key of the Google service account is not an RSA key in PEM")
    return private.sign(text, padding.PKCS1v15(), hashes.SHA256())
