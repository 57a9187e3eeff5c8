"""The outermost layer: one record and one set of metrics per request, however it ends.

It adds nothing around the answer; it asks to be told how it ended. Records are appended
to the store's queue and written behind the path.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from time import monotonic, time
from typing import Literal

import msgspec
from msgspec import Raw

from octoplex.ledger.rows import NO_METADATA, Record
from octoplex.ledger.store import Store
from octoplex.telemetry.metrics import Metrics
from octoplex.wire.answer import Answer, Answerer, Head, Outcome, Whole, why_cancelled
from octoplex.wire.ask import Ask, Attempt, Call
from octoplex.wire.error import CallerLeft, GatewayError, Stopping
from octoplex.wire.event import NO_USAGE, Usage

NO_FIELDS: dict[str, Raw] = {}
Ended = Outcome | Literal["failed"]


class Recorded:
    """An Answerer that remembers what became of every ask of the one inside."""

    __slots__ = ("_inner", "_metrics", "_store")

    def __init__(self, inner: Answerer, store: Store, metrics: Metrics) -> None:
        self._inner, self._store, self._metrics = inner, store, metrics

    async def __call__(self, ask: Ask, /) -> Answer:
        """Ask inside, and write down how it ended."""
        try:
            answer = await self._inner(ask)
        except GatewayError as error:
            self._write(ask, error.status, "failed", NO_USAGE, error=error)
            raise
        except asyncio.CancelledError as error:
            why = why_cancelled(error)
            status = CallerLeft.status if why == "left" else Stopping.status
            self._write(ask, status, why, NO_USAGE)
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

    def _ended(self, ask: Ask, head: Head, first_s: float, outcome: Outcome, usage: Usage) -> None:
        self._write(ask, head.status, outcome, head.usage, first_s)

    def _write(
        self,
        ask: Ask,
        status: int,
        outcome: Ended,
        usage: Usage,
        first_s: float = 0.0,
        error: GatewayError | None = None,
    ) -> None:
        trail, caller = ask.trail, ask.caller
        total_s = monotonic() - ask.started_at
        attempts = trail.attempts
        target = attempts[-1].target if attempts else ""
        fields = ask.fields if isinstance(ask, Call) else NO_FIELDS
        waited_s = attempts[0].first_s if len(attempts) == 1 else _waited_s(attempts)
        overhead_s = first_s - waited_s if first_s > waited_s else 0.0
        self._store.record(
            Record(  # by position: 0.15 us, by keyword 0.7
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
                overhead_s,
                usage.input_tokens,
                usage.output_tokens,
                usage.cached_tokens,
                trail.nano,
                trail.estimated,
                trail.why,
                error.code if error else "",
                str(error) if error else "",
                _user(fields["user"]) if "user" in fields else "",
                _metadata(fields["metadata"]) if "metadata" in fields else NO_METADATA,
                attempts,
            )
        )
        metrics = self._metrics
        metrics.cell(trail.route, target, status).add(usage, trail.nano, total_s, first_s)
        if first_s:
            metrics.overhead.add(overhead_s)
        if outcome == "cut" or len(attempts) != 1 or status >= 400:
            _count_failures(metrics, attempts)


def _waited_s(attempts: Sequence[Attempt]) -> float:
    """What was spent waiting for providers."""
    return sum(a.first_s or a.duration_s for a in attempts)


def _count_failures(metrics: Metrics, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        if attempt.status >= 400 or attempt.outcome == "cut":
            metrics.failed(attempt.target, attempt.outcome)


def _user(raw: Raw) -> str:
    """The caller's own name for its user, kept as a tag."""
    try:
        user = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return user[:256] if isinstance(user, str) else ""


def _metadata(raw: Raw) -> Raw:
    """The caller's own labels, kept as the JSON that came, if it is of a sensible size."""
    return raw if len(memoryview(raw)) <= 4_096 else NO_METADATA
