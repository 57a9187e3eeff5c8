"""Which shape a provider's operation has: by what its row says, else by the dialect it speaks."""

from collections.abc import Mapping

from octoplex.dialects.single.cohere import CohereEmbed
from octoplex.dialects.single.gemini import GeminiEmbed
from octoplex.dialects.single.gigachat import GigaChatEmbed
from octoplex.dialects.single.mistral import MistralEmbed
from octoplex.dialects.single.plain import Plain
from octoplex.dialects.single.scored import MixedbreadRerank, TeiRerank
from octoplex.dialects.single.shape import Shape
from octoplex.dialects.single.vertex import VertexEmbed
from octoplex.dialects.single.voyage import VoyageEmbed, VoyageRerank
from octoplex.dialects.single.watsonx import WatsonxEmbed, WatsonxRerank
from octoplex.wire.ask import Operation

OPERATIONS: Mapping[Operation, str] = {
    "embed": "embed",
    "rerank": "rerank",
    "moderate": "moderation",
    "complete": "chat",
}
"""Operation -> the modality of a row that has it."""
_ALWAYS = frozenset({"embed", "complete"})
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
            return VoyageEmbed(op, "")
        case "embed", "mistral":
            return MistralEmbed(op, "")
        case "rerank", "voyage":
            return VoyageRerank(op, "")
        case "rerank", "mixedbread":
            return MixedbreadRerank(op, "")
        case "rerank", "tei":
            return TeiRerank(op, "")
        case ("embed", "openai" | "jina" | "nomic") | ("rerank", "jina" | "cohere"):
            return Plain(op, "")
        case "moderate", "openai":
            return Plain(op, "")
    return None


def follows(op: Operation, dialect: str) -> bool:
    """Whether an operation follows from the dialect alone, also for a provider with a row."""
    return op in _ALWAYS or dialect == "watsonx"


def choose(op: Operation, dialect: str, account: Mapping[str, str]) -> Shape | None:
    """The operation as a provider of this dialect usually has it; None where it has none.

    `account` is what the provider is told beside the key.
    """
    if dialect == "openai-chat" or (dialect == "openai-responses" and op != "complete"):
        return Plain(op, _PATHS[op])
    if dialect == "cohere-v2":
        own: dict[Operation, Shape] = {"embed": CohereEmbed(), "rerank": Plain("rerank", "/rerank")}
        return own.get(op)
    if dialect == "gemini" and op == "embed":
        return GeminiEmbed()
    if dialect == "vertex" and op == "embed":
        return VertexEmbed()
    if dialect == "gigachat" and op == "embed":
        return GigaChatEmbed()
    if dialect == "watsonx" and op in ("embed", "rerank"):
        return WatsonxEmbed(account) if op == "embed" else WatsonxRerank(account)
    return None
