"""An encoder that goes on with a Gemini stream which has passed verbatim until now.

Not promised: members of a reply beside its parts, such as safety ratings.
"""

from collections.abc import Sequence

import msgspec

from octoplex.dialects.gemini.answer import GeminiEncoder
from octoplex.dialects.gemini.stream import data_of
from octoplex.dialects.members import UNREADABLE
from octoplex.wire.ask import Call
from octoplex.wire.event import Event

PART = frozenset({"text", "thought", "thoughtSignature", "functionCall"})
"""The members of a part that events say."""
BEYOND = frozenset(
    {"citationMetadata", "groundingMetadata", "logprobsResult", "urlContextMetadata"}
)
"""Members of a candidate that say more than its parts."""
_read = msgspec.json.Decoder(dict[str, object]).decode


def resume(call: Call, wire: bytes, told: Sequence[Event]) -> GeminiEncoder | None:
    """The encoder; None where the replies hold what it could not go on with."""
    for data in data_of(wire)[0]:
        try:
            reply = _read(data)
        except UNREADABLE:
            return None
        candidates = reply.get("candidates")
        if isinstance(candidates, list) and not all(_is_plain(one) for one in candidates):
            return None
    encoder = GeminiEncoder(call.id, call.model)
    encoder.resume(told)
    return encoder


def _is_plain(candidate: object) -> bool:
    """Whether events say all that is in a candidate."""
    if not isinstance(candidate, dict) or candidate.get("index", 0) != 0:
        return False
    if not BEYOND.isdisjoint(candidate):
        return False
    content = candidate.get("content") or {}
    parts = content.get("parts") or [] if isinstance(content, dict) else None
    return isinstance(parts, list) and all(
        isinstance(part, dict) and part.keys() <= PART for part in parts
    )
