"""How much memory the bodies of all requests may take together (`[server] max_bodies`).

A cap on each body does not bound a thousand of them. What is larger than `SMALL` is counted as
it comes, until its request has ended: who only says that much will come takes no room from
others. What finds no room is refused at once, by its declared size if there is one, so that it
can be sent again a moment later or elsewhere. One key has at most half of the room.

Not promised: an exact figure. Small bodies are not counted, and a body that has been read is
kept once or twice more while its request is translated.
"""

from octoplex.wire.error import ServerBusy

SMALL = 64 * 1024


class Room:
    """The bytes that are held, and by whom: a key's id, "" without keys. One for all doors.

    A body is never refused for its own size: where nothing else is held, any fits.
    """

    __slots__ = ("_by", "held", "most")

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self._by: dict[str, int] = {}

    def look(self, who: str, own: int, size: int) -> None:
        """Whether a body of so many bytes fits, of which `own` are held already.

        Raises:
            ServerBusy: not beside what others, or the caller's own other bodies, hold.
        """
        others, siblings = self.held - own, self._by.get(who, 0) - own
        if others and others + size > self.most:
            raise _busy("The bodies of other requests leave", size, self.most)
        if who and siblings and siblings + size > self.most // 2:
            raise _busy("This key's other requests leave it", size, self.most // 2)

    def take(self, who: str, own: int, size: int) -> None:
        """Hold so many bytes in place of a body's `own`.

        Raises: as `look`.
        """
        self.look(who, own, size)
        self.held += size - own
        self._by[who] = self._by.get(who, 0) + size - own

    def give_back(self, who: str, size: int) -> None:
        """Hold so many bytes less."""
        self.held -= size
        left = self._by.pop(who) - size
        if left:
            self._by[who] = left


def _busy(why: str, size: int, most: int) -> ServerBusy:
    return ServerBusy(
        f"{why} no room for a body of {size:,} bytes: they may have {most:,} together "
        "(`max_bodies` under [server]). Try again soon.",
        retry_after_s=1.0,
    )
