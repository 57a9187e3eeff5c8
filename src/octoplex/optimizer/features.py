"""What a policy sees of a request: hashed words and pairs of words, its form, who asks.

    encoder_of(seen).row(features_of("How many pools are there?"))    -> places and values

A request becomes a sparse vector of `SIZE` places: words and pairs of neighbours by CRC-32, their
counts damped and weighted by how rare they are (tf-idf, of length 1), some figures of its form,
and a place for its segment and its key each. A scorer is one number per place, so a decision is a
gather and a sum.

Only the first `HEAD` and the last `TAIL` bytes are read: that bounds the time. Nothing but hashes
is kept of a text.

Reference: Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009).
"""

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

SIZE = 1 << 13
HEAD, TAIL = 2_000, 500
_WORD = re.compile(rb"[a-z\xc3-\xdf\x80-\xbf]+|[0-9]+|[\xe0-\xff][\x80-\xbf]+|[^\sa-z0-9\x80-\xff]")
"""Words of alphabets, numbers, single signs of scripts without spaces, punctuation."""
FORM = 8
FORM_WEIGHT = 0.09
SEGMENT_WEIGHT = 0.35


class Features(msgspec.Struct, frozen=True, array_like=True):
    """A request as it is kept for learning: hashes, counts and figures, no text."""

    places: tuple[int, ...]
    """Of words and pairs of words, ascending."""
    counts: tuple[int, ...]
    form: tuple[float, ...]
    """`FORM` figures of about the size of one."""
    segment: str
    key: str
    prompt: int
    """64 bits of the whole text: the same question again is known again."""


class Seen(NamedTuple):
    """A request as a sparse vector, each place once."""

    places: Places
    values: Values
    prompt: int
    """`Features.prompt`."""


class Form(msgspec.Struct, frozen=True):
    """What is known of a request beside its text."""

    messages: int = 1
    tools: int = 0
    media: int = 0
    structured: bool = False


def features_of(text: str, form: Form | None = None, segment: str = "", key: str = "") -> Features:
    """What a policy sees of a text; 30 to 90 us."""
    raw = text.encode("utf-8", "replace")
    seen = raw if len(raw) <= HEAD + TAIL else raw[:HEAD] + b"\n" + raw[-TAIL:]
    words = _WORD.findall(seen.lower())
    crc = zlib.crc32
    ones = np.array(
        [crc(b"0000"[: len(w)] if w[0] < 58 and w[0] > 47 else w) for w in words], np.int64
    )
    pairs = (ones[:-1] * 40_503 + ones[1:]) % 2_147_483_647
    places, counts = np.unique(np.concatenate((ones, pairs)) & (SIZE - 1), return_counts=True)
    return Features(
        tuple(places.tolist()),
        tuple(counts.tolist()),
        _form(raw, seen, len(words), form or Form()),
        segment,
        key,
        crc(raw) << 32 | crc(raw[::-1]),
    )


def _form(raw: bytes, seen: bytes, words: int, form: Form) -> tuple[float, ...]:
    size = max(1, len(seen))
    return (
        len(raw).bit_length() / 10,
        min(words, 500) ** 0.5 / 10,
        20 * (len(seen) - len(seen.translate(None, b"0123456789"))) / size,
        min(20, seen.count(b"\n")) / 10,
        float(b"\\" in seen or b"$" in seen or b"```" in seen),
        float(b"?" in seen[-200:]) + form.media,
        min(30, form.messages - 1) / 10 + form.structured,
        min(10, form.tools) / 5,
    )


SEGMENTS = 1 << 8
"""Places of segments, and as many of keys."""
WIDTH = SIZE + FORM + 2 * SEGMENTS
"""Places of a vector in all."""


class Encoder:
    """How features become a vector; never changed, so that scorers of it can be compared."""

    __slots__ = ("idf",)

    def __init__(self, idf: Values) -> None:
        self.idf = idf
        """A weight per place."""

    def row(self, features: Features) -> Seen:
        """The vector of one request; 20 us."""
        places = np.array(features.places, np.int64)
        values = (1 + np.log(np.array(features.counts, np.float64))) * self.idf[places]
        norm = float(np.sqrt(values @ values))
        more = [SIZE + n for n in range(FORM)]
        extra = [FORM_WEIGHT * figure for figure in features.form]
        for start, said in ((SIZE + FORM, features.segment), (WIDTH - SEGMENTS, features.key)):
            if said:
                more.append(start + (zlib.crc32(said.encode()) & (SEGMENTS - 1)))
                extra.append(SEGMENT_WEIGHT)
        return Seen(
            np.concatenate((places, np.array(more, np.int64))),
            np.concatenate((values / norm if norm else values, np.array(extra, np.float64))),
            features.prompt,
        )


def encoder_of(seen: Sequence[Features]) -> Encoder:
    """Weigh places by how few of these requests have them."""
    having = np.ones(SIZE)
    for features in seen:
        having[list(features.places)] += 1
    return Encoder(np.maximum(0.05, np.log((len(seen) + 1) / having)))


def dense(rows: Sequence[Seen]) -> npt.NDArray[np.float32]:
    """Rows as one matrix."""
    matrix = np.zeros((len(rows), WIDTH), np.float32)
    for number, row in enumerate(rows):
        matrix[number, row.places] = row.values
    return matrix
