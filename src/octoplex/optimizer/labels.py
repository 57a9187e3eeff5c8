"""What people say of pairs that a model has judged, inside the certificate.

    proofs = Proofs(); proofs.add(pair); proofs.hear(label)
    for pair, said in proofs.ready(changed): corrected(pair, said)

Of each pair that a model judges a lot says, with probability `learn.labels`, whether a person is
asked. What counts as evidence is

    judge + asked / labels * (person - judge)

which is on average what a person would have said, whatever the judge says. It is as much evidence
as `evidence.py` asks for: bounded, from 1 - 1 / labels to 1 / labels, and of known mean given all
before. So bets on it must be lower, and that is the price.

A pair waits for its label, and all after it wait too: those that wait are the asked ones alone, so
going on without them would be to believe the judge meanwhile. Learning and alarms do not wait. What
nobody has said in time counts as the worst for the rival, a label like any other: leaving it out
would let who labels choose.

References: as in `ppi.py`. Not promised: anything of a label's own error.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from math import nan

import msgspec
import numpy as np
from msgspec import Struct

from octoplex.optimizer.notes import Label, Pair, decode
from octoplex.optimizer.ppi import Judged

Worth = tuple[float, float]
"""Of the reference's answer, and of the rival's."""
MANY = 200


class Proofs:
    """Pairs in their order, held back until it is known what people say of them."""

    def __init__(self) -> None:
        self._held: deque[Pair] = deque()
        self._said: dict[str, Worth] = {}

    def __len__(self) -> int:
        return sum(pair.is_asked and pair.request_id not in self._said for pair in self._held)

    def add(self, pair: Pair) -> None:
        """One more."""
        self._held.append(pair)

    def hear(self, label: Label) -> None:
        """What somebody says of one; the first word counts."""
        if any(pair.is_asked and pair.request_id == label.request_id for pair in self._held):
            self._said.setdefault(label.request_id, (label.reference, label.rival))

    def ready(self, changed: int = 0) -> Iterator[tuple[Pair, Worth | None]]:
        """Those of which all is known, with what was said, as far as none before them waits.

        Nobody waits for one that was decided before version `changed`: it counts no more.
        """
        while self._held:
            pair = self._held[0]
            said = self._said.pop(pair.request_id, None)
            if pair.is_asked and said is None and pair.decision.version >= changed:
                return
            yield self._held.popleft(), said


def corrected(pair: Pair, said: Worth | None) -> Worth:
    """What a pair counts as evidence: the judge's word, set right where a person was asked."""
    if said is None:
        return pair.reference, pair.rival
    first, other = said
    return (
        pair.reference + (first - pair.reference) / pair.labels,
        pair.rival + (other - pair.rival) / pair.labels,
    )


class Bias(Struct, frozen=True):
    """How much better a judge makes rivals, beside the reference, than people do."""

    labelled: int
    lapsed: int
    """Of which nobody has said anything in time; they count as the worst for the rival."""
    waiting: int
    mean: float | None
    low: float
    high: float
    """It does not miss the average over these pairs, with that confidence."""


def bias_of(notes: Iterable[bytes], confidence: float) -> Bias:
    """The bias of a route's judge, by its newest notes of pairs and labels in their order."""
    proofs, seen = Proofs(), Judged()
    rows: list[tuple[float, float, float]] = []
    labelled = lapsed = 0
    total = 0.0
    for note in map(decode, notes):
        if isinstance(note, Label):
            proofs.hear(note)
            labelled, lapsed = labelled + bool(note.who), lapsed + (not note.who)
        elif isinstance(note, Pair) and note.labels > 0:
            proofs.add(note)
        for pair, said in proofs.ready():
            score = _share(pair.rival - pair.reference)
            total += score
            rows.append((score, pair.labels, _share(said[1] - said[0]) if said else nan))
    for start in range(0, len(rows), MANY):
        seen.see(*np.array(rows[start : start + MANY]).T)
    waiting = len(proofs)
    if not rows:
        return Bias(labelled, lapsed, waiting, None, -2.0, 2.0)
    judged, (_, low, high) = total / len(rows), seen.interval(1 - confidence)
    told = (2 * (judged - one) for one in (seen.estimate, high, low))
    return Bias(labelled, lapsed, waiting, *told)


def _share(difference: float) -> float:
    """A difference of -1..1 as 0..1."""
    return (difference + 1) / 2


def is_swapped(request_id: str) -> bool:
    """Whether people see the rival's answer first, as A: by a lot that is the same each time."""
    return bool(blake2b(request_id.encode(), digest_size=1).digest()[0] & 1)


class Question(Struct, frozen=True):
    """A pair as people see it: which answer is whose is not said."""

    request_id: str
    conversation: list[dict[str, str]]
    a: dict[str, object]
    b: dict[str, object]
    until_ms: int
    """When it is deleted."""


class Texts(Struct, frozen=True):
    """What is kept of a pair."""

    conversation: list[dict[str, str]]
    reference: dict[str, object]
    rival: dict[str, object]


read_texts = msgspec.json.Decoder(Texts).decode


def question_of(request_id: str, texts: bytes, until_ms: int) -> Question:
    """What somebody is asked.

    Raises:
        msgspec.MsgspecError: it was not kept so.
    """
    told = read_texts(texts)
    both = told.reference, told.rival
    a, b = both[::-1] if is_swapped(request_id) else both
    return Question(request_id, told.conversation, a, b, until_ms)


def label_of(request_id: str, good: Iterable[str], who: str) -> Label:
    """A note of which answers somebody finds good, "a", "b", both or none."""
    a, b = (float(name in set(good)) for name in ("a", "b"))
    worth = (b, a) if is_swapped(request_id) else (a, b)
    return Label(request_id, *worth, who)
