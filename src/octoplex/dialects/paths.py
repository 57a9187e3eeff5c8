"""A model's id where the path of a request names it.

An id is the caller's word. Quoted, it can name nothing but a model: no query, no operation,
and no place further up, which a server might resolve before it looks who may go there.
"""

from urllib.parse import quote

from octoplex.wire.error import InvalidCall


def in_path(model: str, safe: str = "") -> str:
    """The id quoted. `safe` are the reserved characters that stand as they are.

    Raises:
        InvalidCall: it holds an empty segment, `.` or `..`.
    """
    if not {"", ".", ".."}.isdisjoint(model.split("/")):
        raise InvalidCall(f"`model` is {model[:80]!r}, which is no model's name.", param="model")
    return quote(model, safe=safe)
