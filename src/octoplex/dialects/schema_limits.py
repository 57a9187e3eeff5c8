"""What of a JSON Schema a vendor holds its models to: how much of it, and by which keywords.

    size_of(schema)                  what the vendors' limits count
    size.is_within(OPENAI_MOST)      whether one of them is passed
    is_held(schema, GEMINI)          whether no keyword in it is one that the vendor reads over

OpenAI and Anthropic answer 400 to a schema beyond their limits. Gemini, Cohere and llama.cpp
take any schema and say nothing of the keywords that they do not know, so that a reply may
not be what was asked for.

Reference: https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas,
https://platform.claude.com/docs/en/build-with-claude/structured-outputs#schema-complexity-limits,
https://ai.google.dev/api/generate-content#GenerationConfig (`responseJsonSchema`),
https://docs.cohere.com/v2/docs/structured-outputs#unsupported-schema-features and
https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md (Ollama's grammars)

Not promised: the limits that vendors do not tell, such as the size of a grammar.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE

NUMBERS = frozenset({"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
LISTS = frozenset({"anyOf", "allOf", "oneOf"})
VALIDATING = (
    LISTS
    | NUMBERS
    | {
        "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies",
        "patternProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems",
        "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "minItems",
        "maxItems", "uniqueItems", "contains", "minContains", "maxContains", "prefixItems",
        "additionalItems", "$dynamicRef", "$recursiveRef",
    }
)  # fmt: skip
"""Keywords, beside those that every vendor knows, that change what is valid."""
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_DEEPER = frozenset(
    {"properties", "patternProperties", "items", "prefixItems", "additionalProperties"}
)
_DEFS = frozenset({"$defs", "definitions"})
_VALUES = frozenset({"enum", "const", "default", "examples", "required", "type"})
_LONG_ENUM = 250
_ANCHORED = re.compile(r"[\^$]|\(\?")
_MUCH = 1 << 30

_decode = msgspec.json.Decoder().decode


class Size(Struct, frozen=True):
    """What the limits count, or, with its defaults, a limit.

    `depth` is in steps into the data. `characters` are those of names, enums and constants,
    `long_enum` those of the longest enum of more than 250 values. `unions` are the places
    that take more than one type.
    """

    properties: int = _MUCH
    depth: int = _MUCH
    enums: int = _MUCH
    characters: int = _MUCH
    long_enum: int = _MUCH
    optional: int = _MUCH
    unions: int = _MUCH

    def is_within(self, most: "Size") -> bool:
        """Whether none of it is more than a limit."""
        return all(getattr(self, name) <= getattr(most, name) for name in self.__struct_fields__)


OPENAI_MOST = Size(properties=5_000, depth=10, enums=1_000, characters=120_000, long_enum=15_000)
CLAUDE_MOST = Size(optional=24, unions=16)
"""For all schemas of a request together."""
CLAUDE_TOOLS = 20
"""Tools of a request that a Claude is held to."""


class Room:
    """What a request leaves of Claude's limits, for tools that are to be strict."""

    __slots__ = ("_optional", "_tools", "_unions")

    def __init__(self, form: Raw | None) -> None:
        """`form` is the schema of the reply, which comes first."""
        size = size_of(_read(form) if form is not None else None)
        self._tools = CLAUDE_TOOLS
        self._optional = CLAUDE_MOST.optional - size.optional
        self._unions = CLAUDE_MOST.unions - size.unions

    def takes(self, size: Size) -> bool:
        """Whether one more tool fits, which it then does."""
        if not (self._tools and size.optional <= self._optional and size.unions <= self._unions):
            return False
        self._tools -= 1
        self._optional -= size.optional
        self._unions -= size.unions
        return True


class Known(Struct, frozen=True):
    """What a vendor who takes any schema does not hold a model to: keywords, values, forms."""

    lacks: frozenset[str]
    enums: tuple[type, ...] = (object,)
    anchored: bool = True
    mixed: bool = True


_EVERY = VALIDATING | {"const"}
GEMINI = Known(
    _EVERY - {"anyOf", "prefixItems", "minItems", "maxItems", "minimum", "maximum"},
    enums=(str, int, float),
)
COHERE = Known(_EVERY - {"anyOf", "const", "pattern"}, anchored=False)
LLAMA = Known(
    _EVERY - {"anyOf", "const", "minItems", "maxItems", "minLength", "maxLength"}, mixed=False
)


def size_of(root: Any) -> Size:
    """How large a decoded schema is."""
    properties = depth = enums = characters = long_enum = optional = unions = 0
    for node, steps in _nodes(root):
        depth = max(depth, steps)
        for word in _NAMED & node.keys():
            characters += sum(map(len, _members(node, word)))
        if "properties" in node:
            held, needed = _members(node, "properties"), node.get("required")
            needed = [n for n in needed if isinstance(n, str)] if isinstance(needed, list) else []
            properties += len(held)
            optional += len(held.keys() - set(needed))
        values = node.get("enum")
        if isinstance(values, list):
            letters = sum(len(v) for v in values if isinstance(v, str))
            enums += len(values)
            characters += letters
            long_enum = max(long_enum, letters if len(values) > _LONG_ENUM else 0)
        if isinstance(node.get("const"), str):
            characters += len(node["const"])
        unions += "anyOf" in node or isinstance(node.get("type"), list)
    return Size(properties, depth, enums, characters, long_enum, optional, unions)


def is_held(schema: Raw, known: Known) -> bool:
    """Whether a vendor who takes any schema holds the model to all that this one says."""
    return all(_is_held(node, known) for node, _ in _nodes(_read(schema)))


def _is_held(node: dict[str, Any], known: Known) -> bool:
    if not known.lacks.isdisjoint(node):
        return False
    values = node.get("enum")
    if isinstance(values, list) and not all(_is_one(v, known.enums) for v in values):
        return False
    if not known.anchored and _ANCHORED.search(str(node.get("pattern", ""))):
        return False
    return known.mixed or not ("properties" in node and "anyOf" in node)


def _read(schema: Raw) -> Any:
    """The schema; None of what is no JSON, which is the provider's to judge."""
    try:
        return _decode(schema)
    except UNREADABLE:
        return None


def _is_one(value: Any, types: tuple[type, ...]) -> bool:
    return types == (object,) or (isinstance(value, types) and not isinstance(value, bool))


def _members(node: dict[str, Any], word: str) -> dict[str, Any]:
    found = node.get(word)
    return found if isinstance(found, dict) else {}


def _nodes(root: Any) -> Iterator[tuple[dict[str, Any], int]]:
    """Every schema inside of one, and itself, with its steps into the data; no reference."""
    left = [(root, 0)]
    while left:
        node, depth = left.pop()
        if not isinstance(node, dict):
            continue
        yield node, depth
        for word, value in node.items():
            if not isinstance(value, dict | list) or word in _VALUES:
                continue
            below = 0 if word in _DEFS else depth + (word in _DEEPER)
            if word in _NAMED:
                left += [(inner, below) for inner in _members(node, word).values()]
            else:
                left += [(one, below) for one in (value if isinstance(value, list) else (value,))]
