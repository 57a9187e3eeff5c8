"""Anthropic's Messages dialect: `Anthropic` faces a provider, `AnthropicFace` a caller."""

from octoplex.dialects.anthropic.face import AnthropicFace
from octoplex.dialects.anthropic.upstream import Anthropic

__all__ = ["Anthropic", "AnthropicFace"]
