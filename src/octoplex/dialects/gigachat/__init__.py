"""GigaChat's chat dialect, the provider's side: `GigaChat`."""

from octoplex.dialects.gigachat.upstream import GigaChat

__all__ = ["GigaChat"]
