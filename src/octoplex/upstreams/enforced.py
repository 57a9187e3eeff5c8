"""An Answerer that holds a target to the form of text that the caller asked for.

    Enforced(Metered(Upstream)): ask, check, ask again with what was wrong, ...

Made only for targets that cannot enforce each form themselves (`dialects/structured.py`); a
call that wants none, or one that its target sees to, passes untouched after a look at the
names of its members (under 1 us). A schema of which the target enforces only a
part goes to it all the same, and the reply is checked against all of it. Every attempt is
reserved, settled and told in the trail like any other.

The answer is checked whole, so a stream is given at once when it is valid; until then the
door keeps it alive. A reply that was cut, refused or calls a tool is told as what it is: to
ask again would not make it whole.

A call that would pass verbatim is written anew here: its form is not in the words of its
target. What the typed view does not hold of a reply (further choices, log probabilities,
audio) is refused.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec
from msgspec import Struct

from octoplex.dialects.structured import (
    Holding,
    Kind,
    bare,
    corrected,
    forms_of,
    has_tools,
    holding,
    instructed,
    kind_of,
)
from octoplex.dialects.words import words_of
from octoplex.upstreams.judge import Judge
from octoplex.upstreams.upstream import Spec, decoded
from octoplex.wire.answer import Answer, Answerer, Whole, bound
from octoplex.wire.ask import BYTES_PER_TOKEN, Ask, Attempt, Call, Trail, Worst
from octoplex.wire.beside import is_left, understood
from octoplex.wire.chat import Chat, Format, TextPart
from octoplex.wire.error import InvalidCall, OutputInvalid, Unsupported
from octoplex.wire.event import Refusal, Reply, Text, fold

ENDED = frozenset({"end", "stop_sequence"})
"""Stop reasons after which a reply is all that the model had to say."""
MEMBERS = frozenset(
    {
        "response_format",
        "text",
        "output_config",
        "output_format",
        "generationConfig",
        "generation_config",
    }
)
"""The members of the faces' requests of which one holds the form."""
EVERY = frozenset[Kind]({"schema", "object"})
_HARD = Format(
    schema=msgspec.Raw(
        b'{"type":"object","properties":{"a":{"type":"integer","minimum":1,"not":{"type":"null"}}},'
        b'"additionalProperties":false}'
    ),
    strict=True,
)
"""A form that no vendor who takes a part of JSON Schema holds a model to exactly."""


class Enforcement(Struct, frozen=True):
    """What one target enforces by itself: of callers of its own dialects, and of all others.

    `beside`: the same where tools are offered; None: no less. `schema`: how much of one is, where
    others than its own callers ask; None: every one, exactly.
    """

    own: Mapping[str, frozenset[Kind]]
    others: frozenset[Kind]
    beside: "Enforcement | None" = None
    schema: Callable[[Format, str], Holding] | None = None

    def of(self, chat: Chat) -> "Enforcement":
        """What holds for this request."""
        return self.beside if self.beside is not None and has_tools(chat) else self

    def wanted(self, ask: Ask) -> Format | None:
        """The form that an ask wants and that its target does not see to."""
        if not isinstance(ask, Call) or MEMBERS.isdisjoint(ask.fields) or ask.op != "chat":
            return None
        with contextlib.suppress(InvalidCall):  # verbatim: the provider may understand it
            chat = ask.chat()
            form, own = chat.format, self.of(chat).own.get(ask.face)
            if form is None:
                return None
            if own is None:
                return None if self.held(chat, form) == "exactly" else form
            return None if kind_of(form) in own else form
        return None

    def held(self, chat: Chat, form: Format) -> Holding:
        """How a request is held to its form that is not in the target's own words."""
        if kind_of(form) not in self.of(chat).others:
            return "not"
        if form.schema is None or self.schema is None:
            return "exactly"
        return self.schema(form, chat.dialect)

    def buffers(self, ask: Ask) -> bool:
        """Whether an ask for a stream is answered whole."""
        form = self.wanted(ask)
        if form is None:
            return False
        assert isinstance(ask, Call)
        return self.held(ask.chat(), form) != "exactly"


def enforcement_of(spec: Spec) -> Enforcement | None:
    """What there is to enforce at a target; None: it sees to every form itself."""
    alone, beside = (_enforcement(spec, beside_tools=tools) for tools in (False, True))
    how = partial(holding, next(iter(spec.wires.values())).dialect, spec.traits)
    if how(_HARD, "") == "loosely":
        alone = msgspec.structs.replace(alone, schema=how)
    elif all(forms == EVERY for forms in (*alone.own.values(), *beside.own.values())):
        return None
    same = (alone.own, alone.others) == (beside.own, beside.others)
    return alone if same else msgspec.structs.replace(alone, beside=beside)


def _enforcement(spec: Spec, *, beside_tools: bool) -> Enforcement:
    own = {
        face: forms_of(wire.dialect, spec.traits, beside_tools=beside_tools)
        for face, wire in spec.wires.items()
    }
    return Enforcement(own, next(iter(own.values())))


