"""`/providers/{id}/...`: any other call to a provider, with key, budget, limit and record applied.

What goes on are method, path, query, body and the headers that vendors know; the caller's
credentials, cookies and address stay here. The path is taken from the
request line as it was decoded, quoted anew, and may not climb.
"""

import asyncio
from urllib.parse import parse_qsl, quote, urlencode

from octoplex.gateway import Gateway, header_safe
from octoplex.server import out
from octoplex.server.headers import answer_headers
from octoplex.server.inbound import Inbound, read_body
from octoplex.server.named import Named, budgeted, is_free, named
from octoplex.upstreams.passing import NO_MODEL, PASS
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Passed, Trail
from octoplex.wire.beside import beside
from octoplex.wire.error import GatewayError, InvalidCall

GO_ON = frozenset(
    {
        *(b"accept", b"accept-language", b"content-type", b"range", b"prefer", b"idempotency-key"),
        *(b"if-match", b"if-none-match", b"if-modified-since", b"traceparent", b"tracestate"),
        *(b"openai-beta", b"cohere-version", b"modality"),
        *(b"x-goog-api-client", b"x-goog-request-params", b"x-goog-fieldmask"),
        *(b"x-goog-upload-protocol", b"x-goog-upload-command", b"x-goog-upload-offset"),
        *(b"x-goog-upload-header-content-length", b"x-goog-upload-header-content-type"),
        *(b"x-goog-upload-content-type", b"x-goog-upload-raw-size", b"x-goog-upload-file-name"),
        *(b"x-ms-client-request-id", b"x-ms-return-client-request-id", b"x-ms-useragent"),
        b"x-ms-oai-image-generation-deployment",
        *(b"x-amzn-bedrock-accept", b"x-amzn-bedrock-trace"),
        *(b"x-amzn-bedrock-guardrailidentifier", b"x-amzn-bedrock-guardrailversion"),
    }
)
"""What a caller may tell a provider. All else may be a credential, or about the caller, or change
the price to one that no list has (`x-amzn-bedrock-service-tier`, `-performanceconfig-latency`)."""
FAMILIES = (b"anthropic-", b"x-stainless-")
"""Beginnings that stand before no credential. Those of clouds do: `x-goog-iap-jwt-assertion`."""


async def passed(inbound: Inbound, gateway: Gateway) -> None:
    """Pass a call on to a provider, with its key in place of the caller's."""
    body = await read_body(inbound, gateway.max_body)
    ask = await beside(len(body), _asked, inbound, gateway, body)
    inbound.trail = ask.trail
    answer = await gateway.answer(ask)
    kind = header_safe(answer.head.content_type).encode()
    block = b"content-type: %b\r\nx-content-type-options: nosniff\r\n" % kind + answer_headers(
        inbound, ask, answer.head, gateway
    )
    if answer.body is None:
        await _stream(inbound, gateway, ask, answer, block)
    else:
        await inbound.line.whole(answer.head.status, block, answer.body)


def _asked(inbound: Inbound, gateway: Gateway, body: bytes) -> Passed:
    """Read whom it is for.

    Raises:
        InvalidCall: the path names no provider, or climbs.
        Forbidden: the caller has a dollar budget, which cannot hold it.
    """
    provider, _, rest = inbound.rest.partition("/")
    if not rest or any(part in ("..", ".") for part in rest.split("/")):
        raise InvalidCall("Send /providers/PROVIDER/PATH, without . or .. in it.", param="path")
    line = inbound.line
    pairs = parse_qsl(line.query.decode("latin-1"), keep_blank_values=True)
    kept = [pair for pair in pairs if pair[0] != "key"]
    path = "/" + quote(rest, safe="/:@!$&'()*+,;=-._~") + ("?" + urlencode(kept) if kept else "")
    free = is_free(rest, line.method)
    if inbound.caller.budgeted and not free:
        found = budgeted(rest, body, line.headers.get(b"content-type", b""))
    else:
        found = Named(named(rest, line.method, body))
    return Passed(
        id=inbound.id,
        face=inbound.face.name,
        model=f"{PASS}{provider}/{found.model or NO_MODEL}",
        raw=body,
        deadline_at=inbound.started_at + gateway.patience.stream_s,
        started_at=inbound.started_at,
        op="pass",
        caller=inbound.caller,
        trail=Trail(),
        method=line.method,
        path=path,
        sent=_travelling(line.headers),
        generates=bool(found.model),
        output_tokens=found.output_tokens,
        told=not free,
    )


def _travelling(headers: dict[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers.items()
        if name in GO_ON or name.startswith(FAMILIES)
    )


async def _stream(
    inbound: Inbound, gateway: Gateway, ask: Passed, answer: Answer, block: bytes
) -> None:
    """Hand bytes on as they come. A stream that breaks off is cut off here too."""
    stream = out.Stream(inbound.line, block, ask)
    stream.keep_alive = b""  # what passes is nobody's to add to
    stream.answer = answer
    inbound.stream = stream
    inbound.quiet.add(stream)
    try:
        async for frame in answer:
            await stream.write(frame.wire or b"")
        await stream.write(b"", last=True)
    except asyncio.CancelledError:
        answer.close("stopped" if gateway.works.stopping else "left")
        raise
    except GatewayError:
        if not stream.started:
            raise
        inbound.line.cut()
    finally:
        inbound.quiet.discard(stream)
        answer.close("cut")
