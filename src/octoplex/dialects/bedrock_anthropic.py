"""The provider's side of Claude on Amazon Bedrock, by InvokeModel.

Converse has words of its own for everything; InvokeModel takes Anthropic's. So a caller of
Anthropic's face loses nothing here: citations, cache points, signatures, server tools.

The model and the wish for a stream are in the path alone. A stream is AWS event frames, each
with one of Anthropic's events in base64, or an exception; `sse_of` unpacks them, every data
line as it was. A count of tokens has the whole request in base64.

Reference:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
and https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects import aws_events
from octoplex.dialects.anthropic.cloud import Cloud
from octoplex.dialects.aws_events import AwsEvent
from octoplex.dialects.bedrock_converse.verdict import judge_status
from octoplex.dialects.broken import readable
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.paths import in_path
from octoplex.dialects.verbatim import join
from octoplex.wire.error import UpstreamError

__all__ = ["BedrockAnthropic", "sse_of"]

_CLAUDE = re.compile(r"(?:^|[./])(anthropic\..+)")
"""What an id of Anthropic's models holds: alone, in a profile (`us.`), or in an ARN."""
_NAMED = re.compile(rb'\{"type":"(\w+)"')
_ERRORS = MappingProxyType(
    {
        "modelTimeoutException": "timeout_error",
        "serviceUnavailableException": "overloaded_error",
        "throttlingException": "rate_limit_error",
        "validationException": "invalid_request_error",
    }
)
"""What an exception inside a stream is in Anthropic's words; any other one is `api_error`."""

_json = msgspec.json.Encoder().encode


class _Chunk(Struct, gc=False):
    bytes: bytes


class _Typed(Struct, gc=False):
    type: str


class _Said(Struct):
    message: str = ""


class _Counted(Struct):
    inputTokens: int  # noqa: N815 - the wire's name


_read_chunk = msgspec.json.Decoder(_Chunk).decode
_read_type = msgspec.json.Decoder(_Typed).decode
_read_said = msgspec.json.Decoder(_Said).decode
_read_count = msgspec.json.Decoder(_Counted).decode


class BedrockAnthropic(Cloud):
    """Writes requests to, and reads replies from, Claude on Amazon Bedrock."""

    name = "bedrock-anthropic"
    path = "/model/{model}/invoke"
    count_path = "/model/{model}/count-tokens"
    version = "bedrock-2023-05-31"
    betas = frozenset(
        {
            "compact-2026-01-12",
            "computer-use-2024-10-22",
            "computer-use-2025-01-24",
            "computer-use-2025-11-24",
            "context-1m-2025-08-07",
            "context-management-2025-06-27",
            "dev-full-thinking-2025-05-14",
            "effort-2025-11-24",
            "fine-grained-tool-streaming-2025-05-14",
            "interleaved-thinking-2025-05-14",
            "output-128k-2025-02-19",
            "token-efficient-tools-2025-02-19",
            "tool-examples-2025-10-29",
            "tool-search-tool-2025-10-19",
        }
    )

    def serves(self, model: str) -> bool:
        """Anthropic's models alone. The ARN of an application's profile does not show whose."""
        return _CLAUDE.search(model) is not None

    def path_for(self, model: str, *, stream: bool) -> str:
        """The path with the model's id or ARN in it, whose `:` and `/` are quoted."""
        return f"/model/{in_path(model)}/invoke" + ("-with-response-stream" if stream else "")

    def count_path_for(self, model: str) -> str:
        """The same; a model counts under its own id, not under that of a profile."""
        own = _CLAUDE.search(model)
        return f"/model/{in_path(own[1] if own else model)}/count-tokens"

    def place(self, betas: list[str], body: dict[str, Raw]) -> tuple[tuple[str, str], ...]:
        body.pop("stream", None)
        if betas:
            body.setdefault("anthropic_beta", Raw(_json(betas)))
        return ()

    def seal_count(self, fields: Mapping[str, Raw], model: str) -> bytes:
        """The request that would be asked; it is not valid without a limit."""
        asked = self.seal({"max_tokens": Raw(b"1"), **fields}, {}).body
        return join({"input": Raw(_json({"invokeModel": {"body": b64encode(asked).decode()}}))})

    def decode_count(self, body: bytes) -> int:
        return max(readable(_read_count, body).inputTokens, 0)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return judge_status(status, headers, body, self._now())


def sse_of(wire: bytes) -> bytes:
    """The events of Anthropic in whole AWS frames, as SSE; what holds none is left out.

    Raises:
        UpstreamBroken: a frame whose headers cannot be read.
    """
    return b"".join([_event(told) for told in aws_events.events(wire)])


def _event(told: AwsEvent) -> bytes:
    if told.kind != "event":
        return _failure(told)
    try:
        data = _read_chunk(told.payload).bytes
        named = _NAMED.match(data)
        name = named[1] if named else _named(data)
    except UNREADABLE:
        return b""
    if not name:
        return b""
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(data.splitlines())
    return b"event: %b\ndata: %b\n\n" % (name, data)


def _named(data: bytes) -> bytes:
    """The type of an event that does not begin with it; b"" where that is no plain word."""
    name = _read_type(data).type
    return name.encode() if name.replace("_", "").isalnum() else b""


def _failure(told: AwsEvent) -> bytes:
    """An exception as the error event that Anthropic itself would send."""
    try:
        said = _read_said(told.payload).message
    except UNREADABLE:
        said = ""
    error = {"type": _ERRORS.get(told.name, "api_error"), "message": said or told.said}
    return b"event: error\ndata: %b\n\n" % _json({"type": "error", "error": error})
