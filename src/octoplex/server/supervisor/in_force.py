"""What outlives every process but the supervisor: the configuration in force, what was said."""

import hashlib
import os
from collections.abc import Callable


class InForce:
    """Memory that the supervisor's children share: each owner writes what it has accepted."""

    def __init__(self) -> None:
        self._file = os.memfd_create("octoplex")

    def keep(self, text: str) -> None:
        """Keep the text of a file that was put in force."""
        data = text.encode()
        os.pwrite(self._file, hashlib.sha256(data).digest() + data, 0)
        os.ftruncate(self._file, 32 + len(data))

    def text(self) -> str | None:
        """None before there was one, and where an owner was killed in the middle of a word."""
        found = os.pread(self._file, os.fstat(self._file).st_size, 0)
        digest, data = found[:32], found[32:]
        return data.decode() if digest == hashlib.sha256(data).digest() else None


class Once:
    """Something that one of the children is to do, and no other after it."""

    def __init__(self) -> None:
        self._file = os.memfd_create("octoplex-once")

    def do(self, work: Callable[[], None]) -> None:
        """Do it if nobody has; twice if the one who did was killed in the middle."""
        if not os.fstat(self._file).st_size:
            work()
            os.write(self._file, b".")
