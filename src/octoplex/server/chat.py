"""The chat doors: `POST /v1/chat/completions`, `POST /v1/messages` and its token count.

    body -> Call -> gateway -> Answer -> whole reply, or events as they come

The door knows its face and nothing of providers. Bytes in the caller's own dialect go
out as they came; anything else is written from events by the face's encoder. Once a
stream's status line is out a failure is in-band, and looks like nothing but a failure.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from octoplex.assembly.arrival import Arrival, read_call, written
from octoplex.dialects.dialect import CountFace, Encoder, Face, PathFace, Place
from octoplex.gateway import Gateway
from octoplex.server import out
from octoplex.server.app import LAST_WORDS, defect
from octoplex.server.headers import NO_COMMENTS, answer_headers, trailing
from octoplex.server.inbound import JSON, Inbound, read_body, ready_body
from octoplex.wire.answer import Answer, Frame, Outcome, revoked, why_cancelled
from octoplex.wire.ask import Ask, Call, Operation
from octoplex.wire.beside import LARGE, beside
from octoplex.wire.error import GatewayError, Stopping
from octoplex.wire.event import Event, Usage, fold, unfold

TRAVELLING = frozenset(
    {b"anthropic-beta", b"cache-control", b"traceparent", b"tracestate", b"x-octoplex-session"}
    | {b"x-octoplex-approve", b"idempotency-key"}
)
NO_HEADERS: dict[str, str] = {}
PassOn = Callable[[Inbound, Ask, Answer, out.Stream], Awaitable[None]]


def chat(inbound: Inbound, gateway: Gateway) -> Awaitable[None]:
    """Answer one chat request, streamed or whole."""
    body = ready_body(inbound, gateway.max_body)
    if body is None:
        return _chat_later(inbound, gateway)
    call = call_of(inbound, gateway, body, "chat")
    return (streamed if call.stream else _whole)(inbound, gateway, call)


async def _chat_later(inbound: Inbound, gateway: Gateway) -> None:
    body = await read_body(inbound, gateway.max_body)
    call = await arrived(inbound, gateway, body, "chat")
    await (streamed if call.stream else _whole)(inbound, gateway, call)


async def count_tokens(inbound: Inbound, gateway: Gateway) -> None:
    """Count the tokens of a request without running it; an estimate is marked as one."""
    body = await read_body(inbound, gateway.max_body)
    await count(inbound, gateway, await arrived(inbound, gateway, body, "count_tokens"))


async def generate(inbound: Inbound, gateway: Gateway) -> None:
    """Answer a request whose URL names the model and the operation, as Gemini's do."""
    face = inbound.face
    assert isinstance(face, PathFace)
    place = face.read_path(inbound.rest, inbound.line.query.decode("latin-1"))
    body = await read_body(inbound, gateway.max_body)
    call = await arrived(inbound, gateway, body, place.op, place)
    if place.op == "count_tokens":
        await count(inbound, gateway, call)
    elif place.stream:
        await streamed(inbound, gateway, call, array=place.array)
    else:
        await _whole(inbound, gateway, call)


async def count(inbound: Inbound, gateway: Gateway, call: Call) -> None:
    """Answer with the number of tokens of a call."""
    answer = await gateway.answer(call)
    face = inbound.face
    assert isinstance(face, CountFace)
    body = answer.body
    if not body or answer.dialect != face.name:
        body = face.encode_count(answer.reply().usage.input_tokens)
    block = JSON + answer_headers(inbound, call, answer.head, gateway)
    await inbound.line.whole(200, block, body)


def call_of(
    inbound: Inbound, gateway: Gateway, body: bytes, op: Operation, place: Place | None = None
) -> Call:
    """The call in a body; from here on the gateway's record tells how it ended."""
    headers, patience = inbound.line.headers, gateway.patience
    if b"x-stainless-read-timeout" in headers:
        patience = patience.within(headers[b"x-stainless-read-timeout"])
    going_on = NO_HEADERS if TRAVELLING.isdisjoint(headers) else travelling(headers)
    arrival = Arrival(
        inbound.id, inbound.face, inbound.started_at, patience, inbound.caller, going_on, place
    )
    call = read_call(arrival, body, op)
    inbound.trail = call.trail
    if call.may_hold_media and len(body) >= LARGE:  # what will be asked of it, while we are beside
        call.worst_case()
    return call


async def arrived(
    inbound: Inbound, gateway: Gateway, body: bytes, op: Operation, place: Place | None = None
) -> Call:
    """`call_of` a body of any size."""
    return await beside(len(body), call_of, inbound, gateway, body, op, place)


