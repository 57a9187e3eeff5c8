"""The models on this machine as targets: `octoplex/NAME`, each loaded on first use.

A local model is asked like any provider, in its engine's own dialect over loopback, so
streams, JSON schemas and token counts are the engine's own. It costs nothing, and no
route contains one unless the file says so: it never stands in for a paid model.

An engine whose table a reload changed or took away finishes what it is answering and
then ends; the next call starts the new one.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from octoplex.dialects.dialect import Dialect, Traits
from octoplex.transport.http import Limits, Request, Response, Sender
from octoplex.transport.origin import NO_PROXIES
from octoplex.upstreams.config import Local
from octoplex.upstreams.count import CountUpstream
from octoplex.upstreams.local.fit import FACE, fitted, streamed
from octoplex.upstreams.local.models import (
    LocalModel,
    available,
    built_in,
    command,
    find,
    has_engine,
)
from octoplex.upstreams.local.worker import Address, LocalWorker
from octoplex.upstreams.source import Making, Secret, Source
from octoplex.upstreams.upstream import Upstream
from octoplex.wire.answer import Answer, Answerer, Outcome
from octoplex.wire.ask import Ask, Call
from octoplex.wire.error import BadConfig, ModelGone
from octoplex.wire.event import NO_USAGE, Usage

LOCAL = "octoplex"


class Engine:
    """A worker, how many answers it has open, and whether it goes once they have ended."""

    def __init__(self, worker: LocalWorker, closing: "set[asyncio.Task[None]]") -> None:
        self.worker, self._closing = worker, closing
        self._open, self._retired = 0, False

    def enter(self) -> None:
        """One more answer."""
        self._open += 1

    def leave(self, outcome: Outcome = "done", usage: Usage = NO_USAGE) -> None:
        """One answer less."""
        self._open -= 1
        self._close_when_idle()

    def retire(self) -> None:
        """End the process as soon as nobody is being answered."""
        self._retired = True
        self._close_when_idle()

    def _close_when_idle(self) -> None:
        if self._retired and not self._open:
            task = asyncio.get_running_loop().create_task(self.worker.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


class Free:
    """Sends what costs nothing, so that it may be sent again.

    The engine closes connections that were quiet for a while, sometimes as a request comes.
    """

    def __init__(self, client: Sender) -> None:
        self._client = client

    async def send(self, request: Request, limits: Limits) -> Response:
        """Send; once more where a connection turns out to be stale."""
        request.idempotent = True
        return await self._client.send(request, limits)


class Fleet:
    """The engines of one gateway, by model name."""

    def __init__(self, data: Path, client: Sender, dialects: Mapping[str, Dialect]) -> None:
        self._data, self.client = data, Free(client)
        self.dialects = dialects
        self._tables: dict[str, Local] = {}
        self._engines: dict[str, Engine] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def check(self, tables: Mapping[str, Local]) -> None:
        """Look at `[local.NAME]`, and change nothing.

        Raises:
            BadConfig: a file is not there.
        """
        for name, table in tables.items():
            if not Path(table.path).expanduser().is_file():
                raise BadConfig(f"[local.{name}] path: there is no file {table.path}.")

    def configure(self, tables: Mapping[str, Local]) -> None:
        """Take over `[local.NAME]`. An engine whose table changed ends when it has drained."""
        for name in list(self._engines):
            if self._tables.get(name) != tables.get(name):
                self._engines.pop(name).retire()
        self._tables = dict(tables)

    def names(self) -> list[str]:
        """Every model name, the built-in ones first, whether or not they can run now."""
        return list(dict.fromkeys([m.id for m in available(self._data)] + list(self._tables)))

    def unavailable(self, name: str) -> str:
        """Why a model cannot run now, with the command that changes that; "" when it can."""
        if name in self._tables:
            return ""
        row = next((m for m in available(self._data) if m.id == name), None)
        if row is None:
            return "there is no such model on this machine"
        return f"run `{row.command}`" if row.command else ""

    def engine(self, name: str) -> Engine:
        """The engine of a model, made on first use.

        Raises:
            ModelGone: no such model, or its file or its library is not here.
        """
        engine = self._engines.get(name)
        if engine is None:
            log = self._data / f"{name}.log"
            threads = self._tables[name].threads if name in self._tables else 0
            worker = LocalWorker(self._model(name), threads=threads or None, log=log)
            engine = self._engines[name] = Engine(worker, self._closing)
        return engine

    def _model(self, name: str) -> LocalModel:
        table = self._tables.get(name)
        if table is not None:
            path = Path(table.path).expanduser()
            return LocalModel(id=name, path=path, context=table.context)
        model = find(name, self._data)
        if model is not None and has_engine():
            return model
        if built_in(name) is not None:
            raise ModelGone(
                f"The model octoplex/{name} is not installed; run `{command(name)}` first."
            )
        known = ", ".join(self.names())
        raise ModelGone(f'There is no model "{name}" on this machine; known: {known}.')

    def answerers(self, name: str, making: Making) -> "tuple[LocalAnswerer, LocalCounter]":
        """What answers for `octoplex/NAME`, and what counts its tokens."""
        making = msgspec.structs.replace(making, proxies=NO_PROXIES)
        return LocalAnswerer(name, self, making), LocalCounter(name, self, making)

    async def close(self) -> None:
        """End every process."""
        for engine in self._engines.values():
            await engine.worker.close()
        while self._closing:
            await asyncio.wait(set(self._closing))


class Place(Struct, frozen=True):
    """A running engine as a provider, made once per address."""

    address: Address
    traits: Traits
    answerer: Answerer


class LocalAnswerer:
    """An Answerer that starts its engine when it is first asked."""

    def __init__(self, name: str, fleet: Fleet, making: Making) -> None:
        self._name, self._fleet, self._making = name, fleet, making
        self._place: Place | None = None

    async def __call__(self, ask: Ask, /) -> Answer:
        """Start the engine if need be, then ask it.

        Raises:
            ModelGone: the model is not installed; the message names the command.
            Unsupported: it asks for tools or shows media, and this model takes none.
        """
        engine = self._fleet.engine(self._name)
        engine.enter()
        try:
            place = self._at(await engine.worker.ready())
            answer = await place.answerer(self._fit(ask, place))
        except BaseException:
            engine.leave()
            raise
        answer.on_end(engine.leave)
        return answer

    def _at(self, address: Address) -> Place:
        if self._place is None or self._place.address != address:
            self._place = self._made(address)
        return self._place

    def _made(self, address: Address) -> Place:
        source, key = _source(address)
        spec = source.spec(self._name, key, self._making)
        traits = msgspec.structs.replace(spec.traits, output_cap=address.context)
        upstream = Upstream(msgspec.structs.replace(spec, traits=traits), self._fleet.client)
        return Place(address, traits, upstream)

    def _fit(self, ask: Ask, place: Place) -> Ask:
        if not isinstance(ask, Call):
            return ask
        return streamed(self._taken(ask, place))

    def _taken(self, call: Call, place: Place) -> Call:
        return fitted(call, place.address, place.traits, self._fleet.dialects[FACE])


class LocalCounter(LocalAnswerer):
    """The same for the engine's own count of tokens, which is exact."""

    def _made(self, address: Address) -> Place:
        source, key = _source(address)
        spec = source.counting(self._name, key, self._making)
        assert spec is not None, "every gateway knows the dialect in which tokens are counted"
        return Place(address, spec.traits, CountUpstream(spec, self._fleet.client))

    def _fit(self, ask: Ask, place: Place) -> Ask:
        return self._taken(ask, place) if isinstance(ask, Call) else ask


def _source(address: Address) -> tuple[Source, Secret]:
    """The engine at this address, as a provider."""
    source = Source(
        id=LOCAL,
        title="This machine",
        base_url=f"http://{address.host}:{address.port}",
        paths={FACE: "/v1"},
        auth="bearer",
        keys=(),
        counts="/v1",
    )
    return source, Secret("worker", address.api_key)
