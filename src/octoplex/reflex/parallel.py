"""How many requests of a key, or of all keys of a tenant, run at the same time.

    crowd = Crowd()                          of one process; where there are several, the owner's
    crowd.update(keys)                       at every change; what runs stays counted
    over = await crowd.begin(key_id)         counted in every limit that binds it, or TooFast
    over()                                   when its answer has ended

`20 parallel` in `limits` is such a limit. A request runs from its admission to the end of its
answer, a stream to its last event, whoever ends it. Over workers the owner counts (`lent.py`,
`server/supervisor/crowding.py`), over hosts the till (`shared_parallel.py`), so that there are
never more than the limit.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from msgspec import Struct

from octoplex.ledger.period import called
from octoplex.reflex.keys import Key
from octoplex.reflex.limit import Figure
from octoplex.wire.error import TooFast

LOOK_AGAIN_S = 1.0
"""When to ask again: nobody knows when one of those that run will end."""


class Slots(Struct, eq=False):
    """One limit, and how many run under it."""

    most: int
    tenant: str = ""
    """Whose it is; "" for a key's own."""
    taken: int = 0


Held = Sequence[Slots]


class Crowd:
    """All limits of this kind. Owned by the event loop."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, str], Slots] = {}
        """By tenant and key: one of them is ""."""
        self._binding: dict[str, tuple[Slots, ...]] = {}

    def update(self, keys: Iterable[Key]) -> None:
        """Put the limits of these keys in force."""
        fresh: dict[tuple[str, str], Slots] = {}
        self._binding = {}
        for key in keys:
            mosts = [(("", key.id), key.limits.parallel)]
            mosts += [((tenant, ""), most) for tenant, most in key.crowds]
            for place, most in mosts:
                if most and place not in fresh:
                    slots = fresh[place] = self._slots.get(place) or Slots(most, place[0])
                    slots.most = most
            binding = tuple([fresh[place] for place, most in mosts if most])
            if binding:
                self._binding[key.id] = binding
        self._slots = fresh

    def binding(self, key_id: str) -> Held:
        """The limits that bind a key."""
        return self._binding.get(key_id, ())

    async def begin(self, key_id: str) -> Callable[[], None]:
        """Count one more request; what to call when it has ended.

        Raises:
            TooFast: as many as may are running.
        """
        for slots in self.binding(key_id):
            if slots.taken >= slots.most:
                raise too_many(slots)
        return self.resume(key_id)

    def resume(self, key_id: str) -> Callable[[], None]:
        """Count one that runs already."""
        held = self.binding(key_id)
        for slots in held:
            slots.taken += 1
        return partial(_leave, held)

    def figures(self, key_id: str) -> list[Figure]:
        """The limits of a key as they stand."""
        return [
            Figure("parallel", s.most, max(0, s.most - s.taken), 0.0, 0, s.tenant)
            for s in self.binding(key_id)
        ]


def _leave(held: Held) -> None:
    for slots in held:
        slots.taken -= 1


def too_many(slots: Slots) -> TooFast:
    """The refusal of one more."""
    whose = f"The {called(slots.tenant)}'s" if slots.tenant else "This key's"
    return TooFast(
        f"{whose} limit of {slots.most:,} parallel requests is reached; "
        "ask again when one of them has ended",
        retry_after_s=LOOK_AGAIN_S,
        limit=f"{slots.most} parallel",
    )
