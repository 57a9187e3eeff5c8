"""What dialects share that only providers speak.

Nothing of such a dialect ever passes verbatim: a request is written from the typed view,
and a stream is decoded. So its side of a provider is a handful of functions (`Parts`), and
its scanner looks at events, because a second reading of the same bytes would only cost time.

Not promised: the scanner's speed; a dialect with a face has one of its own.
"""

import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from octoplex.dialects.dialect import Decoder, Encoded, Scanner, Seen, Traits
from octoplex.wire.chat import Chat
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import (
    UNKNOWN_USAGE,
    Finished,
    Reply,
    Started,
    StopReason,
    TextDelta,
    Usage,
)


class Parts(Struct, frozen=True, kw_only=True):
    """The functions of a dialect; `judge` takes status, headers, body and Unix time."""

    write: Callable[[Chat, Traits], Encoded]
    read_whole: Callable[[bytes], Seen]
    decode_reply: Callable[[bytes], Reply]
    decoder: Callable[[], Decoder]
    judge: Callable[[int, Mapping[str, str], bytes, float], UpstreamError]


class OneWay:
    """Implements `Dialect` with the `parts` of a class below it.

    `now` is Unix time in seconds: dates in `retry-after` are relative to it.
    """

    name: str
    path: str
    model_in_body = True
    parts: Parts

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def path_for(self, model: str, *, stream: bool) -> str:
        return self.path

    def encode_chat(self, chat: Chat, traits: Traits) -> Encoded:
        return self.parts.write(chat, traits)

    def read_whole(self, body: bytes) -> Seen:
        return self.parts.read_whole(body)

    def decode_reply(self, body: bytes) -> Reply:
        return self.parts.decode_reply(body)

    def decoder(self) -> Decoder:
        return self.parts.decoder()

    def scanner(self, *, hide_usage: bool) -> Scanner:
        """A scanner; no event of these dialects holds usage alone, so nothing is hidden."""
        return DecodedScan(self.parts.decoder())

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return self.parts.judge(status, headers, body, self._now())


class DecodedScan:
    """One stream. See `dialects.dialect.Scanner` for the attributes."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.content = self.ended = False
        self.model = ""
        self.error: UpstreamError | None = None
        self.usage: Usage | None = None
        self.skipped = self.received = 0

    @property
    def stop(self) -> StopReason | None:
        """Why it stopped, once the provider has said so."""
        return None if self.error is not None else self._decoder.stop

    def feed(self, wire: bytes) -> bytes:
        """Look at whole events; an error is kept in `error` and not passed on."""
        try:
            events = self._decoder.feed(wire)
        except UpstreamError as error:
            self.error, events = error, self._decoder.read
        for event in events:
            if isinstance(event, Started):
                self.model = event.model
                continue
            self.content = True
            if isinstance(event, TextDelta):
                self.received += len(event.text)
            elif isinstance(event, Finished):
                self.ended = True
                self.usage = None if event.usage == UNKNOWN_USAGE else event.usage
        self.content = self.content or self._decoder.stop is not None
        return b"" if self.error is not None else wire
