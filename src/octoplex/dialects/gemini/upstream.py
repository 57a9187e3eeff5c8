"""The provider's side of Gemini's dialect: one class that joins the modules beside it.

Reference: https://ai.google.dev/api/generate-content

Not promised: anything that Vertex has and the Gemini API has not.
"""

import time
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from octoplex.dialects.broken import unreadable
from octoplex.dialects.dialect import Decoder, Encoded, Scanner, Seen, Traits
from octoplex.dialects.gemini.request import write_count, write_request
from octoplex.dialects.gemini.scan import GeminiScanner
from octoplex.dialects.gemini.shapes import UNREADABLE
from octoplex.dialects.gemini.signatures import NAME
from octoplex.dialects.gemini.stream import GeminiDecoder
from octoplex.dialects.gemini.verdict import judge_status
from octoplex.dialects.gemini.whole import decode_reply, read_whole
from octoplex.dialects.paths import in_path
from octoplex.wire.chat import Chat
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import Reply


class _Counted(Struct):
    totalTokens: int  # noqa: N815 - the wire's name


_read_count = msgspec.json.Decoder(_Counted).decode


class Gemini:
    """Writes requests to, and reads replies from, a provider of Gemini's dialect.

    `now` is Unix time in seconds: dates in `retry-after` are relative to it.
    """

    name = NAME
    path = "/models/{model}:generateContent"
    count_path = "/models/{model}:countTokens"
    model_in_body = False

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def path_for(self, model: str, *, stream: bool) -> str:
        """The path; a stream has an operation of its own, and is asked for as SSE."""
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/models/{in_path(model, '/')}:{verb}"

    def count_path_for(self, model: str) -> str:
        return f"/models/{in_path(model, '/')}:countTokens"

    def encode_chat(self, chat: Chat, traits: Traits) -> Encoded:
        return write_request(chat, traits)

    def encode_count(self, chat: Chat, traits: Traits) -> Encoded:
        return write_count(chat, traits)

    def decode_count(self, body: bytes) -> int:
        """The input tokens a provider counted.

        Raises:
            UpstreamBroken: the reply holds no count.
        """
        try:
            return max(_read_count(body).totalTokens, 0)
        except UNREADABLE:
            raise unreadable(body) from None

    def read_whole(self, body: bytes) -> Seen:
        return read_whole(body)

    def decode_reply(self, body: bytes) -> Reply:
        return decode_reply(body)

    def decoder(self) -> Decoder:
        return GeminiDecoder()

    def scanner(self, *, hide_usage: bool) -> Scanner:
        """A scanner; usage is part of every stream of this dialect, so nothing is hidden."""
        return GeminiScanner()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())
