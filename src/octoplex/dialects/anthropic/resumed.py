"""Where an Anthropic stream stands that has passed verbatim until now.

What events do not say is read off the bytes: which blocks have begun, also those that are
still empty, and whether the last one is over.

Not promised: blocks and deltas that no event says (citations, tools of the provider).
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from octoplex.dialects import sse
from octoplex.dialects.anthropic.encoder import AnthropicEncoder
from octoplex.dialects.members import UNREADABLE
from octoplex.wire.ask import Call
from octoplex.wire.event import Event

BLOCKS = {
    "text": "text",
    "thinking": "thinking",
    "redacted_thinking": "redacted",
    "tool_use": "tool",
}
"""The blocks that events say, and what the encoder calls them."""
DELTAS = frozenset({"text_delta", "thinking_delta", "signature_delta", "input_json_delta"})


class _Typed(Struct):
    type: str = ""


class _Event(Struct):
    type: str = ""
    index: int = 0
    content_block: _Typed | None = None
    delta: _Typed | None = None


_read = msgspec.json.Decoder(_Event).decode


def resume(call: Call, wire: bytes, told: Sequence[Event]) -> AnthropicEncoder | None:
    """The encoder; None where the events hold what it could not go on with."""
    kinds: list[str] = []
    is_open = False
    for _, data in sse.events(wire):
        try:
            event = _read(data)
        except (*UNREADABLE, msgspec.ValidationError):
            return None
        if event.content_block is not None:
            kind = BLOCKS.get(event.content_block.type)
            if kind is None or is_open or event.index != len(kinds):
                return None
            kinds.append(kind)
            is_open = True
        elif event.type == "content_block_stop":
            is_open = False
        elif event.type == "content_block_delta":
            if event.delta is None or event.delta.type not in DELTAS:
                return None
        elif event.type not in ("message_start", "ping"):
            return None
    encoder = AnthropicEncoder(call.id, call.model)
    encoder.resume(told, kinds, is_open=is_open)
    return encoder
