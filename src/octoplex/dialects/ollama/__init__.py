"""Ollama's own chat dialect (`/api/chat`), the provider's side: `Ollama`."""

from octoplex.dialects.ollama.upstream import Ollama

__all__ = ["Ollama"]
