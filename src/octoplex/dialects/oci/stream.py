"""An OCI stream, or a whole reply, -> events: the machine of the Chat dialect, read otherwise.

Each event becomes a chunk (`shapes.py`); how chunks become events is `openai_chat`'s. A whole
reply is a stream of one chunk.

Reference: https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/ChatResult/Chat

Not promised: choices other than the first.
"""

import msgspec

from octoplex.dialects.broken import readable, unreadable
from octoplex.dialects.dialect import Seen
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.oci.shapes import Told, chunk_of, read_told
from octoplex.dialects.oci.verdict import judge_in_band
from octoplex.dialects.openai_chat.shapes import BROKEN_STOPS, Wire
from octoplex.dialects.openai_chat.stream import ChatDecoder
from octoplex.wire.event import UNKNOWN_USAGE, Event, Reply, fold


class OciDecoder(ChatDecoder):
    """One stream. `feed` wire bytes of whole events, then `end`."""

    __slots__ = ()

    def _read(self, data: bytes) -> Wire | None:
        try:
            told = read_told(data)
        except msgspec.ValidationError:
            return None  # valid JSON of a form that no documentation knows
        except UNREADABLE:
            self.skipped += 1
            return None
        return _checked(told, chunk_of(told))

    def _chunk(self, chunk: Wire, data: bytes, events: list[Event]) -> None:
        super()._chunk(chunk, data, events)
        if self._stop is not None and self._usage is not None:
            self._finish(events)  # Cohere's form ends without [DONE]

    def whole(self, told: Told) -> list[Event]:
        """The events of a reply that came at once."""
        events: list[Event] = []
        wire = _checked(told, chunk_of(told, streamed=False))
        for choice in wire.choices or ():
            choice.finish_reason = choice.finish_reason or "stop"
        self._chunk(wire, b"", events)
        return [*events, *self.end()]


def decode_reply(body: bytes) -> Reply:
    """Decode a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    told = readable(read_told, body)
    inner = told.chat_response
    if inner is None:
        if told.code is None and not isinstance(told.message, str):
            raise unreadable(body)
        inner = told
    elif not inner.choices and inner.text is None and inner.finish_reason is None:
        raise unreadable(body)
    reply = fold(OciDecoder().whole(inner))
    return msgspec.structs.replace(reply, model=told.model_id or "")


def read_whole(body: bytes) -> Seen:
    """Scan a whole 200 reply.

    Raises:
        UpstreamError: it is not a reply of this dialect, or an error dressed as one.
    """
    reply = decode_reply(body)
    return Seen(reply.model, None if reply.usage == UNKNOWN_USAGE else reply.usage, reply.stop)


def _checked(told: Told, wire: Wire) -> Wire:
    """The chunk, unless it is an error or an end that is none."""
    broken = any(choice.finish_reason in BROKEN_STOPS for choice in wire.choices or ())
    if broken or told.code is not None or isinstance(told.message, str):
        raise judge_in_band(told)
    return wire
