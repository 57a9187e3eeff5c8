"""What a life of a task writes down of what happens, never twice.

    told = Telling(journal)
    await told("step.done", "s1", attempt=1, text="...")

A life that takes a task over runs it from its start, and what an earlier one had told under the
same circumstances (the same kind, step and words) is not told again. Times of day are therefore not
in the words, and durations come from what was kept.
"""

from collections import Counter
from typing import Any

import msgspec

from octoplex.agents.task import EventKind, Journal

ENDS = frozenset({"task.done", "task.failed", "task.cancelled"})
_json = msgspec.json.Encoder(order="deterministic").encode


class Telling:
    """Of one life."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        told = (e for e in journal.events if e.kind not in ENDS)  # a task may end more than once
        self._before = Counter(_words(e.kind, e.step, e.body) for e in told)

    async def __call__(self, kind: EventKind, step: str = "", **body: Any) -> None:
        """Tell, unless that was told."""
        if self._before:
            words = _words(kind, step, body)
            if self._before[words]:
                self._before[words] -= 1
                return
        await self._journal.tell(kind, step, **body)


def _words(kind: str, step: str, body: dict[str, Any]) -> bytes:
    return _json([kind, step, body])
