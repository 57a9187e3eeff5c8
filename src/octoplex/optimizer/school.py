"""What of routes that learn lives as long as the process: the shelf, and the pairs under way.

    school = School(DiskShelf(folder))
    learned = school.learned(courses)      for one configuration; figures of late are taken over
    school.follow(learned)                 it is in force: its policies are renewed from now on

A reload makes other choosers over the same school.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from octoplex.optimizer.course import Course
from octoplex.optimizer.live import Learned, Study
from octoplex.optimizer.notes import Order
from octoplex.optimizer.pairs import Pairs
from octoplex.optimizer.shelf import Shelf

log = logging.getLogger("octoplex.optimizer")
RENEW_S = 0.25


class OwnShelf(Shelf, Protocol):
    """A shelf that is this process's to close."""

    def close(self) -> None:
        """Write what waits."""


class School:
    """Opened once, where the first route learns."""

    def __init__(self, shelf: OwnShelf) -> None:
        self.shelf, self.pairs = shelf, Pairs(shelf)
        self._followed: Learned | None = None
        self._renewing: asyncio.Task[None] | None = None

    def learned(self, courses: Mapping[str, Course]) -> Learned:
        """The chooser of these courses."""
        before = self._followed.studies if self._followed else {}
        studies = {name: Study(course, before.get(name)) for name, course in courses.items()}
        learned = Learned(studies, self.shelf)
        learned.may_compare = self.pairs.have_room
        return learned

    def follow(self, learned: Learned) -> None:
        """Keep these policies as new as the learner's; it hears what is not the same any more."""
        before, self._followed = self._followed, learned
        for name, study in learned.studies.items():
            old = before.studies.get(name) if before else None
            if old is not None and old.course.version != study.course.version:
                self.shelf.note(name, Order("void", "the file says something else of its answers"))
        if self._renewing is None:
            self._renewing = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        while True:
            try:
                self.pairs.look()
                if self._followed is not None and self.shelf.is_heard():
                    await self._followed.renew()
                elif self._followed is not None:
                    self._rest(self._followed)
            except Exception:  # the policies in force go on serving
                log.exception("a policy could not be renewed")
            await asyncio.sleep(RENEW_S)

    def _rest(self, learned: Learned) -> None:
        """Nobody learns any more, so nobody would find out what becomes worse: references serve
        all, until somebody does."""
        for name, study in learned.studies.items():
            if study.compiled is not study.blind:
                study.compiled, study.read = study.blind, None
                log.error("nobody has learned of %s for long; its reference answers", name)

    async def close(self) -> None:
        """Drop pairs, write what waits."""
        if self._renewing is not None:
            self._renewing.cancel()
        await self.pairs.close()
        try:
            await asyncio.to_thread(self.shelf.close)
        except RuntimeError:  # the interpreter is ending and gives no more work to threads
            self.shelf.close()
