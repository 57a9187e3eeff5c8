"""What operators change at one host is so at all: keys, switches, purges.

    abroad = Abroad(app, reload, lock)      hears what others say from now on
    abroad.keys_changed()                   and says what was changed here
    abroad.switched("openai")

`lock` is held by whoever changes switches here, so that neither overwrites the other. What came
from another host is noted in the audit log like what was done here. Without other hosts
(`Works.common`) it does nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec import to_builtins

from octoplex.ledger.audit import Audit
from octoplex.ledger.common import Common
from octoplex.ledger.switches import Switches
from octoplex.server.app import App
from octoplex.wire.error import StoreFailed

log = logging.getLogger("octoplex.server")
ELSEWHERE = "another host"
PURGES = "purges"
"""The file with the number of the last purge that is in force here."""
UNTOLD = "untold"
"""The file with what the other hosts are still to be told, whatever becomes of this process."""
PURGED = "purged"


class Abroad:
    """Owned by the event loop of the process that has the data folder."""

    def __init__(
        self,
        app: App,
        reload: Callable[[bool], Awaitable[str]],
        lock: asyncio.Lock,
        audit: Audit,
    ) -> None:
        self._app, self._reload, self._lock, self._audit = app, reload, lock, audit
        app.gateway.works.store.hear_keys(lambda rows: app.gateway.put_keys(rows))
        self._common = common = app.gateway.works.common
        self._refused = False
        """What the other hosts have could not be put in force."""
        if common is not None:
            common.listen("keys", app.renew_keys)
            common.listen("switches", self._hear_switches)
            common.listen("cache", self._hear_purge)
            common.on_told = self._forget_untold
            self._tell_again(common)

    def keys_changed(self) -> None:
        """A key was made, turned or revoked here."""
        if self._common is not None:
            self._common.say("keys")

    def renewed(self) -> None:
        """The file was read again: what was refused before may be in force now."""
        if self._refused and self._common is not None:
            self._common.look_again("switches")

    def switched(self, *ids: str) -> None:
        """Providers are switched otherwise here."""
        if self._common is not None:
            switches = Switches.read(self._app.gateway.works.data)
            for id_ in ids:
                self._note_untold(f"switched {id_}")
                self._common.put(id_, switches)

    async def purged(self) -> None:
        """What was kept of replies is forgotten here."""
        if self._common is None:
            return
        if self._app.gateway.works.hosts is None:  # else the stock has said so
            self._note_untold(PURGED)
            self._common.say("cache")
        with suppress(StoreFailed):  # then it is said later
            await self._common.flush()
            self._note_purges()

    def _note_untold(self, what: str) -> None:
        with suppress(OSError), (self._app.gateway.works.data / UNTOLD).open("a") as file:
            file.write(f"{what}\n")

    def _forget_untold(self) -> None:
        with suppress(OSError):  # then it is told once more
            (self._app.gateway.works.data / UNTOLD).unlink(missing_ok=True)

    def _tell_again(self, common: Common) -> None:
        """What the process before this one could not tell: else what others have would count."""
        data, lines = self._app.gateway.works.data, list[str]()
        with suppress(OSError, UnicodeDecodeError):
            lines = (data / UNTOLD).read_text().splitlines()
        for line in lines:
            what, _, id_ = line.partition(" ")
            if what == PURGED:
                common.say("cache")
            elif id_:
                common.put(id_, Switches.read(data))

    async def _hear_purge(self) -> None:
        """Forget, too, but for a purge that is in force: workers and a file outlive the owner."""
        assert self._common is not None
        works, known = self._app.gateway.works, None
        with suppress(OSError):
            known = (works.data / PURGES).read_bytes()
        if known not in (None, self._common.number("cache")):
            if works.hosts is not None:
                await works.cache.purged_elsewhere()
            else:
                self._audit.note(ELSEWHERE, "cache.purge", "")
                await works.cache.purge()
        self._note_purges()

    def _note_purges(self) -> None:
        assert self._common is not None
        with suppress(OSError):  # then the next start forgets once more
            (self._app.gateway.works.data / PURGES).write_bytes(self._common.number("cache"))

    async def _hear_switches(self) -> None:
        assert self._common is not None
        data = self._app.gateway.works.data
        async with self._lock:
            before = Switches.read(data)
            after = await self._common.switches(before)
            if after == before:
                return
            for id_ in _differing(before, after):
                self._audit.note(
                    ELSEWHERE,
                    "providers.switch",
                    id_,
                    before=_shown(before, id_),
                    after=_shown(after, id_),
                )
            after.write(data)
            problem = await self._reload(False)
            self._refused = problem != ""
            if problem:
                before.write(data)
                self._audit.note(ELSEWHERE, "providers.switch", "", after=f"refused: {problem}")
                log.error("what another host switched is not in force here: %s", problem)


def _differing(before: Switches, after: Switches) -> list[str]:
    ids = {*before.off, *after.off, *before.keys, *after.keys}
    return sorted(
        i
        for i in ids
        if (before.off.get(i), before.keys.get(i)) != (after.off.get(i), after.keys.get(i))
    )


def _shown(switches: Switches, id_: str) -> dict[str, object]:
    """One provider's switches, without what is sealed."""
    key = switches.keys.get(id_)
    last4 = {"last4": key.last4} if key else {}
    off = switches.off.get(id_)
    return {"enabled": off is None, **({"off": to_builtins(off)} if off else {}), **last4}
