"""What Ollama's errors mean: each becomes one of our `UpstreamError`s.

A body is `{"error": "..."}` and holds no code: the status alone tells, never the prose. In
a stream the same object is a line, and says only that it failed.

A prompt that is too long is no error to Ollama: it cuts the prompt.

Reference: https://docs.ollama.com/api/errors
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.by_status import by_status, denied
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.retry_after import retry_after
from octoplex.wire.error import ModelGone, UpstreamError, UpstreamFailed
from octoplex.wire.redact import redact, snippet

_LONGEST_MESSAGE = 2_000


class _Body(Struct):
    error: Raw = Raw()


_read_body = msgspec.json.Decoder(_Body).decode
_read_text = msgspec.json.Decoder(str).decode


def judge_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UpstreamError:
    """Classify a reply whose status is not 2xx. `now` is Unix time in seconds."""
    try:
        said = _said(bytes(_read_body(body).error) or body)
    except UNREADABLE:
        said = snippet(body) or "no message"
    if status in (401, 403):
        return denied(status)
    if status == 404:
        return ModelGone(said)
    return by_status(status, said, retry_after(headers, now))


def judge_in_band(error: bytes) -> UpstreamError:
    """An error inside a 200, by the JSON of its `error`; it does not say of which kind."""
    failed = UpstreamFailed(f"The provider failed: {_said(error)}")
    failed.reached = True
    return failed


def _said(error: bytes) -> str:
    try:
        return redact(_read_text(error))[:_LONGEST_MESSAGE] or "no message"
    except UNREADABLE:
        return snippet(error) or "no message"
