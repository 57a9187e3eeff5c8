"""The provider's side of Anthropic's dialect: one class that joins the modules beside it.

Reference: https://platform.claude.com/docs/en/api/messages

Not promised: anything about one provider that imitates the dialect.
"""

import time
from collections.abc import Callable, Mapping

from octoplex.dialects.anthropic.request import NAME, write_count, write_request
from octoplex.dialects.anthropic.scan import AnthropicScanner
from octoplex.dialects.anthropic.stream import AnthropicDecoder
from octoplex.dialects.anthropic.verdict import judge_status
from octoplex.dialects.anthropic.whole import decode_reply, read_whole
from octoplex.dialects.counted import read_counted
from octoplex.dialects.dialect import Decoder, Encoded, Scanner, Seen, Traits
from octoplex.wire.chat import Chat
from octoplex.wire.error import UpstreamError
from octoplex.wire.event import Reply


class Anthropic:
    """Writes requests to, and reads replies from, a provider of Anthropic's dialect.

    `now` is Unix time in seconds: dates in `retry-after` are relative to it.
    """

    name = NAME
    path = "/messages"
    count_path = "/messages/count_tokens"
    model_in_body = True

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def path_for(self, model: str, *, stream: bool) -> str:
        return self.path

    def encode_chat(self, chat: Chat, traits: Traits) -> Encoded:
        return write_request(chat, traits)

    def count_path_for(self, model: str) -> str:
        return self.count_path

    def encode_count(self, chat: Chat, traits: Traits) -> Encoded:
        """Write the body for `count_path`: the request without `max_tokens`, sampling, `stream`."""
        return write_count(chat, traits)

    def decode_count(self, body: bytes) -> int:
        return read_counted(body)

    def read_whole(self, body: bytes) -> Seen:
        return read_whole(body)

    def decode_reply(self, body: bytes) -> Reply:
        return decode_reply(body)

    def decoder(self) -> Decoder:
        return AnthropicDecoder()

    def scanner(self, *, hide_usage: bool) -> Scanner:
        """A scanner; usage is part of every stream of this dialect, so nothing is hidden."""
        return AnthropicScanner()

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())
