"""Gemini's generateContent, both directions: `Gemini` faces a provider, `GeminiFace` a caller."""

from octoplex.dialects.gemini.answer import JsonArray
from octoplex.dialects.gemini.face import GeminiFace
from octoplex.dialects.gemini.upstream import Gemini

__all__ = ["Gemini", "GeminiFace", "JsonArray"]
