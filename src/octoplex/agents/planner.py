"""A plan from a model: asked for in the form that it must have, looked at, and sent back with what
is wrong with it, at most three times.

    wish = Wish(goal=..., terms=terms, model="main")
    draft = await drafted(wish, ask, [])                  one answer: a plan, or what is wrong
    plan = await planned(wish, ask)                       raises Failed("refused" | "failed")

The goal and its constraints are the instruction, as the caller's own words; everything else
(context, what steps gave, why one failed) goes in as data. The answer is JSON that is valid against
the form of a plan with these arms, which a model on this machine can be held to token by token;
what only `faults` can know goes back as reasons.

Not promised: a good plan. Each criterion is checked at the end whoever planned.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from octoplex.agents.capability import lacking
from octoplex.agents.faults import Terms, faults
from octoplex.agents.plan import Plan
from octoplex.agents.quoting import asked, said
from octoplex.agents.words import Ask, Failed, Offer
from octoplex.wire.event import Refusal

MOST_ASKS = 4
"""The first, and three with reasons."""
MOST_SMALL = 3
"""Steps in the plan of a small model."""
_MOST_OUTPUT = 1_500
"""Characters of what a finished step gave, as a planner sees it."""
_RULES = """You plan how to reach a goal, as a graph of steps that tools called arms carry out.

Rules:
- Use only the arms listed under "arms" in the data, with inputs as their schemas say.
- {"$from": STEP, "at": POINTER} stands for a part of an earlier step's output (JSON Pointer, "" \
is all of it). A step that refers to another waits for it; steps that do not depend on each other \
run at the same time, so refer to what is needed and to nothing else.
- "each": a reference to a list runs the step once for every element; inside its inputs \
{"$item": POINTER} stands for a part of the element. Its output is the list of outputs.
- "when": {"step", "at", "is_", "value"} runs a step only if that holds. "after": steps to wait \
for whose output is not needed.
- "criteria" say what must be true of a step's outcome; those that can be measured are best: \
{"kind": "file", "path": "out.png"}, {"kind": "exit"}, {"kind": "contains", "at": "/text", \
"value": "x"}, {"kind": "matches"}, {"kind": "equals"}, {"kind": "schema"}; else {"kind": "model", \
"text": "what must be true"}.
- "answer" is what the caller gets: a reference, or JSON with references.
- As few steps as reach the goal. If it cannot be reached with these arms, or must not be, answer \
with no steps and say why in "why"."""
_SHORT = """Plan how to reach the goal with the arms below. Answer with JSON: steps, \
each with id, arm and inputs, and the answer. To use what an earlier step gave, write \
{"$from": "s1", "at": "/text"}. Use as few steps as possible, often one. The arms:"""


_EXAMPLES = ("Say which day follows Monday.", "Write two lines about rain.")


class Wish(Struct, frozen=True, kw_only=True):
    """What a plan is wanted for. `failed`: why an earlier plan did not do, step by step."""

    goal: str
    terms: Terms
    model: str
    context: str = ""
    constraints: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()
    is_small: bool = False
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Of the steps that are done, which the plan may refer to."""
    failed: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    """Steps that failed, as `deed` writes them: to do just the same again is no plan."""


class Draft(Struct, frozen=True):
    """One answer of a planner: a plan, or what is wrong with it, or why there is none."""

    plan: Plan | None = None
    reasons: tuple[str, ...] = ()
    refused: str = ""
    text: str = ""
    nanos: int = 0
    tokens: int = 0


async def planned(wish: Wish, ask: Ask) -> Plan:
    """A plan without faults, of a planner by itself.

    Raises:
        Failed: it refuses, or no plan of it will do.
    """
    rejected: list[Draft] = []
    while len(rejected) < MOST_ASKS:
        draft = await drafted(wish, ask, rejected)
        if draft.plan is not None and not draft.reasons:
            return draft.plan
        if draft.refused:
            raise Failed("refused", draft.refused)
        rejected.append(draft)
    raise unplannable(rejected)


def unplannable(rejected: Sequence[Draft]) -> Failed:
    """What ends a task whose planner makes no plan."""
    why = "; ".join(rejected[-1].reasons)
    return Failed("failed", f"{len(rejected)} plans were rejected, the last one because {why}")


async def drafted(wish: Wish, ask: Ask, rejected: Sequence[Draft]) -> Draft:
    """Ask once. `rejected`: the answers so far, which are shown with their reasons."""
    reply, nanos = await ask(wish.model, request(wish, rejected))
    tokens = reply.usage.input_tokens + reply.usage.output_tokens
    said_no = "".join(b.text for b in reply.blocks if isinstance(b, Refusal))
    if said_no or reply.stop == "refusal":
        why = said_no or reply.text or "it says no more"
        return Draft(refused=f"the planner refuses: {why[:500]}", nanos=nanos, tokens=tokens)
    draft = _read(wish, reply.text)
    return msgspec.structs.replace(draft, text=reply.text[:8_000], nanos=nanos, tokens=tokens)