class Enforced:
    """An Answerer around one target and key. `attempts` counts the first."""

    __slots__ = ("_attempts", "_enforcement", "_inner", "_judge", "_now")

    def __init__(
        self, inner: Answerer, enforcement: Enforcement, attempts: int, judge: Judge
    ) -> None:
        self._inner, self._enforcement, self._attempts = bound(inner), enforcement, attempts
        self._judge = judge
        self._now = asyncio.get_running_loop().time

    def __call__(self, ask: Ask, /) -> Awaitable[Answer]:
        """Answer the ask.

        Raises:
            OutputInvalid: no attempt gave the form; every one is paid for.
            InvalidCall: its schema is none, or takes too much to check.
            Unsupported: it asks for more than one reply can be checked for.
        """
        if not isinstance(ask, Call) or MEMBERS.isdisjoint(ask.fields):
            return self._inner(ask)
        if is_left(ask):
            return self._later(ask)
        form = self._enforcement.wanted(ask)
        if form is None:
            return self._inner(ask)
        _refuse_unchecked(ask.chat())
        how = self._enforcement.held(ask.chat(), form)
        if how == "exactly":
            return self._inner(_anew(ask, ask.chat()))  # it is another of its dialects that does
        return self._held(ask, form, natively=how == "loosely")

    async def _later(self, call: Call) -> Answer:
        await understood(call)
        return await (self(call) if call.is_understood else self._inner(call))

    async def _held(self, call: Call, form: Format, *, natively: bool) -> Answer:
        name = words_of(call.chat()).get("response_format", "response_format")
        await self._judge.fault(form, None, name)  # before anything is paid for
        trail = call.trail
        row = trail.attempts[-1] if trail.attempts else None
        trail.added.append("response_format")
        chat = call.chat()
        chat = instructed(chat, self._enforcement.of(chat).others)
        if natively:
            chat = msgspec.structs.replace(chat, format=form)
        for left in reversed(range(self._attempts)):
            asked_at = self._now()
            answer = await self._inner(_anew(call, chat))
            reply = await _whole(answer)
            if _is_other(reply):
                return _answer(answer, reply)
            text = bare(reply.text)
            fault = await self._judge.fault(form, text, name)
            if not fault:
                return _answer(answer, _with_text(reply, text))
            usage = answer.head.usage
            trail.wasted_tokens += usage.input_tokens + usage.output_tokens
            trail.wasted_output_tokens += usage.output_tokens
            if left:
                _note(trail, row, self._now() - asked_at)
                chat = corrected(chat, reply.text, fault)
        who = "The model" if row is None else row.target
        raise OutputInvalid(
            f"{who} did not answer with the JSON that was asked for, in {self._attempts}"
            f" attempts; the last: {fault}."
        )


def _refuse_unchecked(chat: Chat) -> None:
    words = words_of(chat)
    for field, is_there in (
        ("n", chat.n != 1),
        ("logprobs", chat.logprobs),
        ("modalities", bool(chat.modalities)),
    ):
        if is_there:
            name = words.get(field, field)
            raise Unsupported(
                f"`{name}` cannot be had together with a response format that this target does"
                " not enforce itself. Leave one of them out, or choose another model.",
                param=name,
            )


def _anew(call: Call, chat: Chat) -> Call:
    """The call as one of no provider's own dialect, so that `chat` is what is written."""
    worst = call.worst_case()
    more = -(-max(0, _size(chat) - _size(call.chat())) // BYTES_PER_TOKEN)
    return msgspec.structs.replace(
        call,
        face="",
        stream=chat.stream,
        _chat=chat,
        _worst=Worst(worst.input_tokens + more, worst.output_tokens, worst.n),
    )


def _size(chat: Chat) -> int:
    """Bytes of text."""
    parts = (p for m in chat.messages for p in m.parts)
    return sum(len(p.text.encode()) for p in parts if isinstance(p, TextPart))


async def _whole(answer: Answer) -> Reply:
    if answer.body is not None:
        return answer.reply()
    try:
        return fold([event async for frame in answer for event in frame.events()])
    finally:
        answer.close()


def _is_other(reply: Reply) -> bool:
    """Whether it is no text that has come to its end."""
    refused = any(isinstance(b, Refusal) for b in reply.blocks)
    return reply.stop not in ENDED or refused or bool(reply.tool_calls)


def _with_text(reply: Reply, text: str) -> Reply:
    kept = tuple(b for b in reply.blocks if not isinstance(b, Text))
    return msgspec.structs.replace(reply, blocks=(*kept, Text(text)))


def _answer(answer: Answer, reply: Reply) -> Answer:
    return Whole(answer.head, "", b"", answer.head.usage, decoded(reply))


def _note(trail: Trail, row: Attempt | None, taken_s: float) -> None:
    """Give a failed attempt a row of its own, before that of the attempt that goes on."""
    if row is None:
        return
    at = next(i for i, other in enumerate(trail.attempts) if other is row)
    failed = msgspec.structs.replace(
        row, outcome=OutputInvalid.code, status=200, duration_s=taken_s, first_s=taken_s
    )
    row.nano, row.estimated = 0, False
    trail.attempts.insert(at, failed)
