"""Our end of a websocket, on a connection that came in as HTTP: RFC 6455.

    bytes -> messages (the sans-I/O layer of `websockets`) -> `Talk.read` -> `Talk.heard`

The layer below judges framing, sizes and closing, and answers pings. What stands here is what
it leaves open: texts are put together and must be UTF-8, a binary message is refused (1003), a
caller that reads slowly is waited for, one that has become silent is given up. A large text is
read beside the event loop, as bodies are (`wire/beside.py`); nothing further of its caller is until
then. Compression is not offered: a megabyte of zeros would cost a caller a kilobyte.

Not promised: subprotocols and extensions; none is ever chosen.
"""

import asyncio
from collections import deque
from typing import Any, Protocol

from msgspec import Struct
from uvicorn.protocols.http.flow_control import FlowControl
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, SERVER
from websockets.protocol import Protocol as Framing

from octoplex.wire.ask import check_utf8
from octoplex.wire.beside import LARGE, beside
from octoplex.wire.error import InvalidCall

Text = bytes | bytearray | memoryview
CLOSE_S = 2.0
"""How long a caller has to close as well."""
MOST_UNREAD = 64
"""Pings and texts that may come while nothing can be written: their answers pile up here."""


class Limits(Struct, frozen=True, kw_only=True):
    """How long a websocket may be, in seconds.

    `life_s` in all, `idle_s` without a request, `silent_s` without a sign of life although a
    ping is sent every `ping_s`.
    """

    life_s: float = 3_600.0
    idle_s: float = 1_800.0
    silent_s: float = 60.0
    ping_s: float = 20.0


class Talk(Protocol):
    """What is said on a websocket"""

    @property
    def busy(self) -> bool:
        """Whether something is being answered, or waits to be."""
        ...

    def read(self, text: bytes) -> Any:
        """What a message says, never None: valid UTF-8, and in a thread if it is large."""
        ...

    def heard(self, said: Any) -> None:
        """A message has come, and says so."""
        ...

    def end(self, *, stopping: bool) -> None:
        """Take nothing new, and close after what is being answered.

        Because the server is `stopping`, or because its time is up.
        """
        ...

    def stop(self) -> None:
        """Cancel what is being answered: the server stops."""
        ...

    def leave(self) -> None:
        """The caller is gone."""
        ...


class WebSocket(asyncio.Protocol):
    """One websocket. `talk` is set by its owner before it is connected."""

    talk: Talk
    transport: asyncio.Transport

    def __init__(self, limits: Limits, most_bytes: int, connections: set[Any]) -> None:
        """`connections` are the server's, of which this is one until it is lost."""
        self._limits, self._connections = limits, connections
        self._framing = Framing(SERVER, state=OPEN, max_size=most_bytes)
        self._loop = asyncio.get_running_loop()
        self._text = bytearray()
        """What has come of one that is not whole yet."""
        self._texts: deque[Text] = deque()
        """Those that wait until the one before them has been read."""
        self._reading: asyncio.Task[None] | None = None
        self._unread = 0
        now = self._loop.time()
        self._heard_at = self._idle_at = now
        self._ends_at = now + limits.life_s
        self._timer = self._loop.call_later(limits.ping_s, self._tick)

    def connection_made(self, transport: Any) -> None:
        """Take the connection over."""
        self.transport = transport
        self.flow = FlowControl(transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell what is being answered that nobody waits for it."""
        self._timer.cancel()
        if self._reading is not None:
            self._reading.cancel()
        self._connections.discard(self)
        self.flow.resume_writing()
        self.talk.leave()

    def pause_writing(self) -> None:
        """The caller reads more slowly than we write."""
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._unread = 0
        self.flow.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take the messages in these bytes."""
        framing = self._framing
        self._heard_at = self._loop.time()
        framing.receive_data(data)
        for frame in framing.events_received():
            if self.open and isinstance(frame, Frame):
                self._take(frame)
        self._flush()
        if not self.open:
            self.talk.leave()

    def _take(self, frame: Frame) -> None:
        if self.flow.write_paused:
            self._unread += 1
            if self._unread > MOST_UNREAD:
                self.transport.abort()
                return
        if frame.opcode is Opcode.BINARY:
            self._framing.fail(CloseCode.UNSUPPORTED_DATA, "messages are texts of JSON")
            return
        if frame.opcode not in (Opcode.TEXT, Opcode.CONT):
            return
        text = frame.data
        if self._text or not frame.fin:
            self._text += frame.data
            if not frame.fin:
                return
            text, self._text = self._text, bytearray()
        if self._reading is None and len(text) < LARGE:
            self._hear(self._read(text))
            return
        self._texts.append(text)
        if self._reading is None:
            self.flow.pause_reading()
            self._reading = self._loop.create_task(self._read_on())

    async def _read_on(self) -> None:
        """Read what has come, in its order; then hear more."""
        while self._texts and self.open:
            text = self._texts.popleft()
            self._hear(await beside(len(text), self._read, text))
        self._texts.clear()
        self._reading = None
        self._flush()
        if self.open:
            self.flow.resume_reading()
        else:
            self.talk.leave()

    def _read(self, text: Text) -> Any:
        """What a text says; None where it is none."""
        whole = bytes(text)
        return self.talk.read(whole) if _is_utf8(whole) else None

    def _hear(self, said: Any) -> None:
        if said is not None and self.open:
            self.talk.heard(said)
        elif said is None:
            self._framing.fail(CloseCode.INVALID_DATA, "a text must be UTF-8")

    @property
    def open(self) -> bool:
        """Whether texts may still go either way."""
        return self._framing.state is OPEN

    def send(self, texts: list[bytes]) -> None:
        """Send messages in one write; nothing once it is closed."""
        if self.open:
            for text in texts:
                self._framing.send_text(text)
            self._flush()

    def close(self, code: int, reason: str) -> None:
        """Say goodbye, and hang up once the caller has too."""
        if self.open:
            self._framing.send_close(code, reason)
            self._flush()
            self._loop.call_later(CLOSE_S, self.transport.abort)

    def _flush(self) -> None:
        pieces = self._framing.data_to_send()
        if not pieces or self.transport.is_closing():
            return
        self.transport.write(b"".join(pieces))
        if b"" in pieces:  # the layer's word for the end
            self.transport.close()
            self._loop.call_later(CLOSE_S, self.transport.abort)

    def _tick(self) -> None:
        limits, now = self._limits, self._loop.time()
        if self.busy:
            self._idle_at = now
        if not self.flow.write_paused:  # one that reads slowly may be deaf to pings for long
            if now - self._heard_at > limits.silent_s:
                self.transport.abort()
                return
            if self.open:
                self._framing.send_ping(b"")
                self._flush()
        if now >= self._ends_at:
            self.talk.end(stopping=False)
        elif now - self._idle_at > limits.idle_s:
            self.close(CloseCode.GOING_AWAY, "nothing was asked for a long time")
        self._timer = self._loop.call_later(limits.ping_s, self._tick)

    # What the server uses of a connection.

    @property
    def busy(self) -> bool:
        """Whether something is being read or answered."""
        return self._reading is not None or self.talk.busy

    def shutdown(self) -> None:
        """The server stops: close after what is being answered."""
        self.talk.end(stopping=True)

    def stop(self) -> None:
        """Cancel what is being answered."""
        self.talk.stop()


def _is_utf8(text: bytes) -> bool:
    try:
        check_utf8(text)
    except InvalidCall:
        return False
    return True
