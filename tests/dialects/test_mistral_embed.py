"""Mistral's embeddings: what OpenAI calls otherwise, and what Mistral refuses."""

import json

import msgspec
from msgspec import Raw

from octoplex.catalog.provider import catalogue
from octoplex.dialects.single import shape_of

# https://docs.mistral.ai/api/endpoint/embeddings
REPLY = {
    "id": "embd-1",
    "object": "list",
    "model": "codestral-embed",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    "usage": {"prompt_tokens": 15, "completion_tokens": 0, "total_tokens": 15},
}


def test_the_size_goes_out_in_mistrals_word() -> None:
    shape = shape_of("embed", catalogue()["mistral"].body_of("embed"))
    assert shape is not None
    asked = {"input": "a", "dimensions": 2, "encoding_format": "base64", "user": "u"}
    fields = {name: Raw(msgspec.json.encode(value)) for name, value in asked.items()}
    encoded = shape.write(fields, "codestral-embed")
    assert json.loads(encoded.body) == {
        "input": "a",
        "output_dimension": 2,
        "encoding_format": "base64",
        "model": "codestral-embed",
    }
    assert encoded.dropped == ("user",)
    told = shape.read(json.dumps(REPLY).encode(), fields, "codestral-embed")
    assert told.usage is not None
    assert (told.usage.input_tokens, json.loads(told.body)) == (15, REPLY)
