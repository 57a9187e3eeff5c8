"""What the file may say of learning, and what is told where it says something else."""

import tomllib
from typing import Any

import msgspec
import pytest

from octoplex.ledger import Cap
from octoplex.optimizer.config import (
    Experiment,
    Learn,
    Learned,
    Promise,
    RuleTable,
    Spend,
    Variant,
    check_experiment,
    learned_of,
    spend_of,
)
from octoplex.routing.config import Model
from octoplex.wire.error import BadConfig

TARGETS = ("openai/gpt-5", "openai/gpt-5-mini", "local/qwen3-8b")
GOOD = """
pick = "learned"
reference = "openai/gpt-5"
try = ["openai/gpt-5", "openai/gpt-5-mini", "local/qwen3-8b"]
promise = { quality_loss = 0.05, confidence = 0.95 }
learn.shadow = 0.01
learn.spend = "20% of savings"
learn.judge = ["json-schema", "tool-calls", "models.judge"]
segments = ["key", "metadata.task"]

[[rules]]
when = "p95_latency_s > 4 over 5 min"
then = { switch = "openai/gpt-5-mini" }
clear = "10 min"
"""
EXPERIMENT = """
route = "support"
unit = "user"
metric = "quality"
guardrails = ["cost_per_call", "p95_latency_s"]
[variants]
today = {}
short = { prompt = "file:prompts/short.md", temperature = 0.2 }
"""


