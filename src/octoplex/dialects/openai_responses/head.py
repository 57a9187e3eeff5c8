"""The head of a Responses request: what is checked on every path, the verbatim one too.

Only these members are decoded, each from its own bytes; `input` is not looked into. It
may be absent where a stored conversation or a prompt stands for it.

`background` is refused here: a response that is fetched later is never metered.

Reference: https://developers.openai.com/api/reference/resources/responses/methods/create

Not promised: anything about the other members; verbatim, they are the provider's to judge.
"""

from collections.abc import Mapping

from msgspec import Raw

from octoplex.dialects.dialect import HeadFields
from octoplex.dialects.foreign import PIN_MARK
from octoplex.dialects.members import count_of, model_of, stream_of, value_of, wrong
from octoplex.dialects.signed_ids import BYTES_MARK
from octoplex.wire.error import Unsupported

_MARKS = (b'"input_image"', b'"input_file"', b'"input_audio"', PIN_MARK, BYTES_MARK)
_INSTEAD = ("previous_response_id", "conversation", "prompt")
_EXAMPLE = "openai/gpt-5-mini"
_WANTED = "a text, or a list of items"


def read_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head.

    Raises:
        InvalidCall, Unsupported: naming the field, its value and what to send.
    """
    if value_of(fields, "background"):
        raise Unsupported(
            "`background` responses are not offered here; leave it out, and stream.",
            param="background",
        )
    limit = count_of(fields, "max_output_tokens")
    return HeadFields(model_of(fields, _EXAMPLE), stream_of(fields), limit, 1, _input(fields))


def read_count_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head of a request that only counts tokens: it has no limit and no stream.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    return HeadFields(model_of(fields, _EXAMPLE), False, None, 1, _input(fields))


def _input(fields: Mapping[str, Raw]) -> bool:
    """Check that `input` is text or a list with something in it.

    Returns whether it may hold media, or thinking that must be looked at (`foreign.py`).
    """
    raw = fields.get("input")
    text = bytes(raw).strip() if raw is not None else b"null"
    if text == b"null":
        if any(value_of(fields, name) is not None for name in _INSTEAD):
            return False
        raise wrong("input", None, _WANTED)
    if text[:1] not in (b'"', b"["):
        raise wrong("input", value_of(fields, "input"), _WANTED)
    if text[:1] == b"[" and text[1:64].lstrip()[:1] == b"]":
        if any(value_of(fields, name) is not None for name in _INSTEAD):
            return False
        raise wrong("input", [], "at least one item")
    return text[:1] == b"[" and any(mark in text for mark in _MARKS)
