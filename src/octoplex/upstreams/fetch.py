"""Fetch what a caller names by URL, where the target's dialect needs the bytes.

    await fetcher.fill(call, dialect, traits) -> the call, bytes in place of those addresses

A caller decides where this goes, so it is held down on every side (security S40-S42):

- where to: `Rules.site` for the first URL and for each of at most three redirects; then
  only addresses that are public when the connection is made (`transport/public.py`), never
  through a proxy, which would look the name up again;
- what goes out: a GET without credentials, cookies or anything of the caller's request;
- what comes in: so many bytes, counted after decompression, of a type on the list;
- how much at once: `AT_ONCE` for a call, `IN_ALL` for the process, `LOOK_UPS` names, and
  `rules.wait_s` for all of a call, within its deadline.

Each part has a client of its own, which keeps nothing: pools and look-ups that callers could
fill up would otherwise live as long as the process. What one attempt has fetched the next
one of the same call finds in its trail.

Paths in errors count messages and parts of the typed view; in dialects that count
otherwise they are near, not exact.

Not promised: that two fetches of one URL give the same; that a caller cannot learn whether a
public host answers us.
"""

import asyncio
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes, urljoin

import msgspec
from msgspec import Struct

from octoplex.dialects.addresses import NO_MEDIA_URLS, needs_bytes
from octoplex.dialects.dialect import Traits
from octoplex.transport.connection import Caps
from octoplex.transport.http import Bounds, Client, Limits, Request, Response, default_context
from octoplex.transport.public import PublicResolver
from octoplex.transport.resolve import Address, Ask
from octoplex.upstreams.site import Rules, Site, unsupported, wrong
from octoplex.upstreams.sniff import type_of
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Media, Message, Native, Part, ToolResult
from octoplex.wire.eager import in_task
from octoplex.wire.error import DeadlinePassed, InvalidCall, UpstreamError

MOST_PARTS = 64
AT_ONCE, IN_ALL = 4, 32
LOOK_UPS = 4
MOST_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
ACCEPT = {"image": "image/*", "audio": "audio/*", "document": "*/*"}
CONNECT_S, SILENCE_S = 5.0, 10.0

Key = tuple[str, str]
"""Kind and URL of a part."""


class Need(Struct, frozen=True):
    """A part that is wanted as bytes, and where it stands."""

    media: Media
    path: str


class Budget(Struct):
    """Bytes that a call may still fetch."""

    left: int


class Fetcher:
    """Fetches under rules. `ask` looks names up (getaddrinfo) unless a test has its own."""

    __slots__ = ("_ask", "_context", "_loop", "_rules", "_slots", "_threads")

    def __init__(
        self, rules: Rules, context: ssl.SSLContext | None = None, ask: Ask | None = None
    ) -> None:
        """Make one inside a running loop. Without a context the system's roots are trusted."""
        self._rules, self._ask = rules, ask or self._look_up
        self._context = context or default_context()
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(IN_ALL)
        self._threads = ThreadPoolExecutor(LOOK_UPS, "look-up")

    async def fill(self, call: Call, dialect: str, traits: Traits) -> Call:
        """The call as the target can take it. Nothing is fetched for what it takes as it is.

        Raises:
            InvalidCall: a part cannot be had; names it and says what to send.
            Unsupported: this gateway does not fetch it.
            DeadlinePassed: the caller's deadline ran out meanwhile.
        """
        chat = call.chat()
        fetches = NO_MEDIA_URLS not in traits.quirks
        needs = [
            n for n in _parts(chat) if needs_bytes(dialect, traits.model, n.media, fetches=fetches)
        ]
        if not needs:
            return call
        had = call.trail.fetched
        if had is None:
            had = call.trail.fetched = {}
        missing = {_key(n.media): n for n in needs if _key(n.media) not in had}
        if len(missing) > MOST_PARTS:
            raise wrong(needs[MOST_PARTS].path, f"at most {MOST_PARTS} parts may be URLs")
        if missing:
            await in_task()
            await self._all(list(missing.values()), call, had)
        filled = _with_bytes(chat, {n.path: had[_key(n.media)] for n in needs})
        return msgspec.structs.replace(call, _chat=filled)

    async def _all(self, needs: list[Need], call: Call, had: dict[Key, Media]) -> None:
        """Fetch side by side, what the caller named first first; the first failure ends it."""
        until_at = min(self._loop.time() + self._rules.wait_s, call.deadline_at)
        budget, queue = Budget(self._rules.total_bytes), iter(needs)

        async def work() -> None:
            for need in queue:
                async with self._slots:
                    had[_key(need.media)] = await self._one(need, budget, until_at)

        try:
            async with asyncio.timeout_at(until_at), asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(needs))):
                    group.create_task(work())
        except TimeoutError:
            raise _late(needs[0], call, until_at, self._rules) from None
        except ExceptionGroup as several:
            first = several.exceptions[0]
            if isinstance(first, DeadlinePassed):
                raise _late(needs[0], call, until_at, self._rules) from None
            raise first from None

    async def _look_up(self, host: str, port: int) -> list[Address]:
        """Ask the system in threads of our own: slow names must not keep providers' waiting."""
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        rows = await self._loop.run_in_executor(self._threads, ask)
        return [(row[0], row[4]) for row in rows]

    async def _one(self, need: Need, budget: Budget, until_at: float) -> Media:
        """Fetch one part.

        Raises:
            InvalidCall, Unsupported: it cannot be had, or is not what it should be.
            DeadlinePassed: it took too long.
        """
        media, path = need.media, need.path
        if (media.url or "")[:5].lower() == "data:":
            said, body = _unpacked(media.url or "", path)
        elif not self._rules.fetch:
            raise unsupported(path, "this gateway fetches nothing")
        else:
            room = min(self._rules.part_bytes, max(budget.left, 0))
            said, body = await self._got(need, room, until_at)
        budget.left -= len(body)
        if len(body) > self._rules.part_bytes or budget.left < 0:
            raise _too_large(path, self._rules)
        kind = type_of(media.kind, said, body)
        if kind is None:
            shown = said.partition(";")[0].strip()[:60] or "bytes of no type"
            raise wrong(path, f"it is not {_a(media.kind)} of a known type but {shown}")
        data = b64encode(body).decode()
        return msgspec.structs.replace(media, url=None, data=data, media_type=kind)

    async def _got(self, need: Need, room: int, until_at: float) -> tuple[str, bytes]:
        """The type and the bytes at the end of its redirects."""
        site = self._rules.site(need.media.url or "", need.path)
        loop = self._loop
        client = Client(
            self._context,
            Bounds(connections=1, idle=0),
            Caps(head_bytes=16 * 1024, headers=64, body_bytes=room),
            PublicResolver(loop, self._rules.networks, self._ask),
        )
        limits = Limits(CONNECT_S, SILENCE_S, SILENCE_S, until_at)
        try:
            for _ in range(MOST_REDIRECTS + 1):
                response = await client.send(_request(site, need.media.kind), limits)
                if response.status not in REDIRECTS:
                    return _whole(response, site, need.path)
                site = self._next(site, response, need.path)
            raise wrong(need.path, f"it leads on more than {MOST_REDIRECTS} times")
        except UpstreamError as error:
            raise wrong(need.path, str(error).rstrip(".")) from None
        except InvalidCall as error:
            raise error if "param" in error.facts else wrong(need.path, str(error)) from None
        finally:
            client.close()

    def _next(self, site: Site, response: Response, path: str) -> Site:
        """Where a redirect leads, under the same rules; never from https to http."""
        response.close()
        try:
            url = urljoin(site.url, response.headers.get("location", ""))
        except ValueError:
            url = ""
        found = self._rules.site(url, path)
        if site.origin.scheme == "https" and found.origin.scheme != "https":
            raise wrong(path, "it leads from https to http")
        return found


