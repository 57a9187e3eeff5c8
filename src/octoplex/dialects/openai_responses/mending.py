"""A verbatim request whose model takes other words for how much to think, or none.

    {"reasoning": {"effort": "none", "summary": "auto"}}       what came
    {"reasoning": {"effort": "minimal", "summary": "auto"}}    at gpt-5, which cannot stop

OpenAI's models answer 400 to an effort that they lack (`efforts` in `catalog/families.toml`), and a
route or an alias may lead from one to another. What the model takes keeps its bytes. Sampling that
it refuses is left out where the route drops such fields; else it is the provider's to judge.

Cost where nothing is to be done: 0.1 us; 1 us with `reasoning`.

Reference: https://developers.openai.com/api/docs/guides/reasoning

Not promised: anything at a provider without a row, or for a family of which nothing is known.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.dialect import Traits
from octoplex.dialects.effort import effort_word
from octoplex.dialects.expression import Omissions
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.openai_chat.understand import effort_asked
from octoplex.dialects.openai_responses.shapes import NAME
from octoplex.dialects.words import WORDS
from octoplex.wire.ask import Call
from octoplex.wire.chat import Effort

SAMPLING = frozenset({"temperature", "top_p", "top_logprobs"})
"""What of the fields that models refuse has the same name here."""


class _Reasoning(Struct):
    effort: Effort | None = None


_reasoning: Callable[[Raw], _Reasoning | None] = msgspec.json.Decoder(_Reasoning | None).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_json = msgspec.json.Encoder().encode
Fields = dict[str, Raw]


class Mending:
    """What one model takes otherwise than callers may have written it."""

    __slots__ = ("_names", "_refused", "_traits")

    def __init__(self, traits: Traits) -> None:
        refused = traits.refuses if traits.drop_unsupported else frozenset()
        thinking = traits.refuses_thinking if traits.drop_unsupported else frozenset()
        self._traits, self._refused = traits, (refused & SAMPLING, thinking & SAMPLING)
        self._names = frozenset().union(*self._refused, {"reasoning"})

    def mend(self, call: Call, fields: Fields) -> Sequence[str]:
        """Put the members as the target takes them; return what was left out."""
        if self._names.isdisjoint(fields):
            return ()
        omissions = Omissions(NAME, WORDS[NAME], drop_unsupported=True)
        word = _effort(fields)
        if word is not None and not self._takes(word):
            word = self._mend(word, fields, omissions)
        always, thinking = self._refused
        if always or thinking:
            thinks = word not in (None, "none")
            for name in sorted((always | thinking if thinks else always) & fields.keys()):
                omissions.leave_out(name)
                del fields[name]
        return omissions.names()

    def _takes(self, word: Effort) -> bool:
        efforts = self._traits.efforts
        return self._traits.thinking != "none" and (not efforts or word in efforts)

    def _mend(self, word: Effort, fields: Fields, omissions: Omissions) -> Effort | None:
        """Put the effort that the model takes in the place of one that it lacks; return it."""
        if self._traits.thinking == "none":
            if word != "none":
                omissions.leave_out("thinking")
            del fields["reasoning"]
            return None
        sent = effort_word(effort_asked(word, "reasoning.effort"), self._traits, omissions)
        rest = _members(fields["reasoning"])
        del rest["effort"]
        if sent is not None:
            rest["effort"] = Raw(_json(sent))
        fields["reasoning"] = Raw(_json(rest))
        return sent


def _effort(fields: Fields) -> Effort | None:
    """The effort that is asked for; None where there is none that anybody knows."""
    if "reasoning" not in fields:
        return None
    try:
        asked = _reasoning(fields["reasoning"])
    except UNREADABLE:  # the provider may understand it
        return None
    return asked.effort if asked is not None else None


def mending_of(traits: Traits) -> Mending | None:
    """How requests to a target are mended; None: nothing is known that would have to be."""
    knows = traits.listed and (traits.thinking is not None or traits.drop_unsupported)
    return Mending(traits) if knows else None
