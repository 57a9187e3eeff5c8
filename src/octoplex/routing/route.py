"""What a model name leads to: a route, its candidates, their keys.

Routes are compiled once from the configuration and never changed: a reload makes new
ones. What is learned about a target (its breaker, its times, its resting keys) lives in
`health.py` under the target's name, shared by every route that leads there, and
survives a reload.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from octoplex.routing.policy import DEFAULT, Ejecting, Policy
from octoplex.wire.answer import Answerer
from octoplex.wire.ask import Ask, Operation, Worst

Pick = Literal["in-order", "weighted", "fastest", "cheapest", "least-busy", "learned"]
Hedge = Literal["", "p95", "p99", "off"]

Rescues = Literal["off", "splice", "prefill"]


def unpriced(worst: Worst) -> int | None:
    """The cost of a call on a target without a price: unknown."""
    return None


def unread(tokens: int, cached: int) -> int | None:
    """The cost of an input on a target without a price: unknown."""
    return None


def never(ask: Ask) -> bool:
    """Whether an ask for a stream is answered whole, at a target that streams what it has."""
    return False


def unsaid(area: str) -> str:
    """Why a target of which nothing is known is not in an area."""
    return "nobody says where it answers"


class Target(Struct, frozen=True, kw_only=True):
    """One model at one provider in one region, as routing sees it."""

    name: str
    """`provider/model`, with `@region` where there is one: the name of its health."""
    provider: str
    model: str
    region: str = ""
    context_window: int | None = None
    reasons_silently: bool = False
    prefill: bool = False
    """It goes on from an assistant's turn that ends the request."""
    slow_start: bool = False
    """A server on a private network, which may first have to load the model."""
    cost: Callable[[Worst], int | None] = unpriced
    """What a call would cost now, in nano-dollars; None when the target has no price."""
    reads: Callable[[int, int], int | None] = unread
    """What an input of so many tokens costs now, so many of them cached, in nano-dollars."""
    policy: Policy | None = None
    outside: Callable[[str], str] = unsaid
    """Why it cannot be counted on to answer in an area (`eu`, `de`); "" when it can."""


class Lane(Struct, frozen=True):
    """A target asked with one key of its pool. `key` is a label, never the secret."""

    key: str
    answer: Answerer


class Candidate(Struct, frozen=True):
    """A target that a route may ask, and the keys it may be asked with, preferred first."""

    target: Target
    lanes: tuple[Lane, ...]
    weight: float = 1.0
    counters: tuple[Lane, ...] = ()
    """The same keys at the provider's token count; empty where it has none."""
    singles: Mapping[Operation, tuple[Lane, ...]] = {}
    """The same keys for each operation of one body that the provider has."""
    missing: str = ""
    """What keeps it from being asked at all, such as "set OPENAI_API_KEY"; it has no lanes then."""
    buffers: Callable[[Ask], bool] = never
    """Whether an ask for a stream is answered whole: then it has no first content to wait for."""


class Barred(Struct, frozen=True):
    """A target that is not asked because of where it answers, and why."""

    target: Target
    why: str


class Route(Struct, frozen=True, kw_only=True):
    """What a name leads to."""

    name: str
    candidates: tuple[Candidate, ...]
    pick: Pick = "in-order"
    attempts: int | None = None
    """The most attempts for one call over all targets; None: only the policy bounds them."""
    rescue: Rescues = "splice"
    """What is tried where a stream breaks after content (`rescue/`)."""
    hedge: Hedge | float = ""
    """When another target is asked beside a slow one: at the slow one's own p95 or p99, after
    so many seconds, never ("off"), or, with "", only at the first-content limit of streams."""
    deadline_s: float | None = None
    """How long a whole request may take, with everything that is asked for it."""
    affinity: bool = False
    """Keep conversations at the target where their prompt cache is."""
    ejecting: Ejecting = Ejecting()
    fall_over_on_refusal: bool = False
    """Ask the next target when a provider's policy refuses the content, or filters all of it."""
    cheaper_on_budget: bool = False
    """Ask a cheaper target when the caller's budget does not hold the dearer one."""
    policy: Policy = DEFAULT
    region: str = ""
    """The area in which its targets must answer, "" for any."""
    barred: tuple[Barred, ...] = ()
    """Those that do not; they are no candidates."""
    least_context: int = 0
    """The smallest context of its candidates where one has a larger, else 0; worked out here."""

    def __post_init__(self) -> None:
        if len(self.candidates) > 1:
            known = [c.target.context_window for c in self.candidates if c.target.context_window]
            uneven = bool(known) and min(known) < max(known)
            force_setattr(self, "least_context", min(known) if uneven else 0)

    def policy_for(self, target: Target) -> Policy:
        """The policy of one target on this route."""
        return self.policy if target.policy is None else target.policy
