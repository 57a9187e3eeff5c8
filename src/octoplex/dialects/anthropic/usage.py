"""Usage in Anthropic's words and in ours.

Anthropic's `input_tokens` leaves out what was read from or written to the cache; ours
counts everything that was read. Writes are priced by how long they are kept, so the
one-hour share is carried apart; the API has been seen to send a 5m/1h breakdown that is
smaller than the total, and then the rest counts as five-minute writes.

In a stream the counts of `message_delta` are cumulative and replace those of
`message_start`. Some providers repeat the input as zeros at the end: an all-zero input
side says nothing and the earlier one stands.

Reference: https://platform.claude.com/docs/en/build-with-claude/prompt-caching

Not promised: counts of server tools (`server_tool_use`), which `Usage` has no member for.
"""

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.anthropic.shapes import UNREADABLE
from octoplex.dialects.tier import USUAL
from octoplex.wire.event import Usage, is_possible

Count = int | float | None


class _Written(Struct, gc=False):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class _Details(Struct, gc=False):
    thinking_tokens: Count = None


class Counts(Struct, gc=False):
    """`usage` as it is on the wire."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: _Written | None = None
    output_tokens_details: _Details | None = None
    service_tier: str | None = None

    def merged(self, later: "Counts") -> "Counts":
        """These counts after a later, cumulative report."""
        read = later if later._says_input() else self
        return Counts(
            _last(self.input_tokens, read.input_tokens),
            _last(self.output_tokens, later.output_tokens),
            _last(self.cache_read_input_tokens, read.cache_read_input_tokens),
            _last(self.cache_creation_input_tokens, read.cache_creation_input_tokens),
            self.cache_creation if read.cache_creation is None else read.cache_creation,
            later.output_tokens_details or self.output_tokens_details,
            later.service_tier or self.service_tier,
        )

    def _says_input(self) -> bool:
        return bool(
            self.input_tokens or self.cache_read_input_tokens or self.cache_creation_input_tokens
        )

    def is_possible(self) -> bool:
        """Whether these may be counts of tokens."""
        kept, details = self.cache_creation or _NONE_WRITTEN, self.output_tokens_details
        return is_possible(
            self.input_tokens,
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            kept.ephemeral_5m_input_tokens,
            kept.ephemeral_1h_input_tokens,
            details.thinking_tokens if details is not None else None,
        )

    def usage(self) -> Usage:
        """The same in our words."""
        fresh, cached = _count(self.input_tokens), _count(self.cache_read_input_tokens)
        written = _count(self.cache_creation_input_tokens)
        hour = 0
        if self.cache_creation is not None:
            hour = _count(self.cache_creation.ephemeral_1h_input_tokens)
            five = _count(self.cache_creation.ephemeral_5m_input_tokens)
            written = max(written, hour + five)
        output, details = _count(self.output_tokens), self.output_tokens_details
        reasoning = _count(details.thinking_tokens) if details is not None else 0
        tier = self.service_tier or ""
        return Usage(
            input_tokens=fresh + cached + written,
            output_tokens=output,
            cached_tokens=cached,
            cache_write_tokens=written,
            cache_write_1h_tokens=hour,
            reasoning_tokens=min(reasoning, output),
            tier="" if tier in USUAL else tier,
        )


_NONE_WRITTEN = _Written()
_read = msgspec.json.Decoder(Counts).decode


def read_counts(wire: Raw) -> Counts | None:
    """Read a `usage` object; None when it is none, says nothing or a count in it cannot be."""
    try:
        counts = _read(wire)
    except UNREADABLE:
        return None
    if counts.input_tokens is None and counts.output_tokens is None:
        return None
    return counts if counts.is_possible() else None


def write_usage(usage: Usage) -> dict[str, object]:
    """Our usage as the members Anthropic's clients expect; none of them is ever absent."""
    written = min(usage.cache_write_tokens, usage.input_tokens)
    hour = min(usage.cache_write_1h_tokens, written)
    cached = min(usage.cached_tokens, usage.input_tokens - written)
    wire: dict[str, object] = {
        "input_tokens": usage.input_tokens - cached - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": written - hour,
            "ephemeral_1h_input_tokens": hour,
        },
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        wire["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return wire


def _last(before: Count, later: Count) -> Count:
    return before if later is None else later


def _count(number: Count) -> int:
    return int(number) if number else 0
