"""One server of the file, as long as the process lives: connected when needed, listed, called.

A server may die, hang, come back with other tools, or never come: each is the failure of the step
that needed it, with the reason, and the next step finds it connected anew. Between failures there
is a pause that doubles. Its tools are listed again after a new connection, when it says that they
have changed, and when what is known of them is older than a minute; so what is used is always what
was approved.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from octoplex.agents.mcp.config import McpTable
from octoplex.agents.mcp.listed import Listed, listed
from octoplex.agents.mcp.messages import Lost, RpcError
from octoplex.agents.mcp.pins import Pins
from octoplex.agents.mcp.session import Progress, Session
from octoplex.agents.mcp.wire import Wire
from octoplex.agents.words import Failed
from octoplex.wire.error import StoreFailed

FRESH_S = 60.0
REST_S, LONGEST_REST_S = 0.5, 30.0
T = TypeVar("T")
Others = Callable[[], Iterable[str]]


class ToolServer:
    """A server and what it offers."""

    def __init__(
        self,
        name: str,
        table: McpTable,
        pins: Pins,
        make: Callable[[], Wire],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`make` makes a wire, not yet open; `now` is a clock in seconds."""
        self.name, self.table, self.pins = name, table, pins
        self.known: list[Listed] = []
        """Its tools when it was last asked."""
        self.trouble = ""
        """Why it could not be reached the last time."""
        self.others: Others = tuple
        """Names of other servers' tools."""
        self._make, self._now = make, now
        self._raw: list[dict[str, Any]] = []
        self._session: Session | None = None
        self._lock = asyncio.Lock()
        self._listed_at = self._rests_until = float("-inf")
        self._failures = 0
        self._probe, self._is_over = True, False

    async def tools(self, *, anew: bool = False) -> list[Listed]:
        """Its tools beside what was approved. `anew`: ask it, however fresh what is known is.

        Raises:
            Failed: it cannot be reached, or lists what cannot be used.
        """
        return await self._bounded(self._seen(anew))

    async def call(
        self, tool: str, arguments: Mapping[str, Any], progress: Progress | None = None
    ) -> tuple[Listed, dict[str, Any]]:
        """Call an approved tool; the tool as it was then, and its result as it came.

        Raises:
            Failed: refused because it is not approved; failed, or too slow.
        """
        return await self._bounded(self._called(tool, arguments, progress))

    async def close(self) -> None:
        """End the connection, for good."""
        self._is_over = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _bounded(self, work: Awaitable[T]) -> T:
        """Within the time of one call; what goes wrong said as a step's failure."""
        seconds = self.table.timeout_s
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            raise Failed("timeout", f"mcp.{self.name} did not answer in {seconds:g} s.") from None
        except RpcError as error:
            raise Failed("failed", f"mcp.{self.name} refused: {error}.") from None
        except (Lost, StoreFailed) as error:
            raise Failed("failed", f"mcp.{self.name}: {error}".rstrip(".") + ".") from None

    async def _seen(self, anew: bool) -> list[Listed]:
        async with self._lock:
            await self._listing(anew=anew)
            await self._look()  # somebody may have approved one meanwhile
            return self.known

    async def _called(
        self, tool: str, arguments: Mapping[str, Any], progress: Progress | None
    ) -> tuple[Listed, dict[str, Any]]:
        for again in (False, True):
            async with self._lock:
                session = await self._listing()
                one = await self._approved(tool)
            try:
                return one, await session.call(one.definition, arguments, progress)
            except Lost as error:
                await self._drop(session, str(error))
                if again or error.reached:
                    raise
            except asyncio.CancelledError:
                self._listed_at = float("-inf")  # whether it still lives shows at the next listing
                raise
        raise AssertionError("the second round returns or raises")

    async def _approved(self, tool: str) -> Listed:
        one = next((one for one in self.known if one.name == tool), None)
        if one is not None and one.state != "approved":
            await self._look()  # somebody may have approved it meanwhile
            one = next(one for one in self.known if one.name == tool)
        if one is None:
            raise Failed("refused", f"mcp.{self.name} has no tool {tool[:100]}.")
        if one.state != "approved":
            raise Failed("refused", f"mcp.{self.name}.{tool} may not be used: {one.why}.")
        return one

    async def _listing(self, *, anew: bool = False) -> Session:
        """A session whose tools are known well enough."""
        for again in (False, True):
            session = await self._connected()
            is_old = self._now() - self._listed_at > FRESH_S
            if not (anew or is_old or session.is_stale):
                return session
            try:
                self._raw = await session.tools()
                await self._trust()
            except Lost as error:
                await self._drop(session, str(error))
                if again or error.reached:
                    raise
            except BaseException as error:
                await self._drop(session, str(error) or "it did not answer in time")
                raise
            else:
                self._listed_at = self._now()
                return session
        raise AssertionError("the second round returns or raises")

    async def _trust(self) -> None:
        """Hold a listing beside the pins; trust it if it is the first and the file says so."""
        await self._look()
        if self.table.trust == "first" and self.pins.read() is None:
            good = [dict(one.definition) for one in self.known if _is_plain(one)]
            self.pins.approve(good, "first sight", time.time_ns() // 1_000_000)
            await self._look()

    async def _look(self) -> None:
        """What is known beside what is approved now. Long descriptions take a while."""
        pins, others = self.pins.read() or {}, list(self.others())
        wanted = self.table.tools
        self.known = await asyncio.to_thread(listed, self.name, self._raw, pins, wanted, others)

    async def _connected(self) -> Session:
        """The session, made anew where there is none."""
        if self._session is not None:
            return self._session
        if self._is_over:
            raise Lost("its table in the file has changed, or the process ends", reached=False)
        rests_s = self._rests_until - self._now()
        if rests_s > 0:
            raise Lost(f"{self.trouble}; it is tried again in {rests_s:.1f} s", reached=False)
        try:
            self._session = await self._opened()
        except BaseException as error:
            self._rest(str(error) or "it did not answer in time")
            raise
        self._listed_at = float("-inf")
        self.trouble, self._failures = "", 0
        return self._session

    async def _opened(self) -> Session:
        """A new session, with the newest revision where the server lets itself be asked for it."""
        session = Session(self._make())
        try:
            await session.open(probe=self._probe)
        except BaseException as error:
            await session.close()
            if not (self._probe and isinstance(error, Lost) and error.reached):
                raise
        else:
            return session
        self._probe = False  # some die of what they do not know
        return await self._opened()

    async def _drop(self, session: Session, why: str) -> None:
        if self._session is session:
            self._session = None
            self._rest(why)
        await session.close()

    def _rest(self, why: str) -> None:
        """Note a failure: the first is tried again at once, the next ones later and later."""
        if self._failures:
            pause_s = min(REST_S * 2 ** (self._failures - 1), LONGEST_REST_S)
            self._rests_until = self._now() + pause_s
        self._failures, self.trouble = self._failures + 1, why


def _is_plain(one: Listed) -> bool:
    """Whether a tool may be trusted unseen."""
    return one.state == "new" and not one.signs
