"""Tool calls of a reply that passes verbatim, made regular where a client would break on them.

    {"tool_calls": [{"id": "a", ...}]}   ->   {"tool_calls": [{"index": 0, "id": "a", ...}]}

The vendor's own SDK joins the pieces of a call by `index` and adds up every other string. So a
piece without an index, or with another call's, gets the number of the call that it belongs
to; one that begins a call has an id of its own; an id or a name that is repeated goes, since
it would be added up; arguments become text; and "stop" beside tool calls becomes "tool_calls",
which an agent waits for. What belongs together is told as for a crossing (`stream.py`). An
event in which all is well keeps its bytes, and of any other only these members are written.
In a whole reply it is the same with ids, arguments (null and nothing at all are `{}`) and "stop".

Cost: 5 us for an event with a piece of a call in it, or for a whole reply with one.

Reference: https://platform.openai.com/docs/api-reference/chat-streaming

Not promised: `{}` for a streamed call that never gets arguments; arguments that are JSON; what
cannot be read.
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.openai_chat.shapes import (
    UNREADABLE,
    FunctionPiece,
    ToolPiece,
    stop_of,
)
from octoplex.dialects.openai_chat.stream import Calls
from octoplex.dialects.openai_chat.toolcalls import arguments_of, made_id

MOST_CHOICES = 128
"""As many as the API gives: a stream that goes on inventing them costs no memory."""

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_fields = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_pieces = msgspec.json.Decoder(list[ToolPiece]).decode
_index = msgspec.json.Decoder(int).decode
_text = msgspec.json.Decoder(str | None).decode
_json = msgspec.json.Encoder().encode
_NOTHING = Raw(b"null")
TOOL_CALLS = b'"tool_calls"'
Fields = dict[str, Raw]


def regular_body(body: bytes) -> bytes:
    """A whole reply whose tool calls are regular; the same object where they are anyhow."""
    if TOOL_CALLS not in body:
        return body
    try:
        members = _members(body)
        choices = _fields(members["choices"])
        id_ = _text(members.get("id", _NOTHING)) or ""
        changed = [_mend_choice(choice, id_) for choice in choices]
    except (KeyError, *UNREADABLE):
        return body
    return _json({**members, "choices": choices}) if any(changed) else body


def _mend_choice(choice: Fields, reply_id: str) -> bool:
    message = _members(choice["message"])
    raw = message.get("tool_calls", _NOTHING)
    if bytes(raw) in (b"null", b"[]"):
        return False
    calls, taken = _fields(raw), set[str]()
    ids = [made_id(p.id, reply_id, number, taken) for number, p in enumerate(_pieces(raw))]
    changed = [_mend_call(*one) for one in zip(calls, _pieces(raw), ids, strict=True)]
    if any(changed):
        choice["message"] = Raw(_json({**message, "tool_calls": calls}))
    return _stop_at_calls(choice) or any(changed)


def _mend_call(fields: Fields, call: ToolPiece, id_: str) -> bool:
    said = call.function
    whole = said is None or (isinstance(said.arguments, str) and said.arguments)
    if whole and call.id == id_:
        return False
    fields["id"] = Raw(_json(id_))
    fields.setdefault("type", Raw(b'"function"'))
    if said is not None and not whole:
        function = _members(fields["function"])
        fields["function"] = Raw(_json({**function, "arguments": arguments_of(said)}))
    return True


def _stop_at_calls(choice: Fields) -> bool:
    """Say of a choice with calls that it ended with them; whether it did not."""
    reason = _text(choice.get("finish_reason", _NOTHING))
    if not reason or stop_of(reason) != "end":
        return False
    choice["finish_reason"] = Raw(TOOL_CALLS)
    return True


class Regular:
    """The tool calls of one stream, from the first event on that holds any."""

    __slots__ = ("_by_choice",)

    def __init__(self) -> None:
        self._by_choice: dict[int, _Begun] = {}

    def mended(self, data: bytes) -> bytes:
        """An event's JSON written anew; b"" where it may pass as it came.

        Raises:
            UpstreamBroken: its calls make no answer.
        """
        try:
            chunk = _members(data)
            choices = _fields(chunk.get("choices", b"[]"))
            id_ = _text(chunk.get("id", _NOTHING)) or ""
            changed = [self._mend(choice, id_) for choice in choices]
        except UNREADABLE:
            return b""
        return _json({**chunk, "choices": choices}) if any(changed) else b""

    def _mend(self, choice: Fields, reply_id: str) -> bool:
        """Make one choice regular; whether it was not."""
        place = _index(choice["index"]) if "index" in choice else 0
        begun = self._by_choice.get(place)
        delta = _members(raw) if bytes(raw := choice.get("delta", _NOTHING)) != b"null" else {}
        raw = delta.get("tool_calls", _NOTHING)
        changed = False
        if bytes(raw) not in (b"null", b"[]"):
            if begun is None:
                if len(self._by_choice) >= MOST_CHOICES:
                    return False
                begun = self._by_choice[place] = _Begun(reply_id)
            pieces = _fields(raw)
            mended = [begun.mend(f, p) for f, p in zip(pieces, _pieces(raw), strict=True)]
            changed = any(mended)
            if changed:
                choice["delta"] = Raw(_json({**delta, "tool_calls": pieces}))
        return (begun is not None and _stop_at_calls(choice)) or changed


class _Begun:
    """The calls of one choice, numbered as they begin."""

    __slots__ = ("_calls", "_names")

    def __init__(self, reply_id: str) -> None:
        self._calls = Calls(reply_id)
        self._names: list[str] = []

    def mend(self, fields: Fields, piece: ToolPiece) -> bool:
        """Make one piece regular; whether it was not."""
        call, names = self._calls.find(piece), self._names
        said = piece.function or FunctionPiece()
        begins = call.block < 0
        if begins:
            call.block = len(names)
            names.append("")
        changed = piece.index != call.block
        if changed:
            fields["index"] = Raw(b"%d" % call.block)
        if begins and piece.id != call.id:
            fields["id"], changed = Raw(_json(call.id)), True
        elif not begins and piece.id:
            del fields["id"]
            changed = True
        repeated = bool(said.name) and names[call.block] == said.name
        names[call.block] = names[call.block] or said.name or ""
        if repeated or isinstance(said.arguments, dict):
            function = _members(fields["function"])
            if repeated:
                del function["name"]
            if isinstance(said.arguments, dict):
                function["arguments"] = Raw(_json(arguments_of(said)))
            fields["function"], changed = Raw(_json(function)), True
        if changed and begins:
            fields.setdefault("type", Raw(b'"function"'))
        elif changed:
            fields.pop("type", None)
        return changed
