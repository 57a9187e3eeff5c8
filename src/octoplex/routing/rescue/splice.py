"""Holds a second telling of a reply while it repeats the first, letter by letter. Pure.

    splice = Splice(told)            the events that the caller has
    splice.feed(events) -> events    of the second telling: those that say more than the first

Blocks are compared in their order, texts and arguments by their letters however they were cut,
tool calls also by name, thinking that is encrypted by its bytes. The caller keeps the ids and
the signatures that it has. What is new bears the indices of the first telling, so that whoever
reads the stream reads one.

A signature proves the thinking of its own telling: it is given on only where that is, letter by
letter, the thinking that the caller has.
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from octoplex.wire.event import (
    Delta,
    Event,
    Finished,
    RedactedThinking,
    Started,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
)

_is_object = msgspec.json.Decoder(dict[str, Raw]).decode
TOOLS = (ToolStart, ToolDelta)


class Diverged(Exception):
    """The second telling is another one."""


class Block(Struct):
    """A block that the caller has: text, or arguments, or encrypted thinking."""

    kind: str
    index: int
    text: str = ""
    name: str = ""
    id: str = ""
    signature: str = ""
    met: int = 0
    """Letters that the second telling has repeated."""

    @property
    def open(self) -> bool:
        """Whether more may come in it, as far as it can be told by itself."""
        if self.kind == "tool":
            return not _is_whole(self.text)
        return not self.signature and self.kind != "redacted"


def blocks_of(events: Iterable[Event]) -> list[Block]:
    """What these events say, block by block in the order in which they began."""
    found: dict[int, Block] = {}
    texts: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, Started | Finished):
            continue
        block = found.get(event.index)
        if block is None:
            if not _begins(event):
                continue
            block = found[event.index] = Block(_kind(event), event.index)
            texts[event.index] = []
        texts[event.index].append(_text(event))
        if isinstance(event, ToolStart):
            block.name, block.id = event.name, event.id
        elif isinstance(event, ThinkingDelta):
            block.signature += event.signature
    for index, block in found.items():
        block.text = "".join(texts[index])
    return list(found.values())


class Splice:
    """One second telling against what the caller has."""

    def __init__(self, told: Sequence[Event]) -> None:
        self._blocks = blocks_of(told)
        used = (e.index for e in told if not isinstance(e, Started | Finished))
        self._next = max(used, default=-1) + 1
        self._ids = {b.id for b in self._blocks if b.id}
        self._numbers: dict[int, int] = {}
        """Index in the second telling -> number of the block, in the order of both."""
        self._held: list[Event] = []
        self._even = False

    @classmethod
    def after(cls, told: Sequence[Event]) -> "Splice":
        """What goes on in the last text that was told, and repeats nothing."""
        splice = cls(told)
        index = splice._blocks[-1].index
        splice._blocks, splice._even = [Block("text", index)], True
        return splice

    @property
    def even(self) -> bool:
        """Whether all that the caller has was repeated."""
        if not self._even:
            self._even = len(self._numbers) >= len(self._blocks) and all(
                b.met == len(b.text) for b in self._blocks
            )
        return self._even

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """Take more of the second telling; what is new of it, once all else was repeated.

        Raises:
            Diverged: it says something else, or ends before.
        """
        new = self._held
        for event in events:
            if isinstance(event, Started):
                continue
            if isinstance(event, Finished):
                if not self.even:
                    raise Diverged("it ended before")
                new.append(event)
                continue
            more = self._more(event)
            if more is not None:
                new.append(more)
        if not self.even:
            return []
        self._held = []
        return new

    def _more(self, event: Delta) -> Delta | None:
        """What an event says that the caller has not got, in the caller's numbers."""
        number = self._numbers.get(event.index)
        if number is None:
            if not _begins(event):
                return None
            number = self._numbers[event.index] = len(self._numbers)
            self._check_before(number)
        if number >= len(self._blocks):
            return self._fresh(event, number)
        block = self._blocks[number]
        if _kind(event) != block.kind or (
            isinstance(event, ToolStart) and event.name != block.name
        ):
            raise Diverged("another kind of block, or another tool")
        if isinstance(event, ToolStart):
            return None
        return self._compared(event, block, last=number == len(self._blocks) - 1)

    def _check_before(self, number: int) -> None:
        """A block begins: what came before it is over, but for tool calls, which interleave."""
        for block in self._blocks[:number]:
            if block.met < len(block.text) and block.kind != "tool":
                raise Diverged("a block ended before")

    def _fresh(self, event: Delta, number: int) -> Delta:
        """An event of a block that the caller has not seen."""
        index = self._next + number - len(self._blocks)
        if not isinstance(event, ToolStart):
            return replace(event, index=index)
        id_ = event.id
        while id_ in self._ids:  # both began to count anew
            id_ += "_"
        self._ids.add(id_)
        return replace(event, index=index, id=id_)

    def _compared(self, event: Delta, block: Block, *, last: bool) -> Delta | None:
        text = _text(event)
        same = text[: len(block.text) - block.met]
        if not block.text.startswith(same, block.met):
            raise Diverged("other letters")
        block.met += len(same)
        rest = text[len(same) :]
        if isinstance(event, ThinkingDelta):
            signature = event.signature if last and block.open else ""
            if not rest and not signature:
                return None
            if rest and not (last and block.open):
                raise Diverged("more thinking")
            return ThinkingDelta(rest, block.index, signature)
        if not rest:
            return None
        if block.kind == "tool":
            if block.open:
                return ToolDelta(rest, block.index)
            if not rest.strip():
                return None
        elif last and block.open:
            return replace(event, text=rest, index=block.index)
        raise Diverged("more of a block that was over")


def size_of(events: Iterable[Event]) -> int:
    """How many letters these events say."""
    return sum([len(_text(e)) for e in events if not isinstance(e, Started | Finished)])


def _kind(event: Delta) -> str:
    return "tool" if isinstance(event, TOOLS) else str(event.__struct_config__.tag)


def _begins(event: Delta) -> bool:
    """Whether an event can begin a block: an empty piece says nothing."""
    if isinstance(event, ToolStart | RedactedThinking):
        return True
    return bool(_text(event) or (isinstance(event, ThinkingDelta) and event.signature))


def _text(event: Delta) -> str:
    if isinstance(event, ToolDelta):
        return event.arguments
    if isinstance(event, RedactedThinking):
        return event.data
    return "" if isinstance(event, ToolStart) else event.text


def _is_whole(arguments: str) -> bool:
    """Whether arguments are one whole JSON object, so that nothing can follow."""
    try:
        _is_object(arguments.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
