"""The gateway in this process: a `Gateway` over its own `Works`, in the caller's event loop.

The body goes in as it would through the HTTP door, and what comes out is what that door
would have written, so that a program may move between the two without noticing.

One process writes a data folder. While a server has it, this way is closed and the error
names the server's address, which is the other way in.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from octoplex.assembly.agents import Agents
from octoplex.assembly.arrival import Arrival, read_call, written
from octoplex.client.reply import ModelOffer, Receipt
from octoplex.client.way import Wire
from octoplex.dialects.dialect import Encoder, Face
from octoplex.gateway import Gateway, open_gateway
from octoplex.ledger import request_ids
from octoplex.settings import Settings, data_folder, find, load, with_secrets
from octoplex.upstreams.detect import detect
from octoplex.wire.answer import Answer, Frame
from octoplex.wire.ask import ANYONE, Call, Caller
from octoplex.wire.error import GatewayError, StoreFailed
from octoplex.wire.event import Event, fold, unfold


async def open_inside(
    config: str | None, data: str | None, env: Mapping[str, str], api_key: str | None
) -> "Inside":
    """Open a gateway in this event loop.

    Raises:
        BadConfig: the configuration is wrong.
        StoreFailed: another process has the data folder.
        Unauthorized: the key is not known.
    """
    settings = load(find(env, config))
    folder = folder_of(data, settings, env)
    found, env = await detect(), await with_secrets(settings, env)
    try:
        gateway = open_gateway(settings, env, folder, found=found)
    except StoreFailed as error:
        address = error.facts.get("address")
        if not address:
            raise
        taken = StoreFailed(f'{error}; or ask that server: Octoplex(url="{address}")')
        taken.facts = error.facts
        raise taken from None
    try:
        caller = gateway.key(api_key.encode()).caller if api_key else ANYONE
    except BaseException:
        await gateway.works.close()
        raise
    return Inside(gateway, caller)


def folder_of(data: str | None, settings: Settings, env: Mapping[str, str]) -> Path:
    """The data folder: the one given, else the file's."""
    return Path(data).expanduser() if data else data_folder(settings, env)


class Inside:
    """An open gateway and who asks it."""

    def __init__(self, gateway: Gateway, caller: Caller) -> None:
        self._gateway, self._caller = gateway, caller
        self._face: Face = gateway.works.faces["openai-chat"]
        self._new_id: Callable[[], str] = request_ids()
        self._open: set[_Inner] = set()
        self.agents = gateway.works.agents = Agents(lambda: gateway, alone=True)
        """What runs tasks in this process, and only those that were given to it here."""

    async def whole(self, body: bytes, timeout_s: float | None) -> tuple[bytes, Receipt]:
        """Ask, and wait for the whole reply's body."""
        call = self._call(body, timeout_s)
        try:
            answer = await self._gateway.answer(call)
            return await self._written(call, answer), _receipt(call, answer)
        except GatewayError as error:
            raise _named(error, call.id) from None

    async def stream(self, body: bytes, timeout_s: float | None) -> Wire:
        """Ask for a stream; returns when it has content."""
        call = self._call(body, timeout_s)
        try:
            answer = await self._gateway.answer(call)
        except GatewayError as error:
            raise _named(error, call.id) from None
        encoder = None if answer.dialect == self._face.name else self._face.encoder(call)
        wire = _Inner(call, answer, encoder, self._open)
        self._open.add(wire)
        return wire

    async def models(self) -> list[ModelOffer]:
        """What may be asked for."""
        return [self._offer(name) for name in self._gateway.names(self._caller)]

    async def close(self) -> None:
        """Close what is open, then the gateway."""
        for wire in list(self._open):
            wire.close()
        await self._gateway.works.close()

    def _call(self, body: bytes, timeout_s: float | None) -> Call:
        limit = None if timeout_s is None else str(timeout_s).encode()
        arrival = Arrival(
            id=self._new_id(),
            face=self._face,
            started_at=asyncio.get_running_loop().time(),
            patience=self._gateway.patience.within(limit),
            caller=self._caller,
        )
        try:
            return read_call(arrival, body)
        except GatewayError as error:
            raise _named(error, arrival.id) from None

    def _offer(self, name: str) -> ModelOffer:
        why = self._gateway.plan.unavailable(name)
        owner = name.partition("/")[0] if "/" in name else "octoplex"
        return ModelOffer(id=name, owner=owner, available=not why, why=why)

    async def _written(self, call: Call, answer: Answer) -> bytes:
        """The reply in the Chat dialect, as the door would write it."""
        if answer.body is None:  # the provider streamed although it was not asked to
            return written(self._face, call, fold(await _events(answer)))
        if answer.dialect == self._face.name:
            return answer.body
        return written(self._face, call, answer.reply())


class _Inner:
    """A stream of this process's gateway."""

    def __init__(
        self, call: Call, answer: Answer, encoder: Encoder | None, open_: "set[_Inner]"
    ) -> None:
        self._call, self._answer, self._encoder = call, answer, encoder
        self._open, self._over = open_, False

    @property
    def receipt(self) -> Receipt:
        """What is known by now."""
        return _receipt(self._call, self._answer)

    async def more(self) -> bytes:
        """The next whole events."""
        while not self._over:
            data = await self._next()
            if data:
                return data
        return b""

    def close(self) -> None:
        """The caller left: close the upstream."""
        self._over = True
        self._open.discard(self)
        self._answer.close()

    async def _next(self) -> bytes:
        answer = self._answer
        try:
            if answer.body is not None:  # answered whole although a stream was asked for
                assert self._encoder is not None
                self.close()
                return self._encoder.feed(unfold(answer.reply()))
            return self._bytes(await answer.__anext__())
        except StopAsyncIteration:
            self.close()
            return b""
        except GatewayError as error:
            self.close()
            raise _named(error, self._call.id) from None
        except asyncio.CancelledError:
            self.close()
            raise

    def _bytes(self, frame: Frame) -> bytes:
        if self._encoder is not None:
            return self._encoder.feed(frame.events())
        assert frame.wire is not None
        return frame.wire


async def _events(answer: Answer) -> list[Event]:
    try:
        return [event async for frame in answer for event in frame.events()]
    finally:
        answer.close()


def _receipt(call: Call, answer: Answer) -> Receipt:
    trail = call.trail
    answered = trail.answered()
    return Receipt(
        request_id=call.id,
        target=answered.target if answered else answer.head.model,
        provider=answer.head.provider,
        route=trail.route,
        attempts=len(trail.attempts) or 1,
        dropped=trail.all_dropped(),
        cost_nano=trail.nano,
        estimated=trail.estimated,
    )


def _named(error: GatewayError, id_: str) -> GatewayError:
    """Name the request whose record says more."""
    error.facts.setdefault("request_id", id_)
    return error
