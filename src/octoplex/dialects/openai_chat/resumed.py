"""An encoder that goes on with a Chat stream which has passed verbatim until now.

Every chunk goes on repeating the id, the time and the model of the first one; where that has no
time, which some servers leave out, now.

Not promised: `system_fingerprint` and other members of a chunk beside its choices; to go on from
the first half of a surrogate pair, which no second telling repeats.
"""

from collections.abc import Sequence

import msgspec

from octoplex.dialects import sse
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.answer import ChatEncoder
from octoplex.wire.ask import Call
from octoplex.wire.event import Event, ThinkingDelta

KNOWN = frozenset(
    {"role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning"}
    | {"reasoning_details"}
)
"""The members of a delta that events say."""
_read = msgspec.json.Decoder(dict[str, object]).decode


def resume(
    call: Call, wire: bytes, told: Sequence[Event], *, include_usage: bool, now: int
) -> ChatEncoder | None:
    """The encoder; None where the chunks hold what it could not go on with."""
    created = None
    for _, data in sse.events(wire):
        try:
            chunk = _read(data)
        except UNREADABLE:
            return None
        if created is None:
            created = chunk.get("created")
        choices = chunk.get("choices")
        if isinstance(choices, list) and not all(_is_plain(choice) for choice in choices):
            return None
    thinks = bool(told) and isinstance(told[-1], ThinkingDelta)
    if thinks and b'"reasoning_content"' not in wire:
        return None
    created = created if isinstance(created, int) else now
    encoder = ChatEncoder(
        created=created, request_id=call.id, model=call.model, include_usage=include_usage
    )
    encoder.resume(told)
    return encoder


def _is_plain(choice: object) -> bool:
    """Whether events say all that is in a choice."""
    if not isinstance(choice, dict) or choice.get("logprobs") or choice.get("index", 0) != 0:
        return False
    delta = choice.get("delta")
    if not isinstance(delta, dict) or not isinstance(delta.get("content") or "", str):
        return False
    return all(name in KNOWN or not value for name, value in delta.items())
