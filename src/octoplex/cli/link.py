"""The operator's line to a running server: `control.sock` in its data folder.

One JSON object each way (`server/control.py`). A socket file that nobody answers on is
the rest of a server that was killed; then there is no server.
"""

import os
import socket
from pathlib import Path
from typing import Any

import msgspec

from octoplex.ledger.orders import SOCKET, line_of, said
from octoplex.server.control import shell_of
from octoplex.wire.error import StoreFailed

WAIT_S = 30.0
"""Longer than a reload may wait for the keepers of secrets."""


def ask_server(data: Path, order: dict[str, Any]) -> Any:
    """Have the server that holds this folder do something; None when no server answers.

    Raises:
        GatewayError: it refused, and why (`said`).
        StoreFailed: it did not answer in time.
    """
    order_line = line_of(order)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(WAIT_S)
        try:
            line.connect(str(data / SOCKET))
        except OSError:
            return None
        try:
            line.sendall(order_line)
            with line.makefile("rb") as replies:
                reply = msgspec.json.decode(replies.readline(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError):
            raise StoreFailed(
                f"The server that holds {data} did not answer on its control socket; try again."
            ) from None
    return said(reply)


def operator() -> str:
    """Who commands, as the audit log names them."""
    return shell_of(os.getuid())
