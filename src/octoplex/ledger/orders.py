"""Orders to whichever process has a data folder: one JSON object each way over `control.sock`.

    {"do": "keys.new", ...}   ->   {"ok": ...}   or   {"error": "...", "code": "not_found"}

The socket lies in the folder, mode 0600: whoever may read the folder may command. `said` makes of
a refusal the error again that it was at the other end.
"""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from octoplex.wire.eager import in_task
from octoplex.wire.error import GatewayError, InvalidCall, NotFound, StoreFailed, TooLarge

SOCKET = "control.sock"
LONGEST, USUAL = 1024 * 1024, 64 * 1024
"""Bytes of an order that brings a task, and of any other."""
LONGEST_REPLY = 256 * 1024 * 1024
WAIT_S = 20.0
RAISED: dict[str, type[GatewayError]] = {
    kind.code: kind for kind in (NotFound, TooLarge, StoreFailed, GatewayError)
}
"""What a refusal's code stands for; any other is InvalidCall."""


def line_of(order: dict[str, Any]) -> bytes:
    """An order as it is written to the socket.

    Raises:
        TooLarge: the other end would not read it.
    """
    line = msgspec.json.encode(order) + b"\n"
    most = LONGEST if str(order["do"]).startswith("tasks.") else USUAL
    if len(line) > most:
        raise too_large(most)
    return line


def too_large(most: int = LONGEST) -> TooLarge:
    """The refusal of an order that nobody reads to its end."""
    return TooLarge(f"An operator's command has at most {most:,} bytes.")


def refusal(error: GatewayError) -> dict[str, Any]:
    """A refusal as it is written to the socket."""
    return {"error": str(error), "code": error.code}


def said(reply: dict[str, Any]) -> Any:
    """What an order came to.

    Raises:
        GatewayError: it was refused, or failed: of the class that was raised at the other end.
    """
    if "error" in reply:
        raise RAISED.get(reply.get("code", ""), InvalidCall)(str(reply["error"]))
    return reply["ok"]


async def command(data: Path, order: dict[str, Any], within_s: float = WAIT_S) -> Any:
    """Have whichever process owns this folder do something.

    Raises:
        GatewayError: it refused, and why (`said`).
        StoreFailed: it does not answer.
    """
    line = line_of(order)
    await in_task()
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(
                str(data / SOCKET), limit=LONGEST_REPLY
            )
            try:
                writer.write(line)
                reply = msgspec.json.decode(await reader.readline(), type=dict[str, Any])
            finally:
                writer.close()
    except (OSError, TimeoutError, msgspec.MsgspecError):
        raise StoreFailed("The process that owns the data folder does not answer now.") from None
    return said(reply)
