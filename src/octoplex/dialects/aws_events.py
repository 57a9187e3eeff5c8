"""AWS event streams, read from bytes that hold whole frames.

Transport cuts a stream at frame boundaries and checks its checksums
(`transport/aws_frames.py`), so this has no state: bytes in, a list of events out. An
event is of kind `event` (named by `:event-type`), an `exception` (`:exception-type`, its
members in the payload) or an `error` (`:error-code`, with `:error-message`).

Reference: https://smithy.io/2.0/aws/amazon-eventstream.html

Not promised: headers other than those of strings, which are read over.
"""

from functools import lru_cache
from struct import Struct, error

from msgspec import Struct as Record

from octoplex.dialects.broken import cut

_read_prelude = Struct(">II").unpack_from
_read_size = Struct(">H").unpack_from
_BEFORE_HEADERS, _AFTER_PAYLOAD = 12, 4
_STRING = 7
_USUAL_HEADERS = 256
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a value by its type; bytes and strings (6, 7) have their size before them."""


class AwsEvent(Record, frozen=True, gc=False):
    """One event; `name` is its event type, exception type or error code."""

    kind: str
    name: str
    payload: bytes
    said: str = ""
    """What an `error` says; it has no payload."""


def events(wire: bytes) -> list[AwsEvent]:
    """Read the events in `wire`, which holds whole frames only; half a one is read over.

    Raises:
        UpstreamBroken: headers that are none.
    """
    found: list[AwsEvent] = []
    at = 0
    while at + _BEFORE_HEADERS + _AFTER_PAYLOAD <= len(wire):
        total, size = _read_prelude(wire, at)
        end = at + total
        body = at + _BEFORE_HEADERS + size
        if end > len(wire) or body > end - _AFTER_PAYLOAD:
            break
        block = wire[at + _BEFORE_HEADERS : body]
        headers = _headers_again(block) if size <= _USUAL_HEADERS else _headers(block)
        kind = headers.get(":message-type", "event")
        name = headers.get(":error-code" if kind == "error" else f":{kind}-type", "")
        payload = wire[body : end - _AFTER_PAYLOAD]
        found.append(AwsEvent(kind, name, payload, headers.get(":error-message", "")))
        at = end
    return found


def _headers(wire: bytes) -> dict[str, str]:
    """The headers that are strings.

    Raises:
        UpstreamBroken: they do not end where they should, or are of no known type.
    """
    found: dict[str, str] = {}
    at, end = 0, len(wire)
    try:
        while at < end:
            name = at + 1
            type_ = name + wire[at]
            value = type_ + 1
            if wire[type_] in _SIZES:
                at = value + _SIZES[wire[type_]]
                continue
            start = value + 2
            at = start + _read_size(wire, value)[0]
            if wire[type_] == _STRING:
                key = wire[name:type_].decode("utf-8", "replace")
                found[key] = wire[start:at].decode("utf-8", "replace")
    except (IndexError, error):
        at = -1
    if at != end:
        raise cut("The provider's stream holds a frame whose headers cannot be read.")
    return found


_headers_again = lru_cache(64)(_headers)
"""The frames of a stream have the same few headers: finding them anew costs 10 us each."""
