"""Dialects near Chat: their replies are read into Chat's shapes, and the rest is Chat's own.

    bytes --decode (the dialect's)--> Wire --ChatDecoder, decode_reply (Chat's)--> events, Reply

`decode` translates names and words (`model_id`, `precached_prompt_tokens`, finish reasons),
says with a `Last` that nothing more comes, and raises for an error in words of its own.

Not promised: a light scan of whole replies; they are decoded, and so are their streams.
"""

from collections.abc import Callable, Mapping

from octoplex.dialects.dialect import Encoded, Seen, Traits
from octoplex.dialects.effort import effort_of, is_off, nearest
from octoplex.dialects.expression import Omissions
from octoplex.dialects.one_way import Parts
from octoplex.dialects.openai_chat.shapes import Wire
from octoplex.dialects.openai_chat.stream import ChatDecoder
from octoplex.dialects.openai_chat.verdict import judge_status
from octoplex.dialects.openai_chat.whole import decode_reply
from octoplex.wire.chat import Chat, Effort
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import UNKNOWN_USAGE, Reply

EFFORTS: tuple[Effort, ...] = ("low", "medium", "high")


def near_chat(
    write: Callable[[Chat, Traits], Encoded],
    decode: Callable[[bytes], Wire],
    judge: Callable[[int, Mapping[str, str], bytes, float], UpstreamError] = judge_status,
) -> Parts:
    """The parts of a dialect that writes with `write` and reads with `decode`."""

    def reply(body: bytes) -> Reply:
        return decode_reply(body, decode)

    def seen(body: bytes) -> Seen:
        whole = reply(body)
        return Seen(whole.model, None if whole.usage == UNKNOWN_USAGE else whole.usage, whole.stop)

    return Parts(
        write=write,
        read_whole=seen,
        decode_reply=reply,
        decoder=lambda: ChatDecoder(decode),
        judge=judge,
    )


def effort_in(chat: Chat, omissions: Omissions) -> Effort | None:
    """How much to think, for vendors with three words for it and none for not at all."""
    ask = chat.thinking
    if ask is None:
        return None
    if is_off(ask):
        omissions.leave_out("thinking")
        return None
    return nearest(ask.effort or effort_of(ask.budget_tokens), EFFORTS)
