"""The operator's socket: commands that change state while a server runs.

A Unix socket in the data folder, mode 0600: whoever may read the folder may command.
One JSON object per line in, one out: `{"do": "keys.new", ...}` -> `{"ok": ...}` or
`{"error": "..."}`. Nothing here is reachable over the network.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from octoplex.assembly.region import check_demanded
from octoplex.reflex.keys import KeySpec, new_key
from octoplex.server.app import App
from octoplex.wire.error import GatewayError, InvalidCall

NAME = "control.sock"
LONGEST = 64 * 1024


class Control:
    """Open while the server serves: `async with Control(...)`."""

    def __init__(self, data: Path, app: App, reload: Callable[[], Awaitable[str]]) -> None:
        self._path, self._app, self._reload = data / NAME, app, reload
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Control":
        # The folder's lock is ours, so a socket that is still there belongs to nobody.
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._talk, self._path, limit=LONGEST)
        finally:
            os.umask(mask)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            async for line in reader:
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            order = msgspec.json.decode(line, type=dict[str, Any])
            return {"ok": await self._do(order)}
        except (GatewayError, msgspec.MsgspecError, ValueError) as error:
            return {"error": str(error)}

    async def _do(self, order: dict[str, Any]) -> Any:
        match order.pop("do", ""):
            case "keys.new":
                return await self._new_key(msgspec.convert(order, KeySpec))
            case "keys.revoke":
                return await self._revoke(str(order.get("name", "")))
            case "reload":
                problem = await self._reload()
                if problem:
                    raise InvalidCall(problem)
                return "reloaded"
            case "cache.stats":
                return await self._app.gateway.works.cache.stats()
            case "cache.purge":
                route = msgspec.convert(order.get("model"), str | None)
                return await self._app.gateway.works.cache.purge(route)
            case "ping":
                return os.getpid()
            case other:
                raise InvalidCall(f'The server knows no command "{other}".')

    async def _new_key(self, spec: KeySpec) -> dict[str, str]:
        works = self._app.gateway.works
        if any(key.name == spec.name for key in works.keyring):
            raise InvalidCall(f'There is a key "{spec.name}" already; revoke it or choose a name.')
        check_demanded(self._app.gateway.settings, {"region": spec.region})
        given, row = new_key(spec, works.hasher, int(time.time() * 1000))
        await works.store.add_key(row)
        self._app.gateway.put_keys(await works.store.keys())
        return {"id": row.id, "name": row.name, "secret": given}

    async def _revoke(self, name: str) -> dict[str, str]:
        works = self._app.gateway.works
        row = await works.store.revoke_key(name, int(time.time() * 1000))
        if row is None:
            raise InvalidCall(f'There is no key "{name}" in use; `octoplex keys list` shows them.')
        self._app.gateway.put_keys(await works.store.keys())
        return {"id": row.id, "name": row.name}
