"""Replies of watsonx.ai, read into the shapes of Chat.

The model is `model_id` (of late beside `model`); every chunk holds the usage so far, and
the last one nothing else. An error is a list of `errors`, also inside a stream, where its
event is called `error`.

Reference: https://cloud.ibm.com/apidocs/watsonx-ai#text-chat-stream and
https://ibm.github.io/watsonx-ai-node-sdk/interfaces/1_7_x.WatsonXAI.TextChatStreamItem.html
"""

import msgspec
from msgspec import Raw

from octoplex.dialects.openai_chat.shapes import Last, Wire

_REASONS = {"time_limit": "length", "cancelled": "error"}
"""Reasons to stop that only IBM has, in Chat's words."""


class _Chunk(Wire):
    model_id: str | None = None
    errors: list[Raw] | None = None


_read = msgspec.json.Decoder(_Chunk).decode


def read_chunk(data: bytes) -> Wire:
    """A chunk or a whole reply.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is none.
    """
    chunk = _read(data)
    model = chunk.model or chunk.model_id
    if chunk.choices == [] and chunk.usage is not None:
        return Last(chunk.id, model, usage=chunk.usage)
    chunk.model = model
    if chunk.errors:
        chunk.error = "errors"  # what they say is read from the bytes
    for choice in chunk.choices or ():
        choice.finish_reason = _REASONS.get(choice.finish_reason or "", choice.finish_reason)
    return chunk
