"""How providers did: what counts for them and against them."""

from octoplex.ledger.rows import Record
from octoplex.server.standing import OURS, standing
from octoplex.wire.ask import Attempt


def _record(n: int, *attempts: tuple[str, str, float, int]) -> Record:
    rows = [
        Attempt(target, outcome=outcome, duration_s=taken_s, first_s=taken_s / 2, nano=nano)
        for target, outcome, taken_s, nano in attempts
    ]
    return Record(f"req_{n}", 1_000 + n, attempts=rows)


def test_success_is_of_what_was_decided() -> None:
    found = standing(
        [
            _record(3, ("a/m", "upstream_failed", 1.0, 0), ("b/m@eu", "done", 0.2, 5)),
            _record(2, ("a/m", "done", 0.4, 7)),
            _record(1, ("a/n", "left", 9.0, 2), ("a/m", "outrun", 9.0, 0)),
        ]
    )
    a = found["a"]
    assert (a.attempts, a.failed, a.success) == (4, 1, 0.5)
    assert a.errors == {"upstream_failed": 1}
    assert a.duration_s is not None
    assert a.duration_s.p99 == 0.4  # what was cut off says nothing of how long it takes
    assert (a.nano, a.since_ms) == (9, 1_001)
    assert found["b"].success == 1.0


def test_what_a_breaker_does_not_count_is_no_failure() -> None:
    neutral = ("over_budget", "store_failed", "upstream_rejected", "upstream_busy", "left")
    records = [_record(n, ("a/m", kind, 0.1, 0)) for n, kind in enumerate(neutral)]
    refused = Attempt("a/m", outcome="upstream_failed", status=409)
    records += [_record(9, ("a/m", "done", 0.1, 0)), Record("req_10", 1, attempts=[refused])]
    found = standing(records)["a"]
    assert (found.attempts, found.failed, found.success) == (7, 0, 1.0)
    assert found.errors == {"upstream_rejected": 1, "upstream_busy": 1, "upstream_failed": 1}
    cut = standing([_record(1, ("a/m", "cut", 0.1, 0)), _record(2, ("a/m", "done", 0.1, 0))])
    assert (cut["a"].failed, cut["a"].success) == (1, 0.5)


def test_answers_of_ours_are_not_the_providers_doing() -> None:
    """A reply given again was not asked of anybody."""
    assert standing([_record(n, ("a/m", kind, 0.0, 0)) for n, kind in enumerate(OURS)]) == {}


def test_quantiles_are_those_of_all_values() -> None:
    records = [_record(n, ("a/m", "done", n / 100, 0)) for n in range(101)]
    found = standing(records)["a"].duration_s
    assert found is not None
    assert (found.p50, found.p95, found.p99) == (0.5, 0.95, 0.99)
    assert standing([]) == {}
