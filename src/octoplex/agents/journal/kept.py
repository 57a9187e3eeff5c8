"""Whether a database has tasks, asked without loading what keeps them."""

import asyncio

from octoplex.agents.journal.engine import SCHEMA
from octoplex.ledger.postgres.database import Database
from octoplex.wire.error import BadConfig


async def are_kept(where: Database) -> bool:
    """Whether anybody has ever handed in a task there.

    Raises:
        StoreFailed: it cannot be asked.
        BadConfig: the extra `postgres` is not installed.
    """
    try:
        from octoplex.ledger.postgres.link import Link
    except ModuleNotFoundError:
        raise BadConfig("PostgreSQL needs the extra `postgres`.") from None
    link = Link(where, "octoplex-tasks")
    try:
        table = f"{SCHEMA}.workflow_status"
        asked = link.ask(lambda db: db.fetchval("select to_regclass($1) is not null", table))
        found: bool = await asyncio.wrap_future(asked)
        return found
    finally:
        await asyncio.to_thread(link.close)
