"""What hosts have in common, in a PostgreSQL: `Common` (`ledger/common.py`).

    common = PostgresCommon(till.ask)

The counters are rows of `octoplex.news`, where the store counts changes of keys, too, and
`NOTIFY octoplex, 'news'` wakes those who look: the till hears it (`till.py`). The switches are in
`octoplex.switches`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from octoplex.ledger.common import TOPICS, Common, Topic

Ask = Callable[..., Awaitable[list[Any]]]
"""Has a statement done with these values; its rows, or StoreFailed."""
_NEWS = "select topic, number from octoplex.news"
_SAY = """with changed as (
    insert into octoplex.news values ($1, 1)
    on conflict (topic) do update set number = news.number + 1 returning number
) select number, pg_notify('octoplex', 'news') from changed"""
_PUT = """insert into octoplex.switches values ($1, $2)
    on conflict (provider) do update set value = excluded.value"""
_ALL = "select provider, value from octoplex.switches"
_FILL = """insert into octoplex.switches select * from unnest($1::text[], $2::bytea[])
    on conflict do nothing returning provider"""


class PostgresCommon(Common):
    """Owned by the event loop. Begin it inside, end it before what it asks."""

    place = "the database"

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._ask = ask

    async def _ready(self) -> None:
        """Whoever asks waits for the connection."""

    async def _news(self) -> tuple[bytes, dict[Topic, bytes | None]]:
        found = {topic: b"%d" % number for topic, number in await self._ask(_NEWS)}
        return b"", {topic: found.get(topic) for topic in TOPICS}

    async def _say(self, topic: Topic) -> int:
        number: int = (await self._ask(_SAY, topic))[0][0]
        return number

    async def _put(self, id_: str, value: bytes) -> None:
        await self._ask(_PUT, id_, value)

    async def _all(self) -> dict[str, bytes]:
        return dict(await self._ask(_ALL))

    async def _fill(self, rows: dict[str, bytes]) -> bool:
        return bool(await self._ask(_FILL, [*rows], [*rows.values()]))
