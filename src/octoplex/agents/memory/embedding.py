"""Vectors by a model, asked through the gateway as whoever remembers: metered, guarded, recorded.

    embed = Embedding(answerer, caller, "openai/text-embedding-3-small")
    await embed(["a text", ...])        packed vectors in their order; None where none could be had

A search does not fail because of it: without vectors it goes by words.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from octoplex.agents.memory.near import small
from octoplex.ledger.ids import request_ids
from octoplex.reflex.cache.vectors import packed
from octoplex.wire.answer import Answerer
from octoplex.wire.ask import Caller, Single
from octoplex.wire.error import GatewayError

log = logging.getLogger("octoplex.agents")
WAIT_S = 10.0
_encode = msgspec.json.Encoder().encode


class _Member(Struct):
    embedding: list[float]
    index: int = 0


class _Members(Struct):
    data: list[_Member]


class Embed(Protocol):
    """Makes vectors, known by their `model`: those of another cannot be compared with them."""

    model: str

    async def __call__(self, texts: Sequence[str]) -> Sequence[bytes | None]:
        """The packed vector of each; None where there is none now."""
        ...


class Embedding:
    """Asks one model for one caller."""

    def __init__(
        self,
        answerer: Answerer,
        caller: Caller,
        model: str,
        task: str = "",
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._answerer, self._caller, self.model, self._task = answerer, caller, model, task
        self._new_id = new_id or request_ids()

    async def __call__(self, texts: Sequence[str]) -> Sequence[bytes | None]:
        """See `Embed`."""
        body = _encode({"model": self.model, "input": list(texts)})
        now = asyncio.get_running_loop().time()
        single = Single(
            self._new_id(), "openai-chat", self.model, body, now + WAIT_S, now, "embed",
            caller=self._caller, fields=msgspec.json.decode(body, type=dict[str, Raw]),
        )  # fmt: skip
        single.trail.task = self._task
        try:
            async with asyncio.timeout(WAIT_S):
                answer = await self._answerer(single)
            found = msgspec.json.decode(answer.body or b"", type=_Members).data
        except (GatewayError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("memory goes by words alone: %s makes no vectors (%s)", self.model, error)
            return [None] * len(texts)
        vectors = {one.index: packed(one.embedding) for one in found}
        return [small(v) if (v := vectors.get(at)) else None for at in range(len(texts))]
