"""What the configuration file says of learning: in `[models.NAME]`, and `[experiments.NAME]`.

`learned_of` and `check_experiment` refuse what no key is wrong in by itself: a reference that is no
target of the route, a cascade that leads nowhere. The conditions of rules are read by `rules.py`.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any

from msgspec import Meta, Struct

from octoplex.ledger import Cap
from octoplex.reflex.limit import parse
from octoplex.wire.chat import Effort
from octoplex.wire.error import BadConfig

VERIFIERS = ("json-schema", "tool-calls", "tests", "exact-match")
METRICS = (
    *("p50_latency_s", "p95_latency_s", "p99_latency_s", "error_rate"),
    *("cost_per_call", "quality", "drift", "calls"),
)
"""What rules may name."""
MEASURED = METRICS[:-2]
"""What an experiment may be about."""
UNITS = ("request", "user", "key", "tenant", "conversation", "metadata.NAME")
SEGMENTS = ("key", "tenant", "metadata.NAME")
_NAMED = re.compile(r"metadata\.[A-Za-z0-9_.\-]{1,64}")
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*(?:of\s+savings\s*)?", re.ASCII)


class Promise(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`promise`: at most `quality_loss` of the reference's quality is lost, so confidently; on
    average over the route, or with `each_segment` in each of its `segments`."""

    quality_loss: Annotated[float, Meta(ge=0, le=0.5)] = 0.05
    confidence: Annotated[float, Meta(ge=0.5, le=0.999)] = 0.95
    each_segment: bool = False


class Learn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`learn`: what may be spent to find out.

    `shadow` is the share of requests that a candidate answers beside the reference; `spend` bounds
    what that and judging cost, "20% of savings" or "$5/day"; `judge` says who compares, first the
    verifiers, then a model, "models.NAME" or "provider/model". `labels` is the share of the pairs
    that a model has judged of which people say what they are worth, too; their texts are kept for
    `labels_days`.
    """

    shadow: Annotated[float, Meta(ge=0, le=0.5)] = 0.01
    spend: str = "20% of savings"
    judge: tuple[str, ...] = ()
    labels: Annotated[float, Meta(ge=0, le=1)] = 0.0
    labels_days: Annotated[int, Meta(ge=1, le=180)] = 14


class Then(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`then`: exactly one of these, as long as its rule holds.

    `switch` and `escalate` name a target of the route that answers: another one, or a better one.
    `cap` is the most that candidates may have: dollars ("$5/hour"), or a share of the requests.
    `alert` only says so, under this name.
    """

    switch: str | None = None
    escalate: str | None = None
    cap: str | Annotated[float, Meta(ge=0, le=1)] | None = None
    alert: str | bool | None = None


class RuleTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[models.NAME.rules]]`.

    `clear` is how long the condition must have been false before the action ends, `least` how many
    measurements its window must hold to say anything.
    """

    when: str
    then: Then
    clear: str = "10 min"
    least: Annotated[int, Meta(ge=1, le=1_000_000)] = 20


class Variant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of `variants`: what is different there; what is left out is as the route has it.

    `prompt` is put before the conversation, or `file:PATH`. With `escalate` the answer of `target`
    is held until it was verified by `verify`, and that target is asked where it was not.
    """

    target: str = ""
    prompt: str = ""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    effort: Effort | None = None
    verify: tuple[str, ...] = ()
    escalate: str = ""


class Learned(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[models.NAME]` says where `pick` is "learned"."""

    reference: str = ""
    promise: Promise = Promise()
    learn: Learn = Learn()
    segments: tuple[str, ...] = ()
    rules: tuple[RuleTable, ...] = ()
    variants: dict[str, Variant] = {}


class Experiment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[experiments.NAME]`. The first variant is what the others are compared with."""

    route: str
    variants: dict[str, Variant]
    unit: str = "user"
    metric: str = "quality"
    guardrails: tuple[str, ...] = ()
    confidence: Annotated[float, Meta(ge=0.5, le=0.999)] = 0.95


class Spend(Struct, frozen=True):
    """The most that learning may cost: a share of what was saved, or dollars."""

    share: float = 0.0
    cap: Cap | None = None


def learned_of(table: Any, targets: Sequence[str], where: str) -> Learned | None:
    """What a route's table, which has these fields too, says of learning; None where it does not.

    Raises:
        BadConfig: names the key, the value, and what is allowed.
    """
    learned = Learned(**{name: getattr(table, name) for name in Learned.__struct_fields__})
    for rule in learned.rules:
        _check_then(rule.then, targets, f"{where} rules: then")
        if rule.then.cap is not None and table.pick != "learned":
            raise BadConfig(
                f"{where} rules: then.cap: bounds what candidates have beside a reference; it "
                'needs pick = "learned", or write switch.'
            )
    if table.pick != "learned":
        told = [name for name in ("reference", "segments", "variants") if getattr(learned, name)]
        told += [n for n in ("promise", "learn") if getattr(learned, n) != getattr(Learned(), n)]
        if told:
            raise BadConfig(f'{where} {told[0]}: says nothing without pick = "learned".')
        return None
    if not learned.reference:
        raise BadConfig(
            f'{where} reference: pick = "learned" needs the target whose quality is promised; '
            f"one of {', '.join(targets)}."
        )
    check_word(learned.reference, targets, f"{where} reference")
    if len(set(targets)) == 1 and not learned.variants:
        raise BadConfig(f"{where} try: one target leaves nothing to learn; add a cheaper one.")
    for segment in learned.segments:
        _check_named(segment, SEGMENTS, f"{where} segments")
    _check_candidates(learned.variants, targets, f"{where} variants")
    for judge in learned.learn.judge:
        _check_judge(judge, f"{where} learn.judge")
    spend_of(learned.learn.spend, f"{where} learn.spend")
    return learned


