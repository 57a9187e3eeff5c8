"""OpenAI's Responses, both directions.

`OpenAIResponses` is the provider's side, `OpenAIResponsesFace` the caller's.
"""

from octoplex.dialects.openai_responses.face import OpenAIResponsesFace
from octoplex.dialects.openai_responses.upstream import OpenAIResponses

__all__ = ["OpenAIResponses", "OpenAIResponsesFace"]
