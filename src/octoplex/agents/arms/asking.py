"""Models asked within a step: what they cost is counted, and ends it when its money is gone.

    asking = Asking(doing)
    value = await asking.value(instruction, data, schema)
    asking.outcome(output, text)

Where an answer is no JSON of its schema, the model is told so and asked once more.
"""

from collections.abc import Mapping
from typing import Any

from octoplex.agents.arms.actions import Doing, short
from octoplex.agents.quoting import MOST_TOKENS, asked, said
from octoplex.agents.schemas import Schemas
from octoplex.agents.words import Failed, Outcome
from octoplex.wire.event import Reply


class Asking:
    """The questions of one step. `nanos` and `tokens` are what they cost so far."""

    def __init__(self, doing: Doing) -> None:
        self._doing, self._schemas = doing, Schemas()
        self.nanos = self.tokens = 0

    async def text(
        self, instruction: str, data: Mapping[str, Any], most_tokens: int = MOST_TOKENS
    ) -> str:
        """What the worker's model says.

        Raises:
            Failed: the step's money is gone, or the answer is cut off or empty.
            GatewayError: it cannot be asked.
        """
        body = asked(instruction, data, None, most_tokens)
        reply, _ = await self.ask(self._doing.order.model, body)
        if reply.stop == "length":
            raise Failed("failed", "The model's answer was cut off; ask for less.")
        if not reply.text.strip():
            raise Failed("failed", f"The model said nothing ({reply.stop}).")
        return reply.text

    async def value(
        self,
        instruction: str,
        data: Mapping[str, Any],
        schema: dict[str, Any],
        most_tokens: int = MOST_TOKENS,
    ) -> Any:
        """What it says, as a value of this schema.

        Raises:
            Failed: as `text`, or what it says is none.
        """
        wrong = ""
        for _ in range(2):
            shown = {**data, "your_last_answer_was_wrong": wrong} if wrong else data
            body = asked(instruction, shown, schema, most_tokens)
            reply, _ = await self.ask(self._doing.order.model, body)
            try:
                value = said(reply.text)
            except ValueError as error:
                wrong = str(error)
                continue
            faults = self._schemas.faults(schema, value, "answer")
            if not faults:
                return value
            wrong = "; ".join(faults)
        raise Failed("failed", f"The model's answer is not what was asked for: {wrong}")

    async def ask(self, model: str, body: bytes) -> tuple[Reply, int]:
        """Ask a model, counted: as `World.ask`."""
        order = self._doing.order
        if self.nanos and self.nanos >= order.nanos:
            raise Failed(
                "budget", f"The money of this step is gone: {self.nanos:,} nano-dollars were spent."
            )
        reply, nanos = await self._doing.world.ask(model, body)
        self.nanos += nanos
        self.tokens += reply.usage.input_tokens + reply.usage.output_tokens
        return reply, nanos

    def outcome(self, output: Any, text: str, **more: Any) -> Outcome:
        """What came of the step, with what it cost."""
        return Outcome(
            output=output, text=short(text), nanos=self.nanos, tokens=self.tokens, **more
        )
