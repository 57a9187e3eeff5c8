"""The outermost layer: one record and one set of metrics per request, however it ends.

It adds nothing around the answer; it asks to be told how it ended. Records are appended
to the store's queue and written behind the path.
"""

import asyncio
import time

import msgspec
from msgspec import Raw

from octoplex.ledger.rows import NO_METADATA, Record
from octoplex.ledger.store import Store
from octoplex.telemetry.metrics import Metrics
from octoplex.wire.answer import Answer, Answerer, Outcome
from octoplex.wire.ask import Ask, Call
from octoplex.wire.error import CallerLeft, GatewayError
from octoplex.wire.event import NO_USAGE, Usage

LEFT_STATUS = CallerLeft.status
LATE_STATUS = 504


class Recorded:
    """An Answerer that remembers what became of every ask of the one inside."""

    __slots__ = ("_inner", "_metrics", "_now", "_store")

    def __init__(self, inner: Answerer, store: Store, metrics: Metrics) -> None:
        self._inner, self._store, self._metrics = inner, store, metrics
        self._now = asyncio.get_running_loop().time

    async def __call__(self, ask: Ask, /) -> Answer:
        """Ask inside, and write down how it ended."""
        try:
            answer = await self._inner(ask)
        except GatewayError as error:
            self._write(ask, error.status, "failed", NO_USAGE, error)
            raise
        except asyncio.CancelledError:
            self._write(ask, LEFT_STATUS, "left", NO_USAGE, None)
            raise
        except Exception:
            self._write(ask, GatewayError.status, "failed", NO_USAGE, None)
            raise
        first_s = self._now() - ask.started_at
        head = answer.head

        def end(outcome: Outcome, usage: Usage) -> None:
            self._write(ask, head.status, outcome, head.usage, None, first_s)

        answer.on_end(end)
        return answer

    def _write(
        self,
        ask: Ask,
        status: int,
        outcome: Outcome | str,
        usage: Usage,
        error: GatewayError | None,
        first_s: float = 0.0,
    ) -> None:
        trail = ask.trail
        total_s = self._now() - ask.started_at
        attempts = trail.attempts
        last = attempts[-1] if attempts else None
        caller = ask.caller
        record = Record(
            id=ask.id,
            at_ms=int((time.time() - total_s) * 1000),
            key_id=caller.id,
            key=caller.name,
            face=ask.face,
            op=ask.op,
            route=trail.route,
            model=ask.model,
            target=last.target if last else "",
            status=status,
            outcome=outcome,  # type: ignore[arg-type]
            stream=ask.stream,
            total_s=total_s,
            first_s=first_s,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            nano=trail.nano,
            estimated=trail.estimated,
            why=trail.why,
            error_code=error.code if error else "",
            error=str(error) if error else "",
            user=_user(ask),
            metadata=_metadata(ask),
            attempts=attempts,
        )
        self._store.record(record)
        self._count(record, usage, first_s)

    def _count(self, record: Record, usage: Usage, first_s: float) -> None:
        metrics = self._metrics
        provider, _, model = record.target.partition("/")
        # Only names that the configuration knows become labels: a model id under a
        # provider is the caller's to invent, so failed calls do not carry it.
        known = model if record.status < 400 else ""
        metrics.requests.add((record.route, provider, known, f"{record.status // 100}xx"))
        metrics.duration.observe((record.route,), record.total_s)
        if first_s:
            metrics.first.observe((record.route,), first_s)
            waited_s = sum(a.first_s or a.duration_s for a in record.attempts)
            metrics.overhead.observe((), max(first_s - waited_s, 0.0))
        if usage is not NO_USAGE:
            tokens = metrics.tokens
            tokens.add(("input", "false"), usage.input_tokens - usage.cached_tokens)
            tokens.add(("output", "false"), usage.output_tokens)
            if usage.cached_tokens:
                tokens.add(("input", "true"), usage.cached_tokens)
        if record.nano:
            metrics.nano.add((provider,), record.nano)
        for attempt in record.attempts:
            if attempt.status >= 400 or attempt.outcome == "cut":
                name = attempt.target.partition("/")[0]
                metrics.upstream_errors.add((name, attempt.outcome))


def _user(ask: Ask) -> str:
    """The caller's own name for its user, kept as a tag."""
    if not isinstance(ask, Call) or "user" not in ask.fields:
        return ""
    try:
        user = msgspec.json.decode(ask.fields["user"])
    except msgspec.DecodeError:
        return ""
    return user[:256] if isinstance(user, str) else ""


def _metadata(ask: Ask) -> Raw:
    """The caller's own labels, kept as the JSON that came, if it is of a sensible size."""
    if not isinstance(ask, Call):
        return NO_METADATA
    raw = ask.fields.get("metadata")
    return raw if raw is not None and len(memoryview(raw)) <= 4_096 else NO_METADATA
