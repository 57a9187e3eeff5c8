"""The exposition: what Prometheus reads is what was counted."""

import re

from hypothesis import given
from hypothesis import strategies as st

from octoplex.telemetry.metrics import MOST_CELLS, SECONDS, Cell, Gauge, Metrics
from octoplex.wire.event import NO_USAGE, Usage

LINE = re.compile(r'^[a-z_]+(\{([a-z_]+="(\\.|[^"\\])*",?)*\})? [0-9.e+-]+$')


def exposed(metrics: Metrics) -> list[str]:
    return metrics.expose().decode().splitlines()


def test_every_line_is_a_comment_or_a_sample() -> None:
    metrics = Metrics([Gauge("octoplex_x", "X.", ("a",), lambda: [(('q"\\\n',), 1.5)])])
    metrics.cell("main", "openai/gpt-5", 200).add(Usage(10, 5, 4), 1_500_000_001, 0.3, 0.1)
    metrics.failed("openai/gpt-5", "upstream_busy")

    for line in exposed(metrics):
        assert line.startswith("# ") or LINE.match(line), line


def test_figures_of_one_request() -> None:
    metrics = Metrics()
    metrics.cell("main", "openai/gpt-5", 200).add(Usage(10, 5, 4), 1_500_000_001, 0.3, 0.1)

    lines = exposed(metrics)

    labels = '{provider="openai",model="gpt-5",route="main",status_class="2xx"}'
    assert f"octoplex_requests_total{labels} 1" in lines
    assert 'octoplex_tokens_total{direction="input",cached="true"} 4' in lines
    assert 'octoplex_tokens_total{direction="input",cached="false"} 6' in lines
    assert 'octoplex_tokens_total{direction="output",cached="false"} 5' in lines
    assert 'octoplex_cost_usd_total{provider="openai"} 1.500000001' in lines
    assert 'octoplex_request_duration_seconds_bucket{route="main",le="0.25"} 0' in lines
    assert 'octoplex_request_duration_seconds_bucket{route="main",le="0.5"} 1' in lines
    assert 'octoplex_request_duration_seconds_bucket{route="main",le="+Inf"} 1' in lines
    assert 'octoplex_time_to_first_token_seconds_bucket{route="main",le="0.1"} 1' in lines


def test_requests_that_never_opened_have_no_first_token() -> None:
    metrics = Metrics()
    metrics.cell("main", "", 503).add(NO_USAGE, 0, 0.2, 0.0)

    assert 'octoplex_time_to_first_token_seconds_count{route="main"} 0' in exposed(metrics)


@given(st.lists(st.tuples(st.floats(0, 400), st.floats(0.001, 1)), max_size=30))
def test_buckets_are_those_of_a_search(times: list[tuple[float, float]]) -> None:
    """The short cut for answers that open as they end counts like two searches."""
    cell = Cell()
    for total_s, share in times:
        cell.add(NO_USAGE, 0, total_s, total_s * share)

    for index, bound in enumerate(SECONDS):
        assert sum(cell.duration.counts[: index + 1]) == sum(t <= bound for t, _ in times)
        opened = [t * share for t, share in times if t * share]
        assert sum(cell.first.counts[: index + 1]) == sum(f <= bound for f in opened)


def test_names_that_callers_invent_do_not_grow_it_for_ever() -> None:
    metrics = Metrics()
    for number in range(MOST_CELLS + 50):
        metrics.cell("r", f"p/{number}", 200).add(NO_USAGE, 0, 0.1, 0.1)

    assert len(metrics.cells) <= MOST_CELLS + 1
    assert metrics.cell("r", "p/new", 200) is metrics.cells[("other", "other", 200)]
