"""Arguments of a tool call: JSON text in our words, a JSON object in many dialects.

Arguments that are not an object are wrapped as `{"INVALID_JSON": "..."}`, which is
Anthropic's own documented way to hand them on.

Reference: https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.members import UNREADABLE

_encode = msgspec.json.Encoder().encode
_is_object = msgspec.json.Decoder(dict[str, Raw]).decode
_FREE = 64


def input_text(input_: Raw) -> str:
    """The object as JSON text, as the provider wrote it; none at all is an empty one."""
    text = bytes(input_)
    return text.decode("utf-8", "replace") if text and text != b"null" else "{}"


def input_object(arguments: str) -> Raw:
    """The text as the JSON object that it must be, on one line: a line of SSE may hold it."""
    text = arguments.strip()
    if not text or text == "null":
        return Raw(b"{}")
    try:
        _is_object(text)
    except (*UNREADABLE, UnicodeEncodeError):
        return Raw(_encode({"INVALID_JSON": arguments.encode("utf-8", "replace").decode()}))
    if "\n" in text or "\r" in text:  # between tokens: inside a string they are escaped
        text = msgspec.json.format(text, indent=-1)
    return Raw(text.encode())


class Gathered:
    """The arguments of one call while they come.

    To know whether they are whole costs a parse of all that came. After `_FREE` vain ones it
    is tried only once there is an eighth more, so that no stream costs the square of its length.
    """

    __slots__ = ("_closes", "_next", "_pieces", "_size", "vain")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._closes = False
        """What came last that is no white space is a closing brace."""
        self._size = self._next = 0
        self.vain = 0
        """Looks that found them not whole."""

    @property
    def text(self) -> str:
        """All that has come."""
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        """More of them."""
        self._pieces.append(piece)
        self._size += len(piece)
        end = piece.rstrip()
        self._closes = end.endswith("}") if end else self._closes

    def is_whole(self) -> bool:
        """Whether they are one whole JSON object; False while that is not worth a parse."""
        if not self._closes or self._size < self._next:
            return False
        if is_object(self.text):
            return True
        self.vain += 1
        self._next = self._size + (1 if self.vain <= _FREE else 1 + self._size // 8)
        return False


def is_object(arguments: str) -> bool:
    """Whether arguments are one whole JSON object, so that nothing can follow."""
    if not arguments.rstrip().endswith("}"):
        return False
    try:
        _is_object(arguments)
    except (*UNREADABLE, UnicodeEncodeError):
        return False
    return True
