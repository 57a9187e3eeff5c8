"""Tool calls and content as servers really send them, made regular.

Servers leave ids out, repeat one id for two calls, send arguments as an object, or put
thinking into content parts. What comes out here always has an id, unique within the
reply and the same each time the same bytes are read.

Not promised: that arguments are valid JSON; the model wrote them.
"""

import re

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.openai_chat.shapes import UNREADABLE, FunctionPiece, Said

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]")
_encode = msgspec.json.Encoder().encode


class _Piece(Struct, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | list[Raw] | None = None


_read_piece = msgspec.json.Decoder(_Piece).decode


def made_id(id_: str | None, reply_id: str, number: int, taken: set[str]) -> str:
    """The call's id, or one made of the reply's id and the call's number; adds it to `taken`."""
    made = id_ or f"call_{_NOT_IN_ID.sub('', reply_id[-64:])[-24:]}_{number}"
    if made in taken:
        made = f"{made}_{number}"
    taken.add(made)
    return made


def arguments_of(call: FunctionPiece) -> str:
    """The arguments as JSON text; none at all is an empty object."""
    if isinstance(call.arguments, dict):
        return _encode(call.arguments).decode("utf-8", "replace")  # nobody has looked inside
    return call.arguments or "{}"


def content_of(said: Said) -> tuple[str, str]:
    """Thinking and text of a message or delta, wherever the server put them."""
    thinking = said.reasoning_content or said.reasoning or ""
    if not isinstance(said.content, list):
        return thinking, said.content or ""
    thoughts, texts = [thinking], []
    for raw in said.content:
        piece = _piece(raw)
        texts.append(piece.text or "")
        thoughts += _thoughts(piece.thinking)
    return "".join(thoughts), "".join(texts)


def _thoughts(thinking: str | list[Raw] | None) -> list[str]:
    if isinstance(thinking, list):
        return [_piece(raw).text or "" for raw in thinking]
    return [thinking or ""]


def _piece(raw: Raw) -> _Piece:
    """A part of the content; one of a kind that is not text is an empty one."""
    try:
        return _read_piece(raw)
    except UNREADABLE:
        return _Piece()
