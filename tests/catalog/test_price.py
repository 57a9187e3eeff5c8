"""The sum for one attempt: exact, rounded once, never above its reservation."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octoplex.catalog.price import FREE, Price, Tier
from octoplex.wire.event import Usage

# claude-sonnet-4-5, platform.claude.com/docs/en/about-claude/pricing: 3 / 15, cache 0.30 /
# 3.75 / 6 dollars per million tokens; above 200k input 6 / 22.50, cache 0.60 / 7.50 / 12.
SONNET = Price(
    input_pico=3_000_000,
    output_pico=15_000_000,
    cache_read_pico=300_000,
    cache_write_pico=3_750_000,
    cache_write_1h_pico=6_000_000,
    tiers=(
        Tier(
            above_tokens=200_000,
            input_pico=6_000_000,
            output_pico=22_500_000,
            cache_read_pico=600_000,
            cache_write_pico=7_500_000,
            cache_write_1h_pico=12_000_000,
        ),
    ),
    version="test",
)
# gpt-4o-mini, developers.openai.com/api/docs/pricing: 0.15 / 0.60, cached 0.075.
MINI = Price(input_pico=150_000, output_pico=600_000, cache_read_pico=75_000)
# sonar-pro, docs.perplexity.ai/getting-started/pricing: 3 / 15 and 14 per 1,000 requests.
SONAR = Price(input_pico=3_000_000, output_pico=15_000_000, request_nano=14_000_000)
# rerank-v3.5, catalog/by_hand.toml: 2 dollars for 1,000 searches.
RERANK = Price(input_pico=0, output_pico=0, search_nano=2_000_000)
# sonar-deep-research: 2 / 8 and reasoning at 3.
DEEP = Price(input_pico=2_000_000, output_pico=8_000_000, reasoning_pico=3_000_000)


@pytest.mark.parametrize(
    ("price", "usage", "nano"),
    [
        (MINI, Usage(), 0),
        (MINI, Usage(1000, 500), 450_000),  # 0.00015 + 0.0003 dollars
        (MINI, Usage(1000, 500, cached_tokens=800), 390_000),
        (MINI, Usage(3, 0), 450),
        (MINI, Usage(1000, 500, reasoning_tokens=400), 450_000),  # part of the output
        (SONNET, Usage(10_000, 1_000), 45_000_000),
        (SONNET, Usage(10_000, 1_000, cached_tokens=9_000), 3_000_000 + 2_700_000 + 15_000_000),
        (SONNET, Usage(10_000, 0, cache_write_tokens=10_000), 37_500_000),
        (SONNET, Usage(10_000, 0, 0, 10_000, 10_000), 60_000_000),  # all kept for an hour
        (
            SONNET,
            Usage(10_000, 0, 1_000, 8_000, 3_000),
            3_000_000 + 300_000 + 18_750_000 + 18_000_000,
        ),
        (SONNET, Usage(200_000, 1_000), 615_000_000),  # not above the threshold
        (SONNET, Usage(200_001, 1_000), 1_200_006_000 + 22_500_000),  # all of it dearer
        (SONNET, Usage(200_001, 0, cached_tokens=200_001), 120_000_600),
        (SONAR, Usage(100, 100), 300_000 + 1_500_000 + 14_000_000),
        (SONAR, Usage(), 14_000_000),
        (RERANK, Usage(searches=3), 6_000_000),
        (RERANK, Usage(9_999, 9), 0),
        (RERANK, Usage(searches=-3), 0),
        (DEEP, Usage(1_000, 1_000, reasoning_tokens=400), 2_000_000 + 4_800_000 + 1_200_000),
        (FREE, Usage(10**9, 10**9), 0),
    ],
)
def test_sums_made_by_hand(price: Price, usage: Usage, nano: int) -> None:
    assert price.cost_nano(usage) == nano


@pytest.mark.parametrize(("pico", "nano"), [(499, 0), (500, 1), (501, 1), (1499, 1), (1500, 2)])
def test_half_a_nano_goes_up(pico: int, nano: int) -> None:
    assert Price(input_pico=pico, output_pico=0).cost_nano(Usage(1, 0)) == nano


def test_a_reservation_goes_up_from_the_first_pico() -> None:
    assert Price(input_pico=1, output_pico=0).reserve_nano(1, 0) == 1
    assert Price(input_pico=1000, output_pico=0).reserve_nano(1, 0) == 1


def test_parts_without_a_figure_cost_the_ordinary_one() -> None:
    plain = Price(input_pico=7_000, output_pico=11_000)
    all_parts = Usage(100, 50, 20, 30, 10, 25)
    assert plain.cost_nano(all_parts) == plain.cost_nano(Usage(100, 50))
    hourless = Price(input_pico=7_000, output_pico=0, cache_write_pico=9_000)
    assert hourless.cost_nano(Usage(10, 0, 0, 10, 10)) == 90


@pytest.mark.parametrize(
    ("nonsense", "sense"),
    [
        (Usage(-5, 10), Usage(0, 10)),
        (Usage(10, -5), Usage(10, 0)),
        (Usage(10, 10, cached_tokens=99), Usage(10, 10, cached_tokens=10)),
        (Usage(10, 10, cached_tokens=-3), Usage(10, 10)),
        (Usage(10, 10, 8, 8), Usage(10, 10, 8, 2)),
        (Usage(10, 10, 0, 4, 9), Usage(10, 10, 0, 4, 4)),
        (Usage(10, 10, 0, -4, 9), Usage(10, 10)),
        (Usage(10, 10, reasoning_tokens=99), Usage(10, 10, reasoning_tokens=10)),
    ],
)
def test_nonsense_is_clamped(nonsense: Usage, sense: Usage) -> None:
    assert SONNET.cost_nano(nonsense) == SONNET.cost_nano(sense)


def test_a_region_may_cost_more() -> None:
    """docs.mistral.ai: the regional hosts cost 1.1 times the list."""
    assert MINI.scaled(110).cost_nano(Usage(1000, 500)) == 495_000
    assert MINI.scaled(100) is MINI
    assert SONNET.scaled(110).tiers[0].cache_write_1h_pico == 13_200_000
    assert SONNET.scaled(110).version == SONNET.version
    assert RERANK.scaled(110).search_nano == 2_200_000


figure = st.integers(0, 200_000_000)
part = st.none() | figure
count = st.integers(0, 3_000_000)
any_count = st.integers(-1_000, 3_000_000)
usages = st.builds(
    Usage, any_count, any_count, any_count, any_count, any_count, any_count, searches=any_count
)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    figures = {
        "cache_read_pico": part,
        "cache_write_pico": part,
        "cache_write_1h_pico": part,
        "reasoning_pico": part,
    }
    starts = sorted(draw(st.sets(st.integers(1, 2_000_000), max_size=2)))
    tiers = tuple(
        draw(
            st.builds(
                Tier, above_tokens=st.just(s), input_pico=figure, output_pico=figure, **figures
            )
        )
        for s in starts
    )
    return draw(
        st.builds(
            Price,
            input_pico=figure,
            output_pico=figure,
            request_nano=st.integers(0, 10**8),
            search_nano=st.integers(0, 10**8),
            tiers=st.just(tiers),
            **figures,
        )
    )


@given(prices(), usages)
def test_a_reservation_is_never_less_than_the_cost(price: Price, usage: Usage) -> None:
    reserved = price.reserve_nano(usage.input_tokens, usage.output_tokens, usage.searches)
    assert reserved >= price.cost_nano(usage) >= 0


@given(prices(), usages, count, count)
def test_nor_than_that_of_any_smaller_usage(
    price: Price, usage: Usage, more_in: int, more_out: int
) -> None:
    read, wrote = usage.input_tokens + more_in, usage.output_tokens + more_out
    reserved = price.reserve_nano(read, wrote, usage.searches + more_in)
    assert reserved >= price.cost_nano(usage)


@given(prices(), count, count, count, count)
def test_reservations_grow_with_their_bounds(
    price: Price, i: int, o: int, more_in: int, more_out: int
) -> None:
    assert price.reserve_nano(i + more_in, o + more_out) >= price.reserve_nano(i, o)


@given(figure, figure, count, count, count)
def test_more_tokens_never_cost_less(i_pico: int, o_pico: int, i: int, o: int, more: int) -> None:
    price = Price(input_pico=i_pico, output_pico=o_pico)
    assert price.cost_nano(Usage(i + more, o)) >= price.cost_nano(Usage(i, o))
    assert price.cost_nano(Usage(i, o + more)) >= price.cost_nano(Usage(i, o))


@given(figure, figure, figure, count, count, st.integers(0, 10**6))
def test_the_one_rounding_is_the_decimal_one(
    i_pico: int, o_pico: int, read_pico: int, i: int, o: int, read: int
) -> None:
    price = Price(input_pico=i_pico, output_pico=o_pico, cache_read_pico=read_pico)
    cached = min(read, i)
    exact = Decimal((i - cached) * i_pico + cached * read_pico + o * o_pico) / 1000
    rounded = int(exact.to_integral_value(ROUND_HALF_UP))
    assert price.cost_nano(Usage(i, o, cached_tokens=read)) == rounded


@given(prices(), usages)
def test_money_is_whole_numbers(price: Price, usage: Usage) -> None:
    assert type(price.cost_nano(usage)) is int
    assert type(price.reserve_nano(usage.input_tokens, usage.output_tokens)) is int
    assert type(price.scaled(110).input_pico) is int
