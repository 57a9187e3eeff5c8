"""The operator's socket: commands that change state while a server runs.

A Unix socket in the data folder, mode 0600: whoever may read the folder may command.
One JSON object per line in, one out: `{"do": "keys.new", ...}` -> `{"ok": ...}` or
`{"error": "...", "code": "not_found"}`, which `said` turns into the error again. The
network reaches it only through `/admin`, for keys with a role (`admin.py`).

What changes something is noted in the audit log first, as `who` says: the user at the other end
of the socket, or the key for whom a worker asks.
"""

import asyncio
import contextlib
import logging
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from octoplex.assembly.deeds import HOWS, deed_of
from octoplex.assembly.forgetting import forget
from octoplex.assembly.issuing import REVOKED, before, new, revoked, rotated
from octoplex.assembly.plan import Plan
from octoplex.assembly.pricing import put_prices
from octoplex.assembly.report import cache_of
from octoplex.assembly.switching import Switchboard
from octoplex.assembly.tools import approve_tool
from octoplex.ledger.audit import Audit, outcome
from octoplex.ledger.orders import LONGEST, SOCKET, refusal, too_large
from octoplex.ledger.switches import Switches
from octoplex.reflex.keys import KeySpec
from octoplex.reflex.models import WILD
from octoplex.server.abroad import Abroad
from octoplex.server.accepting import BACKLOG
from octoplex.server.app import App
from octoplex.server.commanded import ordered
from octoplex.server.difference import difference, digest, settings_shown
from octoplex.server.tenancy import tenants_shown
from octoplex.settings import load
from octoplex.wire.error import GatewayError, InvalidCall, NotFound

SIGNAL = "signal:HUP"
AT_START = frozenset(
    f"server.{name}"
    for name in (
        *("listen", "admin", "workers", "data", "database", "redis", "redis_prefix", "pepper"),
        *("log", "tls", "hang_s", "batch_concurrency", "tasks_days", "task_concurrency"),
    )
)
"""What a reload leaves as it is."""
log = logging.getLogger("octoplex.server")


