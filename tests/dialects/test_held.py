"""What a 200 of an operation must hold."""

from typing import Any

import msgspec
import pytest

from octoplex.dialects.single.held import check
from octoplex.dialects.verbatim import split
from octoplex.wire.ask import Operation
from octoplex.wire.error import UpstreamBroken


def fields(**members: Any) -> Any:
    return split(msgspec.json.encode(members))


@pytest.mark.parametrize(
    ("given", "vectors"),
    [
        ("a", 1),
        (["a", "b"], 2),
        ([1, 2, 3], 1),  # tokens
        ([[1, 2], [3]], 2),
        ([{"text": "a"}, {"image": "b"}], 2),  # Jina
    ],
)
def test_one_vector_for_each_input(given: Any, vectors: int) -> None:
    check("embed", [0] * vectors, fields(input=given))
    for other in (vectors - 1, vectors + 1):
        with pytest.raises(UpstreamBroken):
            check("embed", [0] * other, fields(input=given))


def test_where_inputs_cannot_be_counted_any_number_will_do() -> None:
    check("embed", [0, 0], fields(texts=["a"]))


OPERATIONS: tuple[Operation, ...] = ("embed", "rerank", "moderate", "complete")


@pytest.mark.parametrize("op", OPERATIONS)
def test_nothing_is_no_reply(op: Operation) -> None:
    with pytest.raises(UpstreamBroken) as caught:
        check(op, None, fields())
    assert caught.value.reached


def test_a_ranking_may_be_empty() -> None:
    check("rerank", [], fields(top_n=1))
