"""The end of a stream, told when what it brought has been looked through.

A stream may have ended before its last frame has been looked at, and who is told writes the
record: so what that frame held would be missing in it.
"""

from octoplex.wire.answer import Answer, Ended, Ending, Outcome
from octoplex.wire.event import Usage


class Late:
    """The end of an inner answer, kept back while `looking`, and until the first frame was given:
    a short stream has ended before anybody reads it.
    """

    __slots__ = ("_came", "_ending", "looking")

    def __init__(self, inner: Answer) -> None:
        self._ending = Ending()
        self._came: tuple[Outcome, Usage] | None = None
        self.looking = True
        inner.on_end(self._come)

    def _come(self, outcome: Outcome, usage: Usage) -> None:
        self._came = outcome, usage
        if not self.looking:
            self.looked()

    def looked(self, *, cut: bool = False) -> None:
        """What came has been looked through, or is not wanted; `cut`: and is not given."""
        self.looking = False
        if self._came is not None:
            outcome, usage = self._came
            self._ending.fire("cut" if cut else outcome, usage)

    def on_end(self, told: Ended) -> None:
        """Be told once; at once if it has been told before."""
        self._ending.on_end(told)
