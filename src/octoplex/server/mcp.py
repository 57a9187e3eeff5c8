"""`POST /mcp`: Octoplex as a server of tools, for clients of the Model Context Protocol.

    chat     asks a model that the caller's key may use, as any request: limits, money, record
    models   lists them
    run_task, task_status, cancel_task     goals for agents, where this process runs tasks
    remember, recall                       the memory of the caller's tenant

A message is answered whole, or as a stream of one event when it takes long and the client can read
one: comments keep it alive. Nothing is kept between messages, so there is no session and no GET;
a client that leaves ends what it asked for. A page of a browser may come only from an origin of
`[server] cors`, or of this machine (DNS rebinding).
"""

import asyncio
from collections.abc import Mapping

from octoplex.agents.mcp import messages
from octoplex.agents.mcp.headers import VERSION
from octoplex.agents.mcp.messages import HANDSHAKE, MODERN, Message
from octoplex.agents.mcp.serving import Wrong, answer, read
from octoplex.gateway import Gateway
from octoplex.server.inbound import JSON, Inbound, read_body
from octoplex.server.mcp_tools import tools_of
from octoplex.settings import loopback
from octoplex.wire.beside import beside
from octoplex.wire.error import Forbidden

MOST_MESSAGE = 8 * 1024 * 1024
QUIET_S = 10.0
"""After that a client that reads streams is given one, so that nobody on the way gives up."""
STATUS = {
    messages.PARSE_ERROR: 400,
    messages.INVALID_REQUEST: 400,
    messages.HEADER_MISMATCH: 400,
    messages.VERSION_UNKNOWN: 400,
}
OF_MODERN = {**STATUS, messages.INVALID_PARAMS: 400, messages.METHOD_NOT_FOUND: 404}
"""Revision 2026-07-28 has a status for these; before it an error of a method was a 200."""
SSE = b"content-type: text/event-stream\r\ncache-control: no-cache\r\n"


async def mcp(inbound: Inbound, gateway: Gateway) -> None:
    """Answer one message of a client of the Model Context Protocol."""
    _check_origin(inbound, gateway)
    headers = {n.decode(): v.decode("latin-1") for n, v in inbound.line.headers.items()}
    body = await read_body(inbound, min(gateway.max_body, MOST_MESSAGE))
    block = JSON + inbound.id_lines().encode() + inbound.cors
    try:
        message = await beside(len(body), read, body)
        _check_version(headers)
    except Wrong as error:
        refusal = Message(id=None, error=error.fault)
        await inbound.line.whole(400, block, refusal.bytes())
        return
    work = answer(message, tools_of(inbound, gateway), headers)
    if "text/event-stream" in headers.get("accept", ""):
        await _patiently(inbound, block, asyncio.ensure_future(work))
    else:
        await _reply(inbound, block, await work)


def _check_origin(inbound: Inbound, gateway: Gateway) -> None:
    """Refuse a page of a browser that nobody allowed: `Origin` is what tells it from a program."""
    origin = inbound.line.headers.get(b"origin", b"").decode("latin-1")
    host = origin.partition("://")[2]
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if origin and origin not in gateway.settings.server.cors and not loopback(name.strip("[]")):
        raise Forbidden(
            f'Requests of the web page "{origin[:100]}" are refused; see [server] cors.'
        )


def _check_version(headers: Mapping[str, str]) -> None:
    version = headers.get(VERSION, MODERN)
    if version not in (MODERN, *HANDSHAKE):
        spoken = {"supported": [MODERN, *HANDSHAKE], "requested": version[:40]}
        raise Wrong(messages.VERSION_UNKNOWN, "Unsupported protocol version", spoken)


async def _reply(inbound: Inbound, block: bytes, reply: Message | None) -> None:
    if reply is None:
        await inbound.line.whole(202, inbound.cors, b"")
        return
    status = 200
    if isinstance(reply.error, messages.Fault):
        is_modern = inbound.line.headers.get(VERSION.encode()) == MODERN.encode()
        status = (OF_MODERN if is_modern else STATUS).get(reply.error.code, 200)
    await inbound.line.whole(status, block, reply.bytes())


async def _patiently(
    inbound: Inbound, block: bytes, work: "asyncio.Future[Message | None]"
) -> None:
    """Answer whole what is there soon, and what is not as a stream that is kept alive."""
    head: bytes | None = SSE + inbound.id_lines().encode() + inbound.cors
    try:
        while not (await asyncio.wait([work], timeout=QUIET_S))[0]:
            await inbound.line.write(b": still at it\n\n", head, last=False)
            head = None
        reply = work.result()
        if head is not None or reply is None:
            await _reply(inbound, block, reply)
        else:
            event = b"event: message\ndata: %b\n\n" % reply.bytes()
            await inbound.line.write(event, None, last=True)
    except asyncio.CancelledError as error:
        work.cancel(*error.args)  # why, for its record
        raise
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
