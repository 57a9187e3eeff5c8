"""What a session speaks through: a pipe to a process (`stdio.py`), or requests over HTTP."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from octoplex.agents.mcp.messages import Message

Hear = Callable[[Message], Message | None]
"""Takes what the other side says by itself; gives the reply to a request."""


NOTHING: Mapping[str, str] = MappingProxyType({})


class Wire(Protocol):
    """A connection to one server. `version` is the revision, "" before it is known."""

    version: str

    async def open(self, hear: Hear) -> None:
        """Make it.

        Raises:
            Lost: nobody is there.
        """
        ...

    async def ask(self, request: Message, mirrored: Mapping[str, str] = NOTHING) -> Message:
        """Send a request; the reply to it. Waits as long as it takes.

        `mirrored` are arguments that HTTP repeats in headers.

        Raises:
            RpcError: it was refused before it became a message.
            Lost: the connection ended, or what came cannot be read.
        """
        ...

    async def tell(self, note: Message) -> None:
        """Send what is not answered.

        Raises:
            Lost: the connection ended.
        """
        ...

    async def close(self) -> None:
        """End it, and whatever was started for it."""
        ...
