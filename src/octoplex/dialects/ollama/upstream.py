"""The provider's side of Ollama's dialect. A stream is lines of JSON (`transport/ndjson.py`).

Reference: https://docs.ollama.com/api/chat
"""

from octoplex.dialects.ollama.request import NAME, write_request
from octoplex.dialects.ollama.stream import OllamaDecoder
from octoplex.dialects.ollama.verdict import judge_status
from octoplex.dialects.ollama.whole import decode_reply, read_whole
from octoplex.dialects.one_way import OneWay, Parts


class Ollama(OneWay):
    """Writes requests to, and reads replies from, an Ollama server."""

    name = NAME
    path = "/chat"
    parts = Parts(
        write=write_request,
        read_whole=read_whole,
        decode_reply=decode_reply,
        decoder=OllamaDecoder,
        judge=judge_status,
    )
