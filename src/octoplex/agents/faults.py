"""What is wrong with a plan, in words that a planner can act on. Nothing runs before it is nothing.

    faults(plan, Terms(offers, steps=60, allow=("read:workspace",)))     -> ["step \"plot\": ..."]

Inputs are measured against the JSON Schemas of the offers; a reference stands for anything, but
where the output that it points into has a schema, the pointer must lead somewhere in that, and
to something of a type that fits.

Not promised: that inputs fit which only a run can know; they are measured again, as values, before
a step begins.
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from msgspec import Struct, field

from octoplex.agents.capability import lacking
from octoplex.agents.plan import Criterion, Plan, Step
from octoplex.agents.references import escaped, parts_of, references, sources
from octoplex.agents.schemas import DEEPEST, Schemas, fits, inside, is_too_deep, refers_elsewhere
from octoplex.agents.words import Effect, Offer
from octoplex.reflex.guard.engine import Finder, re2

GRAVITY: dict[Effect, int] = {"none": 0, "repeatable": 1, "once": 2}
MOST_SAID = 12
"""Faults that are told at once; a planner that gets a page of them mends none."""


class Terms(Struct, frozen=True):
    """What a plan must keep to. `done`: steps of an earlier plan, with the schemas of their
    outputs ({} where unknown), which this one may refer to."""

    offers: Mapping[str, Offer]
    schemas: Schemas
    steps: int = 60
    allow: tuple[str, ...] = ()
    done: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def before(step: Step) -> set[str]:
    """The steps that must have ended before this one can begin."""
    found = set(step.after) | sources(step.inputs) | sources(step.each)
    return found | {step.when.step} if step.when else found


def gravest(step: Step, offer: Offer) -> Effect:
    """What a step leaves: as its arm says, or as the plan says where that is graver."""
    return max(step.effect or "none", offer.effect, key=GRAVITY.__getitem__)


def faults(plan: Plan, terms: Terms) -> list[str]:
    """All that is wrong, most basic things first; at most `MOST_SAID`."""
    values = [plan.answer, *([s.inputs, s.each, [c.value for c in s.criteria]] for s in plan.steps)]
    if is_too_deep(values):
        return [f"the plan has values that are nested more than {DEEPEST} times: make them flatter"]
    found = [*_of_ids(plan, terms), *_of_graph(plan, terms)]
    found = found or [f for step in plan.steps for f in _of_step(step, plan, terms)]
    found = found or [*_of_answer(plan, terms), *_orphans(plan, terms)]
    return [*found, *_of_shares(plan)][:MOST_SAID]


def _of_ids(plan: Plan, terms: Terms) -> Iterator[str]:
    if len(plan.steps) > terms.steps:
        yield f"the plan has {len(plan.steps)} steps, at most {terms.steps} are left: join some"
    seen: set[str] = set()
    for step in plan.steps:
        if step.id in seen:
            yield f'two steps have the id "{step.id}": give each its own'
        seen.add(step.id)
        if step.id in terms.done:
            yield f'step "{step.id}" is done already: refer to it, or choose another id'


def _of_graph(plan: Plan, terms: Terms) -> Iterator[str]:
    ids = {step.id for step in plan.steps}
    known = ids | set(terms.done)
    lost = False
    for step in plan.steps:
        for other in sorted(before(step) - known):
            lost = True
            yield f'step "{step.id}" refers to "{other}", but there is no such step'
        if step.id in before(step):
            lost = True
            yield f'step "{step.id}" waits for itself'
    if lost:
        return
    try:
        TopologicalSorter({s.id: before(s) & ids for s in plan.steps}).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        yield f"these steps wait for each other in a circle: {circle}; take one reference out"


def _of_step(step: Step, plan: Plan, terms: Terms) -> Iterator[str]:
    where = f'step "{step.id}"'
    offer = terms.offers.get(step.arm)
    if offer is None:
        yield f'{where}: there is no arm "{step.arm}"; there are {", ".join(sorted(terms.offers))}'
        return
    for need in lacking(terms.allow, offer.needs, step.inputs):
        granted = ", ".join(terms.allow) or "nothing"
        yield f'{where}: "{step.arm}" needs "{need}", which is not allowed; allowed: {granted}'
    if step.effect and GRAVITY[step.effect] < GRAVITY[offer.effect]:
        said = f'"{step.effect}", but that of "{step.arm}" is "{offer.effect}"'
        yield f"{where}: its effect is said to be {said}: leave effect out"
    if step.each is None and any("$item" in ref for _, ref in references(step.inputs)):
        yield f'{where}: "$item" stands only in a step with "each"'
    yield from (f"{where}: {why}" for why in _of_each(step, plan, terms))
    yield from (f"{where}: {why}" for why in _of_inputs(step, offer, plan, terms))
    for criterion in step.criteria:
        yield from (f"{where}: {why}" for why in criterion_faults(criterion))


def _of_each(step: Step, plan: Plan, terms: Terms) -> Iterator[str]:
    each = step.each
    if each is None or isinstance(each, list | tuple):
        return
    if not (isinstance(each, dict) and set(each) <= {"$from", "at"} and "$from" in each):
        yield '"each" must be a list, or one reference {"$from": STEP, "at": POINTER}'
        return
    yield from _of_reference(each, "each", {"type": "array"}, plan, terms)


def _of_inputs(step: Step, offer: Offer, plan: Plan, terms: Terms) -> Iterator[str]:
    yield from terms.schemas.open_faults(offer.input_schema, step.inputs, "input")
    for place, ref in references(step.inputs):
        wanted = inside(offer.input_schema, parts_of(place))
        if "$item" in ref:
            yield from _of_pointer(ref.get("$item"), place)
        else:
            yield from _of_reference(ref, f"input {place}", wanted, plan, terms)


def _of_pointer(pointer: Any, place: str) -> Iterator[str]:
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        yield f'{place}: {pointer!r} is no JSON pointer: write "" or "/name"'


def _of_reference(
    ref: dict[str, Any], place: str, wanted: Any, plan: Plan, terms: Terms
) -> Iterator[str]:
    pointer = ref.get("at", "")
    wrong = list(_of_pointer(pointer, place))
    stray = sorted(set(ref) - {"$from", "at"})
    if stray:
        wrong.append(f'{place}: a reference has "$from" and "at" only, not {", ".join(stray)}')
    if wrong:
        yield from wrong
        return
    schema = _output_schema(str(ref["$from"]), plan, terms)
    there = inside(schema, parts_of(pointer))
    if there is None:
        names = ", ".join(f"/{escaped(n)}" for n in schema.get("properties", {})) or "other things"
        yield f'{place}: the output of "{ref["$from"]}" has no "{pointer}"; it has {names}'
    elif not fits(there, wanted):
        is_, must = there.get("type"), wanted.get("type")
        yield f'{place}: "{pointer}" of "{ref["$from"]}" is {is_}, but must be {must}'


def _output_schema(name: str, plan: Plan, terms: Terms) -> dict[str, Any]:
    if name in terms.done:
        return terms.done[name]
    step = next(s for s in plan.steps if s.id == name)
    offer = terms.offers.get(step.arm)
    return {} if offer is None else output_schema(step, offer)


def output_schema(step: Step, offer: Offer) -> dict[str, Any]:
    """What a step's output is valid against: of a map, a list of what its arm says."""
    return (
        offer.output_schema
        if step.each is None
        else {"type": "array", "items": offer.output_schema}
    )


