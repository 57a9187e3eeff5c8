"""What memory keeps.

What a search is for is a `Group`: what is everybody's of an owner, or the notes of one of its arms;
no search spans two groups.
"""

import hashlib
import re
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from octoplex.wire.ask import Caller

Kind = Literal["fact", "note", "turn", "task"]
MOST_FACTS = 200_000
"""Of one owner."""
MOST_WORDS = 24
"""Of a query; further ones are not looked for."""
COMMON = 5_000
"""A word in so many facts of a group says nothing of any of them."""
_WORD = re.compile(r"\w{1,64}")


class Fact(Struct, frozen=True, kw_only=True):
    """Something kept, with where it came from."""

    id: str
    owner: str
    arm: str = ""
    """Whose notes it belongs to; "" everybody's of the owner."""
    kind: Kind = "fact"
    thread: str = ""
    """The conversation or the task that it is a part of."""
    role: str = ""
    text: str
    source: str
    task: str = ""
    step: str = ""
    who: str = ""
    at_ms: int
    until_ms: int
    is_untrusted: bool

    @property
    def group(self) -> "Group":
        return Group(self.owner, self.arm)

    def shown(self, score: float = 0.0) -> dict[str, Any]:
        """As whoever remembers sees it."""
        told = asdict(self)
        del told["owner"], told["arm"]
        return told | {"score": round(score, 6)}


class Group(Struct, frozen=True):
    """What is searched together."""

    owner: str
    arm: str = ""

    @property
    def word(self) -> str:
        """The same as one word, which no stemmer changes."""
        digest = hashlib.blake2b(f"{self.owner}\0{self.arm}".encode(), digest_size=16).digest()
        return f"g{int.from_bytes(digest, 'big')}"


class Vector(Struct, frozen=True):
    """A fact's vector, as `near.py` packs it, and the model that made it."""

    model: str
    body: bytes


class Found(Struct, frozen=True):
    """A fact that may be an answer, with its vector by the model of the search."""

    seq: int
    fact: Fact
    vector: bytes | None


class Which(Struct, frozen=True, kw_only=True):
    """Which facts of an owner: all, or those of an id, or of a conversation or task."""

    owner: str
    id: str = ""
    thread: str = ""


def owner_of(caller: Caller) -> str:
    """Whose memory a caller's is: its tenant's, else its key's own; "" without keys."""
    if caller.tenant:
        return f"tenant {caller.tenant}"
    return f"key {caller.id}" if caller.id else ""


def words_of(query: str) -> list[str]:
    """The words of a query, each once. They are letters, digits and underscores only."""
    return list(dict.fromkeys(_WORD.findall(query.casefold())))[:MOST_WORDS]
