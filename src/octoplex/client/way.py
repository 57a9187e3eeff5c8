"""How a client reaches a gateway: in process (`inside.py`) or over HTTP (`outside.py`).

Both speak the Chat dialect in bytes, so one decoder reads both and nothing but the
transport differs.
"""

from typing import Protocol

from octoplex.client.reply import ModelOffer, Receipt


class Wire(Protocol):
    """An opened stream of the Chat dialect."""

    @property
    def receipt(self) -> Receipt:
        """What the gateway has said so far; the cost is known at the end."""
        ...

    async def more(self) -> bytes:
        """The wire bytes of the next whole events; b"" at the end.

        Raises:
            GatewayError: it broke off.
        """
        ...

    def close(self) -> None:
        """Stop caring: the upstream is closed at once. Harmless when repeated."""
        ...


class Way(Protocol):
    """An open way to a gateway."""

    async def whole(self, body: bytes, timeout_s: float | None) -> tuple[bytes, Receipt]:
        """Ask, and wait for the whole reply's body."""
        ...

    async def stream(self, body: bytes, timeout_s: float | None) -> Wire:
        """Ask for a stream; returns when it has opened."""
        ...

    async def models(self) -> list[ModelOffer]:
        """What may be asked for."""
        ...

    async def close(self) -> None:
        """Let go of connections, processes and files."""
        ...
