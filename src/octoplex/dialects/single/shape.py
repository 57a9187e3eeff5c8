"""What a single-body operation is at a provider: write the request, read the reply.

The caller's shape is one per operation, the one most SDKs send: OpenAI's for embeddings,
moderations and completions, Cohere's and Jina's (they agree) for reranking. A provider that
takes that shape gets the body as it came, but for `model`; for another one it is written anew
and the reply is turned back.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Raw, Struct

from octoplex.dialects.dialect import Encoded
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import Usage


class Told(Struct, frozen=True):
    """A reply in the caller's shape, and what it was billed; `usage` None when nobody said."""

    body: bytes
    usage: Usage | None
    model: str = ""


class Shape(Protocol):
    """One operation as a provider speaks it."""

    def path_for(self, model: str) -> str:
        """Path of the operation below the provider's base."""
        ...

    def write(self, fields: Mapping[str, Raw], model: str) -> Encoded:
        """Write the request; `fields` are the members of the caller's body.

        Raises:
            InvalidCall, Unsupported: a member is wrong, or cannot be said here.
        """
        ...

    def read(self, body: bytes, fields: Mapping[str, Raw], model: str) -> Told:
        """Read a 200 reply to a request of these members.

        Raises:
            UpstreamBroken: it is none.
        """
        ...

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """Classify a non-200 reply by status and structured body."""
        ...
