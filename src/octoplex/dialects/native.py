"""What only the caller's dialect has, inside messages and tools: read, kept, left out elsewhere.

A part of a kind that no other dialect knows is a `Native`; a member that none knows stands
`beside` the ones that were understood. Written in the caller's own dialect both come back as
they came. `in_any_dialect` takes them out for any other and says what is lost: as `native`
where it changes the answer, else as `extra`. A member that is empty or false says nothing.

The kinds a reader knows are `Known` structs, which refuse other members: so an ordinary
request is decoded once, and only one that holds more is looked at again.

Of what stands deeper (a source, an image's address, a choice of tools) the members have its place
before their names.

Not promised: members of what stands in lists there.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from octoplex.wire.chat import (
    Beside,
    Chat,
    Media,
    Message,
    Native,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
)

Body = dict[str, Any]
Lose = Callable[[str, str], None]
"""`Omissions.leave_out`: a field of the table, and the name towards the caller."""

CHANGES_ANSWER = frozenset(
    {
        "document.citations",
        "message.audio",  # what was said in an earlier turn
        "message.partial",
        "message.prefix",  # the reply goes on from this turn
    }
)
"""Of the members beside those that every dialect has; the others are hints."""
_BESIDE = "octoplex:beside"
_SAYS_NOTHING = frozenset({b"[]", b"{}", b"false", b'""'})

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_json = msgspec.json.Encoder().encode


class Known(Struct, forbid_unknown_fields=True, kw_only=True):
    """The members of an object that a reader knows, by the wire's names."""

    beside: Beside | None = field(name=_BESIDE, default=None)


K = TypeVar("K", bound=Known)


def names_of(kind: type[Known]) -> frozenset[str]:
    """The wire's names of the members of a kind."""
    return frozenset(f.encode_name for f in msgspec.structs.fields(kind))


def reader(kind: type[K]) -> Callable[[Raw], K]:
    """A decoder of one object that puts unknown members `beside` the known ones."""
    decode: Callable[[Raw], K] = msgspec.json.Decoder(kind).decode
    known = names_of(kind)

    def read(raw: Raw) -> K:
        try:
            return decode(raw)
        except msgspec.ValidationError:
            return decode(Raw(_json(gathered(_members(raw), known))))

    return read


def gathered(members: dict[str, Raw], known: frozenset[str]) -> dict[str, Raw]:
    """The same members, the unknown ones together under one name."""
    beside = unknown(members, known)
    kept = {name: raw for name, raw in members.items() if name in known}
    return {**kept, _BESIDE: Raw(_json(beside))} if beside else kept


def unknown(members: dict[str, Raw], known: frozenset[str]) -> Beside:
    """The members that are not known, nulls apart."""
    return {
        name: raw for name, raw in members.items() if name not in known and bytes(raw) != b"null"
    }


def named(place: str, beside: Beside | None) -> Beside:
    """The members with their place before their names, where two places have some."""
    return {place + name: raw for name, raw in (beside or {}).items()}


def taken_from(beside: Beside | None, place: str) -> tuple[Beside, Beside]:
    """The members without a place, and those of `place` by their own names."""
    here: Beside = {}
    there: Beside = {}
    for name, raw in (beside or {}).items():
        bare = name.removeprefix(place)
        (here if bare == name else there)[bare] = raw
    return here, there


def with_beside(written: Body, beside: Beside | None) -> Body:
    """What is written in the caller's own dialect, with what stood beside it."""
    return {**beside, **written} if beside else written


def put_back(body: Body, name: str, value: Raw) -> bool:
    """Put an opaque member where it stood: `tool_choice.odd`; whether its place is still there."""
    *path, last = name.split(".")
    for step in path:
        inner = body.setdefault(step, {})
        if not isinstance(inner, dict):
            return False
        body = inner
    body.setdefault(last, value)
    return True


def as_it_came(part: Native) -> Body:
    """The part in its caller's own dialect."""
    return {**_members(part.raw)}


def run_there(tools: Iterable[Raw]) -> str:
    """Why tools that a provider runs itself are left out, with their kinds."""
    kinds = []
    for members in map(_members, tools):
        kind = bytes(members.get("type", b"")).strip(b'"').decode("utf-8", "replace")
        kinds.append(kind[:64] or next(iter(members), "")[:64])
    return f"only its own provider runs {', '.join(kinds)}"


def in_any_dialect(chat: Chat, lose: Lose) -> dict[str, object]:
    """The members of `chat` that must be replaced, in words that any dialect has."""
    changed: dict[str, object] = {}
    if _hold_natives(chat.messages):
        changed["messages"] = tuple(_message(m, lose) for m in chat.messages)
    for tool in chat.tools:
        if tool.beside is not None:
            changed["tools"] = tuple(_bare(tool, "tool", lose) for tool in chat.tools)
            break
    return changed


def _hold_natives(messages: Iterable[Message]) -> bool:
    """Whether there is anything to do: each call that crosses comes here."""
    for message in messages:
        if message.beside is not None:
            return True
        for part in message.parts:
            if (type(part) is not TextPart or part.beside is not None) and _is_odd(part):
                return True
    return False


def _is_odd(part: Part) -> bool:
    if isinstance(part, ToolResult) and any(map(_is_odd, part.parts)):
        return True
    return isinstance(part, Native) or getattr(part, "beside", None) is not None


def _message(message: Message, lose: Lose) -> Message:
    message = _bare(message, "message", lose)
    parts = tuple(p for part in message.parts for p in _plain(part, lose))
    return msgspec.structs.replace(message, parts=parts)


def _plain(part: Part, lose: Lose) -> tuple[Any, ...]:
    match part:
        case Native(field=what, name=name, means=means):
            if what:
                lose(what, name)
            return tuple(p for one in means for p in _plain(one, lose))
        case ToolResult(parts=inner):
            parts = tuple(p for one in inner for p in _plain(one, lose))
            return (_bare(msgspec.structs.replace(part, parts=parts), "tool_result", lose),)
        case TextPart():
            return (_bare(part, "text", lose),)
        case ToolCall():
            return (_bare(part, "tool_call", lose),)
        case Media(kind=kind):
            return (_bare(part, kind, lose),)
    return (part,)


def _bare(one: Any, kind: str, lose: Lose) -> Any:
    if one.beside is None:
        return one
    for member, raw in one.beside.items():
        if bytes(raw) not in _SAYS_NOTHING:
            name = f"{kind}.{member}"
            lose("native" if name in CHANGES_ANSWER else "extra", name)
    return msgspec.structs.replace(one, beside=None)
