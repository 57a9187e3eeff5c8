"""Texts in which nothing was found, so that they need not be looked through again.

A conversation says with each request all that it said before, and a system prompt never changes:
most of what is asked has been asked. Of a text a digest is kept, under a key of this process.
"""

from hashlib import blake2b
from secrets import token_bytes

MOST = 50_000
"""Digests; 6 MB."""


class Known:
    """Digests of texts, the oldest forgotten first. For one detector, which never changes."""

    __slots__ = ("_key", "_marks")

    def __init__(self) -> None:
        self._key = token_bytes(16)
        self._marks: dict[bytes, None] = {}

    def mark(self, name: bytes, text: bytes) -> bytes:
        """What stands for a text under this name; 1 us, and 1 us per KB."""
        digest = blake2b(name, digest_size=16, key=self._key)
        digest.update(b"\0")
        digest.update(text)
        return digest.digest()

    def __contains__(self, mark: bytes) -> bool:
        return mark in self._marks

    def add(self, mark: bytes) -> None:
        """Nothing was found in the text of this mark."""
        if len(self._marks) >= MOST:
            self._marks.pop(next(iter(self._marks)), None)
        self._marks[mark] = None
