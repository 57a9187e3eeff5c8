"""What a policy sees of a request: hashed words and pairs of words, its form, who asks.

    encoder_of(seen).row(features_of("How many pools are there?"))    -> places and values

A request becomes a sparse vector: words and pairs of neighbours by a hash, their counts damped and
weighted by how rare they are (tf-idf, words of length 1, pairs of `PAIR_WEIGHT`), some figures of
its form, and a place for its segment and its key each. Words share no places with pairs, of which
there are many more: in their midst words would not be told apart. A scorer is one number per
place, so a decision is a gather and a sum.

Only the first `HEAD` and the last `TAIL` bytes are read: that bounds the time. Nothing but hashes
is kept of a text. All bytes are hashed in one sweep: what a byte is comes from a table, a word
begins where that changes, and its hash is the polynomial of its bytes modulo 2^32, which is
a sum of products by place, divided by the power of where it begins.

References: Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009); Karp &
Rabin, Efficient randomized pattern-matching algorithms (1987).
"""

import math
import re
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

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
SPREAD = np.uint32(2_654_435_769)
"""2^32 by the golden ratio: the upper bits of a product are a good hash (Knuth, 6.4)."""
BASE = 2_891_336_453
"""Of the polynomials: odd, so that it can be divided by."""


def _powers(base: int) -> npt.NDArray[np.uint32]:
    return np.cumprod(np.full(HEAD + TAIL + 1, base, np.uint32), dtype=np.uint32)


_POWERS, _INVERSES = _powers(BASE) * SPREAD, _powers(pow(BASE, -1, 1 << 32))
FORM = 8
FORM_WEIGHT = 0.18
PAIR_WEIGHT = 0.63
SIGN_WEIGHT = 1.5
SEGMENT_WEIGHT = 0.7

LETTER, DIGIT, SIGN, LEAD = 1, 2, 4, 8
"""Kinds of bytes: of a word, of a number, a word of its own, the first of a letter's two. What
continues a sign of another script is 0, as blanks are: it begins nothing."""


def _plain(byte: int) -> int:
    """A byte as it is hashed: blanks 0, letters small, digits all alike."""
    if byte <= 32 or byte == 127:
        return 0
    return ord("0") if chr(byte) in "0123456789" else byte + 32 * (65 <= byte <= 90)


def _kind(byte: int) -> int:
    """Of a plain byte."""
    if byte in b"abcdefghijklmnopqrstuvwxyz":
        return LETTER
    if byte == ord("0"):
        return DIGIT
    if 0xC3 <= byte < 0xE0:  # alphabets; what is written without spaces takes three bytes
        return LETTER | LEAD
    return 0 if byte == 0 or 0x80 <= byte < 0xC0 else SIGN


_PLAIN = bytes(map(_plain, range(256)))
_KINDS = bytes(map(_kind, range(256)))
_LONG = re.compile(rb"0000+")


class Features(msgspec.Struct, frozen=True, array_like=True):
    """A request as it is kept for learning: hashes, counts and figures, no text."""

    places: bytes
    """Of words and pairs of words, ascending; two bytes each, the lower first."""
    counts: bytes
    """A byte each, 255 at most."""
    form: tuple[float, ...]
    """`FORM` figures of about the size of one."""
    segment: str
    key: str
    prompt: int
    """64 bits of the whole text, and reply: the same question again is known again. Nobody can
    write another one that is taken for it."""
    signs: tuple[float, ...] = ()
    """Of the candidate's reply (`verifier.py`), where it is decided upon that; else none."""


class Seen(NamedTuple):
    """A request as a sparse vector, each place once."""

    places: Places
    values: Values
    prompt: int
    """`Features.prompt`."""
    segment: str = ""
    """`Features.segment`."""


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
    """What a policy sees of a text, and of a candidate's `reply`; 15 to 40 us without one."""
    raw = text.encode("utf-8", "replace")
    seen = raw if len(raw) <= HEAD + TAIL else raw[:HEAD] + b"\n" + raw[-TAIL:]
    plain = b"\0" + seen.translate(_PLAIN)
    digits = plain.count(b"0")
    ones = _words(_LONG.sub(b"0000", plain) if b"00000" in plain else plain)
    places, counts = _places(ones) if len(ones) else (ones, ones)
    whole = raw if reply is None else raw + b"\0" + reply.encode("utf-8", "replace")
    return Features(
        places.tobytes(),
        counts.tobytes(),
        _form(raw, seen, (len(ones), digits), form or Form()),
        segment,
        key,
        int.from_bytes(blake2b(whole, digest_size=8).digest()),
        () if reply is None else signs_of(text, reply),
    )


