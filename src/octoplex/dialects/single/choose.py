"""Which shape a provider's operation has: by what its row says, else by the dialect it speaks."""

from collections.abc import Mapping

from octoplex.dialects.single.cohere import CohereEmbed
from octoplex.dialects.single.gemini import GeminiEmbed
from octoplex.dialects.single.plain import Plain
from octoplex.dialects.single.shape import Shape
from octoplex.dialects.single.voyage import VoyageEmbed, VoyageRerank
from octoplex.wire.ask import Operation

OPERATIONS: Mapping[Operation, str] = {
    "embed": "embed",
    "rerank": "rerank",
    "moderate": "moderation",
    "complete": "chat",
}
"""Operation -> the modality of a row that has it."""
ALWAYS = frozenset({"embed", "complete"})
"""What follows from a dialect alone, also for a provider that has a row."""
_PATHS = {
    "embed": "/embeddings",
    "rerank": "/rerank",
    "moderate": "/moderations",
    "complete": "/completions",
}


def shape_of(op: Operation, body: str) -> Shape | None:
    """The shape that a row names; None where it names none that we know."""
    match op, body:
        case "embed", "cohere":
            return CohereEmbed()
        case "embed", "voyage":
            return VoyageEmbed("")
        case "rerank", "voyage":
            return VoyageRerank("")
        case ("embed", "openai" | "jina" | "nomic") | ("rerank", "jina" | "cohere"):
            return Plain("")
        case "moderate", "openai":
            return Plain("")
    return None


def choose(op: Operation, dialect: str) -> Shape | None:
    """The operation as a provider of this dialect usually has it; None where it has none."""
    if dialect == "openai-chat" or (dialect == "openai-responses" and op != "complete"):
        return Plain(_PATHS[op])
    if dialect == "cohere-v2":
        own: dict[Operation, Shape] = {"embed": CohereEmbed(), "rerank": Plain("/rerank")}
        return own.get(op)
    if dialect == "gemini" and op == "embed":
        return GeminiEmbed()
    return None
