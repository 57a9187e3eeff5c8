"""A reply while it is still arriving, and the reply it adds up to.

A stream is one `Started`, then deltas grouped into blocks by an ascending `index`,
then exactly one `Finished`. A block is one run of text, one piece of thinking, one
tool call. Providers that interleave tool calls interleave indices; encoders for
dialects that forbid it (Anthropic) put them in order again.

`Usage.input_tokens` counts everything that was read, cached or not; the cached
counts are subsets of it (Anthropic's own `input_tokens` excludes them: its dialect
adds them up). `output_tokens` includes `reasoning_tokens`.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from octoplex.wire.error import UpstreamBroken

StopReason = Literal["end", "length", "stop_sequence", "tool", "refusal", "pause", "context"]


class Usage(Struct, frozen=True, gc=False):
    """Tokens as the provider billed them; `estimated` when it did not say.

    `tier` is the service it billed, in its own words (`priority`, `flex`), "" for the usual one.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    tier: str = ""
    searches: int = 0
    """What a reranker is billed by where it is not tokens: Cohere's search units."""


NO_USAGE = Usage()
UNKNOWN_USAGE = Usage(estimated=True)
MOST_TOKENS = 10**8
"""In one attempt: ten times the longest context there is. Above it a count is a defect of the
sender, not a bill."""
LONGEST_NAME = 512
"""Characters of a reply's id and model where every event of a stream repeats them."""


def is_possible(*counts: float | None) -> bool:
    """Whether these may be counts of tokens; what was left out may."""
    return all(count is None or 0 <= count <= MOST_TOKENS for count in counts)


class Started(Struct, frozen=True, tag_field="type", tag="started"):
    """The provider accepted the call. `usage` holds what it already knows (input)."""

    id: str
    model: str
    usage: Usage | None = None


class TextDelta(Struct, frozen=True, tag_field="type", tag="text"):
    """More text."""

    text: str
    index: int = 0


class RefusalDelta(Struct, frozen=True, tag_field="type", tag="refusal"):
    """More of the model's own refusal (OpenAI's `refusal`); text in other dialects."""

    text: str
    index: int = 0


class ThinkingDelta(Struct, frozen=True, tag_field="type", tag="thinking"):
    """More thinking; `signature` (whole or a piece of it) closes the block."""

    text: str = ""
    index: int = 0
    signature: str = ""


