"""A verbatim request whose Claude asks for thinking, or for sampling, as another generation does.

    {"thinking": {"type": "enabled", "budget_tokens": 9000}}               what came
    {"thinking": {"type": "adaptive"}, "output_config": {"effort": ...}}   at Opus 4.7 and later

An effort that the model lacks is the nearest that it has; one that is asked for by a budget gets
that instead, beside nothing that would refuse it. The generations refuse each other's words
(`families.py`), and a route or an alias may lead from one to the other. What the target takes
keeps its bytes; a sampling field that it refuses is left out where it says what is so anyhow, or
where the route drops such fields, else it goes out and is the provider's to judge.

Of other vendors behind this dialect one thing is mended (`Loops`): where they would refuse to
think, since they want the thinking back that came before a tool call and another provider did
it or the caller lost it, they are asked not to. Claude Code always asks for thinking.

Cost where nothing is to be done: 0.2 us; 1 us with `thinking`.

Not promised: anything else for models of other vendors.
"""

import contextlib
import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from octoplex.dialects.anthropic.families import family_of
from octoplex.dialects.anthropic.request import NAME, SAMPLING
from octoplex.dialects.anthropic.thinking import lacks_echo, wants_echo, write_thinking
from octoplex.dialects.dialect import Traits
from octoplex.dialects.expression import Omissions
from octoplex.dialects.members import UNREADABLE
from octoplex.dialects.words import WORDS
from octoplex.wire.ask import Call
from octoplex.wire.chat import Chat, Effort, ThinkingAsk
from octoplex.wire.error import InvalidCall

OUTPUT = "output_config"
NAMES = SAMPLING | {"thinking", OUTPUT}
_OWN_EFFORTS = re.compile(r"claude-opus-4[-.]5(?!\d)")
_OWN_WORDS: dict[Effort, str] = {
    "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high",
}  # fmt: skip
"""Opus 4.5 alone takes an effort as well as a budget.
https://platform.claude.com/docs/en/build-with-claude/effort"""
TOOL_USE = b'"tool_use"'
SAME_ANYHOW = frozenset({b"1", b"1.0", b"null"})


class _Thinking(Struct):
    type: str
    budget_tokens: int | None = None


class _Output(Struct):
    effort: Effort | None = None


_thinking = msgspec.json.Decoder(_Thinking | None).decode
_output = msgspec.json.Decoder(_Output | None).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_json = msgspec.json.Encoder().encode
Fields = dict[str, Raw]


class Mending:
    """What one Claude takes otherwise than callers may have written it."""

    __slots__ = ("_family", "_traits")

    def __init__(self, traits: Traits) -> None:
        self._traits, self._family = traits, family_of(traits.model, traits.thinking)

    def mend(self, call: Call, fields: Fields) -> Sequence[str]:
        """Put the members as the target takes them; return what was left out."""
        if NAMES.isdisjoint(fields):
            return ()
        drops = self._traits.drop_unsupported
        omissions = Omissions(NAME, WORDS[NAME], drop_unsupported=drops)
        if not self._family.sampling:
            for name in sorted(SAMPLING & fields.keys()):
                if name != "top_k" and bytes(fields[name]) in SAME_ANYHOW:
                    del fields[name]
                elif drops:
                    omissions.leave_out(name)
                    del fields[name]
        if "thinking" in fields:
            with contextlib.suppress(*UNREADABLE):  # the provider may understand it
                self._think(call, fields, omissions)
        if OUTPUT in fields:
            with contextlib.suppress(InvalidCall, *UNREADABLE):
                self._say_effort(call, fields, omissions)
        return omissions.names()

    def _say_effort(self, call: Call, fields: Fields, omissions: Omissions) -> None:
        """The effort in a word that the model has, or as a budget."""
        family, given = self._family, _output(fields[OUTPUT])
        if given is None or given.effort is None:
            return
        word = family.efforts.get(given.effort)
        if _OWN_EFFORTS.search(self._traits.model):
            word = _OWN_WORDS.get(given.effort, word)
        elif not family.adaptive:
            word = None
        if word == given.effort:
            return
        output = _members(fields.pop(OUTPUT))
        del output["effort"]
        if word is not None:
            output["effort"] = Raw(_json(word))
        elif "thinking" in fields:
            omissions.leave_out("thinking", "output_config.effort")
        else:
            ask = ThinkingAsk(effort=given.effort)
            chat = msgspec.structs.replace(call.chat(), thinking=ask, dialect="")
            wanted = write_thinking(chat, family, call.max_tokens or 0, omissions)
            if wanted.thinking is not None:
                fields["thinking"] = Raw(_json(wanted.thinking))
        if output:
            fields[OUTPUT] = Raw(_json(output))

    def _think(self, call: Call, fields: Fields, omissions: Omissions) -> None:
        family, asked = self._family, _thinking(fields["thinking"])
        takes = {
            "enabled": family.budget,
            "adaptive": family.adaptive,
            "disabled": family.can_disable or not family.adaptive,
        }
        if asked is None or takes.get(asked.type, True):
            return
        given = _output(fields.get("output_config", b"null")) or _Output()
        chat = Chat(
            model=call.model,
            messages=(),
            thinking=ThinkingAsk(
                enabled=asked.type != "disabled",
                effort=given.effort,
                budget_tokens=asked.budget_tokens,
            ),
        )
        wanted = write_thinking(chat, family, call.max_tokens or 0, omissions)
        rest = _members(fields.pop("thinking"))
        output = _members(fields.pop("output_config", b"{}"))
        output.pop("effort", None)
        if wanted.thinking is not None:
            shown = {"display": rest["display"]} if "display" in rest else {}
            fields["thinking"] = Raw(_json({**wanted.thinking, **shown}))
        if wanted.effort is not None:
            output["effort"] = Raw(_json(wanted.effort))
        if output:
            fields["output_config"] = Raw(_json(output))


class Loops:
    """A vendor that thinks on after a tool call only where all of its thinking comes back."""

    __slots__ = ("_traits",)

    def __init__(self, traits: Traits) -> None:
        self._traits = traits

    def mend(self, call: Call, fields: Fields) -> Sequence[str]:
        """Ask for no thinking where thinking is missing; return what was left out."""
        if TOOL_USE not in call.raw:
            return ()
        try:
            chat = call.chat()
            asked = _thinking(fields.get("thinking", b"null"))
        except (InvalidCall, *UNREADABLE):  # the provider's to judge
            return ()
        if (asked is not None and asked.type == "disabled") or not lacks_echo(
            chat.messages, self._traits
        ):
            return ()
        fields["thinking"] = Raw(b'{"type":"disabled"}')
        return ("thinking",)


def mending_of(traits: Traits) -> Mending | Loops | None:
    """How requests to a target are mended; None: nothing is known that would have to be."""
    if "claude" in traits.model.lower():
        return Mending(traits)
    return Loops(traits) if wants_echo(traits) else None
