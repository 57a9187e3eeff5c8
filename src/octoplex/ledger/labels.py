"""Pairs of which people are asked what they are worth: their texts, in `learning.db`.

    file = LabelsFile.open(data)
    file.waiting("support", most=20)      those of which nobody has said anything, oldest first
    file.say(note, "req_...")             the note of what somebody says, once

Kept only where the file asks for it, until each row's `until_ms`, whether somebody has said
something or not; then the bytes are overwritten. Where nobody has, `otherwise` is noted then.
"""

from msgspec import Struct
from msgspec.structs import astuple

from octoplex.ledger.connect import Transaction
from octoplex.ledger.learning import INSERT_NOTE, Noted, Rows, lapse


class Held(Struct, frozen=True):
    """A pair that somebody may look at."""

    request_id: str
    at_ms: int
    until_ms: int
    said: bool
    texts: bytes


class LabelsFile(Rows):
    """The tables of pairs that people are asked of."""

    def lapse(self, now_ms: int) -> None:
        """Delete those whose time is over (`learning.lapse`)."""
        while lapse(self._db, now_ms):
            pass

    def waiting(self, route: str, most: int) -> list[Held]:
        """Those that still count and of which nobody has said anything, oldest first."""
        text = """select request_id, at_ms, until_ms, said, texts from labels
            where route = :route and not said order by seq limit :most"""
        return self._shown(text, {"route": route, "most": most})

    def kept(self, route: str) -> list[Held]:
        """All that are kept of a route, oldest first."""
        text = """select request_id, at_ms, until_ms, said, texts from labels
            where route = :route order by seq"""
        return self._shown(text, {"route": route})

    def _shown(self, text: str, given: dict[str, object]) -> list[Held]:
        rows = self._db.execute(text, given)
        return [Held(id_, at, until, bool(said), texts) for id_, at, until, said, texts in rows]

    def waits(self, route: str, request_id: str) -> bool:
        """Whether a pair is kept of which nobody has said anything."""
        text = "select 1 from labels where route = ? and request_id = ? and not said"
        return self._db.execute(text, (route, request_id)).fetchone() is not None

    def say(self, note: Noted, request_id: str) -> bool:
        """Note what somebody says of a pair; False where that is known, or it is not kept."""
        with Transaction(self._db) as db:
            text = "update labels set said = 1 where route = ? and request_id = ? and not said"
            if not db.execute(text, (note.route, request_id)).rowcount:
                return False
            db.execute(INSERT_NOTE, astuple(note))
        return True

    def forget(self, route: str, now_ms: int) -> int:
        """Let the time of all that are kept of a route be over; how many were."""
        text = "update labels set until_ms = ? where route = ?"
        count = self._db.execute(text, (now_ms - 1, route)).rowcount
        self.lapse(now_ms)
        return count
