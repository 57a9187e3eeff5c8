"""OpenAI's Chat Completions, both directions; nearly every provider speaks it.

`OpenAIChat` is the provider's side, `OpenAIChatFace` the caller's.
"""

from octoplex.dialects.openai_chat.face import OpenAIChatFace
from octoplex.dialects.openai_chat.upstream import OpenAIChat

__all__ = ["OpenAIChat", "OpenAIChatFace"]