def _words(plain: bytes) -> npt.NDArray[np.uint32]:
    """The hash of each word in its order. `plain` begins with a blank."""
    kinds = np.frombuffer(plain.translate(_KINDS), np.uint8)
    if not plain.isascii():
        kinds = kinds.copy()
        kinds[1:] |= kinds[:-1] // LEAD  # the second byte of a letter is one of its word
        kinds %= LEAD
    here = kinds[1:]
    starts = ((here & kinds[:-1] & (LETTER | DIGIT)) != here).nonzero()[0]
    signs = np.frombuffer(plain, np.uint8, offset=1)
    found = np.add.reduceat(signs * _POWERS[: len(signs)], starts, dtype=np.uint32)
    found *= _INVERSES.take(starts)
    return found


def _places(ones: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """The places of words and of pairs, each once, ascending, as they are kept; how often each."""
    size = len(ones)
    told = np.empty(2 * size - 1, "<u2")
    told[:size] = ones >> 32 - WORDS
    told[size:] = (ones[:-1] * 40_503 + ones[1:] >> 32 - PAIRS) + (1 << WORDS)
    told.sort()
    is_edge = np.empty(2 * size, bool)
    is_edge[0] = is_edge[-1] = True
    np.not_equal(told[1:], told[:-1], out=is_edge[1:-1])
    edges = is_edge.nonzero()[0]
    starts = edges[:-1]
    return told.take(starts), np.minimum(edges[1:] - starts, 255).astype(np.uint8)


def _form(raw: bytes, seen: bytes, told: tuple[int, int], form: Form) -> tuple[float, ...]:
    """`told`: how many words and digits there are."""
    words, digits = told
    size = max(1, len(seen))
    return (
        len(raw).bit_length() / 10,
        min(words, 500) ** 0.5 / 10,
        20 * digits / size,
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
_FORM_PLACES, _SIGN_PLACES = range(SIZE, SIZE + FORM), range(SIZE + FORM, SIZE + FORM + SIGNS)
_DAMPED = 1 + np.log(np.maximum(1, np.arange(256)))
"""What a word counts that is there so many times."""


class Encoder:
    """How features become a vector; never changed, so that scorers of it can be compared."""

    __slots__ = ("idf",)

    def __init__(self, idf: Values) -> None:
        self.idf = idf
        """A weight per place."""

    def row(self, features: Features) -> Seen:
        """The vector of one request; 10 us."""
        told = np.frombuffer(features.places, "<u2").astype(np.int64)
        values = _DAMPED.take(np.frombuffer(features.counts, np.uint8))
        values *= self.idf.take(told)
        words = int(told.searchsorted(1 << WORDS))
        for part, length in ((values[:words], 1.0), (values[words:], PAIR_WEIGHT)):
            norm = math.sqrt(part @ part)
            part *= length / norm if norm else 0.0
        more = [*_FORM_PLACES, *_SIGN_PLACES[: len(features.signs)]]
        extra = [FORM_WEIGHT * figure for figure in features.form]
        extra += [SIGN_WEIGHT * sign for sign in features.signs]
        for start, said in (
            (WIDTH - 2 * SEGMENTS, features.segment),
            (WIDTH - SEGMENTS, features.key),
        ):
            if said:
                more.append(start + (zlib.crc32(said.encode()) & (SEGMENTS - 1)))
                extra.append(SEGMENT_WEIGHT)
        return Seen(
            np.concatenate((told, more)),
            np.concatenate((values, extra)),
            features.prompt,
            features.segment,
        )


def encoder_of(seen: Sequence[Features]) -> Encoder:
    """Weigh places by how few of these requests have them."""
    having = np.ones(SIZE)
    for features in seen:
        having[np.frombuffer(features.places, "<u2")] += 1
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
