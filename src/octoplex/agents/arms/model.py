"""The model as an arm: a plan has it read, judge, translate or write, and gets text or JSON.

    model.ask  {"prompt": "What is sold most?", "data": rows, "schema": {...}}
               -> {"text": "...", "value": {...}}

The prompt is the plan's; what stands in `data` is only shown (`quoting.py`). Nothing of the
machine or the workspace comes with it.
"""

from typing import Any

import msgspec

from octoplex.agents.arms.actions import Actions, Doing, schema_of, text_of
from octoplex.agents.arms.asking import Asking
from octoplex.agents.capability import Checker
from octoplex.agents.schemas import Schemas
from octoplex.agents.words import Failed, Offer, Outcome

INSTRUCTION = "You carry out one step of a plan. Answer with what the step asks for, nothing else."
MOST_TOKENS = 4_096
"""Of an answer, where the plan says nothing of it; so much is reserved, too."""
_REFERS = ("$ref", "$dynamicRef", "$recursiveRef")
ASK = Offer(
    "model.ask",
    "Have a language model write, summarise, translate, decide or extract.",
    schema_of(
        {
            "prompt": text_of(
                "What it shall do, in words of the plan; text of others goes in `data`."
            ),
            "data": {"description": "What it shall do it with: any value."},
            "schema": {"type": "object", "description": "The JSON Schema of `value`, if wanted."},
            "max_tokens": {"type": "integer", "minimum": 16, "maximum": 32_768},
        },
        "prompt",
    ),
    schema_of({"text": {"type": "string"}, "value": {"description": "With a schema only."}}),
    timeout_s=300.0,
    cost_tier=3,
)


def model_arm(checker: Checker | None = None) -> Actions:
    """The model."""
    return Actions([(ASK, _ask)], checker)


async def _ask(doing: Doing) -> Outcome:
    inputs, asking = doing.inputs, Asking(doing)
    data = {"data": inputs["data"]} if "data" in inputs else {}
    instruction = f"{INSTRUCTION}\n\nThe step: {inputs['prompt']}" if data else inputs["prompt"]
    schema, most = inputs.get("schema"), inputs.get("max_tokens", MOST_TOKENS)
    if schema is None:
        text = await asking.text(instruction, data, most)
        output: dict[str, Any] = {"text": text}
    else:
        if why := _unusable(schema):
            raise Failed("refused", f"`schema` cannot be used: {why}.")
        value = await asking.value(instruction, data, schema, most)
        text = msgspec.json.encode(value).decode()
        output = {"text": text, "value": value}
    return asking.outcome(output, text, is_untrusted=doing.order.is_tainted)


def _unusable(schema: dict[str, Any]) -> str:
    """Why a schema that a model wrote is not used, "" when it is.

    One that refers to itself can make a check take hours.
    """
    if _has(schema, _REFERS):
        return "it refers to another schema; write it in its place"
    return Schemas().refusal(schema)


def _has(value: Any, names: tuple[str, ...]) -> bool:
    if isinstance(value, dict):
        return any(name in value for name in names) or any(
            _has(part, names) for part in value.values()
        )
    return isinstance(value, list) and any(_has(part, names) for part in value)
