"""`octoplex mcp serve`: the door `POST /mcp` over stdin and stdout, one message a line.

    a line -> POST /mcp of a server, or of a gateway in this process -> a line

What a client cancels is cancelled there. Ends when stdin does.
"""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping

from octoplex.agents.mcp.headers import routing
from octoplex.agents.mcp.messages import INTERNAL_ERROR, Fault, Message
from octoplex.agents.mcp.serving import Wrong, read
from octoplex.cli.place import Place, place_of
from octoplex.client.aio import KEY_VARIABLE
from octoplex.gateway import open_gateway
from octoplex.server.app import App
from octoplex.server.inner import Inner
from octoplex.server.table import routes
from octoplex.settings import with_secrets
from octoplex.transport import Client, Limits, Origin, Proxies, Request, header_block
from octoplex.upstreams.detect import detect
from octoplex.wire.error import GatewayError, StoreFailed
from octoplex.wire.redact import snippet

Send = Callable[[bytes, Mapping[str, str]], Awaitable[tuple[int, bytes]]]
"""(a message, the headers that repeat it) -> status and body."""
PATH = "/mcp"
LAST_S = 2.0
"""A client closes stdin when it leaves; a line of shell does so at once."""
_LIMITS = Limits(first_s=3_600.0, idle_s=3_600.0)
_TYPE = {"content-type": "application/json", "accept": "application/json", "host": "localhost"}


def run(url: str | None, config: str | None) -> None:
    """Serve until stdin ends."""
    asyncio.run(_run(url, place_of(config)))


async def _run(url: str | None, place: Place) -> None:
    if url is None:
        try:
            await _inside(place)
        except StoreFailed as error:
            url = str(error.facts.get("address") or "")
            if not url:
                raise
    if url is not None:
        await _outside(url, place)


async def _outside(url: str, place: Place) -> None:
    """Ask a server that runs."""
    origin, client = Origin.parse(url.rstrip("/"), Proxies.of(place.env), "--url"), Client()
    own = {name: value for name, value in _headers(place).items() if name != "host"}
    head = origin.head("POST", "" if origin.path.endswith(PATH) else PATH, own.items())

    async def send(body: bytes, more: Mapping[str, str]) -> tuple[int, bytes]:
        request = Request(origin, head, body, header_block(more.items()))
        response = await client.send(request, _LIMITS)
        response.close()
        return response.status, response.body or b""

    try:
        await Lines(send).serve()
    finally:
        client.close()


async def _inside(place: Place) -> None:
    """Ask a gateway of this process."""
    found, env = await detect(), await with_secrets(place.settings, place.env)
    gateway = open_gateway(place.settings, env, place.data, found=found)
    app = App(gateway, routes(), gateway.works.faces)
    own = _headers(place)

    async def send(body: bytes, more: Mapping[str, str]) -> tuple[int, bytes]:
        line = Inner(PATH, {**own, **more}, body)
        await app.serve(line)
        return line.status, line.reply

    try:
        await Lines(send).serve()
    finally:
        await gateway.works.close()


def _headers(place: Place) -> dict[str, str]:
    key = place.env.get(KEY_VARIABLE)
    return {**_TYPE, **({"authorization": f"Bearer {key}"} if key else {})}


class Lines:
    """Messages of one client, each a task."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._running: dict[int | str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Answer what comes on stdin until it ends; what runs then has a moment."""
        lines: asyncio.Queue[bytes] = asyncio.Queue(64)
        loop = asyncio.get_running_loop()

        def listen() -> None:
            for line in iter(sys.stdin.buffer.readline, b""):
                asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()
            asyncio.run_coroutine_threadsafe(lines.put(b""), loop)

        threading.Thread(target=listen, daemon=True).start()
        while line := await lines.get():
            if line.strip():
                self._take(line)
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=LAST_S)
        rest = list(self._running.values())
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _take(self, line: bytes) -> None:
        try:
            message = read(line)
        except Wrong as error:
            _say(Message(id=None, error=error.fault))
            return
        params = message.params if isinstance(message.params, dict) else {}
        if isinstance(message.id, int | str):
            more = routing(str(message.method), params)
            task = asyncio.create_task(self._answer(message.id, line, more))
            self._running[message.id] = task
        elif message.method == "notifications/cancelled":
            wanted = self._running.get(params.get("requestId", ""))
            if wanted is not None:
                wanted.cancel()

    async def _answer(self, id_: int | str, line: bytes, more: Mapping[str, str]) -> None:
        try:
            status, body = await self._send(line, more)
        except GatewayError as error:
            _say(Message(id=id_, error=Fault(INTERNAL_ERROR, str(error))))
            return
        finally:
            self._running.pop(id_, None)
        if body.startswith(b'{"jsonrpc"'):
            _write(body)
        else:  # it never came to be a message: a key that is not known, say
            why = f"The gateway refused ({status}): {snippet(body)}"
            _say(Message(id=id_, error=Fault(INTERNAL_ERROR, why)))


def _say(message: Message) -> None:
    _write(message.bytes())


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data.replace(b"\n", b" ") + b"\n")
    sys.stdout.buffer.flush()
