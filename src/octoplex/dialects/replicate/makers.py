"""What a model's input is called at Replicate: each maker has a schema of its own.

    maker                prompt, system           limit                   images
    OpenAI               system_prompt, messages  max_completion_tokens   image_input, many
    Google (Gemini)      system_instruction       max_output_tokens       images, many
    Anthropic            system_prompt            max_tokens, 1024 least  image, one
    any other (Llama)    system_prompt            max_tokens              none

A field that is not in a model's schema is a 422, so what a maker has no name for counts as
what the dialect has no word for.

Reference: https://replicate.com/openai/gpt-5/api/schema, and that page of
google/gemini-2.5-flash, anthropic/claude-4-sonnet and meta/meta-llama-3-70b-instruct

Not promised: that every model of a maker has every field; it says so itself.
"""

import re
from collections.abc import Mapping

from msgspec import Struct


class Maker(Struct, frozen=True, kw_only=True):
    """One row. `fields`: our field -> its name in the input. `images`: the most it takes."""

    fields: Mapping[str, str]
    limit: str = "max_tokens"
    least: int = 1
    system: str = "system_prompt"
    image: str = ""
    images: int = 0
    messages: bool = False
    """Whether a conversation may be told turn by turn."""

    @property
    def spoken(self) -> frozenset[str]:
        """The fields it has a name for."""
        media = {"image.url", "image.data"} if self.images else set()
        return frozenset(self.fields) | media


_SAMPLING = {"temperature": "temperature", "top_p": "top_p"}
_PENALTIES = {name: name for name in ("presence_penalty", "frequency_penalty")}
_MAKERS: tuple[tuple[re.Pattern[str], Maker], ...] = (
    (
        re.compile(r"openai/gpt-[34]"),
        Maker(
            fields=_SAMPLING | _PENALTIES,
            limit="max_completion_tokens",
            image="image_input",
            images=10,
            messages=True,
        ),
    ),
    (
        re.compile(r"openai/(gpt-5|o\d)"),
        Maker(
            fields={"thinking": "reasoning_effort"},
            limit="max_completion_tokens",
            image="image_input",
            images=10,
            messages=True,
        ),
    ),
    (
        re.compile(r"google/gemini"),
        Maker(
            fields=_SAMPLING,
            limit="max_output_tokens",
            system="system_instruction",
            image="images",
            images=10,
        ),
    ),
    (re.compile(r"anthropic/"), Maker(fields={}, least=1024, image="image", images=1)),
)
_OTHER = Maker(fields=_SAMPLING | _PENALTIES | {"top_k": "top_k", "stop": "stop_sequences"})


def maker_of(model: str) -> Maker:
    """The row of the table above."""
    return next((maker for name, maker in _MAKERS if name.match(model)), _OTHER)
