"""How many requests of a key run at the same time, at all workers: the owner counts.

A worker tells the owner of each request of a key with such a limit, by a number of its own, and
of its end. What a worker had running that dies has ended. An owner that is started anew is told
of what runs before it answers anybody (`Hello.entered`).
"""

from collections.abc import Iterable

from octoplex.reflex.parallel import Crowd, leave
from octoplex.server.supervisor.lending import Peer


class Crowding:
    """The count. Owned by the event loop."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def take_up(self, peer: Peer, entered: Iterable[tuple[int, str]]) -> None:
        """What a worker had running when the last owner died."""
        for number, key_id in entered:
            peer.entered[number] = self._crowd.enter(key_id, anyway=True)

    async def enter(self, peer: Peer, key_id: str, number: int) -> None:
        """Count a request of a worker.

        Raises:
            TooFast: as many as may are running.
        """
        held = self._crowd.enter(key_id)
        if peer.wire.up:
            peer.entered[number] = held
        else:
            leave(held)

    async def leave(self, peer: Peer, number: int) -> None:
        """It has ended; nothing where it was refused."""
        leave(peer.entered.pop(number, ()))

    def lost(self, peer: Peer) -> None:
        """A worker is dead."""
        for held in peer.entered.values():
            leave(held)
        peer.entered.clear()
