"""The head of a request: what is checked on every path, the verbatim one too.

Only these members are decoded, each from its own bytes; `messages` is not looked into.
`max_tokens` may be 0, which fills the prompt cache without an answer.

Reference: https://platform.claude.com/docs/en/api/messages

Not promised: anything about the other members; verbatim, they are the provider's to judge.
"""

from collections.abc import Mapping

from msgspec import Raw

from octoplex.dialects.dialect import HeadFields
from octoplex.dialects.foreign import ANTHROPIC_MARKS
from octoplex.dialects.members import messages_of, model_of, stream_of, value_of, wrong

MARKS = (b'"image"', b'"document"', *ANTHROPIC_MARKS)


def read_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    max_tokens = value_of(fields, "max_tokens")
    if type(max_tokens) is not int or not 0 <= max_tokens < 2**53:
        raise wrong("max_tokens", max_tokens, "a whole number: this API requires a limit")
    return HeadFields(
        model_of(fields, "anthropic/claude-haiku-4-5"),
        stream_of(fields),
        max_tokens,
        1,
        _messages(fields),
    )


def read_count_head(fields: Mapping[str, Raw]) -> HeadFields:
    """Check the head of a request that only counts tokens: it has no `max_tokens`.

    Raises:
        InvalidCall: naming the field, its value and what to send.
    """
    return HeadFields(
        model_of(fields, "anthropic/claude-haiku-4-5"), False, None, 1, _messages(fields)
    )


def _messages(fields: Mapping[str, Raw]) -> bool:
    """Check that `messages` is a list with something in it.

    Returns whether it may hold media, or thinking that must be looked at (`foreign.py`).
    """
    text = messages_of(fields)
    # Parts are lists: without a second one there are only strings. Looking for one character
    # costs a tenth of looking for a word (20 us for 36 kB).
    return text.count(b"[") > 1 and any(mark in text for mark in MARKS)
