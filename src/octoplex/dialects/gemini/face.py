"""The caller's side of Gemini's dialect: one class that joins the modules beside it.

The URL names the model and the operation, so the door reads it (`read_path`) and puts model
and stream into the head. A stream without `alt=sse` goes out through a `JsonArray`.

Reference: https://ai.google.dev/api/generate-content

Not promised: safety ratings, citations and other members that only the provider who
answered could fill, in replies that were translated.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from octoplex.dialects.dialect import Encoder, HeadFields, Place
from octoplex.dialects.gemini.answer import GeminiEncoder
from octoplex.dialects.gemini.asked import read_chat
from octoplex.dialects.gemini.failure import status_of, write_error, write_fail_event
from octoplex.dialects.gemini.head import read_count_head, read_head, read_path
from octoplex.dialects.gemini.resumed import resume
from octoplex.dialects.gemini.signatures import NAME
from octoplex.dialects.gemini.whole import encode_reply
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat
from octoplex.wire.error import GatewayError
from octoplex.wire.event import Event, Reply


class GeminiFace:
    """Reads requests from, and writes replies to, a caller of Gemini's dialect."""

    name = NAME

    def read_path(self, path: str, query: str = "") -> Place:
        return read_path(path, query)

    def read_head(self, fields: Mapping[str, Raw]) -> HeadFields:
        return read_head(fields)

    def read_count_head(self, fields: Mapping[str, Raw]) -> HeadFields:
        """The head of a request to `:countTokens`."""
        return read_count_head(fields)

    def decode_chat(self, call: Call) -> Chat:
        return read_chat(call)

    def encode_reply(self, reply: Reply) -> bytes:
        return encode_reply(reply)

    def encode_count(self, input_tokens: int) -> bytes:
        """The reply to a request that counts tokens."""
        return msgspec.json.encode({"totalTokens": input_tokens})

    def encoder(self, call: Call) -> Encoder:
        return GeminiEncoder(call.reply_id, call.model)

    def resume(self, call: Call, wire: bytes, told: Sequence[Event]) -> Encoder | None:
        return resume(call, wire, told)

    def encode_error(self, error: GatewayError, request_id: str) -> bytes:
        return write_error(error, request_id)

    def status(self, error: GatewayError) -> int:
        return status_of(error)

    def fail_event(self, error: GatewayError, request_id: str) -> bytes:
        return write_fail_event(error, request_id)
