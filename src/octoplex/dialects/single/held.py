"""Whether a 200 holds what was asked for: one vector for each input, ranks, verdicts, choices.

A reply without it is no reply: another target may be asked, and nobody stores vectors beside
the wrong texts.

Not promised: that the order is right where a provider does not number what it returns.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from octoplex.dialects.broken import cut
from octoplex.dialects.members import UNREADABLE
from octoplex.wire.ask import Operation

MEMBERS: Mapping[Operation, tuple[str, ...]] = {
    "embed": ("data", "embeddings"),
    "rerank": ("results", "data"),
    "moderate": ("results",),
    "complete": ("choices",),
}
"""Operation -> the members of a reply of which one lists what was made."""

_list = msgspec.json.Decoder(list[Raw]).decode


def check(op: Operation, made: Sequence[Any] | None, fields: Mapping[str, Raw]) -> None:
    """Check what a reply to a request of these members lists.

    Raises:
        UpstreamBroken: nothing, or not one vector for each input.
    """
    wanted = _inputs(fields) if op == "embed" else None
    if made is None or (not made and op != "rerank"):
        raise cut(f"The provider's reply holds no {' or '.join(MEMBERS[op])}.")
    if wanted is not None and len(made) != wanted:
        raise cut(f"The provider's reply holds {len(made)} embeddings for {wanted} inputs.")


def _inputs(fields: Mapping[str, Raw]) -> int | None:
    """How many inputs there are: a list of tokens is one; None where nobody can say."""
    raw = bytes(fields.get("input", b""))
    if raw[:1] == b'"':
        return 1
    try:
        items = _list(raw)
    except UNREADABLE:
        return None
    is_tokens = bool(items) and bytes(items[0])[:1].isdigit()
    return 1 if is_tokens else len(items)
