"""Provider keys that are stored at run time, sealed so that the file alone opens nothing.

    seal = Seal(("the secret of [server] seal", "the one before it"))
    about = "openai@https://api.openai.com"
    sealed = seal.close(text, about)                   base64; AES-256-GCM, a nonce of its own
    seal.open(sealed, about)                           by whichever secret closed it

What a text is about is authenticated with it: a sealed key that is moved to another provider,
or to another host, does not open. The first secret closes, all open, which is how they are
changed one for another.

The secret becomes a key by BLAKE2b, so it must be long and random; `weak` refuses short ones.
Needs the `cryptography` package (extra `seal`).

References: https://csrc.nist.gov/pubs/sp/800/38/d/final (GCM), RFC 7693 (BLAKE2)
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from importlib.util import find_spec

from octoplex.wire.error import BadConfig

SHORTEST = 24
NONCE = 12


class Seal:
    """Closes and opens. Holds keys; show it to nobody."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Take the secrets of the file, the newest first.

        Raises:
            BadConfig: one is short, or the package is missing.
        """
        if find_spec("cryptography") is None:
            raise BadConfig(
                "[server] seal: this needs the cryptography package: pip install 'octoplex[seal]'."
            )
        for secret in secrets:
            if len(secret) < SHORTEST or len(set(secret)) < 8:
                raise BadConfig(
                    f"[server] seal: the secret must be random, of at least {SHORTEST} characters; "
                    "`openssl rand -base64 32` makes one."
                )
        self._keys = [
            hashlib.blake2b(s.encode(), digest_size=32, person=b"octoplex-seal").digest()
            for s in secrets
        ]

    def __repr__(self) -> str:
        return f"Seal({len(self._keys)} keys)"

    def close(self, text: str, about: str) -> str:
        """Seal a text."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE)
        closed = AESGCM(self._keys[0]).encrypt(nonce, text.encode(), about.encode())
        return base64.b64encode(nonce + closed).decode()

    def open(self, sealed: str, about: str) -> str:
        """The text.

        Raises:
            BadConfig: no secret here opens it.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            data = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        for key in self._keys:
            try:
                return AESGCM(key).decrypt(data[:NONCE], data[NONCE:], about.encode()).decode()
            except (InvalidTag, ValueError):
                continue
        raise BadConfig(
            f"The stored key of {about} cannot be opened by what [server] seal names; name the "
            "secret that sealed it beside the new one, or store the key again."
        )
