"""The provider's side of Amazon SageMaker: a container that speaks the Chat dialect.

What an endpoint takes is what its container takes. Those for language models (TGI, vLLM, LMI)
take a chat of OpenAI's dialect, so a caller of that face passes verbatim. The endpoint is in
the path, and is nobody's model: `model` is left out, because a container that knows itself by
another name refuses it, and takes its own where there is none.

A stream is AWS event frames whose payloads are pieces of the container's stream, cut anywhere
(`upstreams/payloads.py` joins them), or an exception, which `failure_of` tells in the words of
the dialect inside.

Reference: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html,
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html
and https://docs.djl.ai/master/docs/serving/serving/docs/lmi/user_guides/chat_input_output_schema.html

Not promised: containers with another schema, inference components.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.aws_events import AwsEvent
from octoplex.dialects.bedrock_converse.verdict import judge_status
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.expression import Omissions
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat import OpenAIChat
from octoplex.dialects.openai_chat.request import NAME, write_body
from octoplex.dialects.paths import in_path
from octoplex.dialects.verbatim import join
from octoplex.dialects.words import words_of
from octoplex.wire.chat import Chat
from octoplex.wire.error import UpstreamError

__all__ = ["SageMaker"]

_json = msgspec.json.Encoder().encode


class _Said(Struct, rename="pascal"):
    """What a body or an exception says; `original_*` are the container's own words."""

    message: str = ""
    error_code: str = ""
    original_status_code: int = 0
    original_message: str = ""


_read = msgspec.json.Decoder(_Said).decode


class SageMaker(OpenAIChat):
    """Writes requests to, and reads replies from, an endpoint. Implements `Form`."""

    name = "sagemaker"
    words = NAME
    path = "/{model}/invocations"
    model_in_body = False

    def serves(self, model: str) -> bool:
        """Every endpoint."""
        return True

    def path_for(self, model: str, *, stream: bool) -> str:
        """The path with the endpoint's name in it."""
        operation = "invocations-response-stream" if stream else "invocations"
        return f"/{in_path(model)}/{operation}"

    def encode_chat(self, chat: Chat, traits: Traits) -> Encoded:
        omissions = Omissions(self.name, words_of(chat), drop_unsupported=traits.drop_unsupported)
        body = write_body(chat, traits, omissions)
        del body["model"]
        return Encoded(_json(body), omissions.names())

    def seal(self, fields: Mapping[str, Raw], headers: Mapping[str, str]) -> Encoded:
        """The members without `model`."""
        return Encoded(join({name: value for name, value in fields.items() if name != "model"}))

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """The container's own verdict where it gave one, else AWS's."""
        said = _said(body)
        if 400 <= said.original_status_code <= 599:
            told = said.original_message.encode()
            return super().decode_error(said.original_status_code, headers, told)
        return judge_status(status, headers, body, self._now())


def failure_of(told: AwsEvent) -> bytes:
    """An exception inside a stream, as an event of the Chat dialect."""
    said = _said(told.payload)
    error = {
        "message": said.message or told.said or told.name,
        "type": told.name,
        "code": said.error_code or None,
    }
    return b"data: %b\n\n" % _json({"error": error})


def _said(body: bytes) -> _Said:
    try:
        return _read(body)
    except UNREADABLE:
        return _Said()
