"""A line to a database that can be cut, or be dead while it stands.

async with Line(port) as line:
    line.cut()       # what is open is reset, and nothing more gets through
    line.die()       # nothing is answered
    line.mend()
"""

import asyncio
from contextlib import suppress

Ends = tuple[asyncio.StreamWriter, asyncio.StreamWriter]


class Line:
    """On a port of this machine, as long as the block."""

    def __init__(self, port: int) -> None:
        self._there = port
        self._ends: set[Ends] = set()
        self._whole = asyncio.Event()
        self._is_cut = False
        self.refused = 0
        """Connections that found it cut."""

    async def __aenter__(self) -> "Line":
        self.mend()
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        self._is_cut = True
        for ends in list(self._ends):
            _reset(*ends)

    def die(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._is_cut = False
        self._whole.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            self.refused += 1
            _reset(writer)
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._there)
        self._ends.add((writer, far_writer))
        with suppress(OSError, asyncio.CancelledError):  # the loop of a test may end first
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        _reset(writer, far_writer)
        self._ends.discard((writer, far_writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._whole.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


def _reset(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.transport.abort()
