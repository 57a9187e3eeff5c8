"""What workers may ask of the owner, by name: what is rare, and what only it can know."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from octoplex.assembly.works import Standing, Works
from octoplex.ledger.allowance import Left
from octoplex.ledger.rows import Kept, KeyRow, Stored, Turned
from octoplex.server.supervisor.claims import Claimed
from octoplex.server.supervisor.crowding import Crowding
from octoplex.server.supervisor.lending import Peer
from octoplex.server.supervisor.merging import merged

Answers = dict[str, Callable[[Peer, bytes], Awaitable[object]]]


class Tells(Protocol):
    """Who tells the other workers."""

    async def tell_all(self, what: str, value: object) -> list[bytes]: ...

    renew_keys: Callable[[], Awaitable[None]]

    def without_lent(self, key_id: str, budget: Left) -> Left: ...


def answers(works: Works, owner: Tells, claimed: Claimed, crowding: Crowding) -> Answers:
    """Every question. What a store raises is the worker's to raise again."""
    own = _Answers(works, owner, claimed)
    return {
        "drain": _typed(tuple[()], own.drain),
        "keys.add": _typed(tuple[KeyRow], own.add_key),
        "keys.revoke": _typed(tuple[str, int], own.revoke_key),
        "keys.rotate": _typed(tuple[Turned], own.rotate_key),
        "shelf.keep": _typed(tuple[Stored], own.shelve),
        "shelf.find": _typed(tuple[str, str], own.response),
        "shelf.holding": _typed(tuple[str, list[str]], own.holding),
        "shelf.known": _typed(tuple[list[str]], own.known),
        "shelf.forget": _typed(tuple[str, str], own.forget),
        "claims.take": _typed(tuple[bytes, bytes], claimed.take),
        "claims.give_back": _typed(tuple[bytes], own.give_back),
        "claims.freed": _typed(tuple[bytes, float], own.freed),
        "crowd.enter": _typed(tuple[str, int], crowding.enter),
        "crowd.leave": _typed(tuple[int], crowding.leave),
        "stock.find": _typed(tuple[bytes, bool], own.kept),
        "stock.vectors": _typed(tuple[bytes, int], own.vectors),
        "stock.keep": _typed(tuple[Kept], own.keep),
        "standing": _typed(tuple[str], own.standing),
        "metrics": _typed(tuple[()], own.metrics),
    }


class _Answers:
    def __init__(self, works: Works, owner: Tells, claimed: Claimed) -> None:
        self._works, self._store, self._owner = works, works.store, owner
        self._claimed = claimed
        self._stock, self._shelf = works.cache.stock, works.store.responses

    async def drain(self, peer: Peer) -> bool:
        return await self._store.drain()

    async def add_key(self, peer: Peer, row: KeyRow) -> None:
        await self._store.add_key(row)
        await self._owner.renew_keys()

    async def revoke_key(self, peer: Peer, name: str, at_ms: int) -> KeyRow | None:
        row = await self._store.revoke_key(name, at_ms)
        await self._owner.renew_keys()
        return row

    async def rotate_key(self, peer: Peer, turned: Turned) -> KeyRow | None:
        row = await self._store.rotate_key(turned)
        await self._owner.renew_keys()
        return row

    async def shelve(self, peer: Peer, row: Stored) -> None:
        self._shelf.keep(row)

    async def response(self, peer: Peer, key_id: str, id_: str) -> Stored | None:
        return await self._shelf.find(key_id, id_)

    async def holding(self, peer: Peer, key_id: str, ids: list[str]) -> list[Stored]:
        return await self._shelf.holding(key_id, ids)

    async def known(self, peer: Peer, ids: list[str]) -> set[str]:
        return await self._shelf.known(ids)

    async def forget(self, peer: Peer, key_id: str, id_: str) -> bool:
        return await self._shelf.forget(key_id, id_)

    async def give_back(self, peer: Peer, key: bytes) -> None:
        self._claimed.give_back(peer, key)

    async def freed(self, peer: Peer, key: bytes, within_s: float) -> None:
        await self._claimed.freed(key, within_s)

    async def kept(self, peer: Peer, key: bytes, patient: bool) -> Kept | None:
        return await self._stock.find(key, patient)

    async def vectors(
        self, peer: Peer, group: bytes, most: int
    ) -> list[tuple[bytes, bytes]] | None:
        return await self._stock.vectors(group, most)

    async def keep(self, peer: Peer, row: Kept) -> None:
        self._stock.keep(row)

    async def standing(self, peer: Peer, key_id: str) -> Standing:
        standing = await self._works.standing(key_id)
        budgets = [self._owner.without_lent(key_id, budget) for budget in standing.budgets]
        return msgspec.structs.replace(standing, budgets=budgets)

    async def metrics(self, peer: Peer) -> bytes:
        own = await asyncio.to_thread(self._works.metrics.expose())
        texts = await self._owner.tell_all("metrics", None)
        return merged([own, *[msgspec.msgpack.decode(text, type=bytes) for text in texts]])


def _typed(kind: Any, work: Any) -> Callable[[Peer, bytes], Awaitable[object]]:
    decode = msgspec.msgpack.Decoder(kind).decode

    def answer(peer: Peer, args: bytes) -> Awaitable[object]:
        asked: Awaitable[object] = work(peer, *decode(args))
        return asked

    return answer
