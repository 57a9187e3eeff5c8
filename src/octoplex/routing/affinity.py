"""Keep a conversation at the target where its prompt cache is.

A conversation is known by what its caller says: the header `x-octoplex-session`, else
`prompt_cache_key`, `user` or Anthropic's `metadata.user_id` in the body; else by how it
begins: the system's words and everything up to the end of the first user's turn, which every
later turn sends again. Cache marks, which clients move from turn to turn, do not count.
Conversations of two callers, or on two routes, are never the same one.

It stays at the target that answered it last for as long as that keeps what it read (five
minutes, or what the call asks for: an hour of Anthropic's, a day of OpenAI's), unless reading
everything anew is cheaper at the target that the route would pick. A target that rests,
fails or is ejected holds nobody, and who answers instead, or ends a broken stream, is the new home.

Only routes that ask for it pay more than a look at one field (0.03 us): 3 us a call where the
caller says which conversation it is, 9 us where it is known by a short beginning, 14 us with a
system prompt of 30 kB, on one core of a busy machine. The 20,000 conversations that were heard
of last are remembered, in about 4 MB.

Not promised: that the target still has it. Providers say how long they keep at least what
they read, not that the next call meets the same machine.

References: https://platform.claude.com/docs/en/build-with-claude/prompt-caching,
https://developers.openai.com/api/docs/guides/prompt-caching
"""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from octoplex.routing.route import Candidate
from octoplex.wire.ask import Ask, Call

CAPACITY = 20_000
KEPT_S = 300.0
HOUR_S, DAY_S = 3_600.0, 86_400.0
SESSION = "x-octoplex-session"
SAID = ("prompt_cache_key", "user", "metadata")
SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")
TURNS = ("messages", "input", "contents")
HASHED = 4_096
"""Bytes at either end of a beginning that make it the one it is, with its length."""
_MARK = re.compile(rb'["{}\[\]]')
_PLAIN = re.compile(rb'\[\s*+\{\s*+"role"\s*+:\s*+"user"\s*+,\s*+"content"\s*+:\s*+"')
"""How a conversation usually begins: with a user's turn of one text."""
_CACHE_MARK = re.compile(rb',?\s*"cache_control"\s*:\s*\{[^{}]*\}')
_HOUR = re.compile(rb'"ttl"\s*:\s*"1h"')


class Stay(Struct, gc=False):
    """Where a conversation is, until when, and how many tokens its last call had at most."""

    target: str
    until_at: float
    tokens: int


class Stays:
    """The conversations heard of last."""

    __slots__ = ("_table", "kept", "moved")

    def __init__(self) -> None:
        self._table: dict[int, Stay] = {}
        self.kept = self.moved = 0
        """How often a conversation stayed against the route's pick, and went for the price."""

    def home(self, key: int, now: float) -> Stay | None:
        """Where a conversation is; None where nobody holds it any more."""
        stay = self._table.get(key)
        return None if stay is None or stay.until_at <= now else stay

    def keep(self, key: int, call: Call, target: str, now: float) -> None:
        """Note who answered."""
        table = self._table
        if table.pop(key, None) is None and len(table) >= CAPACITY:
            del table[next(iter(table))]
        table[key] = Stay(target, now + lifetime_s(call), call.worst_case().input_tokens)

    def order(self, ask: Ask, order: Sequence[Candidate], stay: Stay) -> Sequence[Candidate]:
        """The same order, its home first unless moving costs less than staying."""
        place = next((i for i, c in enumerate(order) if c.target.name == stay.target), 0)
        if place == 0:
            return order
        home, picked = order[place].target, order[0].target
        tokens = ask.worst_case().input_tokens
        stays_nano = home.reads(tokens, min(stay.tokens, tokens))
        moves_nano = picked.reads(tokens, 0)
        if stays_nano is not None and moves_nano is not None and moves_nano < stays_nano:
            self.moved += 1
            return order
        self.kept += 1
        ask.trail.why = "where its cache is"
        return [order[place], *order[:place], *order[place + 1 :]]


def key_of(call: Call, route: str) -> int | None:
    """What makes this call one of its conversation on a route; None where nothing does."""
    said = conversation(call)
    return None if said is None else hash((route, call.caller.id, *said))


def conversation(call: Call) -> tuple[object, ...] | None:
    """What says which conversation a call is one of: texts, numbers and bytes, the same in every
    process; None where nothing does."""
    fields = call.fields
    said: object = call.headers.get(SESSION)
    for name in SAID:
        if not said and name in fields:
            said = _said(name, fields[name])
    if said:
        return (said,)
    turns = next((fields[name] for name in TURNS if name in fields), None)
    if turns is None:
        return None
    system = [_ends(bytes(fields[name])) for name in SYSTEM if name in fields]
    return (*system, *_ends(beginning(bytes(turns))))


def _said(name: str, raw: Raw) -> object:
    """The conversation, or else the user, that a member of the body names."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if name == "metadata":
        value = value.get("user_id") if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def beginning(turns: bytes) -> bytes:
    """The JSON of a list of turns up to the end of its first user's, without cache marks.

    Strings are jumped over, so it costs by their number, not by their length.
    """
    if plain := _PLAIN.match(turns):
        at = _after_string(turns, plain.end())
        if turns[at : at + 1] == b"}":
            return turns[: at + 1]
    depth = at = 0
    user = marked = False
    while (mark := _MARK.search(turns, at)) is not None:
        began, at = mark.start(), mark.end()
        sign = turns[began]
        if sign == 34:  # a string
            at = _after_string(turns, at)
            length = at - began
            user = user or (length == 6 and depth == 2 and turns[began:at] == b'"user"')
            marked = marked or (length == 15 and turns[began:at] == b'"cache_control"')
        elif sign in b"{[":
            depth += 1
        else:
            depth -= 1
            if depth == 1 and user:
                break
    return _CACHE_MARK.sub(b"", turns[:at]) if marked else turns[:at]


def _after_string(text: bytes, at: int) -> int:
    """Where the string ends that began before `at`."""
    while (end := text.find(b'"', at)) >= 0:
        back = end - 1
        while text[back] == 92:  # a backslash
            back -= 1
        if (end - back) % 2:
            return end + 1
        at = end + 1
    return len(text)


def _ends(text: bytes) -> tuple[int, bytes, bytes]:
    return len(text), text[:HASHED], text[max(HASHED, len(text) - HASHED) :]


def lifetime_s(call: Call) -> float:
    """How long a provider keeps what it reads of this call, in seconds."""
    fields = call.fields
    if "prompt_cache_retention" in fields:
        return DAY_S if b"24h" in bytes(fields["prompt_cache_retention"]) else KEPT_S
    if call.face == "anthropic" and b'"cache_control"' in call.raw and _HOUR.search(call.raw):
        return HOUR_S
    return KEPT_S


def roomy(ask: Ask, order: Sequence[Candidate]) -> Sequence[Candidate]:
    """The order with targets last whose context may be too small, where a larger one is known."""
    tokens = ask.worst_case().input_tokens
    small = [c for c in order if 0 < (c.target.context_window or 0) < tokens]
    if not small or all((c.target.context_window or 0) < tokens for c in order):
        return order
    if order[0] in small:
        ask.trail.why = f"the context of {order[0].target.name} may be too small"
    return [*(c for c in order if c not in small), *small]
