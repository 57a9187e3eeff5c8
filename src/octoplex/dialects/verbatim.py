"""The body of a request as its top-level members, each the bytes that came.

Within a dialect every value goes out as it came in: prompt caches, signatures and
fields not yet invented depend on it. Only `model` is replaced, and members are added
or overridden where a documented exception says so. White space *between* top-level
members is not kept.

JSON lets a member occur twice, and readers differ in which one they believe. What was
authorised must be what is sent, so a repeated `model` is refused; of any other
repeated member the last one counts, which is what every provider's parser does.
"""

import json
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw

from octoplex.dialects.surrogates import mended
from octoplex.wire.error import InvalidCall

_split = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode
MOST_MEMBERS, MOST_COLONS = 10_000, 500_000
"""Of a body, and wherever in it: a million members take the event loop seconds to read. Twelve
megabytes of JSON within texts have so many colons."""
LARGE = 4 * MOST_MEMBERS
_SPACE = frozenset({b" ", b"\t", b"\n", b"\r"})


def split(body: bytes) -> dict[str, Raw]:
    """Cut a JSON object into its members without looking inside them (0.6 us for 500 B).

    Raises:
        InvalidCall: not a JSON object, two members named `model`, or too many of them.
    """
    size = len(body)
    if size > LARGE:
        _check_colons(body)
    try:
        fields = _split(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = mended(body)
        if text is not body:
            return split(text)
        raise InvalidCall(f"The body is not a JSON object: {error}.") from None
    if size > LARGE and len(fields) > MOST_MEMBERS:
        raise InvalidCall(f"The body has {len(fields):,} members; it may have {MOST_MEMBERS:,}.")
    # Every member was kept if they add up to the body; searching 36 kB for names costs 40 us.
    if len(_encode(fields)) != size and not _adds_up(body, fields):
        _refuse_two_models(body)
    return fields


def _check_colons(body: bytes) -> None:
    if len(body) > 4 * MOST_COLONS and body.count(b":") > MOST_COLONS:
        raise InvalidCall(f"The body may hold at most {MOST_COLONS:,} members; send less at once.")


def _adds_up(body: bytes, fields: Mapping[str, Raw]) -> bool:
    """Whether the body is these members and white space, and so holds none twice.

    False also for a name spelt with escapes, which is only a reason to look closely.
    """
    at = _skip(body, 0)
    for name, value in fields.items():
        key = b'"%b"' % name.encode()
        at = _skip(body, at + 1)  # after `{` or `,`
        if not body.startswith(key, at):
            return False
        at = _skip(body, at + len(key))
        if not body.startswith(b":", at):
            return False
        at = _skip(body, _skip(body, at + 1) + len(memoryview(value)))
    return body[at:].strip() == b"}"


def _skip(body: bytes, at: int) -> int:
    """The next place that is not white space."""
    while body[at : at + 1] in _SPACE:
        at += 1
    return at


def _refuse_two_models(body: bytes) -> None:
    def members(pairs: list[tuple[str, object]]) -> list[str]:
        return [name for name, _ in pairs]

    try:
        names = json.loads(body, object_pairs_hook=members)
    except (ValueError, RecursionError) as error:
        raise InvalidCall(f"The body is not a JSON object: {error}.") from None
    if names.count("model") > 1:
        raise InvalidCall(
            "The body has two members named `model`; send one.", param="model"
        ) from None


join: Callable[[Mapping[str, Raw]], bytes] = _encode
"""The body again, member values byte for byte, without white space between members."""
