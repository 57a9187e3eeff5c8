"""Cutting out those events of a verbatim stream that may not reach the caller.

What stays keeps its bytes, and when everything stays it is the same object.

Not promised: CR line ends, where an event is cut out of a stream that has them.
"""

import json
from collections.abc import Callable

from octoplex.dialects import sse


def sift(
    wire: bytes, look: Callable[[bytes], bool], look_at_event: Callable[[bytes, bytes], bool]
) -> bytes:
    """Keep the events that pass.

    `look` is given the lines of an event with LF ends, `look_at_event` name and data of one
    with other ends; both say whether it may pass.
    """
    blocks = wire.split(b"\n\n")
    if b"\r" in wire or blocks.pop():
        return sift_slowly(wire, look_at_event)
    kept: list[bytes] | None = None
    for number, block in enumerate(blocks):
        passes = look(block)
        if not passes and kept is None:
            kept = blocks[:number]
        elif passes and kept is not None:
            kept.append(block)
    if kept is None:
        return wire
    return b"".join([block + b"\n\n" for block in kept])


def look_at_lines(block: bytes, look_at_event: Callable[[bytes, bytes], bool]) -> bool:
    """Whether an event may pass, told by its name and its data; a comment may."""
    head, _, data = block.partition(b"\ndata: {")
    if data and head.startswith(b"event: ") and block.count(b"\n") == 1:
        return look_at_event(head[7:], b"{" + data) and is_utf8(head)
    passes = all(look_at_event(name.encode(), data) for name, data in sse.events(block))
    return passes and is_utf8(block)  # its name or a comment may not be


def sift_slowly(wire: bytes, look: Callable[[bytes, bytes], bool]) -> bytes:
    """The same for events of any form; they pass whole, or rewritten when some do not."""
    found = sse.events(wire)
    kept = [(name, data) for name, data in found if look(name.encode(), data)]
    if len(kept) == len(found) and is_utf8(wire):
        return wire
    # Line ends within data are those of several `data` lines.
    lines = [
        (b"event: " + name.encode() + b"\n" if name else b"", data.replace(b"\n", b"\ndata: "))
        for name, data in kept
    ]
    return b"".join([name + b"data: " + data + b"\n\n" for name, data in lines])


def parse_strictly(data: bytes) -> object:
    """JSON as the standard has it, whatever its shape.

    Raises:
        ValueError, RecursionError: it is not JSON; NaN is not.
    """
    return json.loads(data, parse_constant=_refuse)


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8: a decoder does not look at strings that it reads over."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
