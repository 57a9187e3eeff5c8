"""Limits: the string, and buckets against a model in exact fractions."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.ledger import Cap
from octoplex.reflex.limit import Buckets, Limits, Rate, describe, parse
from octoplex.wire.error import TooFast, TooLarge

SECOND = 1_000_000_000


class Clock:
    """Monotonic nanoseconds, moved by hand."""

    def __init__(self) -> None:
        self.ns = 5 * SECOND

    def __call__(self) -> int:
        return self.ns


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", Limits()),
        ("60 req/min", Limits((Rate("req", 60, 60),))),
        ("60req/min,100 tok/min", Limits((Rate("req", 60, 60), Rate("tok", 100, 60)))),
        ("1,000 requests per hour", Limits((Rate("req", 1_000, 3_600),))),
        (
            "100k tok/min, 2M tokens/day",
            Limits((Rate("tok", 10**5, 60), Rate("tok", 2 * 10**6, 86_400))),
        ),
        ("1.5k TOK / s", Limits((Rate("tok", 1_500, 1),))),
        ("$50/month", Limits((), (Cap("month", 50 * 10**9),))),
        (
            "$0.000000001/day, $5 per week, $1.5k total",
            Limits((), (Cap("day", 1), Cap("week", 5 * 10**9), Cap("total", 1_500 * 10**9))),
        ),
        (
            "60 req/min, 100k tok/min, $50/month",
            Limits((Rate("req", 60, 60), Rate("tok", 10**5, 60)), (Cap("month", 50 * 10**9),)),
        ),
    ],
)
def test_limits_are_read(text: str, limits: Limits) -> None:
    found = parse(text)
    assert (found.rates, found.caps, found.text) == (limits.rates, limits.caps, text)
    assert parse(describe(found)).rates == found.rates
    assert parse(describe(found)).caps == found.caps


@pytest.mark.parametrize(
    "piece",
    [
        "60",
        "req/min",
        "60 req",
        "60 cows/min",
        "60 req/fortnight",
        "-5 req/min",
        "0 req/min",
        "1.5 req/min",
        "1.2.3 req/min",
        "9999999999999 tok/s",
        "$50",
        "$/month",
        "$50/year",
        "$0/day",
        "$0.0000000001/day",
        "50$/month",
        "NaN req/min",
        "6\u0660 req/min",
        "60 req/min $5/day",
        "60 req/min; drop table",
    ],
)
def test_a_wrong_piece_is_named_and_an_example_shown(piece: str) -> None:
    with pytest.raises(ValueError, match="60 req/min, 100k tok/min") as wrong:
        parse(f"7 req/s, {piece}")
    assert repr(piece) in str(wrong.value)


def test_a_window_given_twice_is_refused() -> None:
    for text in ("5 req/min, 6 req/min", "$5/day, $6/day", "5 req/min,"):
        with pytest.raises(ValueError, match=r"twice|empty"):
            parse(text)


def test_a_bucket_is_full_at_the_start_and_refills_evenly() -> None:
    clock = Clock()
    buckets = Buckets(parse("60 req/min").rates, clock)
    for _ in range(60):
        buckets.take()
    with pytest.raises(TooFast) as fast:
        buckets.take()
    assert fast.value.retry_after_s == 1.0
    clock.ns += SECOND - 1
    with pytest.raises(TooFast) as fast:
        buckets.take()
    assert fast.value.retry_after_s == 1e-9
    clock.ns += 1
    buckets.take()
    clock.ns -= 10 * SECOND  # a clock that steps back gives nothing and takes nothing
    with pytest.raises(TooFast):
        buckets.take()


def test_a_refusal_takes_from_no_bucket_and_names_the_slowest() -> None:
    clock = Clock()
    buckets = Buckets(parse("2 req/s, 10 tok/min").rates, clock)
    buckets.take(10)
    with pytest.raises(TooFast, match="10 tok/min") as fast:
        buckets.take(5)
    assert fast.value.retry_after_s == 30.0
    assert [f.remaining for f in buckets.figures()] == [1, 0]


def test_output_is_debt_and_estimates_are_corrected() -> None:
    clock = Clock()
    buckets = Buckets(parse("600 tok/min").rates, clock)
    buckets.take(500)
    buckets.settle(500, 100, 700)  # 800 in all, of 600
    (figure,) = buckets.figures()
    assert (figure.remaining, figure.reset_s) == (0, 80.0)
    with pytest.raises(TooFast) as fast:
        buckets.take(0)
    assert fast.value.retry_after_s == 20.0
    clock.ns += 20 * SECOND
    buckets.take(0)
    buckets.give_back(10**9)
    assert buckets.figures()[0].remaining == 600  # never more than full


def test_what_flowed_over_while_a_call_ran_pays_for_nothing() -> None:
    """Output is owed from the moment it is known, and no bucket is more than full."""
    clock = Clock()
    buckets = Buckets(parse("600 tok/min").rates, clock)
    buckets.take(600)
    clock.ns += 300 * SECOND  # a long stream: full again since 240 s
    buckets.settle(600, 600, 1_200)
    assert (buckets.figures()[0].remaining, buckets.figures()[0].reset_s) == (0, 120.0)
    clock.ns += 200 * SECOND
    buckets.give_back(600)  # another long call of which nothing came: full it was
    buckets.settle(0, 0, 600)
    assert (buckets.figures()[0].remaining, buckets.figures()[0].reset_s) == (0, 60.0)


def test_what_can_never_pass_is_not_told_to_wait() -> None:
    buckets = Buckets(parse("60 req/min, 100 tok/min").rates, Clock())
    with pytest.raises(TooLarge, match="101 input tokens"):
        buckets.take(101)
    buckets.take(100)


def test_a_reload_keeps_the_level_of_limits_that_stay() -> None:
    clock = Clock()
    old = Buckets(parse("5 req/min, 100 tok/min").rates, clock)
    old.take(40)
    new = Buckets(parse("100 tok/min, 9 req/min").rates, clock)
    new.adopt(old)
    assert [f.remaining for f in new.figures()] == [60, 9]


class Model:
    """A bucket in exact fractions."""

    def __init__(self, count: int, period_s: int, at_ns: int) -> None:
        self.count, self.rate = Fraction(count), Fraction(count, period_s * SECOND)
        self.level, self.at_ns = self.count, at_ns

    def at(self, ns: int) -> Fraction:
        self.level = min(self.count, self.level + (ns - self.at_ns) * self.rate)
        self.at_ns = ns
        return self.level


steps = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3 * SECOND), st.integers(0, 1_000), st.integers(0, 200 * SECOND)),
        st.integers(0, 60),
        st.integers(0, 90),
    ),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 70), st.sampled_from([1, 60, 3_600]), st.integers(1, 70), steps)
def test_buckets_are_the_exact_model(
    requests: int, period_s: int, tokens: int, plan: list[tuple[int, int, int]]
) -> None:
    """Never more than the limit, and none refused while tokens remain; waits are exact."""
    clock = Clock()
    rates = (Rate("req", requests, period_s), Rate("tok", tokens, 60))
    buckets = Buckets(rates, clock)
    models = (Model(requests, period_s, clock.ns), Model(tokens, 60, clock.ns))
    admitted_at: list[int] = []
    running: list[tuple[int, int]] = []
    """Calls whose usage is not known yet."""
    for gap, cost, output in plan:
        clock.ns += gap
        levels = [m.at(clock.ns) for m in models]
        costs = (1, cost)
        try:
            buckets.take(cost)
        except TooLarge:
            assert cost > tokens
            continue
        except TooFast as fast:
            assert any(lv < c for lv, c in zip(levels, costs, strict=True))
            wait = round((fast.retry_after_s or 0) * SECOND)
            again = [lv + wait * m.rate for lv, m in zip(levels, models, strict=True)]
            assert all(lv >= c for lv, c in zip(again, costs, strict=True))
            before = [lv + (wait - 1) * m.rate for lv, m in zip(levels, models, strict=True)]
            assert any(lv < c for lv, c in zip(before, costs, strict=True))
            continue
        assert all(lv >= c for lv, c in zip(levels, costs, strict=True))
        for model, used in zip(models, costs, strict=True):
            model.level -= used
        admitted_at.append(clock.ns)
        if output % 3 == 0:
            buckets.settle(cost, cost, output)
            models[1].level -= output
        elif output % 3 == 1:
            running.append((cost, output))
        elif running:
            worst, used_later = running.pop()
            buckets.settle(worst, 0, used_later)
            models[1].level = min(models[1].count, models[1].level + worst - used_later)
    for i, start in enumerate(admitted_at):
        for count, end in enumerate(admitted_at[i:], 1):
            assert count <= requests + Fraction((end - start) * requests, period_s * SECOND)
