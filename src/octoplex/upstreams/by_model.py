"""One model that a vendor sells by two names: one thinks, the other does not.

    ByModel(Metered(deepseek-chat), Metered(deepseek-reasoner))

A wish to think, or not to, leads to the other name (quirk `thinking_by_model`). Each is a target
with its own limits and price, so that the wish is reserved, settled and told under the name that
is asked. A key that was given the one name alone is not led to the other: there the wish is
dropped and named, as where a model cannot be asked to think.

Not promised: a breaker of its own for the other name; it is the same server.
"""

import contextlib
from collections.abc import Awaitable, Callable

from octoplex.dialects.effort import is_off
from octoplex.dialects.openai_chat.thinking import lacks_thinking
from octoplex.wire.answer import Answer, Answerer
from octoplex.wire.ask import Ask, Call
from octoplex.wire.beside import is_left, understood
from octoplex.wire.error import InvalidCall

MEMBERS = frozenset(
    {
        "reasoning_effort",
        "thinking",
        "reasoning",
        "output_config",
        "generationConfig",
        "generation_config",
    }
)
"""The members of the faces' requests of which one holds the wish."""


class ByModel:
    """An Answerer of two, of which `thinks` says whether the first one does.

    `name` is that of the second target; `may` says whether an ask may be led there.
    """

    __slots__ = ("_may", "_name", "_other", "_own", "_thinks")

    def __init__(
        self,
        own: Answerer,
        other: Answerer,
        name: str,
        *,
        thinks: bool,
        may: Callable[[Ask], bool],
    ) -> None:
        self._own, self._other, self._name = own, other, name
        self._thinks, self._may = thinks, may

    def __call__(self, ask: Ask, /) -> Awaitable[Answer]:
        """Answer by the name that does what is wished."""
        if isinstance(ask, Call) and not MEMBERS.isdisjoint(ask.fields) and is_left(ask):
            return self._later(ask)
        return self._now(ask)

    async def _later(self, call: Call) -> Answer:
        await understood(call)
        return await self._now(call)

    def _now(self, ask: Ask) -> Awaitable[Answer]:
        if not self._is_for_other(ask):
            return self._own(ask)
        if ask.trail.attempts:
            ask.trail.attempts[-1].target = self._name
        return self._other(ask)

    def _is_for_other(self, ask: Ask) -> bool:
        if not isinstance(ask, Call) or MEMBERS.isdisjoint(ask.fields):
            return False
        with contextlib.suppress(InvalidCall):  # verbatim: the provider may understand it
            chat = ask.chat()
            if chat.thinking is None or is_off(chat.thinking) != self._thinks:
                return False
            # One that thinks demands the thinking of earlier turns once tools were called.
            return (self._thinks or not lacks_thinking(chat.messages)) and self._may(ask)
        return False
