"""Thinking that a reply's text begins with, in tags, taken out of the text.

    <think>Hm.</think>Hello     ->  thinking "Hm.", text "Hello"

Open models write their thinking so, and servers without a parser for it pass it on as
text. Only what a text begins with is a tag: one that is mentioned later stays. A tag that
never closes is thinking to the end. Some templates write the opening tag into the prompt,
so that a reply begins inside it (quirk `think_unopened`): then all before the first closing
tag is thinking, and as nobody can tell before it comes, the text is held until then.

A server that told the thinking in a place of its own has parsed it already; its text is
left alone. Replies that pass verbatim are parted by `openai_chat/tags.py`.

Reference: https://qwen.readthedocs.io/en/latest/getting_started/quickstart.html and
https://huggingface.co/deepseek-ai/DeepSeek-R1#usage-recommendations

Not promised: other tags, a second piece of thinking, a count of its tokens.
"""

from collections.abc import Sequence

import msgspec

from octoplex.dialects.dialect import Decoder
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import (
    Event,
    Finished,
    Reply,
    Started,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
)

OPEN, CLOSE = "<think>", "</think>"
TAGS, UNOPENED = "think_tags", "think_unopened"


class Parting:
    """One text as it arrives, parted into thinking and the text behind it."""

    __slots__ = ("_held", "_place", "_thought", "_unopened")

    def __init__(self, *, unopened: bool) -> None:
        """`unopened`: it may begin inside the tag."""
        self._unopened, self._held, self._thought = unopened, "", False
        self._place = "before"
        """before the tag, inside it, right behind it, or in the text."""

    @property
    def is_over(self) -> bool:
        """Whether all that comes is text, and nothing is held."""
        return self._place == "text"

    def feed(self, text: str) -> tuple[str, str]:
        """More of it: what can be told by now to be thinking, and to be text."""
        self._held += text
        thought = ""
        if self._place == "before":
            self._begin()
        if self._place == "inside":
            thought = self._inside()
        if self._place == "behind":
            self._held = self._held.lstrip("\r\n")
            self._place = "text" if self._held else "behind"
        return thought, self._taken() if self._place == "text" else ""

    def end(self) -> tuple[str, str]:
        """Nothing more comes: what was held."""
        held = self._taken()
        return (held.rstrip(), "") if self._place == "inside" else ("", held)

    def _taken(self) -> str:
        held, self._held = self._held, ""
        return held

    def _begin(self) -> None:
        said = self._held.lstrip()
        if said.startswith(OPEN):
            self._held, self._place = said.removeprefix(OPEN), "inside"
        elif self._unopened:
            self._place = "inside" if CLOSE in said else "before"
        elif not OPEN.startswith(said):
            self._place = "text"

    def _inside(self) -> str:
        thought, closed, rest = self._held.partition(CLOSE)
        if not self._thought:
            thought = thought.lstrip()
        if closed:
            kept = thought.rstrip()
            self._held, self._place = rest, "behind"
        else:  # its end may be white space before the closing tag, or that tag's beginning
            kept = thought[: len(thought) - _begun(thought)].rstrip()
            self._held = thought[len(kept) :]
        self._thought = self._thought or bool(kept)
        return kept


def _begun(text: str) -> int:
    """How many letters at the end of a text may begin the closing tag."""
    return next((n for n in range(len(CLOSE) - 1, 0, -1) if text.endswith(CLOSE[:n])), 0)


class ThinkTags:
    """A decoder around another one, whose text may begin with thinking."""

    def __init__(self, inner: Decoder, *, unopened: bool) -> None:
        self._inner = inner
        self._parting: Parting | None = Parting(unopened=unopened)
        """None once what it is about is over."""
        self.read: Sequence[Event] = ()
        self._index = -1
        self._shift = 0
        """How much later blocks come for the thinking before them."""

    @property
    def stop(self) -> StopReason | None:
        """Why it stopped, as soon as the provider has said so."""
        return self._inner.stop

    @property
    def skipped(self) -> int:
        """Events that were no JSON."""
        return self._inner.skipped

    def feed(self, wire: bytes) -> Sequence[Event]:
        """Decode whole events.

        Raises:
            UpstreamError: as the inner one does; what came before it is in `read`.
        """
        try:
            events = self._inner.feed(wire)
        except UpstreamError:
            self.read = self._parted(self._inner.read)
            raise
        self.read = self._parted(events)
        return self.read

    def end(self) -> Sequence[Event]:
        """The upstream closed.

        Raises:
            UpstreamBroken: it never said why it stopped.
        """
        return self._parted(self._inner.end())

    def _parted(self, events: Sequence[Event]) -> Sequence[Event]:
        if self._parting is None and not self._shift:
            return events
        out: list[Event] = []
        for number, event in enumerate(events):
            parting = self._parting
            if parting is None and not self._shift:
                return [*out, *events[number:]]
            if parting is None or isinstance(event, Started):
                out.append(self._moved(event))
            elif isinstance(event, TextDelta) and self._index in (-1, event.index):
                self._index = event.index
                self._put(parting.feed(event.text), out)
                if parting.is_over:
                    self._parting = None
            else:  # whatever comes next, the text has ended
                self._parting = None
                self._put(parting.end(), out)
                out.append(self._moved(event))
        return out

    def _put(self, parts: tuple[str, str], out: list[Event]) -> None:
        thought, text = parts
        if thought:
            self._shift = 1
            out.append(ThinkingDelta(thought, self._index))
        if text:
            out.append(TextDelta(text, self._index + self._shift))

    def _moved(self, event: Event) -> Event:
        if not self._shift or isinstance(event, Started | Finished):
            return event
        return msgspec.structs.replace(event, index=event.index + self._shift)


def parted(decoder: Decoder, quirks: frozenset[str]) -> Decoder:
    """The decoder of a stream whose text may begin with thinking, where a quirk says so."""
    return ThinkTags(decoder, unopened=UNOPENED in quirks) if TAGS in quirks else decoder


def parted_reply(reply: Reply, quirks: frozenset[str]) -> Reply:
    """The reply with the thinking taken out of the text that it begins with."""
    first = reply.blocks[0] if reply.blocks and TAGS in quirks else None
    if not isinstance(first, Text):
        return reply
    parting = Parting(unopened=UNOPENED in quirks)
    parts = [parting.feed(first.text), parting.end()]
    thought, text = ("".join(pieces) for pieces in zip(*parts, strict=True))
    found = (*((Thinking(thought),) if thought else ()), *((Text(text),) if text else ()))
    return msgspec.structs.replace(reply, blocks=(*found, *reply.blocks[1:]))
