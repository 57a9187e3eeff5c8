"""Models as one task asks them: through the whole gateway, as its caller, at a price told before.

    models = TaskModels(spine, row, new_id, used)
    models.quote("main", body).nanos               the most that a call costs
    reply, nanos = await models("main", body, tab)

The key is looked up anew each time, so one that is revoked asks no more. Each attempt that the
gateway makes holds its worst case on the tab, too (`upstreams/metered.py`).
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from octoplex.agents.journal import TaskRow
from octoplex.agents.words import Quote
from octoplex.assembly.arrival import Arrival, Patience, read_call
from octoplex.assembly.assigning import Spine, caller_of, is_local
from octoplex.wire.answer import reply_of
from octoplex.wire.ask import Call, Tab, Worst
from octoplex.wire.event import Reply, Usage

DIALECT = "openai-chat"
"""The dialect in which tasks ask models."""
ASKED_S = 600.0
MOST_HERE = 1_024
"""Tokens that a model on this machine may write for a step."""


class TaskModels:
    """Of one task. `used` is told what each reply took."""

    def __init__(
        self,
        spine: Callable[[], Spine],
        row: TaskRow,
        new_id: Callable[[], str],
        used: Callable[[str, Usage], None],
    ) -> None:
        self._spine, self._row, self._new_id, self._used = spine, row, new_id, used

    def quote(self, model: str, body: bytes) -> Quote:
        """What a call takes at most at the target that is asked first: where the route's pick says
        it only when it is asked, at the dearest. One without a price costs nothing here.

        Raises:
            GatewayError: there is no such model.
        """
        spine = self._spine()
        route = spine.plan.resolver.resolve(model)
        able = [one for one in route.candidates if one.lanes] or route.candidates
        asked = able[:1] if route.pick == "in-order" else able

        def price(worst: Worst) -> int:
            return max((one.target.cost(worst) or 0 for one in asked), default=0)

        return Quote(self._call(spine, model, body).worst_case(), price)

    async def __call__(self, model: str, body: bytes, tab: Tab | None = None) -> tuple[Reply, int]:
        """Ask. Raises `GatewayError`."""
        spine, row = self._spine(), self._row
        call = self._call(spine, model, body)
        call.trail.labels = {**row.task.metadata, "task": row.id}
        call.trail.task, call.trail.tab = row.id, tab
        reply = await reply_of(await spine.answer(call))
        self._used(row.id, reply.usage)
        return reply, call.trail.nano

    def _call(self, spine: Spine, model: str, body: bytes) -> Call:
        arrival = Arrival(
            id=self._new_id(),
            face=spine.works.faces[DIALECT],
            started_at=asyncio.get_running_loop().time(),
            patience=Patience(ASKED_S, ASKED_S),
            caller=caller_of(spine, self._row.key_id),
        )
        return read_call(arrival, _named(body, model, is_local(spine.plan, model)))


def _named(body: bytes, model: str, here: bool) -> bytes:
    """A request with its model; one on this machine may not write for minutes."""
    fields: dict[str, Any] = msgspec.json.decode(body)
    if here:
        asked = fields.get("max_completion_tokens") or MOST_HERE
        fields["max_completion_tokens"] = min(asked, MOST_HERE)
    return msgspec.json.encode({**fields, "model": model})
