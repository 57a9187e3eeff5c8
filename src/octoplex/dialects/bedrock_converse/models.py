"""What the models behind Converse differ in, as far as a request must know.

    maker            thinking asked for by         cache points       top_k
    Claude           thinking / output_config      everywhere         top_k
    Nova 2           reasoningConfig               not after tools    inferenceConfig.topK
    Nova             nothing                       not after tools    inferenceConfig.topK
    gpt-oss          reasoning_effort              none               none
    any other        nothing                       none               none

These fields go into `additionalModelRequestFields`. A model is known by its name; the ARN
of an application inference profile does not show one, and falls under the last row. What
the generations of Claude differ in is `anthropic/families.py`'s.

Reference: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html and
https://docs.aws.amazon.com/nova/latest/nova2-userguide/using-converse-api.html

Not promised: that a model of the last row takes tools, images or documents at all.
"""

import re
from typing import Literal

from msgspec import Struct

Maker = Literal["claude", "nova-2", "nova", "gpt-oss", "other"]

_MAKERS: tuple[tuple[str, Maker], ...] = (
    ("claude", "claude"),
    ("amazon.nova-2", "nova-2"),
    ("amazon.nova", "nova"),
    ("openai.gpt-oss", "gpt-oss"),
)
_VERSION = re.compile(r"claude-[a-z]+-(\d)(?:-(\d{1,2}))?(?!\d)")
_LACKS_SCHEMAS = re.compile(r"claude-(?:\d|v|instant)|(?:amazon|meta|cohere|ai21|writer)\.")
"""Of the older Claude and of these makers' models none is listed as held to a schema."""


class Model(Struct, frozen=True):
    """One model. `caches_hours`: a cache point may be kept for an hour.

    `schemas`: it can be held to a JSON Schema.
    """

    maker: Maker
    caches_hours: bool = False
    schemas: bool = True

    @property
    def caches(self) -> bool:
        """Whether it takes cache points; any other model answers one with an error."""
        return self.maker in ("claude", "nova-2", "nova")

    @property
    def caches_tools(self) -> bool:
        """Whether a cache point may follow a tool."""
        return self.maker == "claude"


def model_of(name: str) -> Model:
    """The row of the table above."""
    maker: Maker = next((m for mark, m in _MAKERS if mark in name), "other")
    found = _VERSION.search(name)
    version = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
    new = version >= (4, 5)
    schemas = new if found else _LACKS_SCHEMAS.search(name) is None
    return Model(maker, new, schemas)
