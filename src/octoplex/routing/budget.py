"""Bounds on what routing adds to the traffic: retries over all, second asks per route.

When everything fails, retries multiply the load on what is already overloaded. So they
are a share of the calls of the last ten seconds, with a floor for quiet times: 3 a
second, that is 30 in the window.

References: twitter/finagle `RetryBudget`; Dean and Barroso, The Tail at Scale (2013).
"""

WINDOW_S = 10
"""The window: ten buckets of one second."""
CALLS_SAVED = 100


class RetryBudget:
    """Calls and retries of the last ten seconds."""

    __slots__ = ("_calls", "_place", "_retries", "_turns_at")

    def __init__(self) -> None:
        self._calls, self._retries = [0] * WINDOW_S, [0] * WINDOW_S
        self._place, self._turns_at = 0, 0.0

    def called(self, now: float) -> None:
        """Count a call."""
        if now >= self._turns_at:
            self._turn(now)
        self._calls[self._place] += 1

    def take(self, now: float, share: float, floor_per_s: float) -> bool:
        """Take leave for one retry; False when the budget is spent."""
        if now >= self._turns_at:
            self._turn(now)
        if sum(self._retries) + 1 > max(share * sum(self._calls), floor_per_s * WINDOW_S):
            return False
        self._retries[self._place] += 1
        return True

    def _turn(self, now: float) -> None:
        """Empty the buckets of the seconds that have passed since the last one."""
        passed = int(now) + 1 - int(self._turns_at)
        for _ in range(min(passed, WINDOW_S)):
            self._place = (self._place + 1) % WINDOW_S
            self._calls[self._place] = self._retries[self._place] = 0
        self._turns_at = int(now) + 1.0


class Share:
    """Leave to ask a route's call twice: every call earns a tenth, or what the route says.

    What a hundred calls earn is saved; where all may be asked twice, without end. A new route
    starts with one, so that its first slow call is not the one without protection. Over a
    route's life at most that share of its calls, plus that one.
    """

    __slots__ = ("_saved",)

    def __init__(self) -> None:
        self._saved = 1.0

    def earn(self, share: float) -> None:
        """Count a call."""
        most = max(1.0, share * CALLS_SAVED) if share < 1 else float("inf")
        self._saved = min(self._saved + share, most)

    def take(self) -> bool:
        """Take leave for one second ask; False when the share is used up."""
        if self._saved < 1 - 1e-9:  # ten tenths are not quite one
            return False
        self._saved -= 1
        return True
