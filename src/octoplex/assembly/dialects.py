"""Every dialect there is: the provider's sides and the callers'."""

from collections.abc import Callable, Mapping, Sequence

from octoplex.dialects.anthropic import Anthropic, AnthropicFace
from octoplex.dialects.bedrock_anthropic import BedrockAnthropic
from octoplex.dialects.bedrock_converse import BedrockConverse
from octoplex.dialects.cohere_v2 import CohereV2
from octoplex.dialects.dialect import Dialect, Encoder, Face
from octoplex.dialects.ernie_v1 import ErnieV1
from octoplex.dialects.gemini import Gemini, GeminiFace
from octoplex.dialects.gigachat import GigaChat
from octoplex.dialects.oci import Oci
from octoplex.dialects.ollama import Ollama
from octoplex.dialects.openai_chat import OpenAIChat, OpenAIChatFace
from octoplex.dialects.openai_responses import OpenAIResponses, OpenAIResponsesFace
from octoplex.dialects.replicate import Replicate
from octoplex.dialects.sagemaker import SageMaker
from octoplex.dialects.vertex import Vertex
from octoplex.dialects.vertex_anthropic import VertexAnthropic
from octoplex.dialects.watsonx import Watsonx
from octoplex.wire.ask import Call
from octoplex.wire.event import Event


def dialects() -> dict[str, Dialect]:
    """What providers speak, by name."""
    sides: tuple[Dialect, ...] = (
        OpenAIChat(),
        OpenAIResponses(),
        Anthropic(),
        VertexAnthropic(),
        BedrockAnthropic(),
        Gemini(),
        Vertex(),
        BedrockConverse(),
        CohereV2(),
        Ollama(),
        Oci(),
        Replicate(),
        SageMaker(),
        Watsonx(),
        GigaChat(),
        ErnieV1(),
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


def resuming(
    faces: Mapping[str, Face],
) -> Callable[[Call, bytes, Sequence[Event]], Encoder | None]:
    """What goes on, for each face, with a stream of which its caller has some bytes."""

    def resume(call: Call, wire: bytes, told: Sequence[Event]) -> Encoder | None:
        return faces[call.face].resume(call, wire, told)

    return resume