def _read(wish: Wish, text: str) -> Draft:
    try:
        spoken = said(text)
        if isinstance(spoken, dict) and spoken.get("steps") == []:
            why = str(spoken.get("why") or "it gives no reason")
            return Draft(refused=f"the planner sees no way: {why[:500]}")
        plan = msgspec.convert(spoken, Plan)
    except (ValueError, msgspec.ValidationError) as error:
        return Draft(reasons=(f"this is no plan: {str(error)[:300]}",))
    wrong = faults(plan, wish.terms)
    again = [s.id for s in plan.steps if deed(s.arm, s.inputs) in wish.tried]
    wrong += [f'step "{one}" does just what failed before: do something else' for one in again]
    return Draft(plan=plan, reasons=tuple(wrong))


def deed(action: str, inputs: Any) -> str:
    """What a step does, to be compared."""
    return msgspec.json.encode([action, inputs], order="deterministic").decode()


def request(wish: Wish, rejected: Sequence[Draft]) -> bytes:
    """The body of the call."""
    data: dict[str, Any] = {}
    words = [f"Goal: {wish.goal}", *(f"Constraint: {one}" for one in wish.constraints)]
    words += [f"At the end it is checked that: {one}" for one in wish.criteria]
    if wish.outputs or wish.failed:
        words.append(
            'Steps under "done" are done: refer to them, do not do them again. Those under '
            '"failed" failed: plan only what is still missing, another way. Give the answer anew.'
        )
    if wish.context:
        data["context"] = wish.context
    if wish.outputs:
        data["done"] = {name: _cut(output) for name, output in wish.outputs.items()}
    if wish.failed:
        data["failed"] = wish.failed
    if rejected:
        words.append('Your plan under "rejected" was rejected for those reasons: mend it.')
        last = rejected[-1]
        data["rejected"] = {"plan": last.text, "reasons": last.reasons}
    if wish.is_small:
        return _short_request(wish, words, data)
    data["arms"] = [_shown(offer) for offer in usable(wish.terms)]
    return asked("\n".join([_RULES, *words]), data, form(wish))


def _short_request(wish: Wish, words: list[str], data: dict[str, Any]) -> bytes:
    """The goal last, where a small model still knows it, after an example of another one."""
    arms = [f"{offer.name}: {offer.description}" for offer in usable(wish.terms)]
    body = msgspec.json.decode(asked("\n".join([_SHORT, *arms]), data, form(wish), 512))
    rules, *shown = body["messages"]
    goal = "\n".join([*words, *(f"Data: {turn['content']}" for turn in shown)])
    turns = [{**rules, "role": "system"}, *_example(wish), {"role": "user", "content": goal}]
    return msgspec.json.encode(body | {"messages": turns})


def _example(wish: Wish) -> list[dict[str, str]]:
    """Goals and plans of one step, so that a small model sees how one looks. One is not enough:
    it would be repeated, goal and all."""
    texts = [
        offer
        for offer in usable(wish.terms)
        if len(offer.input_schema.get("required", [])) == 1
        and _is_text(offer.input_schema, offer.input_schema["required"][0])
        and _is_text(offer.output_schema, "text")
    ]
    if not texts:
        return []
    offer = max(texts, key=lambda one: one.cost_tier)
    turns = []
    for goal in _EXAMPLES:
        inputs = {offer.input_schema["required"][0]: goal}
        step = {"id": "s1", "arm": offer.name, "inputs": inputs}
        plan = {"steps": [step], "answer": {"$from": "s1", "at": "/text"}}
        turns.append({"role": "user", "content": f"Goal: {goal}"})
        turns.append({"role": "assistant", "content": msgspec.json.encode(plan).decode()})
    return turns


def _is_text(schema: dict[str, Any], name: str) -> bool:
    one = schema.get("properties", {}).get(name)
    return isinstance(one, dict) and one.get("type") == "string"


def _cut(output: Any) -> Any:
    text = msgspec.json.encode(output).decode()
    return output if len(text) <= _MOST_OUTPUT else f"{text[:_MOST_OUTPUT]}... (cut off)"


def _shown(offer: Offer) -> dict[str, Any]:
    shown: dict[str, Any] = {"arm": offer.name, "does": offer.description}
    shown["inputs"] = offer.input_schema
    if offer.output_schema:
        shown["output"] = offer.output_schema
    if offer.effect != "none":
        shown["effect"] = offer.effect
    return shown | {"cost": offer.cost_tier}


_TEXT = {"type": "string"}
_SHORT_TEXT = {"type": "string", "maxLength": 300}