def travelling(headers: dict[bytes, bytes]) -> dict[str, str]:
    """The inbound headers that matter below, or may go on to a provider."""
    return {n.decode(): headers[n].decode("latin-1") for n in TRAVELLING if n in headers}


async def _whole(inbound: Inbound, gateway: Gateway, call: Call) -> None:
    answer = await gateway.answer(call)
    face = inbound.face
    if answer.body is None:  # the provider streamed although it was not asked to
        body = written(face, call, fold(await events_of(answer)))
    elif answer.dialect == face.name:
        body = answer.body
    else:
        body = written(face, call, answer.reply())
    block = JSON + answer_headers(inbound, call, answer.head, gateway)
    await inbound.line.whole(200, block, body)


async def events_of(answer: Answer) -> list[Event]:
    """Every event of a stream that is to be a whole reply."""
    try:
        return [event async for frame in answer for event in frame.events()]
    except asyncio.CancelledError as error:
        answer.close(why_cancelled(error))
        raise
    finally:
        answer.close()


async def streamed(
    inbound: Inbound,
    gateway: Gateway,
    ask: Ask,
    *,
    array: bool = False,
    passing: PassOn | None = None,
) -> None:
    """Answer with a stream. `passing` stands in for `pass_on`."""
    kind = JSON if array else out.SSE
    comments = ask.face not in NO_COMMENTS
    block = kind + inbound.id_lines().encode()
    stream = out.Stream(inbound.line, block, ask, array=array, comments=comments)
    inbound.stream = stream
    inbound.quiet.add(stream)
    try:
        answer = await gateway.answer(ask)
        stream.answer, ask.trail.untold = answer, stream.started
        stream.block = kind + answer_headers(inbound, ask, answer.head, gateway)
        try:
            await (passing or pass_on)(inbound, ask, answer, stream)
        except asyncio.CancelledError:
            answer.close("stopped" if gateway.works.stopping else "left")
            raise
        finally:
            answer.close("cut")  # if it has not ended, what it said could not be read
    except GatewayError as error:
        error = stream.cause(error)
        if not stream.started:
            raise error from None
        await _fail(inbound, ask, stream, error)
    except asyncio.CancelledError:
        if stream.started and inbound.revoked:
            await _fail(inbound, ask, stream, revoked())
            return
        if stream.started and gateway.works.stopping:
            await _fail(inbound, ask, stream, Stopping(LAST_WORDS))
        raise
    except Exception as error:  # told in-band; the log has the rest
        if not stream.started:
            raise
        await _fail(inbound, ask, stream, defect(inbound, error))
    finally:
        inbound.quiet.discard(stream)


async def _fail(inbound: Inbound, ask: Ask, stream: out.Stream, error: GatewayError) -> None:
    """Say in-band that the stream failed; it has begun, so its status cannot."""
    face, id_ = inbound.face, inbound.shown_id
    if inbound.verbatim or type(error) is GatewayError:  # a defect, maybe of the encoder
        failure = face.fail_event(error, id_)
    else:  # it knows how to go on where it broke off
        failure = (inbound.encoder or _encoder(face, ask)).fail(error, id_)
    await stream.write(failure + trailing(ask), last=True)


def _encoder(face: Face, ask: Ask) -> Encoder:
    assert isinstance(ask, Call), "a stream of anything but a chat passes verbatim"
    return face.encoder(ask)


async def pass_on(inbound: Inbound, ask: Ask, answer: Answer, stream: out.Writes) -> None:
    """Write every frame; the trailing comment goes with the last, where clients hang up."""
    ended: list[Outcome] = []

    def end(outcome: Outcome, usage: Usage) -> None:
        ended.append(outcome)

    face = inbound.face
    if answer.body is not None:  # the provider answered whole although a stream was asked for
        events: Sequence[Event] = unfold(answer.reply())
        inbound.encoder = _encoder(face, ask)
        data = inbound.encoder.feed(events)
        await stream.write(data + trailing(ask), last=True)
        return
    answer.on_end(end)
    inbound.verbatim = answer.dialect == face.name
    encoder = inbound.encoder = None if inbound.verbatim else _encoder(face, ask)
    async for frame in answer:
        data = _bytes(frame) if encoder is None else encoder.feed(frame.events())
        if ended:
            await stream.write(data + trailing(ask), last=True)
            return
        if data:
            await stream.write(data)
    await stream.write(trailing(ask), last=True)


def _bytes(frame: Frame) -> bytes:
    assert frame.wire is not None
    return frame.wire
