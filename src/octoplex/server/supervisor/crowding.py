"""How many requests of a key run at the same time, at all workers: the owner counts.

A worker tells the owner of each request of a key with such a limit, by a number of its own, and
of its end. What a worker had running that dies has ended. An owner that is started anew is told
of what runs before it answers anybody (`Hello.entered`).
"""

from collections.abc import Iterable

from octoplex.reflex.parallel import Crowd
from octoplex.server.supervisor.lending import Peer


class Crowding:
    """The count. Owned by the event loop."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def take_up(self, peer: Peer, entered: Iterable[tuple[int, str]]) -> None:
        """What a worker had running when the last owner died."""
        for number, key_id in entered:
            peer.entered[number] = self._crowd.resume(key_id)

    async def enter(self, peer: Peer, key_id: str, number: int) -> None:
        """Count a request of a worker.

        Raises:
            TooFast: as many as may are running.
        """
        peer.entered[number] = None
        try:
            over = await self._crowd.begin(key_id)
        except BaseException:
            peer.entered.pop(number, None)
            raise
        if number in peer.entered and peer.wire.up:
            peer.entered[number] = over
        else:  # it has ended meanwhile, or its worker has
            peer.entered.pop(number, None)
            over()

    async def leave(self, peer: Peer, number: int) -> None:
        """It has ended; nothing where it was refused."""
        over = peer.entered.pop(number, None)
        if over is not None:
            over()

    def lost(self, peer: Peer) -> None:
        """A worker is dead."""
        counted, peer.entered = peer.entered, {}
        for over in counted.values():
            if over is not None:
                over()
