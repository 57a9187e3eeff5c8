"""A verbatim request whose Gemini asks for thinking as another generation does.

    {"thinkingConfig": {"thinkingLevel": "HIGH"}}       what came
    {"thinkingConfig": {"thinkingBudget": 24576}}       at 2.5

The generations are asked in different ways, and both in one request are a 400 (`families.py`);
a route or an alias may lead from one to the other. Of both, the one that is not the model's own is
left out and named. A budget of -1 is taken everywhere. A level that the model lacks is the nearest
that it has (`medium` is `high` at 3 Pro). All else keeps its bytes.

Cost where nothing is to be done: 0.3 us.

Reference: https://ai.google.dev/gemini-api/docs/thinking

Not promised: anything for models whose name and row say nothing of how they think.
"""

import contextlib
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from octoplex.dialects.dialect import Traits
from octoplex.dialects.expression import Omissions
from octoplex.dialects.gemini.asked import thinking_of
from octoplex.dialects.gemini.families import family_of
from octoplex.dialects.gemini.head import CONFIG
from octoplex.dialects.gemini.names import members
from octoplex.dialects.gemini.signatures import NAME
from octoplex.dialects.gemini.thinking import write_thinking
from octoplex.dialects.words import WORDS
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat
from octoplex.wire.error import InvalidCall

THINKING, LEVEL, BUDGET = "thinkingConfig", "thinkingLevel", "thinkingBudget"
OTHERS = {LEVEL: (b"thinkingLevel", b"thinking_level"), BUDGET: (b"thinkingBudget", b"thinking_b")}
ANY = (b"thinkingConfig", b"thinking_config")
DYNAMIC, OFF = b"-1", b"0"

_json = msgspec.json.Encoder().encode
Fields = dict[str, Raw]


class Mending:
    """What one Gemini takes otherwise than callers may have written it."""

    __slots__ = ("_family", "_marks", "_other", "_own", "_thinks")

    def __init__(self, traits: Traits) -> None:
        self._family = family_of(traits.model, traits.thinking)
        self._thinks = traits.thinking != "none"
        own = (LEVEL, BUDGET) if self._family.style == "level" else (BUDGET, LEVEL)
        self._own, self._other = own
        self._marks = OTHERS[self._other] if self._thinks else ANY
        if self._own == LEVEL and self._thinks:
            self._marks = ANY  # a level of its own kind may be one that it lacks

    def mend(self, call: Call, fields: Fields) -> Sequence[str]:
        """Put the members as the target takes them; return what was left out."""
        name = CONFIG[0] if CONFIG[0] in fields else CONFIG[1]
        text = bytes(fields.get(name, b""))
        if self._marks[0] in text or self._marks[1] in text:
            with contextlib.suppress(InvalidCall):  # the provider may understand it
                return self._mend(name, call, fields)
        return ()

    def _mend(self, name: str, call: Call, fields: Fields) -> Sequence[str]:
        config = members(fields[name], name)
        if THINKING not in config:
            return ()
        asked = members(config[THINKING], THINKING)
        omissions = Omissions(NAME, WORDS[NAME], drop_unsupported=True)
        if not self._thinks:
            if bytes(asked.get(BUDGET, b"")) != OFF:
                omissions.leave_out("thinking")
            del config[THINKING]
        elif self._other not in asked:
            if self._own != LEVEL or LEVEL not in asked or not self._lower(asked):
                return ()
            config[THINKING] = Raw(_json(asked))
        elif self._own in asked:
            omissions.leave_out("extra", f"{CONFIG[0]}.{THINKING}.{self._other}")
            del asked[self._other]
            self._lower(asked)
            config[THINKING] = Raw(_json(asked))
        elif bytes(asked[self._other]) == DYNAMIC:
            return ()
        else:
            ask = thinking_of(config[THINKING])
            chat = Chat(model=call.model, messages=(), thinking=ask, dialect=NAME)
            del asked[self._other]
            written = write_thinking(chat, self._family, omissions) or {}
            config[THINKING] = Raw(_json({**written, **asked}))
        fields[name] = Raw(_json(config))
        return omissions.names()

    def _lower(self, asked: Fields) -> bool:
        """Put a level that the model has in place of one that it lacks; whether that was so."""
        if self._own != LEVEL:
            return False
        effort = thinking_of(Raw(_json({LEVEL: asked[LEVEL]}))).effort
        word = None if effort is None else self._family.levels[effort]
        if word in (None, effort):
            return False
        asked[LEVEL] = Raw(_json(word))
        return True


def mending_of(traits: Traits) -> Mending | None:
    """How requests to a target are mended; None: nobody knows how it thinks."""
    knows = traits.thinking is not None or family_of(traits.model).style != "none"
    return Mending(traits) if knows else None
