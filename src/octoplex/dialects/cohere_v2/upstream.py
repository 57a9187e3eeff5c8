"""The provider's side of Cohere's Chat dialect.

Reference: https://docs.cohere.com/reference/chat
"""

from octoplex.dialects.cohere_v2.request import NAME, write_request
from octoplex.dialects.cohere_v2.stream import CohereDecoder
from octoplex.dialects.cohere_v2.verdict import judge_status
from octoplex.dialects.cohere_v2.whole import decode_reply, read_whole
from octoplex.dialects.one_way import OneWay, Parts


class CohereV2(OneWay):
    """Writes requests to, and reads replies from, Cohere."""

    name = NAME
    path = "/chat"
    parts = Parts(
        write=write_request,
        read_whole=read_whole,
        decode_reply=decode_reply,
        decoder=CohereDecoder,
        judge=judge_status,
    )
