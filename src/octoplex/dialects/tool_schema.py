"""What a function takes is an object, also where its schema does not say so.

OpenAI reads `"parameters": {}` as a function without parameters; Anthropic, Bedrock, Cohere and
Gemini want a schema with `"type": "object"`.

Reference: https://platform.claude.com/docs/en/api/messages (`tools.input_schema.type`) and
https://ai.google.dev/api/caching#FunctionDeclaration (`parametersJsonSchema`)
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.members import UNREADABLE

_SAYS_SO = (b'{"type":"object"', b'{"type": "object"')
_OBJECT = Raw(b'"object"')
_ANY = Raw(b'{"type":"object"}')

_members = msgspec.json.Decoder(dict[str, Raw]).decode


def object_schema(schema: Raw | None) -> Raw:
    """The same schema, with its type; what is no JSON object is left as it is."""
    if schema is None:
        return _ANY
    if bytes(schema).startswith(_SAYS_SO):
        return schema
    try:
        members = _members(schema)
    except UNREADABLE:
        return schema
    if "type" in members:
        return schema
    return Raw(msgspec.json.encode({"type": _OBJECT, **members}))
