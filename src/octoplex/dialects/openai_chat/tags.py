"""Thinking in the text of replies that pass verbatim, moved to where this dialect has it.

    {"content": "<think>Hm.</think>Hi"}   ->   {"reasoning_content": "Hm.", "content": "Hi"}

For targets whose text may begin with its thinking (quirk `think_tags`, `think_tags.py`). Only
a reply that does is written anew, and of it only these two members; every other reply, and a
stream once its text has begun, keeps its bytes.

Cost: a stream's events are opened until its text begins; after that, and for a whole reply
without a tag, one comparison each.

Not promised: more than one text in a choice.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from octoplex.dialects import sse
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.scan import ChatScanner
from octoplex.dialects.think_tags import Parting

MARKS = (b"think>", b"think\\u003e")
"""How a tag ends in JSON, the second where its writer escapes what HTML would read."""
EMPTY = frozenset({b"null", b'""', b"[]"})

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_choices = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_text = msgspec.json.Decoder(str).decode
_index = msgspec.json.Decoder(int).decode
_json = msgspec.json.Encoder().encode
Fields = dict[str, Raw]


def parted_body(body: bytes, *, unopened: bool) -> bytes:
    """A whole reply with the thinking taken out of the text that it begins with."""
    if not any(mark in body for mark in MARKS):
        return body
    try:
        members = _members(body)
        choices = _choices(members["choices"])
        found = [_part_message(choice, unopened=unopened) for choice in choices]
    except (KeyError, *UNREADABLE):
        return body
    if not any(found):
        return body
    return _json({**members, "choices": choices})


def _part_message(choice: Fields, *, unopened: bool) -> bool:
    message = _members(choice["message"])
    if bytes(message.get("content", b""))[:1] != b'"' or _thinks(message):
        return False
    parting = Parting(unopened=unopened)
    parts = [parting.feed(_text(message["content"])), parting.end()]
    thought, text = ("".join(pieces) for pieces in zip(*parts, strict=True))
    if not thought:
        return False
    said = {"reasoning_content": Raw(_json(thought)), "content": Raw(_json(text))}
    choice["message"] = Raw(_json({**message, **said}))
    return True


def _thinks(said: Fields) -> bool:
    """Whether the server told the thinking in a place of its own."""
    return _holds(said, ("reasoning_content", "reasoning", "reasoning_details"))


def _acts(delta: Fields) -> bool:
    """Whether it says what is no text, so that the text has ended or never comes."""
    return _holds(delta, ("tool_calls", "function_call", "refusal", "audio"))


def _holds(said: Fields, names: Iterable[str]) -> bool:
    return any(bytes(said[name]) not in EMPTY for name in names if name in said)


class TagScanner(ChatScanner):
    """A stream that passes verbatim, but for the thinking that its text begins with."""

    __slots__ = ("_left", "_partings", "_shown", "_unopened")

    def __init__(self, *, hide_usage: bool, unopened: bool, choices: int = 1) -> None:
        """`choices`: how many were asked for."""
        super().__init__(hide_usage=hide_usage)
        self._unopened, self._left, self._shown = unopened, choices, False
        self._partings: dict[int, Parting | None] = {}
        """By choice; None once its text has begun."""

    def feed(self, wire: bytes) -> bytes:
        """Look at whole events; return those that may reach the caller."""
        out = super().feed(wire)
        if self._left <= 0 or not out:
            return out
        kept = b"".join(self._parted(out))
        # What is only held may still be asked of another target.
        self.content = self.content and (self._shown or self.stop is not None)
        return kept

    def _parted(self, wire: bytes) -> Iterable[bytes]:
        for event in wire.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
            if event.strip(b"\n"):
                yield self._part_event(event + b"\n\n")

    def _part_event(self, event: bytes) -> bytes:
        read = sse.events(event)
        if not read or read[0][1].strip() == b"[DONE]":
            return event
        try:
            chunk = _members(read[0][1])
            choices = _choices(chunk.get("choices", b"[]"))
            changed = [self._part_choice(choice) for choice in choices]
        except UNREADABLE:
            return event
        if not any(changed):
            return event
        kept = [choice for choice in choices if _says(choice)]
        if not kept and bytes(chunk.get("usage", b"null")) == b"null":
            return b""
        return b"data: " + _json({**chunk, "choices": kept}) + b"\n\n"

    def _part_choice(self, choice: Fields) -> bool:
        """Part what one choice says in one event; whether that is not what came."""
        delta = _delta(choice)
        index = _index(choice["index"]) if "index" in choice else 0
        parting = self._partings.setdefault(index, Parting(unopened=self._unopened))
        if parting is None:
            return False
        content = delta.get("content", b"")
        came = _text(content) if bytes(content)[:1] == b'"' else ""
        thought, text = parting.feed(came) if came else ("", "")
        ends = bytes(choice.get("finish_reason", b"null")) != b"null"
        if ends or _thinks(delta) or _acts(delta):
            more = parting.end()
            thought, text, ends = thought + more[0], text + more[1], True
        if ends or text:
            self._partings[index] = None
            self._left -= 1
        self._shown = self._shown or ends or bool(thought or text)
        if text == came and not thought:
            return False
        delta.pop("content", None)
        said = {"reasoning_content": thought, "content": text}
        delta |= {name: Raw(_json(value)) for name, value in said.items() if value}
        choice["delta"] = Raw(_json(delta))
        return True


def _delta(choice: Fields) -> Fields:
    raw = choice.get("delta", b"null")
    return {} if bytes(raw) == b"null" else _members(raw)


def _says(choice: Fields) -> bool:
    """Whether anything is left of a choice once its text was held."""
    return bool(_delta(choice)) or bytes(choice.get("finish_reason", b"null")) != b"null"
