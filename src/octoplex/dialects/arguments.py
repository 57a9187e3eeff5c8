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


def is_object(arguments: str) -> bool:
    """Whether arguments are one whole JSON object, so that nothing can follow."""
    if not arguments.rstrip().endswith("}"):
        return False
    try:
        _is_object(arguments)
    except (*UNREADABLE, UnicodeEncodeError):
        return False
    return True
