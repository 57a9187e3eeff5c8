"""Who mends the requests of callers that pass verbatim, by their face.

Within a dialect values pass byte for byte. A few members do not mean the same everywhere in
it: a newer model calls them otherwise, another vendor refuses them. A `Mender` knows which these
are at one target, made once with it, and touches nothing else.

Not promised: that a target takes every other member; that is its own verdict.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Raw

from octoplex.dialects.anthropic import mending as anthropic
from octoplex.dialects.dialect import Traits
from octoplex.dialects.gemini import mending as gemini
from octoplex.dialects.openai_chat import mending as openai_chat
from octoplex.dialects.openai_responses import mending as openai_responses
from octoplex.wire.ask import Call


class Mender(Protocol):
    """Puts members as one target takes them."""

    def mend(self, call: Call, fields: dict[str, Raw]) -> Sequence[str]:
        """Change `fields`, the members that will be sent; return what was left out."""
        ...


def menders_of(faces: Iterable[str], traits: Traits) -> Mapping[str, Mender]:
    """Those of a target, by face; none where nothing is known that would have to be mended."""
    made: dict[str, Mender | None] = {
        "openai-chat": openai_chat.mending_of(traits),
        "anthropic": anthropic.mending_of(traits),
        "openai-responses": openai_responses.mending_of(traits),
        "gemini": gemini.mending_of(traits),
    }
    return {face: mender for face in faces if (mender := made.get(face)) is not None}
