"""Operations whose request and reply are one body each: embeddings, reranking, moderation,
completions."""

from octoplex.dialects.single.choose import ALWAYS, OPERATIONS, choose, shape_of
from octoplex.dialects.single.shape import Shape, Told

__all__ = ["ALWAYS", "OPERATIONS", "Shape", "Told", "choose", "shape_of"]
