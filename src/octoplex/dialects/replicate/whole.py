"""A finished prediction, read.

Reference: https://replicate.com/docs/topics/predictions/lifecycle
"""

from octoplex.dialects.broken import readable, unreadable
from octoplex.dialects.dialect import Seen
from octoplex.dialects.replicate.shapes import (
    Prediction,
    error_of,
    read_prediction,
    text_of,
    usage_read,
)
from octoplex.dialects.replicate.verdict import failed
from octoplex.wire.event import Reply, Text, Usage

UNKNOWN_USAGE = Usage(estimated=True)


def read_whole(body: bytes) -> Seen:
    """Scan a whole 200 reply.

    Raises:
        UpstreamError: it is no prediction, or one that did not succeed.
    """
    wire = _read(body)
    return Seen(wire.model, usage_read(wire.metrics), "end")


def decode_reply(body: bytes) -> Reply:
    """Decode a whole 200 reply.

    Raises:
        UpstreamError: it is no prediction, or one that did not succeed.
    """
    wire = _read(body)
    text = text_of(wire.output)
    return Reply(
        id=wire.id,
        model=wire.model,
        blocks=(Text(text),) if text else (),
        stop="end",
        usage=usage_read(wire.metrics) or UNKNOWN_USAGE,
    )


def _read(body: bytes) -> Prediction:
    wire = readable(read_prediction, body)
    if not wire.status:
        raise unreadable(body)
    if wire.status != "succeeded":
        raise failed(wire.status, error_of(wire.error))
    return wire