def form(wish: Wish) -> dict[str, Any]:
    """The JSON Schema of a plan with these arms.

    One alternative per arm, so that a model that is held to it can name no other and leaves out no
    input. Inputs have the types of their schemas, or are references; no patterns or lengths, which
    grammars are bad at.
    """
    if wish.is_small:
        return _small_form(wish)
    ways = [_step_form(offer) for offer in usable(wish.terms)]
    steps = {"type": "array", "items": {"anyOf": ways}, "maxItems": max(1, wish.terms.steps)}
    return _object({"why": _TEXT, "steps": steps, "answer": {}}, ["steps", "answer"])


def usable(terms: Terms) -> list[Offer]:
    """The offers that nothing which they always need is missing for."""
    return [o for o in terms.offers.values() if not lacking(terms.allow, o.needs, {})]


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


_REFERENCE = _object({"$from": _TEXT, "at": _TEXT}, ["$from", "at"])
_ITEM = _object({"$item": _TEXT}, ["$item"])


def _step_form(offer: Offer) -> dict[str, Any]:
    properties = offer.input_schema.get("properties", {})
    inputs = {name: _value_form(one, _REFERENCE, _ITEM) for name, one in properties.items()}
    required = list(offer.input_schema.get("required", []))
    shape = _object(inputs, required) if inputs else {"type": "object"}
    arm = {"type": "string", "enum": [offer.name]}
    return _object({"id": _TEXT, "arm": arm, "inputs": shape, **_OPTIONAL}, ["id", "arm", "inputs"])


def _value_form(schema: Any, *references: dict[str, Any]) -> dict[str, Any]:
    own = {}
    if isinstance(schema, dict):
        own = {word: schema[word] for word in ("type", "enum", "const") if word in schema}
        own |= {"items": {}} if own.get("type") == "array" else {}
    return {"anyOf": [own, *references]} if own else {}


def _small_form(wish: Wish) -> dict[str, Any]:
    """A form that leaves little to go wrong: one alternative for each number of steps, whose ids
    are given, which refer only to earlier ones, and the last of which is the answer."""
    offers, most = usable(wish.terms), max(1, min(wish.terms.steps, MOST_SMALL))
    texts = {
        f"/{name}"
        for offer in offers
        for name, one in offer.output_schema.get("properties", {}).items()
        if isinstance(one, dict) and one.get("type") == "string"
    }
    pointers = sorted(texts) or [""]
    done = [*wish.outputs]
    shared = {
        f"step{n}": {"anyOf": [_small_step(offer, n, done, pointers) for offer in offers]}
        for n in range(1, most + 1)
    }
    ways = []
    for n in range(1, most + 1):
        items = [{"$ref": f"#/$defs/step{i}"} for i in range(1, n + 1)]
        steps = {"type": "array", "prefixItems": items, "minItems": n, "maxItems": n}
        answer = _reference_to([f"s{n}"], pointers)
        ways.append(_object({"steps": steps, "answer": answer}, ["steps", "answer"]))
    return {"anyOf": ways, "$defs": shared}


def _reference_to(names: list[str], pointers: list[str]) -> dict[str, Any]:
    return _object({"$from": {"enum": names}, "at": {"enum": pointers}}, ["$from", "at"])


def _small_step(offer: Offer, n: int, done: list[str], pointers: list[str]) -> dict[str, Any]:
    earlier = done + [f"s{i}" for i in range(1, n)]
    references = [_reference_to(earlier, pointers)] if earlier else []
    required = list(offer.input_schema.get("required", []))
    inputs: dict[str, Any] = {}
    for name, one in offer.input_schema.get("properties", {}).items():
        kind = one.get("type") if isinstance(one, dict) else None
        if kind in (None, "string"):
            inputs[name] = {"anyOf": [_SHORT_TEXT, *references]}
        elif name in required:
            few = {"type": "array", "items": _SHORT_TEXT, "minItems": 1, "maxItems": 6}
            inputs[name] = few if kind == "array" else _value_form(one)
    properties = {
        "id": {"enum": [f"s{n}"]},
        "arm": {"enum": [offer.name]},
        "inputs": _object(inputs, required),
    }
    return _object(properties, ["id", "arm", "inputs"])


_OPTIONAL = {
    "why": _TEXT,
    "after": {"type": "array", "items": _TEXT},
    "each": {},
    "when": _object(
        {
            "step": _TEXT,
            "at": _TEXT,
            "is_": {"enum": ["equal", "unequal", "above", "below", "there", "missing"]},
            "value": {},
        },
        ["step", "is_"],
    ),
    "criteria": {
        "type": "array",
        "items": _object(
            {
                "kind": {
                    "enum": ["schema", "exit", "file", "contains", "matches", "equals", "model"]
                },
                "text": _TEXT,
                "at": _TEXT,
                "path": _TEXT,
                "value": {},
            },
            ["kind"],
        ),
    },
    "share": {"type": "number"},
    "effect": {"enum": ["none", "repeatable", "once"]},
    "timeout_s": {"type": "number"},
    "attempts": {"type": "integer"},
}
