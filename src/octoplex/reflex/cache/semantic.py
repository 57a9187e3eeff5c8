"""What means the same: the last turn of a chat compared with those that were asked before.

    spot = await spot_of(inner, ask, rule, keyed)        where an ask stands, or None
    found = await neighbours.nearest(spot, least)        (score, key) of replies to such asks

Compared is the text of the last user turn, by its vector. All else must be equal as it is for the
exact cache: the caller or its tenant, the route, every member of the body, and every turn
before the last, byte for byte; and of the last turn the hard facts (`facts.py`). A vector of
all turns would be that of the system text, which is long and always the same.

Nothing is compared where media are involved, nor where tools are, were called, or have
answered, unless the rule says so, nor where the last turn is more than a text of `MOST` characters.

The vector is asked of a model below the cache, as an ask of the same caller: metered, under its
budget, in its record. If none comes within `wait_s` it is a miss, never an error.

What is found by a neighbour is not itself a neighbour later: it would drift from turn to turn.
Not promised: that two texts with the same facts and vectors near each other mean the same.
"""

import asyncio
import math
from collections import Counter, OrderedDict
from collections.abc import Mapping
from time import monotonic
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from octoplex.ledger.stock import Stock
from octoplex.reflex.cache.facts import facts, words
from octoplex.reflex.cache.fingerprint import Keyed, Near, Rule, acts, fingerprint
from octoplex.reflex.cache.vectors import nearest, ngrams, packed, signs
from octoplex.wire.answer import Answerer
from octoplex.wire.ask import Ask, Call, Single
from octoplex.wire.beside import beside
from octoplex.wire.chat import TextPart, ToolCall, ToolResult
from octoplex.wire.eager import in_task
from octoplex.wire.error import GatewayError
from octoplex.wire.event import Refusal, Thinking

MOST = 2_000
"""Characters: in a longer text what makes the difference weighs nothing."""
COMPARED = "compared"
"""The outcome of an attempt that only made a vector."""
FRESH_S = 60.0
"""A process sees what another one has kept after so long."""
MOST_GIVEN = 4_096
MOST_GROUPS = 20_000
"""A group takes about 600 bytes beside its vectors."""
TURNS: Mapping[str, str] = {
    "openai-chat": "messages",
    "anthropic": "messages",
    "openai-responses": "input",
    "gemini": "contents",
}
"""The member that holds the turns, by face."""
_turns = msgspec.json.Decoder(list[Raw] | str).decode
_encode = msgspec.json.Encoder().encode


class _Text(Struct, forbid_unknown_fields=True):
    text: str
    type: Literal["text", "input_text"] = "text"


class _Turn(Struct, forbid_unknown_fields=True):
    """The last turn, where it is nothing but a text of the user."""

    role: Literal["user"] = "user"
    content: str | list[_Text] = ""
    parts: list[_Text] = []
    type: Literal["message"] = "message"


class _Embedding(Struct):
    embedding: list[float]


class _Embeddings(Struct):
    data: list[_Embedding]


class Spot(Struct, frozen=True):
    """Where an ask stands among those that could be the same."""

    group: bytes
    vector: bytes


async def spot_of(inner: Answerer, ask: Ask, rule: Rule, keyed: Keyed) -> Spot | None:
    """Where an ask stands; None where it is compared with nothing, or no vector came in time."""
    near = rule.near
    if near is None or not isinstance(ask, Call):
        return None
    found = await beside(len(ask.raw), _compared, ask, rule)
    if found is None:
        return None
    text, fields = found
    apart = ("semantic 1", near.model, facts(text), () if near.model else words(text))
    group = await beside(len(ask.raw), fingerprint, ask, rule, keyed, fields, apart)
    if group is None:
        return None
    vector = await _asked(inner, ask, near, text) if near.model else ngrams(text)
    return None if vector is None else Spot(group, vector)


def _compared(ask: Call, rule: Rule) -> tuple[str, dict[str, Raw]] | None:
    """The text of the last turn, and the body without it; None where it is not just text."""
    name = TURNS.get(ask.face, "")
    if name not in ask.fields:
        return None
    try:
        turns = _turns(ask.fields[name])
        before = [] if isinstance(turns, str) else turns[:-1]
        text = turns if isinstance(turns, str) else _text(turns[-1:])
        if not text.strip() or len(text) > MOST or not _plain(ask, rule):
            return None
    except (msgspec.DecodeError, UnicodeDecodeError, GatewayError):
        return None
    return text, {**ask.fields, name: Raw(_encode(before))}


def _text(last: list[Raw]) -> str:
    if not last:
        return ""
    turn = msgspec.json.decode(last[0], type=_Turn)
    content = turn.content or turn.parts
    return content if isinstance(content, str) else "\n".join([part.text for part in content])


def _plain(ask: Call, rule: Rule) -> bool:
    """Whether all turns are text, or what else the rule lets pass."""
    chat = ask.chat()
    if (chat.tools or acts(ask)) and not rule.tool_calls:
        return False
    tools = (ToolCall, ToolResult) if rule.tool_calls else ()
    kinds = (TextPart, Thinking, Refusal, *tools)
    parts = [part for message in chat.messages for part in message.parts]
    inner = [piece for part in parts if isinstance(part, ToolResult) for piece in part.parts]
    return all(isinstance(part, kinds) for part in (*parts, *inner))


