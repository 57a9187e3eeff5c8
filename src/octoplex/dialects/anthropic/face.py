"""The caller's side of Anthropic's dialect: one class that joins the modules beside it.

Reference: https://platform.claude.com/docs/en/api/messages

Not promised: `service_tier`, `container` and other members that only the provider who
answered could fill, in replies that were translated.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from octoplex.dialects.anthropic.asked import read_chat
from octoplex.dialects.anthropic.encoder import AnthropicEncoder
from octoplex.dialects.anthropic.failure import status_of, write_error, write_fail_event
from octoplex.dialects.anthropic.head import read_count_head, read_head
from octoplex.dialects.anthropic.resumed import resume
from octoplex.dialects.anthropic.whole import encode_reply
from octoplex.dialects.dialect import Encoder, HeadFields
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat
from octoplex.wire.error import GatewayError
from octoplex.wire.event import Event, Reply


class AnthropicFace:
    """Reads requests from, and writes replies to, a caller of Anthropic's dialect."""

    name = "anthropic"

    def read_head(self, fields: Mapping[str, Raw]) -> HeadFields:
        return read_head(fields)

    def read_count_head(self, fields: Mapping[str, Raw]) -> HeadFields:
        """The head of a request to `/messages/count_tokens`."""
        return read_count_head(fields)

    def decode_chat(self, call: Call) -> Chat:
        return read_chat(call)

    def encode_reply(self, reply: Reply) -> bytes:
        return encode_reply(reply)

    def encode_count(self, input_tokens: int) -> bytes:
        """The reply to a request that counts tokens."""
        return msgspec.json.encode({"input_tokens": input_tokens})

    def encoder(self, call: Call) -> Encoder:
        return AnthropicEncoder(call.reply_id, call.model, call.worst_case().input_tokens)

    def resume(self, call: Call, wire: bytes, told: Sequence[Event]) -> Encoder | None:
        return resume(call, wire, told)

    def encode_error(self, error: GatewayError, request_id: str) -> bytes:
        return write_error(error, request_id)

    def status(self, error: GatewayError) -> int:
        return status_of(error)

    def fail_event(self, error: GatewayError, request_id: str) -> bytes:
        return write_fail_event(error, request_id)
