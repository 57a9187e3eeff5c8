"""The provider's side of the Responses dialect: one class that joins the modules beside it.

Reference: https://developers.openai.com/api/reference/resources/responses

Not promised: anything about one provider that imitates the dialect.
"""

import time
from collections.abc import Callable, Mapping

from octoplex.dialects.counted import read_counted
from octoplex.dialects.dialect import Decoder, Encoded, Scanner, Seen, Traits
from octoplex.dialects.openai_chat.verdict import judge_status
from octoplex.dialects.openai_responses.request import write_count, write_request
from octoplex.dialects.openai_responses.scan import ResponsesScanner
from octoplex.dialects.openai_responses.shapes import NAME
from octoplex.dialects.openai_responses.stream import ResponsesDecoder
from octoplex.dialects.openai_responses.whole import decode_reply, read_whole
from octoplex.wire.chat import Chat
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import Reply


class OpenAIResponses:
    """Writes requests to, and reads replies from, a provider of the Responses dialect.

    `now` is Unix time in seconds: dates in `retry-after` are relative to it.
    """

    name = NAME
    path = "/responses"
    model_in_body = True
    count_path = "/responses/input_tokens"
    compact_path = "/responses/compact"

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def path_for(self, model: str, *, stream: bool) -> str:
        return self.path

    def count_path_for(self, model: str) -> str:
        return self.count_path

    def encode_chat(self, chat: Chat, traits: Traits) -> Encoded:
        return write_request(chat, traits)

    def encode_count(self, chat: Chat, traits: Traits) -> Encoded:
        """Write the body for `count_path`: the request without limit, sampling and `stream`."""
        return write_count(chat, traits)

    def decode_count(self, body: bytes) -> int:
        return read_counted(body)

    def read_whole(self, body: bytes) -> Seen:
        return read_whole(body)

    def decode_reply(self, body: bytes) -> Reply:
        return decode_reply(body)

    def decoder(self) -> Decoder:
        return ResponsesDecoder()

    def scanner(self, *, hide_usage: bool) -> Scanner:
        """A scanner; usage is part of every stream of this dialect, so nothing is hidden."""
        return ResponsesScanner()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())
