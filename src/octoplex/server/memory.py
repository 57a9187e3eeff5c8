"""What a websocket remembers of the responses that nobody stores, so that it may go on from them.

OpenAI keeps the newest response of every strand in the memory of its connection, which is how
`previous_response_id` works there with `store: false`. So it is here; what may be stored lies on
the shelf and is found there. Nothing of it is written to disk or seen by another connection.

Reference: https://developers.openai.com/api/docs/guides/websocket-mode
"""

from msgspec import Struct

from octoplex.ledger.rows import Stored


class Hoard(Struct):
    """What all websockets remember together, in bytes, and the most they may."""

    most_bytes: int
    bytes: int = 0


class Shared(Struct):
    """What one websocket remembers: the last response of every strand, oldest first.

    Above `most_bytes`, or when all websockets are above theirs, the oldest is forgotten.
    """

    hoard: Hoard
    most_bytes: int
    rows: dict[str, Stored] = {}
    bytes: int = 0
    closed: bool = False

    def put(self, strand: str, row: Stored) -> None:
        """Remember a response in the place of the strand's last one."""
        if self.closed:
            return
        self.drop(strand)
        self.rows[strand] = row
        self._count(row.size)
        hoard = self.hoard
        while self.rows and (self.bytes > self.most_bytes or hoard.bytes > hoard.most_bytes):
            self.drop(next(iter(self.rows)))

    def drop(self, strand: str) -> None:
        """Forget the last response of a strand."""
        row = self.rows.pop(strand, None)
        if row is not None:
            self._count(-row.size)

    def close(self) -> None:
        """The websocket is gone: forget everything, and what comes late."""
        self.closed = True
        for strand in list(self.rows):
            self.drop(strand)

    def _count(self, size: int) -> None:
        self.bytes += size
        self.hoard.bytes += size


class Memory(Struct):
    """The memory of a websocket as one of its strands sees it."""

    strand: str
    shared: Shared

    def keep(self, row: Stored) -> None:
        """Remember a response in the place of the strand's last one."""
        self.shared.put(self.strand, row)

    def find(self, key_id: str, id_: str) -> Stored | None:
        """A response of this key, on whichever strand it came."""
        found = (row for row in self.shared.rows.values() if row.id == id_ and row.key_id == key_id)
        return next(found, None)

    def forget(self, id_: object) -> None:
        """Forget a response if it is this strand's last one: going on from it has failed."""
        row = self.shared.rows.get(self.strand)
        if row is not None and row.id == id_:
            self.shared.drop(self.strand)


def memory_of(line: object) -> Memory | None:
    """What the connection of a request remembers; None over plain HTTP."""
    return getattr(line, "memory", None)
