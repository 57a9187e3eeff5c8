"""Figures of several processes as one text."""

from octoplex.server.supervisor.merging import merged

ONE = b"""# HELP a_total Sums.
# TYPE a_total counter
a_total{x="1 2"} 3
a_total{x="y"} 0.000000001
# HELP state The worst counts.
# TYPE state gauge
state{t="m"} 2
"""
OTHER = b"""# HELP a_total Sums.
# TYPE a_total counter
a_total{x="1 2"} 4
a_total{x="z"} 1
# HELP state The worst counts.
# TYPE state gauge
state{t="m"} 1
"""
BOTH = b"""# HELP a_total Sums.
# TYPE a_total counter
a_total{x="1 2"} 7
a_total{x="y"} 0.000000001
a_total{x="z"} 1
# HELP state The worst counts.
# TYPE state gauge
state{t="m"} 2
"""


def test_counters_add_up_and_of_gauges_the_highest_counts() -> None:
    assert merged([ONE, OTHER]) == BOTH


def test_one_text_stays_as_it_is() -> None:
    assert merged([ONE]) == ONE
