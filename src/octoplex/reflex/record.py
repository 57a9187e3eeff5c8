"""The outermost layer: one record and one set of metrics per request, however it ends.

It adds nothing around the answer; it asks to be told how it ended. Records are appended
to the store's queue and written behind the path.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic, time
from typing import Literal

import msgspec
from msgspec import Raw

from octoplex.ledger.rows import NO_METADATA, Record
from octoplex.ledger.store import Store
from octoplex.telemetry.metrics import Metrics
from octoplex.wire.answer import (
    Answer,
    Answerer,
    Head,
    Outcome,
    Whole,
    bound,
    revoked,
    why_cancelled,
)
from octoplex.wire.ask import Ask, Attempt, Call, Trail
from octoplex.wire.error import CallerLeft, GatewayError, Stopping
from octoplex.wire.event import NO_USAGE, Usage
from octoplex.wire.redact import Veil

NO_LABELS = "", NO_METADATA
NOTHING: tuple[tuple[str, str, int], ...] = ()
Ended = Outcome | Literal["failed"]
Shown = Callable[[str, GatewayError], int]
Screened = Callable[[Ask, str, Raw], Raw]
"""(an ask, a member of its body by name) to what a guard lets pass of that."""


class Recorded:
    """An Answerer that remembers what became of every ask of the one inside."""

    __slots__ = ("_inner", "_metrics", "_screened", "_shown", "_store")

    def __init__(
        self,
        inner: Answerer,
        store: Store,
        metrics: Metrics,
        shown: Shown,
        screened: Screened | None = None,
    ) -> None:
        """`shown` gives the status that a face's caller is told for an error."""
        self._inner, self._store = bound(inner), store
        self._metrics, self._shown, self._screened = metrics, shown, screened

    async def __call__(self, ask: Ask, /) -> Answer:
        """Ask inside, and write down how it ended."""
        try:
            answer = await self._inner(ask)
        except GatewayError as error:
            if ask.trail.hidden:  # a provider may say what it was asked
                veil = Veil(ask.trail.hidden.splitlines())
                error.args = (veil(str(error).encode("utf-8", "replace")).decode(),)
            self._write(ask, self._shown(ask.face, error), "failed", NO_USAGE, error=error)
            raise
        except asyncio.CancelledError as left:
            why = why_cancelled(left)
            told = CallerLeft if why == "left" else Stopping
            gone = revoked() if "revoked" in left.args else None
            write = partial(self._write, ask, (gone or told).status, why, error=gone)
            if ask.trail.goes_on is None:
                write(NO_USAGE)
            else:
                ask.trail.goes_on(lambda _, usage: write(usage))
            raise
        except Exception:
            self._write(ask, GatewayError.status, "failed", NO_USAGE)
            raise
        first_s = monotonic() - ask.started_at
        if type(answer) is Whole:  # it has ended: no need to be told
            self._write(ask, answer.head.status, "done", answer.head.usage, first_s)
        else:
            answer.on_end(partial(self._ended, ask, answer.head, first_s))
        return answer

    def refused(self, ask: Ask, error: GatewayError, *, known: bool) -> None:
        """Count what never became a call, and write it down if a caller is known for it.

        Whoever has no key could fill the disk with records.
        """
        status, outcome = self._shown(ask.face, error), _ended(error)
        if known:
            self._write(ask, status, outcome, NO_USAGE, error=error)
        else:
            self._metrics.count(Record(ask.id, 0, status=status, outcome=outcome))

    def _said(self, ask: Ask, error: GatewayError) -> str:
        """What an error said, which may quote the request."""
        said = str(error)
        if self._screened is None:
            return said
        raw = msgspec.json.encode(said.encode("utf-8", "replace").decode())
        return msgspec.json.decode(self._screened(ask, "", Raw(raw)), type=str)

    def _ended(self, ask: Ask, head: Head, first_s: float, outcome: Outcome, usage: Usage) -> None:
        self._write(ask, head.status, outcome, head.usage, first_s)
        self._metrics.events_skipped += head.skipped

    def _write(
        self,
        ask: Ask,
        status: int,
        outcome: Ended,
        usage: Usage,
        first_s: float = 0.0,
        error: GatewayError | None = None,
    ) -> None:
        trail, caller, attempts = ask.trail, ask.caller, ask.trail.attempts
        if trail.wasted_tokens or trail.of_parts:
            usage = _used(usage, trail)
        total_s = monotonic() - ask.started_at
        if len(attempts) == 1:
            target, waited_s = attempts[0].target, attempts[0].first_s
        else:
            answered = trail.answered()
            target, waited_s = answered.target if answered else "", _waited_s(attempts)
        user, metadata = _labels(ask, self._screened) if isinstance(ask, Call) else NO_LABELS
        record = Record(  # by position: 0.15 us, by keyword 0.7
            ask.id,
            int((time() - total_s) * 1000),
            caller.id,
            caller.name,
            ask.face,
            ask.op,
            trail.route,
            ask.model,
            target,
            status,
            outcome,
            ask.stream,
            total_s,
            first_s,
            first_s - waited_s if first_s > waited_s else 0.0,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            0 if trail.of_parts else trail.nano,
            trail.estimated,
            trail.why,
            error.code if error else "",
            self._said(ask, error) if error else "",
            user,
            metadata,
            attempts,
            _found(trail.findings) if trail.findings else NOTHING,
            "" if trail.cache == "off" else trail.cache,
            trail.saved_nano,
            caller.tenant,
            trail.trial,
            trail.task,
            trail.nano if trail.of_parts else 0,
        )
        self._store.record(record)
        self._metrics.count(record)
        for found in record.guard:
            self._metrics.found(*found)
        if outcome == "cut" or len(attempts) != 1 or status >= 400:
            _count_failures(self._metrics, attempts)


