"""Claude as a cloud serves it: Anthropic's words, with the cloud's own around them.

    api.anthropic.com               a cloud
    `model` in the body             in the path
    `anthropic-version: ...`        `anthropic_version` in the body, of another value
    any beta                        those that the cloud knows; it answers 400 to any other one
    media by URL, ids of files      bytes alone

A caller of Anthropic's face passes verbatim: every other member, and every event, as it came.
A beta that the cloud does not know is a hint: it is dropped and named.

Reference: https://platform.claude.com/docs/en/build-with-claude/vision (bytes alone) and
https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-search-tool (`RENAMED`)

Not promised: that each model of a cloud takes each of the cloud's betas.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Raw

from octoplex.dialects.anthropic.request import NAME, write_count, write_request
from octoplex.dialects.anthropic.upstream import Anthropic
from octoplex.dialects.dialect import Encoded, Traits
from octoplex.dialects.verbatim import join, split
from octoplex.wire.chat import Chat

BETAS = "anthropic-beta"
RENAMED = MappingProxyType({"advanced-tool-use-2025-11-20": "tool-search-tool-2025-10-19"})
"""Betas that the clouds know under another name."""


class Cloud(Anthropic):
    """What the clouds share. Implements `Form`; a class below it says the rest."""

    words = NAME
    model_in_body = False
    uncounted = frozenset({400, 403, 404})
    """A cloud counts for some models, in some regions, by a permission of its own."""
    version: str
    betas: frozenset[str]

    def serves(self, model: str) -> bool:
        """Every model: nothing else is sold where the path says `anthropic`."""
        return True

    def encode_chat(self, chat: Chat, traits: Traits) -> Encoded:
        written = write_request(chat, traits, self.name)
        sealed = self.seal(split(written.body), {})
        return Encoded(sealed.body, written.dropped, sealed.headers, written.loose)

    def encode_count(self, chat: Chat, traits: Traits) -> Encoded:
        written = write_count(chat, traits, self.name)
        return Encoded(self.seal_count(split(written.body), traits.model), written.dropped)

    def seal(self, fields: Mapping[str, Raw], headers: Mapping[str, str]) -> Encoded:
        """The members without `model` and with the version, and the betas in their place."""
        body = {**fields, "anthropic_version": Raw(msgspec.json.encode(self.version))}
        body.pop("model", None)
        kept, dropped = self._known(headers.get(BETAS, ""))
        told = self.place(kept, body)
        return Encoded(join(body), dropped, told)

    def place(self, betas: list[str], body: dict[str, Raw]) -> tuple[tuple[str, str], ...]:
        """Put the betas where this cloud reads them; the headers for that."""
        return ((BETAS, ",".join(betas)),) if betas else ()

    def seal_count(self, fields: Mapping[str, Raw], model: str) -> bytes:
        """The request that counts: one operation for all models, so the body names the model."""
        return join({**fields, "model": Raw(msgspec.json.encode(model))})

    def _known(self, betas: str) -> tuple[list[str], tuple[str, ...]]:
        """The betas that this cloud knows, and those that it does not."""
        asked = [beta for text in betas.split(",") if (beta := text.strip())]
        named = [RENAMED.get(beta, beta) for beta in asked]
        kept = list(dict.fromkeys(beta for beta in named if beta in self.betas))
        return kept, tuple(beta for beta in named if beta not in self.betas)