def criterion_faults(criterion: Criterion) -> Iterator[str]:
    """What is wrong with a criterion by itself."""
    about = f'criterion "{criterion.kind}"'
    if criterion.at and not criterion.at.startswith("/"):
        yield f'{about}: "at" must be a JSON pointer: "" or "/name", not {criterion.at!r}'
    match criterion.kind:
        case "file" if not criterion.path or _escapes(criterion.path):
            yield f'{about}: "path" must name a file below the workspace, not {criterion.path!r}'
        case "model" if not criterion.text:
            yield f'{about}: "text" must say what has to be true'
        case "matches":
            yield from _of_pattern(about, criterion.value)
        case "contains" if criterion.value is None:
            yield f'{about}: "value" must be what the output contains'
        case "schema":
            yield from _of_schema(about, criterion.value)
        case _:
            pass


def _escapes(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/") or "\0" in path


def _of_pattern(about: str, pattern: Any) -> Iterator[str]:
    try:
        Finder(pattern)
    except (re2().error, AttributeError):  # or no text at all
        yield f'{about}: "value" must be a regular expression (RE2), not {pattern!r:.80}'


def _of_schema(about: str, schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict) or refers_elsewhere(schema):
        yield f'{about}: "value" must be a JSON Schema, written without "$ref"'
    elif why := Schemas().refusal(schema):
        yield f"{about}: {why}"


def _of_answer(plan: Plan, terms: Terms) -> Iterator[str]:
    known = {step.id for step in plan.steps} | set(terms.done)
    for place, ref in references(plan.answer):
        if "$item" in ref:
            yield 'the answer: "$item" stands only in a step with "each"'
        elif ref["$from"] not in known:
            yield f'the answer refers to "{ref["$from"]}", but there is no such step'
        else:
            yield from _of_reference(ref, f"answer {place}".strip(), {}, plan, terms)


def _orphans(plan: Plan, terms: Terms) -> Iterator[str]:
    used = sources(plan.answer).union(*(before(step) for step in plan.steps))
    if plan.answer is None:
        used |= {step.id for step in plan.steps}
    for step in plan.steps:
        offer = terms.offers[step.arm]
        if step.id not in used and gravest(step, offer) == "none" and not step.criteria:
            yield f'nobody uses the output of step "{step.id}": use it, or leave it out'


def _of_shares(plan: Plan) -> Iterator[str]:
    total = sum(step.share for step in plan.steps)
    if total > 1 + 1e-9:
        yield f"the shares of the steps add up to {total:g}: make it at most 1"
