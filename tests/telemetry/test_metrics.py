"""The exposition: what Prometheus reads is what was counted."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from octoplex.ledger.rows import Record
from octoplex.telemetry.metrics import MOST_CELLS, SECONDS, Cell, Gauge, Kind, Metrics

LINE = re.compile(r'^[a-z_]+(\{([a-z_]+="(\\.|[^"\\])*",?)*\})? [0-9.e+-]+$')


def request(**members: Any) -> Record:
    usual = {"route": "main", "target": "openai/gpt-5", "stream": True, "nano": 1_500_000_001}
    times = {"total_s": 0.3, "first_s": 0.1}
    tokens = {"input_tokens": 10, "output_tokens": 5, "cached_tokens": 4}
    return Record("req_1", 0, **{**usual, **times, **tokens, **members})


def exposed(metrics: Metrics) -> list[str]:
    return metrics.expose()().decode().splitlines()


def test_every_line_is_a_comment_or_a_sample() -> None:
    metrics = Metrics([Gauge("octoplex_x", "X.", ("a",), lambda: [(('q"\\\n',), 1.5)])])
    metrics.count(request())
    metrics.failed("openai/gpt-5", "upstream_busy")

    for line in exposed(metrics):
        assert line.startswith("# ") or LINE.match(line), line


def test_figures_of_one_request() -> None:
    metrics = Metrics()
    metrics.count(request())

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
    metrics.count(request(target="", status=503, first_s=0.0))

    assert 'octoplex_time_to_first_token_seconds_count{route="main"} 0' in exposed(metrics)


@given(st.lists(st.tuples(st.floats(0, 400), st.floats(0, 1)), max_size=600))
def test_buckets_are_those_of_a_search(times: list[tuple[float, float]]) -> None:
    """Adding up many at once counts like a search for each, however they are cut."""
    metrics = Metrics()
    for total_s, share in times:
        metrics.count(request(total_s=total_s, first_s=total_s * share))
    metrics.expose()

    cell = metrics.cells.get(Kind("main", "openai/gpt-5", 200), Cell())
    opened = [t * share for t, share in times if t * share]
    for index, bound in enumerate(SECONDS):
        assert sum(cell.duration.counts[: index + 1]) == sum(t <= bound for t, _ in times)
        assert sum(cell.first.counts[: index + 1]) == sum(f <= bound for f in opened)
    assert (sum(cell.duration.counts), sum(cell.first.counts)) == (len(times), len(opened))
    assert cell.count == len(times)


def test_a_whole_reply_has_no_time_to_its_first_token() -> None:
    metrics = Metrics()
    metrics.count(request(stream=False))

    assert 'octoplex_time_to_first_token_seconds_count{route="main"} 0' in exposed(metrics)


def test_names_that_callers_invent_do_not_grow_it_for_ever() -> None:
    metrics = Metrics()
    for number in range(MOST_CELLS + 50):
        metrics.count(request(target=f"p/{number}"))
    metrics.expose()

    assert len(metrics.cells) <= MOST_CELLS + 1
    assert metrics.cells[Kind("other", "other", 200)].count == 50


def test_names_that_nobody_knows_are_labels_once_they_were_answered() -> None:
    metrics = Metrics()
    metrics.named = {"main", "p/known"}.__contains__
    for number in range(3):
        metrics.count(request(route=f"p/{number}", target=f"p/{number}", status=404))
    metrics.count(request(route="main", target="p/new", status=404))
    metrics.count(request(route="p/known", target="p/known", status=404))
    metrics.count(request(route="p/new", target="p/new"))
    metrics.count(request(route="", target="", status=401))
    metrics.expose()

    counts = {kind: cell.count for kind, cell in metrics.cells.items()}
    assert counts == {
        Kind("other", "p/other", 404): 3,
        Kind("main", "p/other", 404): 1,
        Kind("p/known", "p/known", 404): 1,
        Kind("p/new", "p/new", 200): 1,
        Kind("", "", 401): 1,
    }


def test_names_that_nobody_knows_leave_room_for_others() -> None:
    metrics = Metrics()
    metrics.named = {"main", "p/known"}.__contains__
    for number in range(MOST_CELLS):
        metrics.count(request(route=f"p/{number}", target=f"p/{number}"))
    metrics.count(request(route="main", target="p/known"))
    metrics.expose()

    assert len(metrics.cells) == MOST_CELLS // 2 + 2
    assert metrics.cells[Kind("main", "p/known", 200)].count == 1
