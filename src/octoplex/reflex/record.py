"""The outermost layer: one record and one set of metrics per request, however it ends.

It adds nothing around the answer; it asks to be told how it ended. Records are appended
to the store's queue and written behind the path.
"""

import asyncio
import time
from time import monotonic
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from octoplex.ledger.rows import NO_METADATA, Record
from octoplex.ledger.store import Store
from octoplex.telemetry.metrics import Metrics
from octoplex.wire.answer import Answer, Answerer, Outcome
from octoplex.wire.ask import Ask, Call
from octoplex.wire.error import CallerLeft, GatewayError
from octoplex.wire.event import NO_USAGE, Usage

LEFT_STATUS = CallerLeft.status
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
            self._write(ask, error.status, "failed", _Told(error=error))
            raise
        except asyncio.CancelledError:
            self._write(ask, LEFT_STATUS, "left", _Told())
            raise
        except Exception:
            self._write(ask, GatewayError.status, "failed", _Told())
            raise
        first_s = monotonic() - ask.started_at
        head = answer.head

        def end(outcome: Outcome, usage: Usage) -> None:
            self._write(ask, head.status, outcome, _Told(head.usage, first_s))

        answer.on_end(end)
        return answer

    def _write(self, ask: Ask, status: int, outcome: Ended, told: "_Told") -> None:
        trail, usage, error = ask.trail, told.usage, told.error
        total_s = monotonic() - ask.started_at
        attempts = trail.attempts
        target = attempts[-1].target if attempts else ""
        caller = ask.caller
        fields = ask.fields if isinstance(ask, Call) else NO_FIELDS
        record = Record(
            id=ask.id,
            at_ms=int((time.time() - total_s) * 1000),
            key_id=caller.id,
            key=caller.name,
            face=ask.face,
            op=ask.op,
            route=trail.route,
            model=ask.model,
            target=target,
            status=status,
            outcome=outcome,
            stream=ask.stream,
            total_s=total_s,
            first_s=told.first_s,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            nano=trail.nano,
            estimated=trail.estimated,
            why=trail.why,
            error_code=error.code if error else "",
            error=str(error) if error else "",
            user=_user(fields["user"]) if "user" in fields else "",
            metadata=_metadata(fields["metadata"]) if "metadata" in fields else NO_METADATA,
            attempts=attempts,
        )
        self._store.record(record)
        self._count(record, usage)

    def _count(self, record: Record, usage: Usage) -> None:
        metrics, first_s, attempts = self._metrics, record.first_s, record.attempts
        metrics.cell(record.route, record.target, record.status).add(
            usage, record.nano, record.total_s, first_s
        )
        if len(attempts) == 1 and first_s:
            metrics.overhead.add(max(first_s - attempts[0].first_s, 0.0))
            if record.outcome != "cut":
                return
        for attempt in attempts:
            if attempt.status >= 400 or attempt.outcome == "cut":
                metrics.failed(attempt.target, attempt.outcome)


class _Told(Struct, frozen=True, gc=False):
    """What is known at the end besides the ask itself."""

    usage: Usage = NO_USAGE
    first_s: float = 0.0
    error: GatewayError | None = None


def _user(raw: Raw) -> str:
    """The caller's own name for its user, kept as a tag."""
    try:
        user = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return ""
    return user[:256] if isinstance(user, str) else ""


def _metadata(raw: Raw) -> Raw:
    """The caller's own labels, kept as the JSON that came, if it is of a sensible size."""
    return raw if len(memoryview(raw)) <= 4_096 else NO_METADATA
