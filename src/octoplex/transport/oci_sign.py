"""Oracle Cloud's signature of one request (version 1), in its headers.

    signing string: date, request line, host, length, type and SHA-256 of the body
    -> RSA-SHA256 -> authorization: Signature version="1",keyId="tenancy/user/fingerprint",...

A key is written as OCI's tools keep it: the entries of a profile of `~/.oci/config`, and the
private key in PEM, which stands in the same text. RSA needs the `cryptography` package, which is
the extra `oci` and no dependency of the core: its absence is told as what to install.

References: https://docs.oracle.com/en-us/iaas/Content/API/Concepts/signingrequests.htm,
https://docs.oracle.com/en-us/iaas/Content/API/Concepts/sdkconfig.htm

Not promised: requests without a body, session tokens, instance and resource principals.
"""

import configparser
import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

from msgspec import Struct

from octoplex.wire.error import BadConfig

_SIGNED = "date (request-target) host content-length content-type x-content-sha256"
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", re.S)
_NEEDED = ("tenancy", "user", "fingerprint")


class OciKey(Struct, frozen=True):
    """Whose signature; `pem` is the private key."""

    tenancy: str
    user: str
    fingerprint: str
    pem: str
    pass_phrase: str = ""

    def __repr__(self) -> str:
        return f"OciKey({self.user!r})"


def entries(text: str, profile: str = "DEFAULT") -> dict[str, str]:
    """The entries of a profile, whatever private key stands beside them.

    Raises:
        BadConfig: it is no such file, or has no such profile. It does not say what is in it.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_PEM.sub("", text))
        return dict(parser[profile])
    except (configparser.Error, KeyError):
        raise BadConfig(
            f"The OCI configuration has no profile [{profile}], or is no such file"
        ) from None


def oci_key(text: str) -> OciKey:
    """Read a key: the entries of a profile, and the private key in PEM.

    Raises:
        BadConfig: something is missing; it is named.
    """
    found = entries(text)
    missing = [name for name in _NEEDED if not found.get(name)]
    pem = _PEM.search(text)
    if missing or pem is None:
        lacks = missing or ["a private key in PEM (key_file)"]
        raise BadConfig(f"The OCI credentials lack {' and '.join(lacks)}")
    tenancy, user, fingerprint = (found[name] for name in _NEEDED)
    return OciKey(tenancy, user, fingerprint, pem[0], found.get("pass_phrase", ""))


class OciSigner:
    """Signs with one key, which is loaded when it is first needed, or before."""

    __slots__ = ("_key", "_private")

    def __init__(self, key: OciKey) -> None:
        self._key, self._private = key, None

    def load(self) -> Any:
        """The private key, ready to sign.

        Raises:
            BadConfig: it cannot be used, or nothing here can sign with it.
        """
        if self._private is None:
            self._private = _private(self._key)
        return self._private

    def sign(self, host: str, target: str, body: bytes, date: str) -> tuple[tuple[str, str], ...]:
        """The headers to add to a POST of JSON. `date` is the time now, as HTTP has it.

        `target` is path and query as on the request line, `host` has the port.

        Raises:
            BadConfig: the key cannot be used, or nothing here can sign with it.
        """
        digest = b64encode(sha256(body).digest()).decode()
        text = (
            f"date: {date}\n(request-target): post {target}\nhost: {host}\n"
            f"content-length: {len(body)}\ncontent-type: application/json\n"
            f"x-content-sha256: {digest}"
        )
        key = self._key
        proof = b64encode(_signed(self.load(), text.encode())).decode()
        written = (
            f'Signature version="1",headers="{_SIGNED}",'
            f'keyId="{key.tenancy}/{key.user}/{key.fingerprint}",'
            f'algorithm="rsa-sha256",signature="{proof}"'
        )
        return (("date", date), ("x-content-sha256", digest), ("authorization", written))


def _private(key: OciKey) -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ImportError:
        raise BadConfig(
            "Signing for Oracle Cloud needs the cryptography package: pip install 'octoplex[oci]'"
        ) from None
    try:
        password = key.pass_phrase.encode() or None
        private = serialization.load_pem_private_key(key.pem.encode(), password)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise BadConfig(
            "The private key of the OCI credentials is not an RSA key in PEM, or its pass_phrase"
            " is wrong"
        )
    return private


def _signed(private: Any, text: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    proof: bytes = private.sign(text, padding.PKCS1v15(), hashes.SHA256())
    return proof
