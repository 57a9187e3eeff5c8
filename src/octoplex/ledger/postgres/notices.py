"""Which of several hosts tells of something, in a PostgreSQL: `Notices` (`ledger/store.py`).

    notices = PostgresNotices(till.ask, host)

A claim is a row of `octoplex.notices` with a term, by the database's clock. It is another's once
its term is over, which is when its host does not renew it any more.
"""

from octoplex.ledger.postgres.common import Ask
from octoplex.ledger.store import Whose

_CLAIM = """with ours as (
    insert into octoplex.notices as n values ($1, $2, now() + make_interval(secs => $3))
    on conflict (id) do update set host = excluded.host, until = excluded.until
        where not n.told and (n.host = excluded.host or n.until < now())
    returning id
) select exists (select from ours), exists (select from octoplex.notices where id = $1 and told)"""
_TOLD = "update octoplex.notices set told = true where id = $1"
_FORGET = "delete from octoplex.notices where split_part(id, ' ', 3) < $1"


class PostgresNotices:
    """Owned by the event loop."""

    def __init__(self, ask: Ask, host: str) -> None:
        self._ask, self._host = ask, host

    async def claim(self, id_: str, term_s: float) -> Whose:
        """See `Notices`."""
        ((ours, told),) = await self._ask(_CLAIM, id_, self._host, term_s)
        return "ours" if ours else "told" if told else "theirs"

    async def told(self, id_: str, before: str) -> None:
        """See `Notices`."""
        await self._ask(_TOLD, id_)
        await self._ask(_FORGET, before)
