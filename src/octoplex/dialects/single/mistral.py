"""Mistral's embeddings: OpenAI's, where the size is `output_dimension`; what is unknown is a 422.

Reference: https://docs.mistral.ai/api/endpoint/embeddings
"""

from collections.abc import Mapping

from msgspec import Raw

from octoplex.dialects.dialect import Encoded
from octoplex.dialects.single.plain import Plain


class MistralEmbed(Plain):
    """Implements `Shape`."""

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        body = dict(fields)
        if "dimensions" in body:
            body["output_dimension"] = body.pop("dimensions")
        dropped = ("user",) if body.pop("user", None) is not None else ()
        encoded = super().write(body, model)
        return Encoded(encoded.body, encoded.dropped + dropped)
