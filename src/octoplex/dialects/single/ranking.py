"""The most that a ranking may be billed for, which the size of its body does not say.

By tokens the query is read again beside each document (Voyage: "number of query tokens x number
of documents + sum of the number of tokens in all documents"). By searches, one is a query with up
to 100 documents, and a long document counts once for each chunk (Cohere: of 510 tokens, the
query's among them).

References: https://docs.voyageai.com/docs/pricing, https://cohere.com/pricing,
https://docs.cohere.com/docs/reranking-best-practices

Not promised: the least bound; what was really billed, the reply says.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from octoplex.dialects.members import UNREADABLE
from octoplex.wire.ask import BYTES_PER_TOKEN

DOCUMENTS_IN_SEARCH = 100
TOKENS_IN_CHUNK = 255
"""Of a document: half of Cohere's 510, since a query has no more than the other half."""

_list = msgspec.json.Decoder(list[Raw]).decode


def most_of(fields: Mapping[str, Raw]) -> tuple[int, int]:
    """Tokens beside those of the body, and searches."""
    try:
        documents = _list(fields["documents"])
    except UNREADABLE:
        documents = [fields["documents"]]
    again = _tokens(fields["query"]) * len(documents)
    chunks = sum(-(-_tokens(document) // TOKENS_IN_CHUNK) for document in documents)
    return again, -(-chunks // DOCUMENTS_IN_SEARCH)


def _tokens(raw: Raw) -> int:
    return -(-len(bytes(raw)) // BYTES_PER_TOKEN)
