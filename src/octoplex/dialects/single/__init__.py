"""Operations whose request and reply are one body each: embeddings, reranking, moderation,
completions."""

from octoplex.dialects.single.choose import OPERATIONS, choose, follows, shape_of
from octoplex.dialects.single.shape import Shape, Told

__all__ = ["OPERATIONS", "Shape", "Told", "choose", "follows", "shape_of"]
