"""How much memory the bodies of all requests may take together (`[server] max_bodies`).

A cap on each body does not bound a thousand of them. What is larger than `SMALL` is counted
from the moment its size is known, before it is read, until its request has ended; what finds
no room is refused at once, so that it can be sent again a moment later or elsewhere.

Not promised: an exact figure. Small bodies are not counted, and a body that has been read is
kept once or twice more while its request is translated.
"""

from octoplex.wire.error import ServerBusy

SMALL = 64 * 1024


class Room:
    """The bytes that are held. One for all doors."""

    __slots__ = ("held", "most")

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        Raises:
            ServerBusy: they do not fit beside what is held.
        """
        if self.held and self.held + size > self.most:
            raise ServerBusy(
                f"The bodies of other requests leave no room for {size:,} bytes more: they may "
                f"have {self.most:,} together (`max_bodies` under [server]). Try again soon.",
                retry_after_s=1.0,
            )
        self.held += size

    def give_back(self, size: int) -> None:
        """Hold so many bytes less."""
        self.held -= size
