"""Asks that count tokens: which target counts, and what is done when none can.

The first target of a route that can be asked decides: it is the one that a call would most
likely meet, and tokenizers differ. Where its provider counts, those targets of the route that count
are asked like for any call, but with a health of their own: a token count has its own
rate limits at the provider, is faster than any reply, and must neither open the breaker
of a chat nor close it. Where none does, and where those that do fail or rest, the count is
estimated here; what they find wrong with the request itself is the answer.

Not promised: that the target which later answers is the one that counted.
"""

from collections.abc import Awaitable, Callable

import msgspec

from octoplex.routing.chain import Chain
from octoplex.routing.health import Health
from octoplex.routing.route import Candidate, Route
from octoplex.upstreams.count import estimated
from octoplex.wire.answer import Answer, Answerer, Head
from octoplex.wire.ask import Ask, Attempt
from octoplex.wire.beside import beside
from octoplex.wire.error import UpstreamError


class Counted:
    """Answers asks that count tokens, and hands every other ask on."""

    __slots__ = ("_chain", "_inner", "_route_of")

    def __init__(
        self, inner: Answerer, route_of: Callable[[Ask], Route], health: Health | None = None
    ) -> None:
        self._inner, self._route_of = inner, route_of
        self._chain = Chain(route_of, health or Health())

    def __call__(self, ask: Ask, /) -> Awaitable[Answer]:
        return self._inner(ask) if ask.op != "count_tokens" else self._count(ask)

    async def _count(self, ask: Ask) -> Answer:
        route = self._route_of(ask)
        first = next((c for c in route.candidates if c.lanes), route.candidates[0])
        if first.counters:
            try:
                return await self._chain.open(ask, _counting(route))
            except UpstreamError as error:
                if not error.retryable:  # it is the request, not the counter
                    raise
        target = first.target
        ask.trail.route, ask.trail.why = route.name, "estimated here"
        ask.trail.attempts.append(Attempt(target=target.name, outcome="estimated", status=200))
        head = Head(provider=target.provider, model=target.model)
        return await beside(len(ask.raw), estimated, ask, head)


def _counting(route: Route) -> Route:
    """The same route over those targets that count, asked with their counters."""
    candidates = tuple(
        Candidate(c.target, c.counters, c.weight) for c in route.candidates if c.counters
    )
    pick = "in-order" if route.pick == "learned" else route.pick  # what is learned is of chats
    return msgspec.structs.replace(
        route, candidates=candidates, pick=pick, hedge="off", affinity=False
    )
