"""What one call does next, after each thing that went wrong. Pure but for its clock.

    start ->  Step  -> (asked) -> answer
                     -> error  -> after -> Step: same target later, another key, next target
                                        -> raise: the verdict

The rules are contracts.md 'Attempts'; this module is their only home:

- a target is asked at most `1 + retries_per_target` times, within the retry budget, and
  never more than twice in 1.5 s. The pace is measured from the *end* of the attempt
  before last, so that it also holds at the provider, however long a connect took;
- a short Retry-After is waited out, unless another key is free; a long one lets the key
  rest (or, when it did not come with a 429, the target);
- a target that cannot take what is asked is passed over, before it is paid for;
- a probe of an open breaker is one attempt, never retried;
- a breaker hears of a call once, when the call is done with that target;
- nothing is tried, and nothing waited for, that the caller's deadline would cut off.

Errors are kept without their tracebacks and raised as copies: a frame that holds an
error which holds the frame would keep every failed call for the garbage collector.
"""

from collections.abc import Callable, Sequence
from copy import copy

from msgspec import Struct

from octoplex.routing.health import Health, OpenCall
from octoplex.routing.policy import Policy
from octoplex.routing.rest import Rest
from octoplex.routing.route import Candidate, Lane, Route, Target
from octoplex.wire.ask import Ask, Attempt
from octoplex.wire.error import (
    ContentRefused,
    DeadlinePassed,
    Forbidden,
    GatewayError,
    ModelGone,
    NoTarget,
    OverBudget,
    Unsupported,
    UpstreamBusy,
    UpstreamDenied,
    UpstreamError,
    UpstreamQuota,
    is_failure,
    provider_status,
)


class Step(Struct, frozen=True):
    """Ask this candidate with this lane, after waiting."""

    candidate: Candidate
    lane: Lane
    wait_s: float = 0.0
    probe: bool = False
    why: str = ""


class Visit(Struct):
    """What one call has met at one target."""

    target: Target
    asked: int = 0
    ended_at: list[float] = []
    error: GatewayError | None = None


