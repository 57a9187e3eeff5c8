"""Every dialect there is: the provider's sides and the callers'."""

from octoplex.dialects.anthropic import Anthropic, AnthropicFace
from octoplex.dialects.bedrock_converse import BedrockConverse
from octoplex.dialects.cohere_v2 import CohereV2
from octoplex.dialects.dialect import Dialect, Face
from octoplex.dialects.gemini import Gemini, GeminiFace
from octoplex.dialects.ollama import Ollama
from octoplex.dialects.openai_chat import OpenAIChat, OpenAIChatFace
from octoplex.dialects.openai_responses import OpenAIResponses, OpenAIResponsesFace


def dialects() -> dict[str, Dialect]:
    """What providers speak, by name."""
    sides: tuple[Dialect, ...] = (
        OpenAIChat(),
        OpenAIResponses(),
        Anthropic(),
        Gemini(),
        BedrockConverse(),
        CohereV2(),
        Ollama(),
    )
    return {side.name: side for side in sides}


def faces() -> dict[str, Face]:
    """What callers speak, by name."""
    sides: tuple[Face, ...] = (
        OpenAIChatFace(),
        OpenAIResponsesFace(),
        AnthropicFace(),
        GeminiFace(),
    )
    return {side.name: side for side in sides}
