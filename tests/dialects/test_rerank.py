"""Reranking at vendors with names of their own: requests and replies typed from their pages."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from octoplex.dialects.single import shape_of
from octoplex.dialects.single.ranking import most_of
from octoplex.wire.error import InvalidCall, UpstreamBroken
from octoplex.wire.event import Usage

ASKED = {"model": "r", "query": "q", "documents": ["x", "y"], "top_n": 1, "return_documents": True}
RANKED = [{"index": 1, "relevance_score": 0.9, "document": {"text": "y"}}]

# https://docs.voyageai.com/reference/reranker-api
VOYAGE: tuple[Any, Any, Any] = (
    {"model": "m", "query": "q", "documents": ["x", "y"], "top_k": 1, "return_documents": True},
    {"object": "list", "data": [{"index": 1, "relevance_score": 0.9, "document": "y"}],
     "model": "m", "usage": {"total_tokens": 26}},
    [{"index": 1, "relevance_score": 0.9, "document": "y"}],
)  # fmt: skip
# https://www.mixedbread.com/api-reference/endpoints/reranking
MIXEDBREAD: tuple[Any, Any, Any] = (
    {"model": "m", "query": "q", "input": ["x", "y"], "top_k": 1, "return_input": True},
    {"object": "list", "model": "m", "top_k": 1, "return_input": True,
     "data": [{"index": 1, "score": 0.9, "input": "y", "object": "rank_result"}],
     "usage": {"prompt_tokens": 26, "total_tokens": 26}},
    RANKED,
)  # fmt: skip
# https://huggingface.github.io/text-embeddings-inference
TEI: tuple[Any, Any, Any] = (
    {"query": "q", "texts": ["x", "y"], "return_text": True},
    [{"index": 0, "score": 0.1, "text": "x"}, {"index": 1, "score": 0.9, "text": "y"}],
    RANKED,
)
VENDORS = {"voyage": VOYAGE, "mixedbread": MIXEDBREAD, "tei": TEI}


def fields(**members: Any) -> dict[str, Raw]:
    return {name: Raw(msgspec.json.encode(value)) for name, value in members.items()}


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_ranking_goes_out_and_comes_back_in_its_own_words(vendor: str) -> None:
    wanted, said, results = VENDORS[vendor]
    shape = shape_of("rerank", vendor)
    assert shape is not None
    asked = fields(**ASKED, odd=1)
    sent = shape.write(asked, "m")
    assert msgspec.json.decode(sent.body) == wanted
    assert sent.dropped == ("odd",)
    told = shape.read(msgspec.json.encode(said), asked, "m")
    body = msgspec.json.decode(told.body)
    assert (body["model"], body["results"]) == ("m", results)
    assert told.usage == (None if vendor == "tei" else Usage(26, 0))


def test_a_count_that_is_none_is_refused_before_anybody_is_asked() -> None:
    shape = shape_of("rerank", "tei")
    assert shape is not None
    with pytest.raises(InvalidCall, match="top_n"):
        shape.write(fields(**{**ASKED, "top_n": "one"}), "m")


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("body", [b"{}", b"[1]", b'{"data":[{}', b'[{"index":0}]'])
def test_what_is_no_ranking_is_no_reply(vendor: str, body: bytes) -> None:
    shape = shape_of("rerank", vendor)
    assert shape is not None
    with pytest.raises(UpstreamBroken):
        shape.read(body, fields(**ASKED), "m")


# https://docs.cohere.com/reference/rerank,
# https://docs.siliconflow.com/en/api-reference/rerank/create-rerank
@pytest.mark.parametrize(
    ("vendor", "bill", "usage"),
    [
        ("cohere", {"meta": {"billed_units": {"search_units": 3}}}, Usage(searches=3)),
        ("cohere", {"meta": {"billed_units": {"search_units": 2.0}}}, Usage(searches=2)),
        ("cohere", {"meta": {"billed_units": {"search_units": -2}}}, None),
        ("cohere", {"meta": {"api_version": {"version": "2"}}}, None),
        ("jina", {"usage": {"total_tokens": 26}}, Usage(26)),
        ("jina", {"tokens": {"input_tokens": 26, "output_tokens": 0}}, Usage(26)),
    ],
)
def test_a_ranking_is_billed_by_what_its_reply_says(vendor: str, bill: Any, usage: Any) -> None:
    shape = shape_of("rerank", vendor)
    assert shape is not None
    body = msgspec.json.encode({"results": [], "model": "m", **bill})
    assert shape.read(body, fields(**ASKED), "m").usage == usage


@pytest.mark.parametrize(
    ("query", "documents", "again", "searches"),
    [
        ("q", ["x"], 1, 1),
        ("q", ["x"] * 100, 100, 1),
        ("q", ["x"] * 101, 101, 2),
        ("q" * 28, ["x", "y"], 20, 1),
        ("q", ["x" * 763], 1, 1),  # 255 tokens
        ("q", ["x" * 764] * 50, 50, 1),
        ("q", ["x" * 764] * 51, 51, 2),
        ("q", [{"text": "x"}], 1, 1),
        ("q", "no list", 1, 1),
    ],
)
def test_the_most_that_a_ranking_may_be_billed_for(
    query: str, documents: Any, again: int, searches: int
) -> None:
    assert most_of(fields(query=query, documents=documents)) == (again, searches)