class Control:
    """Open while the server serves: `async with Control(...)`."""

    def __init__(self, data: Path, app: App, reload: Callable[[bool], Awaitable[str]]) -> None:
        self._path, self._app, self._reload = data / SOCKET, app, reload
        self.audit = Audit(data)
        """The folder's; nobody else writes to it while the server runs."""
        self._switching = asyncio.Lock()
        self._abroad = Abroad(app, reload, self._switching, self.audit)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Control":
        # The folder's lock is ours, so a socket that is still there belongs to nobody.
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._talk, self._path, limit=LONGEST, backlog=BACKLOG
            )
        finally:
            os.umask(mask)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            user = _user_of(writer)
            try:
                async for line in reader:
                    writer.write(msgspec.json.encode(await self._answer(line, user)) + b"\n")
                    await writer.drain()
            except ValueError:  # a line above the limit
                writer.write(msgspec.json.encode(refusal(too_large())) + b"\n")
        writer.close()

    async def _answer(self, line: bytes, user: str) -> dict[str, Any]:
        try:
            order = msgspec.json.decode(line, type=dict[str, Any])
            who = str(order.pop("who", "")) or user
            return {"ok": await self._do(order, who)}
        except GatewayError as error:
            return refusal(error)
        except (msgspec.MsgspecError, ValueError) as error:
            return refusal(InvalidCall(str(error)))
        except Exception:  # a defect of ours must not end the talk
            log.exception("an operator's command failed")
            return refusal(GatewayError("internal error; the server's log says more"))

    async def _do(self, order: dict[str, Any], who: str) -> Any:
        what = str(order.pop("do", ""))
        about, _, how = what.partition(".")
        match about, how:
            case "keys", "new" | "rotate" | "revoke":
                try:
                    return await self._keys(how, order, who)
                finally:
                    self._abroad.keys_changed()
            case "providers", "disable" | "enable" | "store_key" | "forget_key" | "reseal":
                async with self._switching:
                    return await self._providers(how, order, who)
            case "reload", "":
                return await self._renewed(who)
            case "prices", "update":
                put_prices(self._app.gateway.works.data, self.audit, order, who)
                return await self._renewed(who)
            case "mcp", "approve":
                return approve_tool(self._app.gateway.works.data, self.audit, order, who)
            case "memory", "forget":
                works, settings = self._app.gateway.works, self._app.gateway.settings
                return await forget(settings, works.env, works.data, self.audit, order, who)
            case "optimizer", _ if how in HOWS:
                return await self._optimizer(how, order, who)
            case "tasks", _:
                return await ordered(self._app.gateway, how, order, who)
            case "cache", "purge":
                return await self._purge(order, who)
        return await self._look(what, order)

    async def _look(self, what: str, order: dict[str, Any]) -> Any:
        """What changes nothing, and is not noted."""
        gateway = self._app.gateway
        match what:
            case "cache.stats":
                return cache_of(await gateway.works.reports())
            case "tenants.list":
                return await tenants_shown(gateway)
            case "config.show":
                return settings_shown(gateway.settings)
            case "config.diff":
                wanted = load(Path(msgspec.convert(order.get("path"), str)))
                return difference(gateway.settings, wanted)
            case "ping":
                return os.getpid()
        raise InvalidCall(f'The server knows no command "{what}".')

    async def hup(self) -> str:
        """Read the file again for a signal, which does not say who sent it; "" or why not."""
        try:
            await self._renewed(SIGNAL)
        except GatewayError as error:
            if not isinstance(error, InvalidCall):  # that of the file was told where it was read
                log.error("the old configuration stays in force: %s", error)
            return str(error)
        return ""

    async def _renewed(self, who: str) -> str:
        """The file in force as it is now. What it changed is known, and noted, after that."""
        old = self._app.gateway.settings
        with self.audit.change(who, "reload", old.origin, before={"digest": digest(old)}):
            done = await self._put_in_force(anew=True)
        self._abroad.renewed()
        new = self._app.gateway.settings
        changes = difference(old, new)
        after = {"digest": digest(new), "changes": changes}
        self.audit.note(who, "reloaded", new.origin, after=after)
        keys = {".".join(str(change["key"]).split(".")[:2]) for change in changes}
        if later := sorted(keys & AT_START):
            done = f"{done}; of {', '.join(later)} at the next start only"
            log.warning("%s", done)
        return done

    async def _put_in_force(self, *, anew: bool) -> str:
        """The file as it is on disk now, or as it was when it was last read."""
        problem = await self._reload(anew)
        if problem:
            raise InvalidCall(problem)
        return "reloaded"

    async def _providers(self, how: str, order: dict[str, Any], who: str) -> Any:
        works, settings = self._app.gateway.works, self._app.gateway.settings
        board = Switchboard(works.data, self.audit, settings, works.env)
        before = Switches.read(works.data)
        done = board.do(how, order, who)
        if how == "reseal":  # the same keys: nothing to put in force
            self._abroad.switched(*before.keys)
            return done
        id_ = str(order["id"])
        try:
            await self._put_in_force(anew=False)
        except InvalidCall as error:
            Switches.read(works.data).as_in(before, id_).write(works.data)
            self.audit.note(who, f"providers.{how}", id_, after=outcome(error))
            raise
        self._abroad.switched(id_)
        return done

    async def _purge(self, order: dict[str, Any], who: str) -> Any:
        route = msgspec.convert(order.get("model"), str | None)
        cache = self._app.gateway.works.cache
        before = await cache.kept(route)
        if route is not None and not before and route not in self._app.gateway.plan.routes:
            raise NotFound(f'Nothing is kept for "{route}", and there is no such route.')
        with self.audit.change(who, "cache.purge", route or "", before=before, after={}):
            try:
                return await cache.purge(route)
            finally:
                await self._abroad.purged()

    async def _optimizer(self, how: str, order: dict[str, Any], who: str) -> Any:
        gateway = self._app.gateway
        deed = await asyncio.to_thread(
            deed_of, gateway.works.data, gateway.settings, how, order, who
        )
        with self.audit.change(who, deed.what, deed.route, before=deed.before, after=deed.after):
            return {"route": deed.route, "done": await asyncio.to_thread(deed.do)}

    async def _keys(self, how: str, order: dict[str, Any], who: str) -> dict[str, str]:
        if how == "new":
            spec = msgspec.convert(order, KeySpec)
            if spec.role:
                raise InvalidCall("The file alone gives a key a role: [keys.NAME] role.")
            after = msgspec.to_builtins(spec)
            with self.audit.change(who, "keys.new", spec.name, after=after):
                return await self._new_key(spec)
        name = str(order.get("name", ""))
        old = await before(self._app.gateway.works.store, name)
        if how == "revoke":
            with self.audit.change(who, "keys.revoke", name, before=old, after=REVOKED):
                return await self._revoke(name)
        after = {"overlap_ms": (overlap_ms := msgspec.convert(order.get("overlap_ms"), int))}
        with self.audit.change(who, "keys.rotate", name, before=old, after=after):
            return await self._rotate(name, overlap_ms)

    async def _new_key(self, spec: KeySpec) -> dict[str, str]:
        gateway = self._app.gateway
        works = gateway.works
        _check_models(gateway.plan, spec.models)
        given, row = await new(works.store, works.hasher, gateway.settings, spec)
        await self._app.renew_keys()
        return {"id": row.id, "name": row.name, "secret": given}

    async def _rotate(self, name: str, overlap_ms: int) -> dict[str, str]:
        works = self._app.gateway.works
        given, row = await rotated(works.store, works.hasher, name, overlap_ms)
        await self._app.renew_keys()
        return {"id": row.id, "name": row.name, "secret": given}

    async def _revoke(self, name: str) -> dict[str, str]:
        works = self._app.gateway.works
        try:
            row = await revoked(works.store, name)
        finally:  # one whose commit nobody saw may have been revoked before
            await self._app.renew_keys()
        return {"id": row.id, "name": row.name}


def _check_models(plan: Plan, names: Iterable[str]) -> None:
    """Refuse a key for a model that nobody has; what is a glob, or a provider's, is theirs to say.

    Raises:
        NotFound: names the nearest.
    """
    for name in names:
        if WILD.isdisjoint(name) and name.partition("/")[0] not in plan.sources:
            with contextlib.suppress(InvalidCall):  # several have it
                plan.resolver.resolve(name)


def _user_of(writer: asyncio.StreamWriter) -> str:
    """Who is at the other end (SO_PEERCRED: pid, uid, gid)."""
    peer = writer.get_extra_info("socket")
    format_ = "3i"
    given = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(format_))
    return shell_of(struct.unpack(format_, given)[1])


def shell_of(uid: int) -> str:
    """`shell:NAME` of a user of this machine."""
    try:
        return f"shell:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"shell:{uid}"
