"""A verbatim request whose target calls a few of its members otherwise, or refuses them.

    {"max_completion_tokens": 9, "reasoning_effort": "none", "seed": 1, ...}     what came
    {"max_tokens": 9, "thinking": {"type": "disabled"}, "random_seed": 1, ...}   at another target

Callers of this dialect write it as OpenAI does, or as the first target of their route does.
Only the members that the target's quirks and family are about are read, and written as every
crossing writes them (`request.py`); each value that says the same keeps its bytes. Turns are
opened only where they hold a role or an id that the target refuses; all else in them keeps its
bytes too. A caller that already asks for thinking in the target's own words is left alone.

What the target refuses is left out and named where it is a hint, or where the route drops such
fields; else it goes out, and is the provider's to judge. Of a provider without a row nothing is
known, so it is sent what came, but for its quirks.

Cost where nothing is to be done: 0.1 us; where roles or ids may have to be mended 0.3 us a kB
more for each, which is what a search takes. A request with `reasoning_effort`: 2 us, the first of
its kind 10.

Not promised: that a target takes every other member; that is its own verdict.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.accepted import accepted
from octoplex.dialects.dialect import Traits
from octoplex.dialects.effort import can_stop
from octoplex.dialects.expression import WEIGHTS, Omissions, express
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.native import put_back
from octoplex.dialects.openai_chat.messages import short_id
from octoplex.dialects.openai_chat.request import (
    NAME,
    put_limits,
    put_plain,
    put_tool_choice,
    spoken_with,
)
from octoplex.dialects.openai_chat.thinking import put_thinking
from octoplex.dialects.openai_chat.understand import READERS
from octoplex.dialects.readers import Found, read_members
from octoplex.dialects.words import words_of
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Message
from octoplex.wire.error import InvalidCall, Unsupported

WISHES = frozenset({"reasoning_effort", "thinking", "reasoning"})
"""The members in which callers ask for thinking."""
LIMITS = frozenset({"max_tokens", "max_completion_tokens"})
OWN: dict[str, frozenset[str]] = {
    "thinking_object": frozenset({"thinking"}),
    "thinking_adaptive": frozenset({"thinking"}),
    "thinking_by_model": frozenset(),
    "reasoning_object": frozenset({"reasoning"}),
    "reasoning_switch": frozenset({"reasoning"}),
    "enable_thinking": frozenset({"enable_thinking", "thinking_budget"}),
    "thinking_template": frozenset({"chat_template_kwargs"}),
    "no_thinking_field": frozenset(),
}
"""Quirk -> the members in which its provider is asked for thinking."""
CONCERNED: dict[str, frozenset[str]] = {
    "max_completion_tokens": frozenset({"max_tokens"}),
    "random_seed": frozenset({"seed"}),
    "no_stream_options": frozenset({"stream_options"}),
    "no_forced_tool_choice": frozenset({"tool_choice"}),
    "no_parallel_tool_calls": frozenset({"parallel_tool_calls"}),
    "refuses_unknown": WISHES,
    **dict.fromkeys(OWN, WISHES),
}
"""Quirk -> the members that it is about."""
DEVELOPER, TOOL_CALLS = b'"developer"', b'"tool_call'
SYSTEM = Raw(b'"system"')
TOOLS, SOME = "tools", Raw(b"{}")
MOST_MADE, MOST_BYTES = 256, 256

_turns = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_calls = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_any = msgspec.json.Decoder().decode
_str = msgspec.json.Decoder(str).decode
_json = msgspec.json.Encoder().encode
Fields = dict[str, Raw]
Made = tuple[Fields, Sequence[str]]
"""Members to send, and what is left out."""


class _Text(Struct, forbid_unknown_fields=True):
    """A part that is nothing but text."""

    type: str
    text: str


_texts = msgspec.json.Decoder(list[_Text]).decode


class Mending:
    """What one target wants otherwise than callers may have written it."""

    __slots__ = ("_fixes", "_made", "_names", "_own", "_strict", "_traits")

    def __init__(self, traits: Traits) -> None:
        quirks, listed = traits.quirks, traits.listed
        names = {name for quirk in quirks for name in CONCERNED.get(quirk, ())}
        if listed:
            names |= traits.refuses | traits.refuses_thinking
        if not traits.drop_unsupported:  # what changes the answer is the provider's to judge
            names = {name for name in names if WEIGHTS.get(name) != "answer"}
        if listed and traits.thinking is not None:
            names.add("reasoning_effort")
        if listed and "max_completion_tokens" not in quirks:
            names.add("max_completion_tokens")
        fixes: list[tuple[bytes, Callable[[Fields], bool]]] = []
        if listed and "developer_role" not in quirks:
            fixes.append((DEVELOPER, _as_system))
        if "short_tool_ids" in quirks:
            fixes.append((TOOL_CALLS, _with_short_ids))
        if "flat_content" in quirks:
            fixes.append((b'"text"', _flat))
        self._names, self._fixes = frozenset(names), tuple(fixes)
        # Tools and images are not looked at here.
        self._traits = msgspec.structs.replace(traits, tools=None, vision=None)
        self._made: dict[tuple[object, ...], Made] = {}
        """What was made of members before, because callers repeat themselves."""
        self._own = frozenset(name for quirk in quirks for name in OWN.get(quirk, ()))
        self._strict = (
            "echo_tool_reasoning" in quirks and traits.thinking != "none" and can_stop(traits)
        )

    def __bool__(self) -> bool:
        return bool(self._names or self._fixes or self._strict)

    def mend(self, call: Call, fields: Fields) -> Sequence[str]:
        """Put the members as the target takes them; return what was left out."""
        for mark, fix in self._fixes:
            if _holds(call.raw, mark):
                _mend_turns(fields, fix)
        looped = self._strict and _holds(call.raw, TOOL_CALLS)
        if not looped and self._names.isdisjoint(fields):
            return ()
        names = self._names
        if not self._own.isdisjoint(fields):
            names, looped = names - WISHES, False
        asked = {name: raw for name, raw in fields.items() if name in names}
        if not (asked or looped):
            return ()
        if looped or sum(len(bytes(raw)) for raw in asked.values()) > MOST_BYTES:
            made = self._make(call, asked, looped=looped)
        else:
            told = ((name, bytes(raw)) for name, raw in asked.items())
            key = (call.max_tokens, TOOLS in call.fields, *told)
            found = self._made.get(key)
            made = found or self._make(call, asked, looped=False)
            if found is None:
                if len(self._made) >= MOST_MADE:
                    self._made.clear()
                self._made[key] = made
        put, dropped = made
        for name in asked.keys() - put.keys():
            del fields[name]
        fields.update(put)
        return dropped

    def _make(self, call: Call, asked: Mapping[str, Raw], *, looped: bool) -> "Made":
        """The members that stand for those that were asked."""
        found, odd = _read(asked)
        chat = Chat(
            model=call.model,
            messages=_turns_of(call) if looped else (),
            max_tokens=None if LIMITS.isdisjoint(asked) else call.max_tokens,
            server_tools=(SOME,) if TOOLS in call.fields else (),
            dialect=NAME,
            **found,
        )
        drops = self._traits.drop_unsupported
        omissions = Omissions(NAME, words_of(chat), drop_unsupported=drops)
        written = self._written(chat, omissions)
        return _kept(call.fields, written) | odd, omissions.names()

    def _written(self, chat: Chat, omissions: Omissions) -> dict[str, object]:
        """The same members as every other caller's are written."""
        traits, quirks = self._traits, self._traits.quirks
        chat = express(accepted(chat, traits, omissions), spoken_with(traits), omissions)
        written: dict[str, object] = {}
        put_limits(written, chat, quirks, omissions)
        put_plain(written, chat, quirks)
        put_tool_choice(written, chat, quirks, omissions)
        put_thinking(written, chat, traits, omissions)
        for name, value in chat.extra.items():  # such as `reasoning.exclude`
            if name.partition(".")[0] not in written or not put_back(written, name, value):
                omissions.leave_out("extra", name)
        return written