class Table(Model, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[models.NAME]` as it will be: a route's table with the fields of `Learned`."""

    pick: str = "in-order"  # type: ignore[assignment]
    reference: str = ""
    promise: Promise = Promise()
    learn: Learn = Learn()
    segments: tuple[str, ...] = ()
    rules: tuple[RuleTable, ...] = ()
    variants: dict[str, Variant] = msgspec.field(default_factory=dict)


def read(text: str) -> Learned | None:
    table = msgspec.convert(tomllib.loads(text), Table)
    return learned_of(table, table.try_, "[models.support]")


def experiment(text: str) -> Experiment:
    found = msgspec.convert(tomllib.loads(text), Experiment)
    check_experiment(found, ["support", "search"], "[experiments.shorter]")
    return found


def test_the_table_has_every_field_of_learning() -> None:
    assert set(Learned.__struct_fields__) <= set(Table.__struct_fields__)


def test_the_example_of_the_guide_is_read() -> None:
    learned = read(GOOD)

    assert learned is not None
    assert learned.reference == TARGETS[0]
    assert learned.promise == Promise(quality_loss=0.05, confidence=0.95)
    assert learned.learn.judge[-1] == "models.judge"
    assert learned.rules[0].then.switch == TARGETS[1]
    assert learned.rules[0].least == 20


def test_a_route_that_does_not_learn_has_nothing() -> None:
    assert read('try = ["a/b"]') is None


def test_rules_need_no_learning() -> None:
    table = '[[rules]]\nwhen = "calls > 9 over 1 min"\nthen = { switch = "a/c" }'
    assert read(f'try = ["a/b", "a/c"]\n{table}') is None
    with pytest.raises(BadConfig, match=r'then.switch: "a/d" is not valid; did you mean'):
        read(f'try = ["a/b", "a/c"]\n{table}'.replace("a/c", "a/d", 2).replace("a/d", "a/c", 1))


OFF = {
    "reference not in try": ('"openai/gpt-5"\ntry', '"openai/gpt-4"\ntry', 'mean "openai/gpt-5"'),
    "no reference": (
        'reference = "openai/gpt-5"',
        "",
        "reference: .*promised; one of openai/gpt-5,",
    ),
    "one target": (
        '["openai/gpt-5", "openai/gpt-5-mini", "local/qwen3-8b"]',
        '["openai/gpt-5", "openai/gpt-5"]',
        r"then.switch: .*not valid",
    ),
    "not learned": (
        '"learned"',
        '"cheapest"',
        r"reference: says nothing without pick = \"learned\"",
    ),
    "segment": ('"key", ', '"keys", ', 'segments: "keys" is not valid; did you mean "key"'),
    "metadata": ('"metadata.task"', '"metadata."', 'segments: "metadata." is not valid'),
    "judge": ('"json-schema"', '"jsonschema"', 'learn.judge: "jsonschema".*"json-schema"'),
    "spend": ("20% of savings", "a lot", 'learn.spend: "a lot".*"20% of savings" or dollars'),
    "more than all": ("20% of savings", "120% of savings", "learn.spend"),
    "a rate": ("20% of savings", "60 req/min", "learn.spend"),
    "dollars and a rate": ("20% of savings", "$5/day, 60 req/min", "learn.spend"),
    "two actions": (
        '{ switch = "',
        '{ alert = true, switch = "',
        "has switch and alert; write exactly",
    ),
    "no action": (
        '{ switch = "openai/gpt-5-mini" }',
        "{}",
        "has nothing; write exactly one of switch",
    ),
    "no alert": ('switch = "openai/gpt-5-mini"', "alert = false", "then.alert: write true"),
    "cap": ('switch = "openai/gpt-5-mini"', 'cap = "5"', 'then.cap: "5".*a share from 0 to 1 or'),
}


@pytest.mark.parametrize(("old", "new", "says"), OFF.values(), ids=OFF)
def test_what_cannot_be_is_named(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(BadConfig, match=says) as caught:
        read(GOOD.replace(old, new))
    assert str(caught.value).startswith("[models.support] ")


def test_one_target_leaves_nothing_to_learn() -> None:
    with pytest.raises(BadConfig, match="one target leaves nothing to learn"):
        read('pick = "learned"\nreference = "a/b"\ntry = ["a/b"]')


RANGES = {
    "quality_loss": ("quality_loss = 0.05", ("0", "0.5"), ("-0.01", "0.51", "nan")),
    "confidence": ("confidence = 0.95", ("0.5", "0.999"), ("0.49", "1.0", "nan")),
    "shadow": ("shadow = 0.01", ("0", "0.5"), ("-0.1", "0.6", "inf")),
}


@pytest.mark.parametrize(("text", "good", "bad"), RANGES.values(), ids=RANGES)
def test_numbers_stay_in_their_range(text: str, good: Any, bad: Any) -> None:
    name = text.split()[0]
    for number in good:
        assert read(GOOD.replace(text, f"{name} = {number}"))
    for number in bad:
        with pytest.raises(msgspec.ValidationError, match=name):
            read(GOOD.replace(text, f"{name} = {number}"))


@pytest.mark.parametrize(
    "table",
    [
        "promise = { los = 1 }",
        "learn = { los = 1 }",
        '[[rules]]\nwhen = "x"\nthen = {}\nlos = 1',
        '[[rules]]\nwhen = "x"\nthen = { los = 1 }',
    ],
)
def test_unknown_keys_are_refused(table: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `los`"):
        read(f'try = ["a/b"]\n{table}')


def test_what_learning_may_cost() -> None:
    assert spend_of("20% of savings", "here") == Spend(share=0.2)
    assert spend_of("7.5 %", "here") == Spend(share=0.075)
    assert spend_of("$5/day", "here") == Spend(cap=Cap("day", 5 * 10**9))


def test_an_experiment_is_read() -> None:
    found = experiment(EXPERIMENT)

    assert list(found.variants) == ["today", "short"]
    assert found.variants["short"].temperature == 0.2


WRONG = {
    "route": ('"support"', '"suport"', 'route: "suport" is not valid; did you mean "support"'),
    "unit": ('unit = "user"', 'unit = "users"', 'unit: "users".*"user"'),
    "metric": ('"quality"', '"qualty"', 'metric: "qualty".*"quality"'),
    "calls are no metric": ('metric = "quality"', 'metric = "calls"', "metric: .*valid: p50"),
    "guardrail": ('"cost_per_call"', '"cost"', 'guardrails: "cost"'),
    "twice": ('["cost_per_call"', '["quality"', "guardrails: .*metric already"),
    "one variant": ("today = {}", "", "variants: 1 cannot be compared"),
    "the same": ("today = {}", "today = {}\nb = {}", r"variants.b: is the same as \"today\""),
    "cascade": ("today = {}", 'today = { verify = ["tests"] }', "write both verify and escalate"),
    "verifier": (
        "today = {}",
        'today = { verify = ["test"], escalate = "a/b" }',
        'verify: "test".*"tests"',
    ),
}


@pytest.mark.parametrize(("old", "new", "says"), WRONG.values(), ids=WRONG)
def test_an_experiment_that_cannot_be_is_named(old: str, new: str, says: str) -> None:
    assert old in EXPERIMENT
    with pytest.raises(BadConfig, match=says) as caught:
        experiment(EXPERIMENT.replace(old, new))
    assert str(caught.value).startswith("[experiments.shorter] ")
