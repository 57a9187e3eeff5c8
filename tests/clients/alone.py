"""Run pytest where nothing but loopback can be reached: `python -m tests.clients.alone ARGS`.

Linux: a network namespace of its own, which holds no device but `lo`. Where none may be made
the tests run all the same, and `test_alone.py` says that it was skipped.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def leave() -> str:
    """Move this process into a network of its own; say why it cannot, or nothing."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return f"unshare: {os.strerror(ctypes.get_errno())}"
    me = Path("/proc/self")
    (me / "setgroups").write_text("deny")
    (me / "uid_map").write_text(f"{user} {user} 1")
    (me / "gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", asked)[1] | IFF_UP
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags))
    return ""


if __name__ == "__main__":
    os.environ["ALONE"] = leave() or "yes"
    # A process of its own: threads of this one would have stayed outside.
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *sys.argv[1:]])
