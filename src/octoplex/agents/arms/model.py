"""The model as an arm: a plan has it read, judge, translate or write, and gets text or JSON.

    model.ask  {"prompt": "What is sold most?", "data": rows, "schema": {...}}
               -> {"text": "...", "value": {...}}

The prompt is the plan's; what stands in `data` is only shown (`quoting.py`). Nothing of the
machine or the workspace comes with it.
"""

from typing import Any

import msgspec

from octoplex.agents.arms.actions import Acts, Doing
from octoplex.agents.arms.asking import Asking
from octoplex.agents.arms.form import INTEGER, OBJECT, TEXT, schema_of, text_of
from octoplex.agents.schemas import Schemas, refers_elsewhere
from octoplex.agents.words import Failed, Offer, Outcome

INSTRUCTION = "You carry out one step of a plan. Answer with what the step asks for, nothing else."
MOST_TOKENS = 4_096
"""Of an answer, where the plan says nothing of it; so much is reserved, too."""
ASK = Offer(
    "model.ask",
    "Have a language model write, summarise, translate, decide or extract.",
    schema_of(
        {
            "prompt": text_of(
                "What it shall do, in words of the plan; text of others goes in `data`."
            ),
            "data": {"description": "What it shall do it with: any value."},
            "schema": {**OBJECT, "description": "The JSON Schema of `value`, if wanted."},
            "max_tokens": {**INTEGER, "minimum": 16, "maximum": 32_768},
        },
        "prompt",
    ),
    schema_of({"text": TEXT, "value": {"description": "With a schema only."}}),
    timeout_s=300.0,
    cost_tier=3,
)


async def _ask(doing: Doing) -> Outcome:
    inputs, asking = doing.inputs, Asking(doing)
    data = {"data": inputs["data"]} if "data" in inputs else {}
    instruction = f"{INSTRUCTION}\n\nThe step: {inputs['prompt']}" if data else inputs["prompt"]
    schema, most = inputs.get("schema"), inputs.get("max_tokens", MOST_TOKENS)
    if schema is None:
        text = await asking.text(instruction, data, most)
        output: dict[str, Any] = {"text": text}
    else:
        refers = "it refers to another schema; write it in its place"
        if why := refers if refers_elsewhere(schema) else Schemas().refusal(schema):
            raise Failed("refused", f"`schema` cannot be used: {why}.")
        value = await asking.value(instruction, data, schema, most)
        text = msgspec.json.encode(value).decode()
        output = {"text": text, "value": value}
    return asking.outcome(output, text, is_untrusted=doing.order.is_tainted)


MODEL: Acts = ((ASK, _ask),)
