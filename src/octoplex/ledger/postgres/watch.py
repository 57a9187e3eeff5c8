"""Which of the other hosts is gone: one whose beat was watched standing still for too long.

    watch = Watch(tempo)
    for id_, name, beat in watch.gone(rows, now_s): ...    # at each look at the table of hosts
    watch.begin()                                          # on a new connection: nothing was seen

Time counts only while somebody looks. A watcher that stood still itself, with its machine or with
all machines of a cluster, has seen nobody stand still; it begins again.
"""

from collections.abc import Iterable

from msgspec import Struct

Host = tuple[str, str, int]
"""Its id, its name, and its beat."""


class Tempo(Struct, frozen=True, kw_only=True):
    """How soon a host is missed."""

    beat_s: float = 1.0
    term_s: float = 10.0
    gone_s: float = 30.0
    answer_s: float = 2.0
    tidy_s: float = 600.0


class Watch:
    """Of one host over the others."""

    def __init__(self, tempo: Tempo) -> None:
        self._tempo = tempo
        self._seen: dict[str, tuple[int, float]] = {}
        """Beats, and when each was first seen."""
        self._looked_s = 0.0

    def begin(self) -> None:
        """Forget what was seen."""
        self._seen.clear()

    def gone(self, hosts: Iterable[Host], now_s: float) -> list[Host]:
        """Look at all that are there; those that stand still too long."""
        if now_s - self._looked_s > self._tempo.term_s:
            self._seen.clear()
        seen, self._seen, self._looked_s = self._seen, {}, now_s
        found = []
        for id_, name, beat in hosts:
            before = seen.get(id_, (-1, now_s))
            kept = self._seen[id_] = before if before[0] == beat else (beat, now_s)
            if now_s - kept[1] > self._tempo.gone_s:
                found.append((id_, name, beat))
        return found
