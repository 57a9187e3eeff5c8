"""The dialect of Replicate's predictions, the provider's side: `Replicate`."""

from octoplex.dialects.replicate.upstream import Replicate

__all__ = ["Replicate"]
