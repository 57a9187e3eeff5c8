"""Gemini's replies as they are on the wire, and what their words mean here.

One set of shapes reads a whole reply and an event of a stream, which is a reply in
pieces. Every member is optional and unknown ones are read over; members whose form may
surprise (parts, usage, errors) are kept raw and read on their own, so that a bad count
never costs the answer it came with.

`usageMetadata` is cumulative: the last one counts. `thoughtsTokenCount` stands beside
`candidatesTokenCount`, not in it (some servers put it in, which the total shows), and
what tools of the provider read (`toolUsePromptTokenCount`) beside the prompt.

Reference: https://ai.google.dev/api/generate-content

Not promised: candidates other than the first, images and code in replies, grounding and
log probabilities; they pass verbatim only.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.wire.event import StopReason, Usage, is_possible

NOTHING = Raw()
"""An absent member. It is false; a JSON null is not, see `given`."""
UNKNOWN_USAGE = Usage(estimated=True)

Body = dict[str, object]
Count = int | float | None

STOPS: dict[str, StopReason] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "LANGUAGE": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "ESCALATION": "refusal",
    "MODEL_ARMOR": "refusal",
    "IMAGE_SAFETY": "refusal",
    "IMAGE_PROHIBITED_CONTENT": "refusal",
    "IMAGE_RECITATION": "refusal",
}
BROKEN_STOPS = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "NO_IMAGE",
        "IMAGE_OTHER",
        "OTHER",
    }
)
"""Finish reasons that say that no answer came of it: a failure, not an end."""


class Call(Struct, gc=False):
    """A call of one of the caller's tools; older models give no `id`."""

    id: str | None = None
    name: str | None = None
    args: Raw = NOTHING


class PartWire(Struct, gc=False):
    """A part of a candidate: text, a thought, a tool call, or what is read over."""

    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None  # noqa: N815 - the wire's name
    functionCall: Call | None = None  # noqa: N815


class ContentWire(Struct):
    """What a candidate says."""

    parts: list[Raw] | None = None


class Candidate(Struct):
    """One of the alternatives, or a piece of it."""

    index: int = 0
    content: ContentWire | None = None
    finishReason: str | None = None  # noqa: N815


class Feedback(Struct, gc=False):
    """What is wrong with the prompt, where there is no candidate."""

    blockReason: str | None = None  # noqa: N815


class Wire(Struct):
    """A whole reply, or an event. An error body fits it too."""

    candidates: list[Candidate] | None = None
    promptFeedback: Feedback | None = None  # noqa: N815
    usageMetadata: Raw = NOTHING  # noqa: N815
    modelVersion: str | None = None  # noqa: N815
    responseId: str | None = None  # noqa: N815
    error: Raw = NOTHING

    @property
    def blocked(self) -> str:
        """Why the prompt was refused, "" where it was not."""
        return (self.promptFeedback and self.promptFeedback.blockReason) or ""


class _Counts(Struct, gc=False):
    promptTokenCount: Count = None  # noqa: N815
    cachedContentTokenCount: Count = None  # noqa: N815
    candidatesTokenCount: Count = None  # noqa: N815
    toolUsePromptTokenCount: Count = None  # noqa: N815
    thoughtsTokenCount: Count = None  # noqa: N815
    totalTokenCount: Count = None  # noqa: N815


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for bytes that are not what they should be."""

read_wire = msgspec.json.Decoder(Wire).decode
_read_part = msgspec.json.Decoder(PartWire).decode
_read_counts = msgspec.json.Decoder(_Counts).decode


def given(member: Raw) -> bool:
    """Whether a member is there and not null."""
    return bool(member) and bytes(member) != b"null"


def read_part(raw: Raw) -> PartWire:
    """Read a part; one of a form that no documentation knows says nothing."""
    try:
        return _read_part(raw)
    except UNREADABLE:
        return PartWire()


def stop_of(reason: str | None, blocked: str = "") -> StopReason | None:
    """Our word for a finish reason; one that nobody documents is a plain end."""
    if blocked:
        return "refusal"
    return STOPS.get(reason, "end") if reason and reason != "FINISH_REASON_UNSPECIFIED" else None


def block_notice(reason: str) -> str:
    """What a caller is told of a prompt that the provider refused."""
    return f"The provider blocked the prompt: {reason}."


def usage_of(raw: Raw) -> Usage | None:
    """Our usage; None when the member is none, or a count in it cannot be."""
    try:
        said = _read_counts(raw)
    except UNREADABLE:
        return None
    if said.promptTokenCount is None and said.candidatesTokenCount is None:
        return None
    if not is_possible(
        said.promptTokenCount,
        said.toolUsePromptTokenCount,
        said.candidatesTokenCount,
        said.thoughtsTokenCount,
        said.cachedContentTokenCount,
    ):
        return None
    read = _count(said.promptTokenCount) + _count(said.toolUsePromptTokenCount)
    wrote, thought = _count(said.candidatesTokenCount), _count(said.thoughtsTokenCount)
    if not (said.totalTokenCount == read + wrote and thought <= wrote):
        wrote += thought
    cached = _count(said.cachedContentTokenCount)
    return Usage(
        input_tokens=read,
        output_tokens=wrote,
        cached_tokens=min(cached, read),
        reasoning_tokens=thought,
        estimated=cached > read,
    )


def _count(number: Count) -> int:
    return int(number) if number else 0