class Plan(Struct, eq=False):
    """The way of one call through the candidates of its route, in `order`."""

    ask: Ask
    route: Route
    order: Sequence[Candidate]
    health: Health
    random: Callable[[], float]
    why: str
    """The chooser's reason, for as long as nothing went wrong."""
    _visits: dict[str, Visit] = {}
    _issued: int = 0
    _lead: Visit | None = None
    _window: int = 0
    _dearest_nano: int | None = None

    def start(self) -> Step:
        """The first step.

        Raises:
            NoTarget: every target rests; says until when.
            DeadlinePassed: the caller's deadline is over.
        """
        if self.health.now() >= self.ask.deadline_at:
            raise DeadlinePassed("The call's deadline had passed before a provider was asked.")
        step = self.onward() or self._soonest()
        if step is None:
            raise self.verdict()
        return step

    def asked(self, candidate: Candidate, lane: Lane) -> Step:
        """Count an attempt, and give its step: what the fast path did before there was a plan."""
        return self._step(candidate, lane)

    def open_call(self, step: Step) -> OpenCall:
        """Enter an attempt into the target's state and the trail."""
        target, health = step.candidate.target, self.health
        self.ask.trail.why = step.why or self.why
        row = Attempt(target=target.name, key=step.lane.key)
        state = health.of(target)
        if step.probe:  # not before: who is cancelled on its way here would never release it
            state.breaker.claim()
        call = OpenCall(state, row, health.now(), step.probe)
        call.enter(self.ask)
        return call

    def after(self, step: Step, error: GatewayError) -> Step:
        """The step that follows a failure.

        Raises:
            GatewayError: nothing more can be tried, or this error ends the call.
        """
        self.note(step, error)
        return self.following(step, error)

    def following(self, step: Step, error: GatewayError) -> Step:
        """The same, for a failure that was noted.

        Raises: as `after`.
        """
        again = self._again(step, error)
        if again is not None:
            return again
        self.leave(step, error)
        if not self._may_move(step, error):
            raise self._told(error)
        return self._onward_or_verdict()

    def broken(self, at: Attempt, error: GatewayError) -> Step:
        """The step that follows an answer which broke off after content.

        Its breaker has been told. Whatever is asked now counts as a retry: it was paid for once.

        Raises:
            GatewayError: nothing more can be tried, or this error ends the call.
        """
        now, met = self.health.now(), None
        for row in self.ask.trail.attempts:
            found = self._asked_by(row, other=row is at)
            if found is None:
                continue
            lane = next((lane for lane in found.lanes if lane.key == row.key), found.lanes[0])
            step = self._step(found, lane)
            if row is at:
                met = step
            else:
                self._visits[found.target.name].ended_at.append(now - at.duration_s)
        if met is None:
            raise error
        self.note(met, error)
        again = self._again(met, error)
        if again is not None:
            return again
        policy = self.route.policy_for(met.candidate.target)
        if not self._may_move(met, error) or not self._next():
            raise self._told(error)
        if not self.health.retries.take(now, policy.retry_budget, policy.retry_floor_per_s):
            raise self._told(error)
        return self._onward_or_verdict()

    def still(self, step: Step) -> Step:
        """The same step after its wait, or another if the target's breaker opened meanwhile."""
        if self.health.of(step.candidate.target).breaker.closed:
            return step
        self._issued -= 1
        return self._onward_or_verdict()

    def gave_up(self, step: Step, error: GatewayError) -> None:
        """This call is done with the step's target while another is already being asked."""
        self.note(step, error)
        self.leave(step, error)

    def onward(self) -> Step | None:
        """Enter the next candidate that can be asked, None when there is none."""
        found = self._next()
        if found is None:
            return None
        return self._step(*found, probe=not self.health.of(found[0].target).breaker.closed)

    def further(self) -> bool:
        """Whether a further candidate could be asked now."""
        return self._next() is not None

    def may_have_further(self) -> bool:
        """Whether a candidate is left that was not asked, whatever its health."""
        return len(self._visits) < len(self.order)

    def ends(self, error: GatewayError) -> bool:
        """Whether this failure is the end whatever other targets would say."""
        if isinstance(error, ContentRefused):
            return not self.route.fall_over_on_refusal
        if isinstance(error, Unsupported):
            return False
        return not isinstance(error, UpstreamError) or error.next == "end"

    def falls_over(self, *, beside: bool = False) -> bool:
        """Whether a reply that was filtered leads to another target, if only one asked beside."""
        if not self.route.fall_over_on_refusal or self.ask.op != "chat":
            return False
        if self.ask.worst_case().n > 1:
            return False  # only the first choice is looked at
        return beside or self.further()

    def is_first(self) -> bool:
        """Whether only one attempt has been made."""
        return self._issued == 1

    def verdict(self) -> GatewayError:
        """The most telling error: the preferred target's last one, or why nothing was asked."""
        lead = self._lead
        if lead is None or lead.error is None:
            return self._nobody()
        told = self._told(lead.error)
        if told.retryable:
            told.retry_after_s = self._earliest_s()
        return told

    # -- moving ---------------------------------------------------------------------------

    def _next(self) -> tuple[Candidate, Lane] | None:
        """The first candidate not yet asked that may be asked now."""
        now, cap = self.health.now(), self.route.attempts
        if cap is not None and self._issued >= cap:
            return None
        for candidate in self.order:
            target = candidate.target
            if target.name in self._visits or not self._fits(target):
                continue
            if self._issued and not self._in_time(now, self.route.policy_for(target)):
                continue
            lane = self.health.lane(candidate, now)
            breaker = self.health.of(target).breaker
            if lane is not None and (breaker.closed or breaker.may_probe(now)):
                return candidate, lane
        return None

    def _soonest(self) -> Step | None:
        """Every target is open: ask the one that reopens soonest, as its probe."""
        now = self.health.now()
        soonest: tuple[float, Candidate, Lane] | None = None
        for candidate in self.order:
            breaker = self.health.of(candidate.target).breaker
            lane = self.health.lane(candidate, now)
            if lane is None or breaker.closed or breaker.probing:
                continue
            if soonest is None or breaker.reopens_at < soonest[0]:
                soonest = breaker.reopens_at, candidate, lane
        return None if soonest is None else self._step(*soonest[1:], probe=True)

    def _step(
        self, candidate: Candidate, lane: Lane, wait_s: float = 0.0, *, probe: bool = False
    ) -> Step:
        why = "probe of an open breaker" if probe else ""
        if self._visits:
            slow = [v.target.name for v in self._visits.values() if v.error is None]
            why = f"beside {slow[0]}, which was slow" if slow else f"after {self._tried()}"
        visit = self._visits.get(candidate.target.name)
        if visit is None:
            visit = self._visits[candidate.target.name] = Visit(candidate.target)
            self._lead = self._lead or visit
        visit.asked += 1
        self._issued += 1
        return Step(candidate, lane, wait_s, probe, why)

    def _asked_by(self, row: Attempt, *, other: bool) -> Candidate | None:
        """Who was asked in an attempt; `other`: it may bear its provider's other name (`ByModel`).

        Elsewhere a strange name is that of a model which was asked beside: for a vector, a verdict.
        """
        provider = row.target.partition("/")[0]
        able = [c for c in self.order if c.lanes]
        exact = next((c for c in able if c.target.name == row.target), None)
        if exact is not None or not other:
            return exact
        return next((c for c in able if c.target.provider == provider), None)

    def _onward_or_verdict(self) -> Step:
        step = self.onward()
        if step is None:
            raise self.verdict()
        return step

    def _fits(self, target: Target) -> bool:
        """Whether the target's context is large enough and its price low enough by now."""
        if self._window and (target.context_window or 0) <= self._window:
            return False
        if self._dearest_nano is None:
            return True
        nano = target.cost(self.ask.worst_case())
        return nano is not None and nano < self._dearest_nano

    def _may_take(self) -> bool:
        """Whether a target is left, now or after a rest, that was not asked to say it."""
        if self.further():
            return True
        left = (c for c in self.order if c.target.name not in self._visits and self._fits(c.target))
        return any(0 < self._wait_for(candidate)[0] < float("inf") for candidate in left)

    def _may_move(self, step: Step, error: GatewayError) -> bool:
        """Whether this failure lets another target be asked; narrows which."""
        route, target = self.route, step.candidate.target
        if isinstance(error, OverBudget):
            self._dearest_nano = target.cost(self.ask.worst_case())
            self._tells_less(target)
            return route.cheaper_on_budget and self._dearest_nano is not None and self.further()
        if isinstance(error, Unsupported) and self._may_take():
            if self._lead is not None and isinstance(self._lead.error, Unsupported):
                self._lead = None  # who can say it tells more
            return True
        if isinstance(error, Unsupported | Forbidden):
            return any(isinstance(v.error, UpstreamError) for v in self._visits.values())
        if isinstance(error, UpstreamError) and error.next == "larger":
            self._window = target.context_window or self.ask.worst_case().input_tokens
            self._tells_less(target)
            return self.further()
        return not self.ends(error)

    def _tells_less(self, target: Target) -> None:
        """What another target says will tell more; not of one beside it that was asked first."""
        if self._lead is not None and self._lead.target is target:
            self._lead = None

    # -- the same target again ------------------------------------------------------------

    def _again(self, step: Step, error: GatewayError) -> Step | None:
        """Ask the same target again, with this key or another, if the rules allow it."""
        if not isinstance(error, UpstreamError) or error.next not in {"retry", "key"}:
            return None
        target, health = step.candidate.target, self.health
        policy, visit = self.route.policy_for(target), self._visits[target.name]
        spent = self.route.attempts is not None and self._issued >= self.route.attempts
        if step.probe or spent or visit.asked > policy.retries_per_target:
            return None
        if not health.of(target).breaker.closed:
            return None
        now = health.now()
        lane, wait_s = self._lane_and_wait(step, error, now)
        if len(visit.ended_at) >= policy.pace:
            wait_s = max(wait_s, visit.ended_at[-policy.pace] + policy.pace_s - now)
        if lane is None or not self._in_time(now + wait_s, policy):
            return None
        takes = error.next == "retry"
        if takes and not health.retries.take(now, policy.retry_budget, policy.retry_floor_per_s):
            return None
        return self._step(step.candidate, lane, wait_s)

    def _lane_and_wait(
        self, step: Step, error: UpstreamError, now: float
    ) -> tuple[Lane | None, float]:
        policy = self.route.policy_for(step.candidate.target)
        if error.next == "key":
            return self.health.free_lane(step.candidate, now), 0.0
        if isinstance(error, UpstreamBusy):
            other = self.health.free_lane(step.candidate, now)
            if other is not None:
                return other, 0.0
        wait_s = self._wait_s(step, error)
        if wait_s > policy.wait_max_s and error.retry_after_s is not None:
            return None, 0.0
        return step.lane, wait_s * (1 + policy.jitter * self.random())

    def _wait_s(self, step: Step, error: UpstreamError) -> float:
        """What the provider asked for, else a backoff that doubles; without jitter."""
        if error.retry_after_s is not None:
            return max(error.retry_after_s, 0.0)
        policy = self.route.policy_for(step.candidate.target)
        asked = self._visits[step.candidate.target.name].asked
        return float(policy.backoff_s * 2 ** (asked - 1))

    def _in_time(self, at: float, policy: Policy) -> bool:
        return at + policy.attempt_min_s <= self.ask.deadline_at

    # -- remembering ----------------------------------------------------------------------

    def note(self, step: Step, error: GatewayError) -> None:
        """Remember a failure and let keys rest that it says should rest."""
        target, health = step.candidate.target, self.health
        error.__traceback__ = None
        visit, now = self._visits[target.name], health.now()
        visit.ended_at.append(now)
        visit.error = error
        policy = self.route.policy_for(target)
        if self.ask.op == "pass":
            return  # a caller chose the path: that our key may not go there says nothing of it
        if isinstance(error, UpstreamDenied | UpstreamQuota):
            mine = provider_status(error) == 403 and isinstance(error, UpstreamDenied)
            scope = target.name if mine else target.provider
            rest = Rest(now + policy.key_rest_s, error.code)
            health.rests.add(scope, step.lane.key, rest, now)
            health.rests.tell(scope, step.lane.key, error.code, now)
        elif isinstance(error, ModelGone):
            self._note_gone(target, policy, error.code)
        elif isinstance(error, UpstreamError) and error.next == "retry":
            wait_s = min(self._wait_s(step, error), policy.rest_max_s)
            soft = error.retry_after_s is None or wait_s <= policy.wait_max_s
            busy = isinstance(error, UpstreamBusy)
            if soft and not busy:
                return
            rest = Rest(now + wait_s, error.code, soft)
            for lane in (step.lane,) if busy else step.candidate.lanes:
                health.rests.add(target.name, lane.key, rest, now)

    def _note_gone(self, target: Target, policy: Policy, code: str) -> None:
        """Ask a target last for this for a while, unless it answered of late: then it is something
        else that is not there. A name that a caller wrote is nobody's to mend."""
        health, now, name, op = self.health, self.health.now(), self.route.name, self.ask.op
        if now - health.of(target).answered_at < policy.key_rest_s:
            return
        if len(self.order) > 1:
            health.gone.add(target.name, op, Rest(now + policy.key_rest_s, code), now)
        if op == "chat" and "," not in name and name != f"{target.provider}/{target.model}":
            health.gone.tell(target.name, "", code, now)

    def leave(self, step: Step, error: GatewayError) -> None:
        """Tell breaker and provider how the call fared here, all its retries at once."""
        state = self.health.of(step.candidate.target)
        if is_failure(error):
            state.failed(probe=step.probe)
        elif step.probe:
            state.breaker.released()

    # -- telling --------------------------------------------------------------------------

    def _tried(self) -> str:
        met = [(v.target.name, v.error.code) for v in self._visits.values() if v.error]
        return ", ".join(f"{name} {code}" for name, code in met)

    def _told(self, error: GatewayError) -> GatewayError:
        """A copy of `error` that also says what was tried, when that was more than once."""
        told = copy(error)
        if self._issued > 1:
            told.args = (f"{error} (tried {self._issued}: {self._tried()})",)
        return told

    def _earliest_s(self) -> float | None:
        """Seconds until anything of this route may be asked again, None when that is now."""
        waits = [self._wait_for(candidate)[0] for candidate in self.order]
        soonest_s = min(waits, default=0.0)
        return soonest_s if 0 < soonest_s < float("inf") else None

    def _wait_for(self, candidate: Candidate) -> tuple[float, str]:
        """Seconds until a candidate may be asked, and what keeps it from being asked."""
        target, health = candidate.target, self.health
        if not candidate.lanes:
            return float("inf"), f": {candidate.missing}" if candidate.missing else " has no key"
        now, breaker = health.now(), health.of(target).breaker
        rests = [health.rest(target, lane, now) for lane in candidate.lanes]
        until_at, why = now, ""
        if rests and None not in rests:
            first = min((r for r in rests if r is not None), key=lambda r: r.until_at)
            until_at, why = first.until_at, f"resting after {first.why}"
        if not breaker.closed:
            reopens_at = max(breaker.reopens_at, now + 1.0 if breaker.probing else now)
            if reopens_at > until_at:
                until_at, why = reopens_at, "failing"
        visit = self._visits.get(target.name)
        if visit is not None and isinstance(visit.error, Unsupported):
            return float("inf"), " cannot take the request"
        wait_s = until_at - now
        if wait_s <= 0 and visit is not None and visit.error is not None:
            wait_s = visit.error.retry_after_s or 0.0
        return wait_s, why

    def _nobody(self) -> GatewayError:
        """Why no target was asked at all."""
        waits = [(c.target.name, *self._wait_for(c)) for c in self.order]
        never = float("inf")
        each = "; ".join(
            f"{name}{why}" if s == never else f"{name} {why or 'is busy'} ({s:.0f} s)"
            for name, s, why in waits
        )
        soonest_s = min((s for _, s, _ in waits if s > 0), default=1.0)
        error = NoTarget(
            f"No target of {self.route.name!r} can be asked now: {each}.",
            retry_after_s=None if soonest_s == never else soonest_s,
        )
        error.retryable = soonest_s != never
        return error