def _used(usage: Usage, trail: Trail) -> Usage:
    """What was used in all, as the cost is that of all; nothing, where that is in other records."""
    if trail.of_parts:
        return NO_USAGE
    output = trail.wasted_output_tokens
    return msgspec.structs.replace(
        usage,
        input_tokens=usage.input_tokens + trail.wasted_tokens - output,
        output_tokens=usage.output_tokens + output,
    )


def _found(findings: Mapping[tuple[str, str], int]) -> tuple[tuple[str, str, int], ...]:
    """What the guard found, in the order of its types."""
    return tuple((*what, count) for what, count in sorted(findings.items()))


def _ended(error: GatewayError) -> Ended:
    if isinstance(error, Stopping):
        return "stopped"
    return "left" if isinstance(error, CallerLeft) else "failed"


def _waited_s(attempts: Sequence[Attempt]) -> float:
    """What was spent waiting for providers."""
    return sum(a.first_s or a.duration_s for a in attempts)


def _count_failures(metrics: Metrics, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        if attempt.status >= 400 or attempt.outcome == "cut":
            metrics.failed(attempt.target, attempt.outcome)


def _labels(call: Call, screened: Screened | None) -> tuple[str, Raw]:
    """The caller's own name for its user, and its own labels if they are of a sensible size; or
    what those say for whom no caller asks.
    """
    fields, labels = call.fields, call.trail.labels
    if labels is not None:
        return "", Raw(msgspec.json.encode(labels))
    if "user" not in fields and "metadata" not in fields:
        return NO_LABELS
    if screened is not None:
        fields = {n: screened(call, n, fields[n]) for n in ("user", "metadata") if n in fields}
    user, metadata = "", fields.get("metadata", NO_METADATA)
    if "user" in fields:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            user = msgspec.json.decode(fields["user"])
    return (
        user[:256] if isinstance(user, str) else "",
        metadata if len(memoryview(metadata)) <= 4_096 else NO_METADATA,
    )
