"""An arm made of actions: what is the same for every one of them is done here, once.

    arm = Actions([(offer, act), ...], checker)
    outcome = await arm(order, world)

Before an action begins: its token is checked, its inputs are measured against its schema, and its
time runs. An arm without a checker is one that somebody uses by itself: then the step may do what
`world.allow` says.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from msgspec import Struct

from octoplex.agents.arms.folder import Folder
from octoplex.agents.capability import Checker, Grant, unsigned
from octoplex.agents.place import place_of
from octoplex.agents.schemas import Schemas
from octoplex.agents.words import Failed, Offer, Order, Outcome, World
from octoplex.wire.error import BadConfig, InvalidCall

MOST_TEXT = 4_000
"""Characters of `Outcome.text`."""
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Doing(Struct, frozen=True):
    """One step while it is done."""

    order: Order
    world: World
    grant: Grant

    @property
    def inputs(self) -> dict[str, Any]:
        """What it was given."""
        return self.order.inputs

    @property
    def folder(self) -> Folder:
        """The workspace, whose calls wait for the disk."""
        return Folder(self.world.workspace)

    def place(self, kind: Literal["read", "write"], name: str = "path") -> str:
        """The place that an input names; raises `Failed` where the step may not do that there."""
        place = place_of(self.inputs.get(name, ""))
        self.grant.need(f"{kind}:workspace/{place}")
        return place

    async def tell(self, text: str) -> None:
        """Say to people how it goes."""
        if self.world.tell is not None:
            await self.world.tell({"text": text[:500]})


Act = Callable[[Doing], Awaitable[Outcome]]
Acts = Sequence[tuple[Offer, Act]]
"""What an arm can do, and how it does it."""


class Actions:
    """An arm."""

    def __init__(self, actions: Acts, checker: Checker | None = None) -> None:
        self.offers: tuple[Offer, ...] = tuple(offer for offer, _ in actions)
        self._actions = {offer.name: (offer, act) for offer, act in actions}
        self._checker, self._schemas = checker, Schemas()

    async def __call__(self, order: Order, world: World) -> Outcome:
        """Do a step.

        Raises:
            Failed: its token, its inputs or what it does are at fault.
        """
        found = self._actions.get(order.action)
        if found is None:
            raise Failed("refused", f'This arm has no action "{order.action[:80]}".')
        offer, act = found
        if self._checker is not None:
            grant = self._checker.check(order)
        else:
            grant = unsigned(order, offer, world.allow)
        if wrong := self._schemas.faults(offer.input_schema, order.inputs, "input"):
            raise Failed("refused", f"{order.action}: {'; '.join(wrong)}")
        try:
            async with asyncio.timeout(order.seconds) as limit:
                return await act(Doing(order, world, grant))
        except TimeoutError:
            if not limit.expired():
                raise
            raise Failed(
                "timeout", f"{order.action} took longer than {order.seconds:g} s."
            ) from None
        except (BadConfig, InvalidCall) as error:
            raise Failed("failed", str(error)) from None


def short(text: str, most: int = MOST_TEXT) -> str:
    """A text for people, without its middle where it is long, and without what moves terminals."""
    text = _CONTROLS.sub("", text)
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"
