"""Replies that are none: what a page of HTML, half a JSON or a cut stream becomes.

`reached` says that the provider may have done the work, and may bill it.
"""

from collections.abc import Callable
from typing import TypeVar

from octoplex.dialects.members import UNREADABLE
from octoplex.wire.error import UpstreamBroken
from octoplex.wire.redact import snippet

T = TypeVar("T")


def readable(read: Callable[[bytes], T], body: bytes) -> T:
    """Read a 200 reply.

    Raises:
        UpstreamBroken: it is no reply.
    """
    try:
        return read(body)
    except UNREADABLE:
        raise unreadable(body) from None


def unreadable(body: bytes) -> UpstreamBroken:
    """The error for a 200 that is no reply: a page of HTML, half a JSON, another dialect."""
    error = UpstreamBroken(f"The provider's reply cannot be read: {snippet(body)!r}.")
    error.reached = body.lstrip()[:1] == b"{"  # a cut reply was made and may be billed
    return error


def named(name: str | None) -> str:
    """The name of a tool call.

    Raises:
        UpstreamBroken: it has none, so nobody could run it.
    """
    if not name:
        raise cut("The provider's reply holds a tool call without a name.")
    return name


def cut(message: str) -> UpstreamBroken:
    """The error for a stream that has a hole, or ends without saying why."""
    error = UpstreamBroken(message)
    error.reached = True
    return error
