"""Thinking that must come back unchanged, carried through clients of the Chat dialect.

The dialect has no place for a signature. Octoplex uses OpenRouter's documented one: a
`reasoning_details` list beside `reasoning_content`, in messages and in deltas. A piece
of signed thinking is `{"type": "reasoning.text", "text", "signature", "index"}`, an
encrypted one `{"type": "reasoning.encrypted", "data", "index"}`. A client that sends
the assistant's message back as it got it keeps every byte of both.

A stream says `reasoning_content` as it comes and gives each detail whole, in one chunk,
when its block ends: clients that gather deltas by `index` and clients that replace
whole entries both end with the right list.

Reference: https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks

Not promised: that details written by another gateway make sense to this provider.
"""

from collections.abc import Iterable

from octoplex.dialects.openai_chat.shapes import ReasoningDetail
from octoplex.wire.event import Thinking

Body = dict[str, object]


def write_detail(thinking: Thinking, index: int) -> Body:
    """One entry of `reasoning_details`."""
    if thinking.data:
        return {"type": "reasoning.encrypted", "data": thinking.data, "index": index}
    detail: Body = {"type": "reasoning.text", "text": thinking.text, "index": index}
    if thinking.signature:
        detail["signature"] = thinking.signature
    return detail


def write_details(thinking: Iterable[Thinking]) -> list[Body]:
    """The whole list for one message."""
    return [write_detail(piece, index) for index, piece in enumerate(thinking)]


def must_echo(thinking: Iterable[Thinking]) -> bool:
    """Whether any piece holds more than text."""
    return any(piece.signature or piece.data for piece in thinking)


def read_detail(detail: ReasoningDetail) -> Thinking:
    """The thinking that an entry stands for."""
    if detail.data:
        return Thinking(data=detail.data)
    return Thinking(detail.text or detail.summary or "", detail.signature or "")
