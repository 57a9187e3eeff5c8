"""A reply that a provider's filter took: it ends as refused, and says nothing before that.

Some providers answer so where others send an error (`ContentRefused`): a finish reason
`content_filter` over an empty message, a prompt that was blocked. A route that falls over on
refusals treats both alike while it has another target; where none is left the caller gets the
reply as it is. It was billed, so a stream of it is read to its end, which brings the bill.

Whole replies must be decoded for it, at routes with `fall_over_on_refusal` alone. What a model
itself declines, in words, is content and no refusal here.
"""

from octoplex.routing.route import Target
from octoplex.wire.answer import Answer
from octoplex.wire.ask import Ask
from octoplex.wire.error import ContentRefused, DeadlinePassed, UpstreamError
from octoplex.wire.event import ToolUse


async def is_refused(answer: Answer) -> bool:
    """Whether an opened answer is a refusal and nothing else; it has ended then."""
    if answer.body is None:
        return answer.head.refused and await _ended(answer)
    try:
        reply = answer.reply()
    except UpstreamError:
        return False  # it passes verbatim, and is the caller's to read
    called = any(isinstance(block, ToolUse) for block in reply.blocks)
    return reply.stop == "refusal" and not called and not reply.text.strip()


async def _ended(answer: Answer) -> bool:
    try:
        async for _ in answer:
            pass
    except (UpstreamError, DeadlinePassed):
        pass
    finally:
        answer.close()
    return True


def refused(ask: Ask, target: Target) -> ContentRefused:
    """The failure that such a reply is; its row of the trail says so."""
    for row in reversed(ask.trail.attempts):
        if row.target == target.name:
            row.outcome = ContentRefused.code
            break
    return ContentRefused(f"{target.name} filtered its whole reply.")
