"""What the learner is told, and what it tells: the rows between the path and its process.

    decode(encode(Pair("support", ...)))    -> the same

Notes of a route are read in the order in which they were written; everything that the learner
does follows from that order. Appended by `shelf.py`.
"""

import msgspec
from msgspec import Struct

from octoplex.optimizer.features import Features
from octoplex.optimizer.loop import Plan
from octoplex.optimizer.policy import Decision


class Noticed(Struct, frozen=True, tag="noticed", array_like=True):
    """A request as traffic has them, one of a sample: from these the rungs are cut."""

    features: Features
    costs: tuple[float, ...]
    """What each variant would have cost, in dollars, the reference first."""


class Pair(Struct, frozen=True, tag="pair", array_like=True):
    """Two answers to one request, judged."""

    request_id: str
    features: Features
    decision: Decision
    reference: float
    """What its answer was worth, 0..1; NaN where nobody could say, or one was not answered."""
    rival: float
    judge: str
    """Who said so: a verifier, or a model."""
    nano: int
    """What the second answer and the judging cost, in nano-dollars."""
    model: str = ""
    """What a model that judged calls itself."""
    labels: float = 0.0
    """With what probability people are asked, too; 0 where nobody doubts the judge, below 0 where
    too many wait for people: then it is learned from, and no evidence."""
    is_asked: bool = False
    """Whether they are: then this is evidence once they have said something (`Label`)."""


class Label(Struct, frozen=True, tag="label", array_like=True):
    """What a person says of a pair, or that nobody has in time: then the worst for the rival."""

    request_id: str
    reference: float
    rival: float
    who: str = ""
    """"" where nobody has."""


class Lesson(Struct, frozen=True, tag="lesson", array_like=True):
    """What was known of a request before: learned from, and evidence for nothing."""

    features: Features
    rival: int
    """The number of a variant, from 1."""
    difference: float
    """Its quality less the reference's."""


class Order(Struct, frozen=True, tag="order", array_like=True):
    """What an operator, or a change that the path has seen, wants: `void`, `rollback`, `resume`."""

    kind: str
    why: str
    who: str = ""


class Planned(Struct, frozen=True, tag="planned", array_like=True):
    """The learner begins anew: the first note of a route, and of each stretch with another plan."""

    plan: Plan
    judges: tuple[str, ...]
    version: int
    """Of the first policy of this stretch."""
    why: str = ""
    about: str = ""
    """What else in the file says how targets answer, hashed (`Course.version`)."""


Note = Noticed | Pair | Label | Lesson | Order | Planned


def kind_of(note: Note) -> str:
    """`noticed`, `pair`, `label`, `lesson`, `order` or `planned`."""
    return type(note).__name__.lower()


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Note).decode