def _parts(chat: Chat) -> Iterator[Need]:
    """Every piece of media and its path."""
    for at, message in enumerate(chat.messages):
        for place, part in enumerate(message.parts):
            path = f"messages[{at}].content[{place}]"
            if isinstance(part, Media):
                yield Need(part, path)
            elif isinstance(part, ToolResult | Native):
                held = part.parts if isinstance(part, ToolResult) else part.means
                for inner, piece in enumerate(held):
                    if isinstance(piece, Media):
                        yield Need(piece, f"{path}.content[{inner}]")


def _with_bytes(chat: Chat, found: dict[str, Media]) -> Chat:
    """The chat with what was fetched in its places; each keeps its own title and breakpoint."""

    def filled(part: Media, path: str) -> Media:
        got = found.get(path)
        if got is None:
            return part
        return msgspec.structs.replace(part, url=None, data=got.data, media_type=got.media_type)

    def whole(part: Part, path: str) -> Part:
        if isinstance(part, Media):
            return filled(part, path)
        if isinstance(part, ToolResult):
            return msgspec.structs.replace(part, parts=inside(part.parts, path))
        if isinstance(part, Native):
            return msgspec.structs.replace(part, means=inside(part.means, path))
        return part

    def inside(parts: tuple[Any, ...], path: str) -> tuple[Any, ...]:
        return tuple(
            filled(p, f"{path}.content[{i}]") if isinstance(p, Media) else p
            for i, p in enumerate(parts)
        )

    def turn(at: int, message: Message) -> Message:
        parts = (whole(p, f"messages[{at}].content[{i}]") for i, p in enumerate(message.parts))
        return msgspec.structs.replace(message, parts=tuple(parts))

    messages = tuple(turn(at, message) for at, message in enumerate(chat.messages))
    return msgspec.structs.replace(chat, messages=messages)


def _key(media: Media) -> Key:
    return media.kind, media.url or ""


def _request(site: Site, kind: str) -> Request:
    head = site.origin.head("GET", site.target, (("accept", ACCEPT[kind]),))
    return Request(origin=site.origin, head=head, idempotent=True)


def _whole(response: Response, site: Site, path: str) -> tuple[str, bytes]:
    if response.status != 200 or response.body is None:
        response.close()
        answer = "a stream" if response.status == 200 else f"status {response.status}"
        raise wrong(path, f"{site.shown} answers {answer}")
    return response.headers.get("content-type", ""), response.body


def _unpacked(url: str, path: str) -> tuple[str, bytes]:
    """The type and the bytes in a `data:` URL (RFC 2397)."""
    head, comma, text = url[5:].partition(",")
    if not comma:
        raise wrong(path, "it is no data: URL")
    said, _, coding = head.rpartition(";")
    body = unquote_to_bytes(text)
    if coding.strip().lower() != "base64":
        return head or "text/plain", body
    try:
        return said or "text/plain", b64decode(body, validate=False)
    except ValueError:
        raise wrong(path, "its data is no base64") from None


def _too_large(path: str, rules: Rules) -> InvalidCall:
    return wrong(
        path,
        f"at most {rules.part_bytes} bytes are taken for a part, {rules.total_bytes} for a call",
    )


def _late(need: Need, call: Call, until_at: float, rules: Rules) -> DeadlinePassed | InvalidCall:
    if until_at >= call.deadline_at:
        return DeadlinePassed("The call's deadline ran out while its media were fetched.")
    return wrong(need.path, f"it, or what follows it, did not come within {rules.wait_s:g} s")


def _a(kind: str) -> str:
    return f"a{'n' if kind[:1] in 'ai' else ''} {kind}"
