"""Connections taken from a listening socket, one in a turn of the loop.

    acceptor = Acceptor(listening, server)      server.protocol() speaks with each
    acceptor.close()

Not `loop.create_server`: of a process without descriptors libuv gives one up, which it keeps in
reserve, to take what waits and close it. Where another thread opens a file in that moment it has
none to give up any more, and looks at the socket, which stays readable, in each turn of the loop:
it spins. Here nothing is taken for a while then. Several processes that share a socket take turns.
"""

import asyncio
import contextlib
import errno
import logging
import socket
from typing import Any, Protocol

import uvicorn

log = logging.getLogger("octoplex.server")
BACKLOG = 2048
"""Callers that may wait to be taken; a Unix socket refuses whoever finds it full."""
SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
SHORT_S = 0.1
"""How long nothing is accepted once descriptors or memory have run out."""


class Serves(Protocol):
    """A server of connections."""

    config: uvicorn.Config

    def protocol(self) -> asyncio.Protocol:
        """What speaks with one connection."""
        ...


class Acceptor:
    """Takes one connection in a turn of the loop, so that others who wait for some get theirs."""

    def __init__(self, listening: socket.socket, server: Serves) -> None:
        self._loop, self._listening, self._server = asyncio.get_running_loop(), listening, server
        self._tasks: set[asyncio.Task[Any]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._short = False
        listening.setblocking(False)
        self._listen()

    def _listen(self) -> None:
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def close(self) -> None:
        """Take no more, and let go of the socket."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._listening.fileno())
        self._listening.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionError):
            return  # another worker was faster
        except OSError as error:
            if error.errno in SHORT:  # the socket stays readable: each turn would try again
                self._loop.remove_reader(self._listening.fileno())
                self._again = self._loop.call_later(SHORT_S, self._listen)
            if not self._short:
                log.error("connections cannot be accepted now: %s", error)
            self._short = True
            return
        self._short = False
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._open(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, connection: socket.socket) -> None:
        config = self._server.config
        with contextlib.suppress(OSError):  # TLS that failed is the caller's
            await self._loop.connect_accepted_socket(
                self._server.protocol, connection, ssl=config.ssl
            )
