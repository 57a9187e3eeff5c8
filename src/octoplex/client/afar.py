"""Tasks of a gateway behind a URL, as whoever has a key there gives and watches them.

    runs = Afar("http://127.0.0.1:8080", "oct-...", env)      see `Runs`

A workspace is a name below the folder that the agent, or the key, has there. Where a connection
breaks, events are read on from there, so that a gateway may be started anew meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import msgspec

from octoplex.agents.task import Event, Task
from octoplex.client.outside import Outside
from octoplex.dialects import sse
from octoplex.transport.http import Limits
from octoplex.transport.sse import Splitter
from octoplex.wire.error import OurError, UpstreamBroken, UpstreamError

ASKED_S, IDLE_S = 60.0, 130.0
LONGEST_S = 8 * 86_400.0
"""No task is worked on for longer than seven days."""
AGAIN_S, TRIES = 1.0, 60
OVER = b": over\n"
_event = msgspec.json.Decoder(Event).decode


class Afar:
    """At a gateway elsewhere. Made inside the event loop that uses it."""

    def __init__(self, url: str, api_key: str | None, env: Mapping[str, str]) -> None:
        """Prepare. Raises `BadConfig`, as `Outside`."""
        self._outside = Outside(url, api_key, env)

    async def submit(self, task: Task) -> str:
        """Take a task on."""
        return str((await self._post("/tasks", task))["id"])

    async def follow(self, id_: str, after: int = 0) -> AsyncIterator[Event]:
        """What happens to it."""
        tries = 0
        while True:
            try:
                async for event in self._heard(id_, after):
                    after, tries = event.number, 0
                    yield event
                return
            except (UpstreamError, OurError):
                tries += 1
                if tries == TRIES:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def approve(self, id_: str, step: str, word: Mapping[str, Any]) -> None:
        """Say whether a step may be done."""
        said = {"step": step, "decision": "approve" if word.get("approved") else "deny"}
        said |= {"why": word.get("note", ""), "topic": word.get("topic", "")}
        await self._post(f"{_path(id_)}/approve", said)

    async def cancel(self, id_: str, by: str) -> None:
        """Have it end."""
        await self._post(f"{_path(id_)}/cancel", {})

    async def resume(self, id_: str) -> None:
        """Let one that was cancelled or failed go on."""
        await self._post(f"{_path(id_)}/resume", {})

    async def close(self) -> None:
        """Let go of the connections; tasks go on there."""
        await self._outside.close()

    async def _heard(self, id_: str, after: int) -> AsyncIterator[Event]:
        """One connection's events, up to the end of the task.

        Raises:
            UpstreamBroken: it ended before.
        """
        path = f"{_path(id_)}/events?after={after}"
        response = await self._outside.ask("GET", path, b"", _limits(LONGEST_S))
        if response.body is not None:
            raise UpstreamBroken("The server sent no events of the task.")
        splitter, now = Splitter(), asyncio.get_running_loop().time
        try:
            while data := await response.read():
                response.expires_at = now() + IDLE_S
                whole = splitter.feed(data)
                for _, event in sse.events(whole):
                    with suppress(msgspec.MsgspecError):  # why no more come now
                        yield _event(event)
                if OVER in whole:
                    return
        finally:
            response.close()
        raise UpstreamBroken("The events of the task broke off.")

    async def _post(self, path: str, body: object) -> Any:
        response = await self._outside.ask(
            "POST", path, msgspec.json.encode(body), _limits(ASKED_S)
        )
        try:
            return msgspec.json.decode(response.body or b"")
        except msgspec.DecodeError:
            raise UpstreamBroken("What the server says of the task cannot be read.") from None


def _path(id_: str) -> str:
    return f"/tasks/{quote(id_, safe='')}"


def _limits(total_s: float) -> Limits:
    deadline_at = asyncio.get_running_loop().time() + total_s
    return Limits(first_s=ASKED_S, idle_s=IDLE_S, deadline_at=deadline_at)
