"""Bytes as an open file without a name: what is handed to a process by descriptor."""

import contextlib
import fcntl
import os
from collections.abc import Iterator


@contextlib.contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """A descriptor that reads the content from its start; nobody can change it."""
    fd = os.memfd_create("octoplex", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        yield fd
    finally:
        os.close(fd)
