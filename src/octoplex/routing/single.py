"""Operations of one body, on the same chain as chat: asked with lanes of their own.

Retries, keys, breakers and fallback are those of a call; only who of a route is a candidate
differs, since few targets both chat and embed.
"""

from collections.abc import Awaitable, Callable

import msgspec

from octoplex.routing.chain import Chain
from octoplex.routing.route import Candidate, Route
from octoplex.wire.answer import Answer, Answerer, bound
from octoplex.wire.ask import Ask, Single
from octoplex.wire.error import NotFound

DOES = {
    "embed": "makes embeddings",
    "rerank": "ranks documents",
    "moderate": "moderates",
    "complete": "completes text",
}


class Singles:
    """Answers asks of one body, and hands every other ask on."""

    __slots__ = ("_chain", "_chats", "_others", "_route_of")

    def __init__(
        self, chats: Answerer, others: Answerer, chain: Chain, route_of: Callable[[Ask], Route]
    ) -> None:
        """`chats` answers chats, `others` what is neither a chat nor of one body."""
        self._chats, self._others = bound(chats), others
        self._chain, self._route_of = chain, route_of

    def __call__(self, ask: Ask, /) -> Awaitable[Answer]:
        """Answer the ask.

        Raises:
            NotFound: no target of its route has the operation.
        """
        return self._chats(ask) if ask.op == "chat" else self._single(ask)

    def _single(self, ask: Ask) -> Awaitable[Answer]:
        if not isinstance(ask, Single):
            return self._others(ask)
        route = self._route_of(ask)
        able = tuple(
            Candidate(c.target, c.singles[ask.op], c.weight)
            for c in route.candidates
            if ask.op in c.singles
        )
        if not able:
            missing = next((f" ({c.missing})" for c in route.candidates if c.missing), "")
            raise NotFound(
                f'No target of "{route.name}" {DOES[ask.op]}{missing}; '
                "`octoplex providers` shows who does.",
                param="model",
            )
        return self._chain.open(ask, msgspec.structs.replace(route, candidates=able))
