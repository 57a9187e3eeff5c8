"""The run itself: no client can reach anything but this machine."""

import errno
import os
import socket
from pathlib import Path

import pytest


def test_nothing_beyond_loopback_can_be_reached() -> None:
    state = os.environ.get("ALONE", "not started by `make test-clients`")
    if state != "yes":
        pytest.skip(f"no network namespace: {state}")
    assert Path("/proc/net/route").read_text().splitlines()[1:] == []
    with socket.socket() as sock:
        sock.settimeout(2)
        assert sock.connect_ex(("192.0.2.1", 443)) == errno.ENETUNREACH
