"""What a policy sees of a request: hashed words and pairs of words, its form, who asks.

    encoder_of(seen).row(features_of("How many pools are there?"))    -> places and values

A request becomes a sparse vector: words and pairs of neighbours by CRC-32, their counts damped and
weighted by how rare they are (tf-idf, words of length 1, pairs of `PAIR_WEIGHT`), some figures of
its form, and a place for its segment and its key each. Words share no places with pairs, of which
there are many more: in their midst words would not be told apart. A scorer is one number per
place, so a decision is a gather and a sum.

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

from octoplex.optimizer.verifier import SIGNS, signs_of

Places = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

WORDS, PAIRS = 14, 12
"""Bits of the places of words, and of pairs."""
SIZE = (1 << WORDS) + (1 << PAIRS)
HEAD, TAIL = 2_000, 500
_WORD = re.compile(rb"[a-z\xc3-\xdf\x80-\xbf]+|[0-9]+|[\xe0-\xff][\x80-\xbf]+|[^\sa-z0-9\x80-\xff]")
"""Words of alphabets, numbers, single signs of scripts without spaces, punctuation."""
SPREAD = np.uint32(2_654_435_769)
"""2^32 by the golden ratio: the upper bits of a product are a good hash (Knuth, 6.4)."""
FORM = 8
FORM_WEIGHT = 0.18
PAIR_WEIGHT = 0.63
SIGN_WEIGHT = 1.5
SEGMENT_WEIGHT = 0.7


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
    """64 bits of the whole text, and reply: the same question again is known again."""
    signs: tuple[float, ...] = ()
    """Of the candidate's reply (`verifier.py`), where it is decided upon that; else none."""


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


def features_of(
    text: str,
    form: Form | None = None,
    segment: str = "",
    key: str = "",
    reply: str | None = None,
) -> Features:
    """What a policy sees of a text, and of a candidate's `reply`; 30 to 90 us without one."""
    raw = text.encode("utf-8", "replace")
    seen = raw if len(raw) <= HEAD + TAIL else raw[:HEAD] + b"\n" + raw[-TAIL:]
    words = _WORD.findall(seen.lower())
    crc = zlib.crc32
    ones = np.array(
        [crc(b"0000"[: len(w)] if w[0] < 58 and w[0] > 47 else w) for w in words], np.uint32
    )
    pairs = (ones[:-1] * np.uint32(40_503) + ones[1:]) * SPREAD >> np.uint32(32 - PAIRS)
    told = np.concatenate((ones * SPREAD >> np.uint32(32 - WORDS), pairs + np.uint32(1 << WORDS)))
    places, counts = np.unique(told, return_counts=True)
    whole = raw if reply is None else raw + b"\0" + reply.encode("utf-8", "replace")
    return Features(
        tuple(places.tolist()),
        tuple(counts.tolist()),
        _form(raw, seen, len(words), form or Form()),
        segment,
        key,
        crc(whole) << 32 | crc(whole[::-1]),
        () if reply is None else signs_of(text, reply),
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
WIDTH = SIZE + FORM + SIGNS + 2 * SEGMENTS
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
        words = int(places.searchsorted(1 << WORDS))
        for part, length in ((values[:words], 1.0), (values[words:], PAIR_WEIGHT)):
            norm = float(np.sqrt(part @ part))
            part *= length / norm if norm else 0.0
        more = [SIZE + n for n in range(FORM)]
        extra = [FORM_WEIGHT * figure for figure in features.form]
        more += [SIZE + FORM + n for n in range(len(features.signs))]
        extra += [SIGN_WEIGHT * sign for sign in features.signs]
        for start, said in (
            (WIDTH - 2 * SEGMENTS, features.segment),
            (WIDTH - SEGMENTS, features.key),
        ):
            if said:
                more.append(start + (zlib.crc32(said.encode()) & (SEGMENTS - 1)))
                extra.append(SEGMENT_WEIGHT)
        return Seen(
            np.concatenate((places, np.array(more, np.int64))),
            np.concatenate((values, np.array(extra, np.float64))),
            features.prompt,
        )


def encoder_of(seen: Sequence[Features]) -> Encoder:
    """Weigh places by how few of these requests have them."""
    having = np.ones(SIZE)
    for features in seen:
        having[list(features.places)] += 1
    return Encoder(np.maximum(0.05, np.log((len(seen) + 1) / having)))


FEW = 8
"""Requests that share a place: with more of them a product of matrices is faster."""


def gram(rows: Sequence[Seen]) -> npt.NDArray[np.float32]:
    """How alike each two of them are: their inner products.

    Most places occur in few requests, so there would be little but zeros in a matrix of all.
    """
    places, values, owners = flat(rows)
    count = np.bincount(places, minlength=WIDTH)
    column = np.cumsum(count > FEW) - 1
    often = count[places] > FEW
    matrix = np.zeros((len(rows), int(column[-1]) + 1), np.float32)
    matrix[owners[often], column[places[often]]] = values[often]
    found: npt.NDArray[np.float32] = matrix @ matrix.T
    for shared in range(1, FEW + 1):
        rare = np.flatnonzero(count[places] == shared)
        those = rare[np.argsort(places[rare], kind="stable")].reshape(-1, shared)
        who, worth = owners[those], values[those].astype(np.float32)
        at = (who[:, :, None], who[:, None, :])
        np.add.at(found, at, worth[:, :, None] * worth[:, None, :])
    return found


def flat(rows: Sequence[Seen]) -> tuple[Places, Values, Places]:
    """Places and values of all rows in one, and the number of the row of each."""
    sizes = [len(row.places) for row in rows]
    return (
        np.concatenate([row.places for row in rows]),
        np.concatenate([row.values for row in rows]),
        np.repeat(np.arange(len(rows)), sizes),
    )
