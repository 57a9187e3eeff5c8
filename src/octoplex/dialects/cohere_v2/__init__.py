"""Cohere's own Chat dialect (v2), the provider's side: `CohereV2`."""

from octoplex.dialects.cohere_v2.upstream import CohereV2

__all__ = ["CohereV2"]
