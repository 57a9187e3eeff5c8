"""IBM watsonx.ai's chat dialect (`/ml/v1/text/chat`), the provider's side: `Watsonx`."""

from octoplex.dialects.watsonx.upstream import Watsonx

__all__ = ["Watsonx"]
