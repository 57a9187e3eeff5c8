"""What a client's caller gets: the reply, and what the gateway says beside it.

A `ChatReply` is the wire's `Reply` with its receipt; both ways of reaching a gateway fill
it from the same words of the Chat dialect, so they are equal.
"""

from msgspec import Struct

from octoplex.wire.chat import Message, Part, TextPart, ToolCall
from octoplex.wire.event import Reply, Text, ToolUse


class Receipt(Struct, frozen=True, kw_only=True):
    """What the gateway says of an answer. Empty where the URL is not an Octoplex.

    `target` is `provider/model` as it was asked, `cost_nano` whole nano-dollars, None when
    nobody said, `estimated` that it is a guess. `dropped` names hints the target has no words for.
    """

    request_id: str = ""
    target: str = ""
    provider: str = ""
    route: str = ""
    attempts: int = 1
    dropped: tuple[str, ...] = ()
    cost_nano: int | None = None
    estimated: bool = False


class ChatReply(Reply, frozen=True, kw_only=True):
    """A finished answer: `text`, `thinking`, `tool_calls`, `usage`, `stop`, and its receipt."""

    receipt: Receipt = Receipt()

    @property
    def request_id(self) -> str:
        """The name of this request in `octoplex logs`."""
        return self.receipt.request_id

    @property
    def cost_nano(self) -> int | None:
        """What it cost, in nano-dollars; None when nobody said."""
        return self.receipt.cost_nano

    @property
    def message(self) -> Message:
        """This answer as the assistant's turn of a conversation that goes on."""
        parts: list[Part] = []
        for block in self.blocks:
            if isinstance(block, Text):
                parts.append(TextPart(block.text))
            elif isinstance(block, ToolUse):
                parts.append(ToolCall(block))
            else:
                parts.append(block)
        return Message("assistant", tuple(parts))


class ModelOffer(Struct, frozen=True, kw_only=True):
    """A model or route that may be asked for. `why` says what keeps it from being asked."""

    id: str
    owner: str = ""
    available: bool = True
    why: str = ""


def with_receipt(reply: Reply, receipt: Receipt) -> ChatReply:
    """The reply and what was said beside it."""
    return ChatReply(
        id=reply.id,
        model=reply.model,
        blocks=reply.blocks,
        stop=reply.stop,
        usage=reply.usage,
        stop_sequence=reply.stop_sequence,
        receipt=receipt,
    )
