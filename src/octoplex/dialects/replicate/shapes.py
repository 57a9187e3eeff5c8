"""Replicate's predictions as they are on the wire.

Every member is optional and unknown ones are read over. `output` is a text, a list of pieces,
or any JSON that the model's schema says; counts are in `metrics`, for models that are billed by
the token.

Reference: https://replicate.com/docs/topics/predictions/lifecycle

Not promised: why a model stopped; no prediction says so.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.shapes import Count, WireUsage, usage_of
from octoplex.wire.event import Usage

RUNNING = frozenset({"starting", "processing"})
"""Statuses after which another one follows."""


class Urls(Struct, frozen=True):
    """Where a prediction is looked at, cancelled, and listened to."""

    get: str = ""
    cancel: str = ""
    stream: str = ""


class Prediction(Struct):
    """One prediction."""

    id: str = ""
    model: str = ""
    status: str = ""
    output: Raw = Raw()
    error: Raw = Raw()
    metrics: Raw = Raw()
    urls: Urls = Urls()

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.status in RUNNING


class _Metrics(Struct):
    input_token_count: Count = None
    output_token_count: Count = None


read_prediction = msgspec.json.Decoder(Prediction).decode
_read_metrics = msgspec.json.Decoder(_Metrics | None).decode
_read_output = msgspec.json.Decoder(str | list[str] | None).decode
_read_any = msgspec.json.Decoder().decode


def text_of(output: Raw) -> str:
    """What a model said; JSON of another form as it stands."""
    if not bytes(output):
        return ""
    try:
        found = _read_output(output)
    except UNREADABLE:
        return bytes(output).decode("utf-8", "replace")
    return "".join(found) if isinstance(found, list) else found or ""


def error_of(raw: Raw) -> str:
    """What went wrong; "" when nothing did."""
    try:
        found = _read_any(raw) if bytes(raw) else None
    except UNREADABLE:
        found = None
    return found if isinstance(found, str) else bytes(raw).decode() if found else ""


def usage_read(metrics: Raw) -> Usage | None:
    """The tokens that were counted; None where none were."""
    try:
        said = _read_metrics(metrics) if bytes(metrics) else None
    except UNREADABLE:
        return None
    if said is None:
        return None
    counts = WireUsage(
        prompt_tokens=said.input_token_count, completion_tokens=said.output_token_count
    )
    return usage_of(counts)