async def _asked(inner: Answerer, ask: Ask, near: Near, text: str) -> bytes | None:
    """The vector of a text, by a model."""
    body = _encode({"model": near.model, "input": text})
    fields = msgspec.json.decode(body, type=dict[str, Raw])
    await in_task()
    deadline_at = min(ask.deadline_at, asyncio.get_running_loop().time() + near.wait_s)
    attempts = ask.trail.attempts
    before = len(attempts)
    single = Single(
        ask.id, "openai-chat", near.model, body, deadline_at, ask.started_at, "embed",
        caller=ask.caller, trail=ask.trail, fields=fields,
    )  # fmt: skip
    try:
        async with asyncio.timeout_at(deadline_at):
            answer = await inner(single)
        found = msgspec.json.decode(answer.body or b"", type=_Embeddings).data
        return packed(found[0].embedding) if len(found) == 1 else None
    except (GatewayError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    finally:
        for attempt in attempts[before:]:
            if attempt.status == 200:
                attempt.outcome = COMPARED


class Rejected:
    """Semantic hits whose ask came again within a minute as `no-cache`: perhaps they were wrong.

    It is only counted, because somebody who wants another wording says the same.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.scores: dict[str, float] = {}
        """By route, the highest."""
        self._given: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def given(self, key: bytes, score: float) -> None:
        """A hit was given to the ask of this key."""
        self._given[key] = (monotonic(), score)
        if len(self._given) > MOST_GIVEN:
            self._given.popitem(last=False)

    def anew(self, key: bytes, route: str) -> None:
        """The ask of this key came as `no-cache`."""
        at, score = self._given.pop(key, (-math.inf, 0.0))
        if monotonic() - at < FRESH_S:
            self.counts[route] += 1
            self.scores[route] = max(score, self.scores.get(route, 0.0))


class _Group:
    """Vectors that may be compared, with their signs, by the keys of their replies."""

    __slots__ = ("held", "loaded_at", "size")

    def __init__(self) -> None:
        self.held: dict[bytes, tuple[bytes, int]] = {}
        self.loaded_at = -math.inf
        self.size = 0


class Neighbours:
    """Vectors in memory, bounded, in front of those in the stock's file.

    Their replies are the stock's: one whose reply is gone is found and leads nowhere, so what
    is purged or has ended there needs no word here.
    """

    def __init__(
        self, stock: Stock, most_bytes: int = 32_000_000, most_of_group: int = 1_000
    ) -> None:
        self._stock, self._most_bytes, self._most = stock, most_bytes, most_of_group
        self._groups: OrderedDict[bytes, _Group] = OrderedDict()
        self.entries = self.bytes = 0

    async def nearest(self, spot: Spot, least: float) -> list[tuple[float, bytes]]:
        """(score, key) of the few nearest that are near enough, the best first."""
        group = await self._group(spot.group)
        return [found for found in nearest(spot.vector, group.held) if found[0] >= least]

    def add(self, key: bytes, spot: Spot) -> None:
        """Let what is kept under a key be found by its neighbours."""
        self._put(self._touched(spot.group), key, spot.vector)
        self._bound()

    def forget(self, key: bytes, spot: Spot) -> None:
        """There is nothing under this key any more."""
        group = self._groups.get(spot.group)
        if group is not None:
            self._drop(group, key)

    def clear(self) -> None:
        """Forget all."""
        self._groups.clear()
        self.entries = self.bytes = 0

    async def _group(self, name: bytes) -> _Group:
        """One group, as the file has it; read anew now and then, since others write to it too."""
        group = self._touched(name)
        if group.loaded_at + FRESH_S > monotonic():
            return group
        group.loaded_at = monotonic()  # so that of many at once one reads
        rows = await self._stock.vectors(name, self._most)
        for key, vector in reversed(rows or ()):
            if self._groups.get(name) is group and key not in group.held:
                self._put(group, key, vector)
        self._bound()
        return group

    def _touched(self, name: bytes) -> _Group:
        group = self._groups.setdefault(name, _Group())
        self._groups.move_to_end(name)
        return group

    def _put(self, group: _Group, key: bytes, vector: bytes) -> None:
        self._drop(group, key)
        group.held[key] = (vector, signs(vector))
        self._grow(group, 1, _size(vector))
        if len(group.held) > self._most:
            self._drop(group, next(iter(group.held)))

    def _drop(self, group: _Group, key: bytes) -> None:
        held = group.held.pop(key, None)
        if held is not None:
            self._grow(group, -1, -_size(held[0]))

    def _grow(self, group: _Group, entries: int, size: int) -> None:
        group.size += size
        self.entries += entries
        self.bytes += size

    def _bound(self) -> None:
        """Forget the groups that were not looked at for longest."""
        while self._groups and (self.bytes > self._most_bytes or len(self._groups) > MOST_GROUPS):
            _, group = self._groups.popitem(last=False)
            self.entries -= len(group.held)
            self.bytes -= group.size


def _size(vector: bytes) -> int:
    """Bytes in memory, nearly: the vector, a byte per member for its signs, what holds them."""
    return len(vector) * 5 // 4 + 320
