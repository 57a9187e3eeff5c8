"""A response as it is kept, for the tests of the shelf."""

import time
from typing import Any

from octoplex.ledger import Stored

BODY = b'{"id":"resp_1","object":"response","status":"completed","output":[]}'
INPUT = b'[{"type":"message","id":"msg_in_1_0","role":"user","content":"Hello"}]'


def row(number: int, **members: Any) -> Stored:
    """The response `resp_NUMBER` of the key `k`."""
    usual: dict[str, Any] = {
        "id": f"resp_{number}",
        "key_id": "k",
        "tenant": "t",
        "created_at_ms": NOW_MS,
        "model": "m",
        "status": "completed",
        "body": BODY,
        "input": INPUT,
    }
    return Stored(**usual | members)


NOW_MS = time.time_ns() // 1_000_000
