"""A route's own deadline: it bounds whatever is done for a request, not only what is asked.

`timely` stands above guard and cache, which ask models of their own and wait for them; the chain
holds those that ask by a route of their own to that route's (`within`).
"""

from collections.abc import Awaitable, Callable

import msgspec

from octoplex.routing.route import Route
from octoplex.wire.answer import Answer, Answerer
from octoplex.wire.ask import Ask


def timely(inner: Answerer, route_of: Callable[[Ask], Route]) -> Answerer:
    """An Answerer whose asks have the deadlines of their routes, told in their trails too."""

    def bounded(ask: Ask) -> Awaitable[Answer]:
        deadline_s = route_of(ask).deadline_s
        if deadline_s is not None:
            ask = within(ask, deadline_s)
            ask.trail.deadline_at = ask.deadline_at
        return inner(ask)

    return bounded


def within(ask: Ask, deadline_s: float) -> Ask:
    """The ask with its route's deadline, where that is the earlier one."""
    deadline_at = ask.started_at + deadline_s
    if deadline_at >= ask.deadline_at:
        return ask
    return msgspec.structs.replace(ask, deadline_at=deadline_at)