def mending_of(traits: Traits) -> Mending | None:
    """How requests to a target are mended; None: nothing is known that would have to be."""
    return Mending(traits) or None


def _holds(body: bytes, mark: bytes) -> bool:
    """Whether a mark may be in the turns. From behind takes half the time that `in` does."""
    if mark is not DEVELOPER and body.count(b"[") < 2:  # calls and parts are lists in a list
        return False
    return body.rfind(mark) > 0


def _read(asked: Mapping[str, Raw]) -> tuple[Found, Fields]:
    """What these members mean, and those that the provider alone may understand."""
    found: Found = {}
    odd: Fields = {}
    for name in sorted(asked, key="reasoning_effort".__ne__):  # of several wishes it counts
        try:
            one = read_members({name: asked[name]}, READERS)
        except (InvalidCall, Unsupported):
            one = None
        if one is None or "allowed" in one:  # a choice among some of the tools
            odd[name] = Raw(bytes(asked[name]))
        else:
            found = {**one, **found, "extra": {**found.get("extra", {}), **one["extra"]}}
    return found, odd


def _turns_of(call: Call) -> tuple[Message, ...]:
    try:
        return call.chat().messages
    except InvalidCall:
        return ()


def _kept(came: Mapping[str, Raw], written: Mapping[str, object]) -> Fields:
    """What was written, in the bytes that came where they say the same."""
    found: Fields = {}
    for name, value in written.items():
        raw = came.get(name)
        same = raw is not None and (value is raw or _any(raw) == value)
        found[name] = Raw(bytes(raw) if same and raw is not None else _json(value))
    return found


def _mend_turns(fields: Fields, fix: Callable[[Fields], bool]) -> None:
    try:
        turns = _turns(fields["messages"])
        fixed = [fix(turn) for turn in turns]
    except UNREADABLE:  # not what it should be: the provider's to judge
        return
    if any(fixed):
        fields["messages"] = Raw(_json(turns))


def _as_system(turn: Fields) -> bool:
    if bytes(turn.get("role", b"")) != DEVELOPER:
        return False
    turn["role"] = SYSTEM
    return True


def _with_short_ids(turn: Fields) -> bool:
    found = _shorten(turn, "tool_call_id")
    if bytes(turn.get("tool_calls", b""))[:1] == b"[":
        calls = _calls(turn["tool_calls"])
        shortened = [_shorten(call, "id") for call in calls]
        if any(shortened):
            turn["tool_calls"] = Raw(_json(calls))
            found = True
    return found


def _shorten(fields: Fields, name: str) -> bool:
    if name not in fields:
        return False
    id_ = _str(fields[name])
    short = short_id(id_)
    fields[name] = Raw(_json(short))
    return short != id_


def _flat(turn: Fields) -> bool:
    if bytes(turn.get("content", b""))[:1] != b"[":
        return False
    try:
        texts = _texts(turn["content"])
    except msgspec.ValidationError:  # it holds more than text
        return False
    turn["content"] = Raw(_json("\n".join(part.text for part in texts)))
    return True
