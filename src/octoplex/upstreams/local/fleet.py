"""The models on this machine as targets: `octoplex/NAME`, each loaded on first use.

A local model is asked like any provider, in its engine's own dialect over loopback, so
streams, JSON schemas and token counts are the engine's own. It costs nothing, and no
route contains one unless the file says so: it never stands in for a paid model.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from octoplex.dialects.dialect import Dialect
from octoplex.transport.http import Sender
from octoplex.transport.origin import NO_PROXIES
from octoplex.upstreams.config import Local
from octoplex.upstreams.local.models import LocalModel, available, built_in, command, find
from octoplex.upstreams.local.worker import Address, LocalWorker
from octoplex.upstreams.source import Making, Secret, Source
from octoplex.upstreams.upstream import Upstream
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask
from octoplex.wire.error import BadConfig, ModelGone

LOCAL = "octoplex"


class Fleet:
    """The workers of one gateway, by model name."""

    def __init__(self, data: Path, client: Sender, dialects: Mapping[str, Dialect]) -> None:
        self._data, self._client = data, client
        self._making = Making(dialects=dialects, proxies=NO_PROXIES)
        self._tables: dict[str, Local] = {}
        self._workers: dict[str, LocalWorker] = {}
        self._resting: list[LocalWorker] = []

    def configure(self, tables: Mapping[str, Local]) -> None:
        """Take over `[local.NAME]`. A worker whose table changed is replaced at its next use.

        Raises:
            BadConfig: a file is not there.
        """
        for name, table in tables.items():
            if not Path(table.path).expanduser().is_file():
                raise BadConfig(f"[local.{name}] path: there is no file {table.path}.")
        for name in list(self._workers):
            if self._tables.get(name) != tables.get(name):
                self._resting.append(self._workers.pop(name))
        self._tables = dict(tables)

    def names(self) -> list[str]:
        """Every model name, the built-in ones first, whether or not they can run now."""
        return list(dict.fromkeys([m.id for m in available(self._data)] + list(self._tables)))

    def unavailable(self, name: str) -> str:
        """Why a model cannot run now, with the command that changes that; "" when it can."""
        if name in self._tables:
            return ""
        row = next((m for m in available(self._data) if m.id == name), None)
        return f"run `{row.command}`" if row and row.command else ""

    def worker(self, name: str) -> LocalWorker:
        """The worker of a model, made on first use.

        Raises:
            ModelGone: no such model, or its file is not here.
        """
        worker = self._workers.get(name)
        if worker is None:
            log = self._data / f"{name}.log"
            threads = self._tables[name].threads if name in self._tables else 0
            worker = LocalWorker(self._model(name), threads=threads or None, log=log)
            self._workers[name] = worker
        return worker

    def _model(self, name: str) -> LocalModel:
        table = self._tables.get(name)
        if table is not None:
            path = Path(table.path).expanduser()
            return LocalModel(id=name, path=path, context=table.context)
        model = find(name, self._data)
        if model is not None:
            return model
        if built_in(name) is not None:
            raise ModelGone(
                f"The model octoplex/{name} is not installed; run `{command(name)}` first."
            )
        known = ", ".join(self.names())
        raise ModelGone(f'There is no model "{name}" on this machine; known: {known}.')

    def answerer(self, name: str) -> "LocalAnswerer":
        """What answers for `octoplex/NAME`."""
        return LocalAnswerer(name, self)

    def upstream(self, name: str, address: Address) -> Upstream:
        """The engine at this address, as a provider."""
        source = Source(
            id=LOCAL,
            title="This machine",
            base_url=f"http://{address.host}:{address.port}",
            paths={"openai-chat": "/v1"},
            auth="bearer",
            keys=(),
        )
        spec = source.spec(name, Secret("worker", address.api_key), self._making)
        cap = msgspec.structs.replace(spec.traits, output_cap=address.context)
        return Upstream(msgspec.structs.replace(spec, traits=cap), self._client)

    async def close(self) -> None:
        """End every process."""
        for worker in [*self._workers.values(), *self._resting]:
            await worker.close()


class LocalAnswerer:
    """An Answerer that starts its engine when it is first asked."""

    def __init__(self, name: str, fleet: Fleet) -> None:
        self._name, self._fleet = name, fleet
        self._at: Address | None = None
        self._upstream: Upstream | None = None

    async def __call__(self, ask: Ask, /) -> Answer:
        """Start the engine if need be, then ask it.

        Raises:
            ModelGone: the model is not installed; the message names the command.
        """
        address = await self._fleet.worker(self._name).ready()
        if self._upstream is None or address != self._at:
            self._at, self._upstream = address, self._fleet.upstream(self._name, address)
        return await self._upstream(ask)
