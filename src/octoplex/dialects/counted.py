"""The reply to a request that counts tokens: `input_tokens`, in two dialects."""

import msgspec
from msgspec import Struct

from octoplex.dialects.broken import readable


class _Counted(Struct):
    input_tokens: int


_read = msgspec.json.Decoder(_Counted).decode


def read_counted(body: bytes) -> int:
    """The input tokens a provider counted.

    Raises:
        UpstreamBroken: the reply holds no count.
    """
    return max(readable(_read, body).input_tokens, 0)