def variants_of(reference: str, targets: Iterable[str]) -> tuple[str, ...]:
    """Whom a route learns of, in the order in which policies number them: the reference first."""
    return tuple(dict.fromkeys((reference, *targets)))


def check_experiment(experiment: Experiment, routes: Collection[str], where: str) -> None:
    """Refuse an experiment that could not be run.

    Raises:
        BadConfig: as `learned_of`.
    """
    check_word(experiment.route, routes, f"{where} route")
    _check_named(experiment.unit, UNITS, f"{where} unit")
    check_word(experiment.metric, MEASURED, f"{where} metric")
    for guardrail in experiment.guardrails:
        check_word(guardrail, MEASURED, f"{where} guardrails")
        if guardrail == experiment.metric:
            raise BadConfig(f'{where} guardrails: "{guardrail}" is the metric already.')
    if len(experiment.variants) < 2:
        raise BadConfig(
            f"{where} variants: {len(experiment.variants)} cannot be compared; write two or more."
        )
    _check_different(experiment.variants, f"{where} variants")


def _check_candidates(variants: Mapping[str, Variant], targets: Sequence[str], where: str) -> None:
    for name, variant in variants.items():
        place = f"{where}.{name}"
        if "/" in name or not name:
            raise BadConfig(f'{place}: a name with "/" is a target\'s; choose another one.')
        if not variant.target:
            raise BadConfig(f"{place} target: say who is asked; one of {', '.join(targets)}.")
        check_word(variant.target, targets, f"{place} target")
        if variant == Variant(target=variant.target):
            raise BadConfig(f"{place}: is {variant.target} and nothing else, which is in try.")
    _check_different(variants, where)


def _check_different(variants: Mapping[str, Variant], where: str) -> None:
    seen: dict[Variant, str] = {}
    for name, variant in variants.items():
        if seen.setdefault(variant, name) != name:
            raise BadConfig(f'{where}.{name}: is the same as "{seen[variant]}".')
        _check_cascade(variant, f"{where}.{name}")


def _check_cascade(variant: Variant, where: str) -> None:
    for number, judge in enumerate(variant.verify):
        _check_judge(judge, f"{where} verify")
        if judge in variant.verify[:number]:
            raise BadConfig(f'{where} verify: "{judge}" stands there twice.')
    if bool(variant.verify) != bool(variant.escalate):
        raise BadConfig(f"{where}: write both verify and escalate, or neither.")
    if variant.escalate and not variant.target:
        raise BadConfig(f"{where}: say as target who is asked before {variant.escalate}.")
    if variant.escalate and variant.escalate == variant.target:
        raise BadConfig(
            f'{where} escalate: "{variant.escalate}" is who was asked already; name a better one.'
        )


def spend_of(text: str, where: str) -> Spend:
    """What `learn.spend` says.

    Raises:
        BadConfig: it is neither a share of savings nor dollars in a window.
    """
    match = _PERCENT.fullmatch(text)
    if match and float(match[1]) <= 100:
        return Spend(share=float(match[1]) / 100)
    return Spend(cap=dollars_of(text, where, '"20% of savings"'))


def dollars_of(text: str, where: str, other: str) -> Cap:
    """Dollars in a window; `other` is what else could be written.

    Raises:
        BadConfig: it is something else.
    """
    try:
        limits = parse(text)
        if len(limits.caps) == 1 and not limits.rates and not limits.parallel:
            return limits.caps[0]
    except ValueError:
        pass
    raise BadConfig(f'{where}: "{text}" cannot be read; write {other} or dollars as "$5/hour".')


def check_word(given: str, valid: Iterable[str], where: str) -> None:
    """Refuse a word that is none of these.

    Raises:
        BadConfig: naming the nearest.
    """
    words = list(dict.fromkeys(valid))
    if given not in words:
        near = get_close_matches(given, words, 1)
        advice = f'did you mean "{near[0]}"?' if near else f"valid: {', '.join(words) or 'none'}."
        raise BadConfig(f'{where}: "{given}" is not valid; {advice}')


def _check_named(given: str, valid: Sequence[str], where: str) -> None:
    if not _NAMED.fullmatch(given):
        check_word(given, valid, where)


def _check_judge(given: str, where: str) -> None:
    if "/" not in given and not re.fullmatch(r"models\..+", given):
        check_word(given, (*VERIFIERS, "models.NAME", "provider/model"), where)


def _check_then(then: Then, targets: Sequence[str], where: str) -> None:
    told = {name: getattr(then, name) for name in Then.__struct_fields__}
    given = [name for name, value in told.items() if value is not None]
    if len(given) != 1:
        raise BadConfig(
            f"{where}: has {' and '.join(given) or 'nothing'}; write exactly one of "
            f"{', '.join(told)}."
        )
    for name in ("switch", "escalate"):
        if told[name] is not None:
            check_word(told[name], targets, f"{where}.{name}")
    if isinstance(then.cap, str):
        dollars_of(then.cap, f"{where}.cap", "a share from 0 to 1")
    if then.alert is False or then.alert == "":
        raise BadConfig(f"{where}.alert: write true, or a name for it.")
