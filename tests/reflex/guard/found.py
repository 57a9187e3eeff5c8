"""What a detector finds, written as pieces of text."""

from functools import cache

from octoplex.reflex.guard.finding import Kind
from octoplex.reflex.guard.scan import ALL, Detector, patterns


@cache
def detector(*kinds: Kind) -> Detector:
    return Detector(patterns(kinds or ALL))


def found(text: str, *kinds: Kind) -> list[tuple[str, str]]:
    return [(f.type, text[f.start : f.end]) for f in detector(*kinds).find(text)]
