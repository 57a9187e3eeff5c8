"""Work on large bodies, done beside the event loop.

    call = await beside(len(body), read_call, arrival, body)

To read, understand or write a body takes 5 to 40 ms a megabyte, in which nobody else would be
answered. From `LARGE` on it is done in a thread; what holds the interpreter's lock there are single
calls of msgspec, each over one value or one body: 25 ms for one text of 30 MB in ASCII or of 20 MB
beyond, 60 to 75 ms for one of 38 MB in escapes. They cannot be parted.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from octoplex.wire.ask import Call
from octoplex.wire.error import GatewayError

P = ParamSpec("P")
T = TypeVar("T")
LARGE = 1_000_000
"""Bytes. To hand over to a thread and back takes 0.1 ms."""


async def beside(size: int, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """What this work gives; `size` is that of the body it is about."""
    if size < LARGE:
        return work(*args, **named)
    return await asyncio.to_thread(work, *args, **named)


def is_left(call: Call) -> bool:
    """Whether to ask for its typed view now would hold up the event loop."""
    return len(call.raw) >= LARGE and not call.is_understood


async def understood(call: Call) -> None:
    """Have its typed view ready; one that cannot be read says so whenever it is asked for."""
    if is_left(call):
        with suppress(GatewayError):
            await asyncio.to_thread(call.chat)
