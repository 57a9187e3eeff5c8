"""What an operator has agents forget: noted in the audit log, then done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from octoplex.agents.memory.rows import Which
from octoplex.assembly.state import facts_of
from octoplex.ledger.audit import Audit
from octoplex.settings import Environment, Settings
from octoplex.wire.error import NotFound


async def forget(
    settings: Settings,
    env: Environment,
    data: Path,
    audit: Audit,
    said: Mapping[str, Any],
    who: str,
) -> int:
    """Delete what a `Which` names; how many facts that were.

    Raises:
        msgspec.ValidationError: it names nothing.
        NotFound: there is nothing of that.
        StoreFailed: it could not be noted, and is not done, or could not be done.
    """
    which = msgspec.convert(said, Which)
    after = {"id": which.id} if which.id else {"thread": which.thread} if which.thread else "all"
    facts = facts_of(settings, env, data)
    try:
        if not await facts.listed(which, 1, 0):
            raise NotFound("There is nothing of that in this owner's memory.")
        with audit.change(who, "memory.forget", which.owner, after={"forgotten": after}):
            return await facts.forget(which)
    finally:
        await facts.close()
