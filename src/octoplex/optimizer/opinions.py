"""What callers say of answers, as one number: nobody's voice is more than its share of it.

    opinion_of([("acme", 900, 870.0), ("umbra", 30, 12.0)])     -> Opinion(0.68.., 930, 2)
    agreed(scores, callers=5, most=True)                        what holds whoever is left out

A tenant that says a thousand things counts as if it had said fewer: each has at most `SHARE` of all
that is counted, or the same as the others where they are too few for that. So one that says the
opposite of what it saw moves the mean by `SHARE` at most.

Where something is done about it, `agreed` says what holds with any one tenant left out, so nobody
can have it done by what it says, and where one alone has spoken for several, nothing is said. It
can still keep it from being done, as far as its share reaches.

Not promised: that those who say something are like those who do not; nothing is certified by it.
"""

from collections.abc import Sequence

from msgspec import Struct

SHARE = 0.25
VOICES = 64


class Opinion(Struct, frozen=True):
    """The mean of what was said, 0..1; None where nothing was."""

    mean: float | None
    said: int
    tenants: int


def opinion_of(scores: Sequence[tuple[str, int, float]]) -> Opinion:
    """The mean of (who, how many, their sum)."""
    if not scores:
        return Opinion(None, 0, 0)
    cap = _cap([count for _, count, _ in scores])
    weights = [min(float(count), cap) for _, count, _ in scores]
    means = [total / count for _, count, total in scores]
    mean = sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights)
    return Opinion(mean, sum(count for _, count, _ in scores), len(scores))


def agreed(scores: Sequence[tuple[str, int, float]], callers: int, *, most: bool) -> float | None:
    """The greatest mean (`most`), or the least, with all of them and with any one left out.

    None where nobody has spoken, or one alone for more `callers`. Of more than `VOICES` those count
    that have said most.
    """
    heard = sorted(scores, key=lambda one: -one[1])[:VOICES]
    if not heard or (len(heard) == 1 and callers > 1):
        return None
    parts = [heard, *(heard[:n] + heard[n + 1 :] for n in range(len(heard)) if len(heard) > 1)]
    means = [mean for part in parts if (mean := opinion_of(part).mean) is not None]
    return max(means) if most else min(means)


def _cap(counts: Sequence[int]) -> float:
    """The most that one may count: `SHARE` of all that is then counted."""
    rising = sorted(counts)
    below = sum(rising)
    for over in range(1, len(rising) + 1):
        below -= rising[-over]
        if over * SHARE >= 1:
            break
        cap = SHARE * below / (1 - over * SHARE)
        if cap >= (rising[-over - 1] if over < len(rising) else 0):
            return min(cap, float(rising[-1])) or float(rising[0])
    return float(rising[0])
