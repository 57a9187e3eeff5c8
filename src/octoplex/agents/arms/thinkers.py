"""The planner and the judge as arms, for who wants one of them by itself.

    planner.plan    {"goal": "...", "constraints": [...], "context": "..."}  -> a plan, as JSON
    judge.validate  {"output": ..., "criteria": [...], "goal": "..."}  -> {"passed", "verdicts"}

They are what the orchestrator plans and judges with. Making a plan runs none of it, and a plan that
came out of a step is data: nothing carries it out.
"""

from collections.abc import Sequence

import msgspec

from octoplex.agents.arms.actions import Acts, Doing
from octoplex.agents.arms.asking import Asking
from octoplex.agents.arms.form import BOOLEAN, OBJECT, TEXT, list_of, schema_of, text_of
from octoplex.agents.faults import Terms, criterion_faults
from octoplex.agents.judge import Subject, judged
from octoplex.agents.plan import Criterion, Plan
from octoplex.agents.planner import Wish, planned
from octoplex.agents.schemas import Schemas
from octoplex.agents.words import Failed, Offer, Outcome
from octoplex.wire.error import InvalidCall

MOST_STEPS = 60
PLAN = Offer(
    "planner.plan",
    "Plan how to reach a goal with the arms of this agent, without doing it.",
    schema_of(
        {
            "goal": text_of("What shall be reached."),
            "constraints": list_of(TEXT),
            "context": text_of("What is known.", 50_000),
        },
        "goal",
    ),
    {**OBJECT, "required": ["steps"]},
    timeout_s=300.0,
    cost_tier=4,
)
VALIDATE = Offer(
    "judge.validate",
    "Check an output against criteria: what can be measured, then by a model.",
    schema_of(
        {
            "output": {"description": "What is checked: any value."},
            "criteria": list_of(OBJECT, least=1),
            "goal": text_of("What was to be done."),
        },
        "output",
        "criteria",
    ),
    schema_of({"passed": BOOLEAN, "verdicts": {"type": "array"}}, "passed", "verdicts"),
    needs=("read:workspace?",),
    timeout_s=300.0,
    cost_tier=3,
)


def planner(offers: Sequence[Offer]) -> Acts:
    """The planner, for plans of these actions."""

    async def plan(doing: Doing) -> Outcome:
        inputs, asking = doing.inputs, Asking(doing)
        wish = Wish(
            goal=inputs["goal"],
            constraints=tuple(inputs.get("constraints", ())),
            context=inputs.get("context", ""),
            model=doing.order.model,
            terms=Terms(
                offers={offer.name: offer for offer in offers},
                schemas=Schemas(),
                steps=MOST_STEPS,
                allow=doing.world.allow,
            ),
        )
        made = await planned(wish, asking.ask)
        output = msgspec.json.decode(msgspec.json.encode(made))
        return asking.outcome(output, _in_words(made), is_untrusted=doing.order.is_tainted)

    return ((PLAN, plan),)


def _in_words(plan: Plan) -> str:
    return "\n".join(f"{step.id}: {step.arm} {step.why}".strip() for step in plan.steps)


async def _validate(doing: Doing) -> Outcome:
    inputs, asking = doing.inputs, Asking(doing)
    try:
        criteria = msgspec.convert(inputs["criteria"], tuple[Criterion, ...])
    except msgspec.ValidationError as error:
        raise InvalidCall(f"criteria: {error}") from None
    if wrong := [why for one in criteria for why in criterion_faults(one)]:
        raise Failed("refused", "; ".join(wrong))
    files = [one.path for one in criteria if one.kind == "file"]
    if not all(doing.grant.may(f"read:workspace/{path}") for path in files):
        raise Failed("refused", "A criterion looks at a file, but this step may not read it.")
    subject = Subject(
        goal=inputs.get("goal", ""), output=inputs["output"], workspace=doing.world.workspace
    )
    verdicts = await judged(criteria, subject, asking.ask, doing.order.model)
    passed = len(verdicts) == len(criteria) and all(one.passed for one in verdicts)
    output = {"passed": passed, "verdicts": msgspec.to_builtins(verdicts)}
    said = "; ".join(f"{'met' if v.passed else 'not met'}: {v.what}" for v in verdicts)
    return asking.outcome(output, said, is_untrusted=doing.order.is_tainted)


JUDGE: Acts = ((VALIDATE, _validate),)