class RedactedThinking(Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    """Thinking that the provider encrypted, to be echoed byte for byte."""

    data: str
    index: int = 0


class ToolStart(Struct, frozen=True, tag_field="type", tag="tool_start"):
    """A tool call begins; its arguments follow as `ToolDelta`s with the same index.

    `signature` is Gemini's proof of the thought behind the call (`dialects/signed_ids.py`).
    """

    id: str
    name: str
    index: int = 0
    signature: str = ""


class ToolDelta(Struct, frozen=True, tag_field="type", tag="tool"):
    """More of a tool call's arguments: a piece of JSON text."""

    arguments: str
    index: int = 0


class Finished(Struct, frozen=True, tag_field="type", tag="finished", kw_only=True):
    """The end. `usage` is final and cumulative."""

    stop: StopReason
    usage: Usage
    stop_sequence: str | None = None


Event = (
    Started
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | RedactedThinking
    | ToolStart
    | ToolDelta
    | Finished
)


class Text(Struct, frozen=True, tag_field="type", tag="text"):
    """A block of text in a reply."""

    text: str


class Refusal(Struct, frozen=True, tag_field="type", tag="refusal"):
    """The model's own refusal in a reply."""

    text: str


class Thinking(Struct, frozen=True, tag_field="type", tag="thinking"):
    """Thinking; `signature` proves to its provider that it is unchanged. Redacted: only `data`."""

    text: str = ""
    signature: str = ""
    data: str = ""


class ToolUse(Struct, frozen=True, tag_field="type", tag="tool_use"):
    """A call of one of the caller's tools. `arguments` is JSON text as the model wrote it.

    `signature` is Gemini's proof of the thought behind the call (`dialects/signed_ids.py`).
    """

    id: str
    name: str
    arguments: str
    signature: str = ""


Block = Text | Refusal | Thinking | ToolUse


class Reply(Struct, frozen=True, kw_only=True):
    """A finished answer: blocks in the order the model wrote them."""

    id: str
    model: str
    blocks: tuple[Block, ...]
    stop: StopReason
    usage: Usage
    stop_sequence: str | None = None

    @property
    def text(self) -> str:
        """All text blocks joined."""
        return "".join(b.text for b in self.blocks if isinstance(b, Text))

    @property
    def thinking(self) -> str:
        """All thinking joined."""
        return "".join(b.text for b in self.blocks if isinstance(b, Thinking))

    @property
    def tool_calls(self) -> tuple[ToolUse, ...]:
        """The tools the model wants called, in order."""
        return tuple(b for b in self.blocks if isinstance(b, ToolUse))


def fold(events: Iterable[Event]) -> Reply:
    """Gather a whole stream into the reply a plain call would have given.

    Raises:
        UpstreamBroken: the events hold no `Finished`.
    """
    started, end = Started("", ""), None
    open_blocks: dict[int, _Block] = {}
    for event in events:
        if isinstance(event, Started):
            started = event
        elif isinstance(event, Finished):
            end = event
        else:
            open_blocks.setdefault(event.index, _Block()).add(event)
    if end is None:
        raise UpstreamBroken("The stream ended without saying why it stopped")
    return Reply(
        id=started.id,
        model=started.model,
        blocks=tuple(open_blocks[i].close() for i in sorted(open_blocks)),
        stop=end.stop,
        usage=end.usage,
        stop_sequence=end.stop_sequence,
    )


Delta = TextDelta | RefusalDelta | ThinkingDelta | RedactedThinking | ToolStart | ToolDelta


class _Block:
    """One block while its deltas are gathered."""

    def __init__(self) -> None:
        self.first: Delta | None = None
        self.pieces: list[str] = []
        self.signature = ""

    def add(self, event: Delta) -> None:
        if self.first is None:
            self.first = event
        match event:
            case TextDelta() | RefusalDelta():
                self.pieces.append(event.text)
            case ThinkingDelta():
                self.pieces.append(event.text)
                self.signature += event.signature
            case ToolDelta():
                self.pieces.append(event.arguments)
            case _:
                pass

    def close(self) -> Block:
        text = "".join(self.pieces)
        match self.first:
            case ToolStart(id=id_, name=name, signature=signature):
                return ToolUse(id_, name, text, signature)
            case ThinkingDelta():
                return Thinking(text, self.signature)
            case RedactedThinking(data=data):
                return Thinking(data=data)
            case RefusalDelta():
                return Refusal(text)
            case _:
                return Text(text)


def unfold(reply: Reply) -> list[Event]:
    """The stream that folds to `reply`: what a caller who asked for a stream is given."""
    read = msgspec.structs.replace(reply.usage, output_tokens=0, reasoning_tokens=0)
    events: list[Event] = [Started(reply.id, reply.model, read)]
    for index, block in enumerate(reply.blocks):
        match block:
            case Text(text=text):
                events.append(TextDelta(text, index))
            case Refusal(text=text):
                events.append(RefusalDelta(text, index))
            case Thinking(data="", text=text, signature=signature):
                events.append(ThinkingDelta(text, index, signature))
            case Thinking(data=data):
                events.append(RedactedThinking(data, index))
            case ToolUse(id=id_, name=name, arguments=arguments, signature=signature):
                events += [ToolStart(id_, name, index, signature), ToolDelta(arguments, index)]
    events.append(Finished(stop=reply.stop, usage=reply.usage, stop_sequence=reply.stop_sequence))
    return events
