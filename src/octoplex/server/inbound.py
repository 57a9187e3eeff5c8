"""One request as the doors see it: its head, who sent it, and its body under a cap."""

from urllib.parse import parse_qsl

from msgspec import Struct

from octoplex.dialects.dialect import Encoder, Face
from octoplex.server.line import Line, too_large
from octoplex.server.out import Quiet, Stream
from octoplex.server.room import SMALL, Room
from octoplex.wire.ask import ANYONE, Caller, Trail
from octoplex.wire.error import InvalidCall

JSON = b"content-type: application/json\r\n"


class Inbound(Struct, eq=False, gc=False):
    """`rest` is the path's open end, `cors` header lines for a browser.

    `id` is ours and the key of every row. `echo` is the caller's own id, if it sent one:
    it comes back in `x-request-id`, and never becomes a key, because callers repeat ids.
    """

    id: str
    line: Line
    started_at: float
    face: Face
    quiet: Quiet
    room: Room | None = None
    caller: Caller = ANYONE
    echo: str = ""
    rest: str = ""
    cors: bytes = b""
    trail: Trail | None = None
    """That of the call it became: from here on the gateway's record tells how it ended."""
    verbatim: bool = False
    """The stream of its reply passes as it comes; every other is written by `encoder`."""
    encoder: Encoder | None = None
    held: int = 0
    """Bytes of its body that are counted in `room`."""
    body: bytes | None = None
    """What it brought, where somebody has read it before its door."""
    stream: Stream | None = None
    """What its reply goes out by, if that is in pieces."""
    revoked: bool = False
    """It was cancelled because of its key."""

    def revoke(self) -> None:
        """End it now, for its key opens nothing any more; whoever answers it says why."""
        if self.stream is not None and self.stream.answer is not None:
            self.stream.revoke(self.stream.answer)
        else:
            self.revoked = True
            self.line.stop("revoked")

    @property
    def shown_id(self) -> str:
        """The id in `x-request-id`."""
        return self.echo or self.id

    def hold(self, size: int) -> None:
        """Count a body of which so many bytes have come, if it is not small.

        Raises:
            ServerBusy: there is no room for it now.
        """
        if size > SMALL and size > self.held and self.room is not None:
            self.room.take(self.caller.id, self.held, size)
            self.held = size

    def expect(self, size: int) -> None:
        """Refuse a body of so many bytes before it comes, if there is no room for it now.

        Raises: as `hold`.
        """
        if size > SMALL and self.room is not None:
            self.room.look(self.caller.id, self.held, size)

    def let_go(self) -> None:
        """Its body is held no longer."""
        if self.held and self.room is not None:
            self.room.give_back(self.caller.id, self.held)
            self.held = 0

    def id_lines(self) -> str:
        """The header lines that name this request."""
        lines = f"x-request-id: {self.echo or self.id}\r\n"
        if self.echo:
            lines += f"x-octoplex-id: {self.id}\r\n"
        if self.face.name == "anthropic":
            lines += f"request-id: {self.echo or self.id}\r\n"
        return lines

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; the last of a repeated one counts."""
        return dict(parse_qsl(self.line.query.decode("latin-1")))


def ready_body(inbound: Inbound, cap: int) -> bytes | None:
    """The whole body if it is here, small, and may be taken as it is, else None."""
    line = inbound.line
    if b"content-encoding" in line.headers or inbound.body is not None:
        return None
    return line.ready(cap if cap < SMALL else SMALL)


async def read_body(inbound: Inbound, cap: int) -> bytes:
    """The whole body. It is refused by its declared size before a byte of it is kept.

    Raises:
        TooLarge: it is longer than `cap`.
        CallerSlow, CallerLeft: see `Line.piece`.
        ServerBusy: the bodies of other requests leave no room for it.
        InvalidCall: it is compressed; we would have to unpack it to check it.
    """
    if inbound.body is not None:
        if len(inbound.body) > cap:
            raise too_large(len(inbound.body), cap)
        return inbound.body
    headers = inbound.line.headers
    declared = headers.get(b"content-length")
    if declared is not None and len(declared) > 6 and declared.isdigit() and int(declared) > cap:
        raise too_large(int(declared), cap)
    no_coding(headers)
    if declared is not None and declared.isdigit():
        inbound.expect(int(declared))
    body = inbound.line.ready(cap)
    if body is not None:
        inbound.hold(len(body))
        return body
    return await _growing(inbound, cap)


async def _growing(inbound: Inbound, cap: int) -> bytes:
    """A body that is counted as it comes."""
    pieces: list[bytes] = []
    size = 0
    while piece := await inbound.line.piece():
        size += len(piece)
        if size > cap:
            raise too_large(size, cap)
        inbound.hold(size)
        pieces.append(piece)
    return b"".join(pieces)


def no_coding(headers: dict[bytes, bytes]) -> None:
    """Refuse a body that is compressed.

    Raises:
        InvalidCall: we would have to unpack it to check it.
    """
    coding = headers.get(b"content-encoding")
    if coding is not None and coding != b"identity":
        name = coding.decode("latin-1")[:40]
        raise InvalidCall(f'Send the body without content-encoding "{name}".')
