"""The provider's side of Gemini on Google Cloud: Gemini's words, but for two.

    Gemini API                             Vertex
    `serviceTier` in the body              a header; in the body it is a 400
    countTokens of a whole request         of its contents, system text, tools and config

Everything else of a caller of Gemini's face passes as it came.

Reference: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://cloud.google.com/vertex-ai/generative-ai/docs/flex-paygo and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens

Not promised: files of the Gemini API, which Vertex does not see.
"""

from collections.abc import Mapping

from msgspec import Raw

from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.gemini import Gemini
from octoplex.dialects.gemini.head import asked
from octoplex.dialects.gemini.names import camel
from octoplex.dialects.gemini.signatures import NAME
from octoplex.dialects.verbatim import join, split
from octoplex.wire.chat import Chat

__all__ = ["Vertex"]

TIER = "serviceTier"
TIERS = ("flex", "priority")
TIER_HEADER = "x-vertex-ai-llm-shared-request-type"
COUNTED = frozenset({"contents", "systemInstruction", "tools", "generationConfig"})


class Vertex(Gemini):
    """Writes requests to, and reads replies from, Gemini on Google Cloud. Implements `Form`."""

    name = "vertex"
    words = NAME
    uncounted: frozenset[int] = frozenset()

    def serves(self, model: str) -> bool:
        """Every model below `publishers/google` that chats."""
        return True

    def encode_chat(self, chat: Chat, traits: Traits) -> Encoded:
        written = super().encode_chat(chat, traits)
        sealed = self.seal(split(written.body), {})
        dropped = written.dropped + sealed.dropped
        return Encoded(sealed.body, dropped, sealed.headers, written.loose)

    def encode_count(self, chat: Chat, traits: Traits) -> Encoded:
        written = super().encode_count(chat, traits)
        return Encoded(self.seal_count(split(written.body), traits.model), written.dropped)

    def seal(self, fields: Mapping[str, Raw], headers: Mapping[str, str]) -> Encoded:
        """The members as they are, but for the tier."""
        body = {name: raw for name, raw in fields.items() if camel(name) != TIER}
        if len(body) == len(fields):
            return Encoded(join(body))
        tier = next(bytes(raw) for name, raw in fields.items() if name not in body)
        wanted = tier.decode("utf-8", "replace").strip('"').lower()
        told = ((TIER_HEADER, wanted),) if wanted in TIERS else ()
        return Encoded(join(body), () if told or wanted == "standard" else (TIER,), told)

    def seal_count(self, fields: Mapping[str, Raw], model: str) -> bytes:
        """The members that bear on the count; a caller may have them in one of their own."""
        return join({n: raw for n, raw in asked(fields).items() if camel(n) in COUNTED})
