"""What a caller wants.

An `Ask` is one operation on one model for one caller with one deadline. Reflex,
routing and metering know nothing more. A chat `Call` is one kind of Ask: it holds
the caller's body split into its top-level members, each as the bytes that came, and
a typed view that is decoded only if somebody must understand it.

Asks are never changed on the way down; what is learned while one is answered
(attempts, dropped fields) goes into its `trail`.
"""

import contextlib
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from octoplex.wire.chat import Chat, Media, Message, TextPart, ToolResult
from octoplex.wire.error import InvalidCall

Operation = Literal[
    "chat", "compact", "count_tokens", "prepare", "embed", "rerank", "moderate", "complete", "pass"
]

MEDIA_TOKENS = 1_000
"""Tokens reserved for an image or a page whose true count only the provider knows."""
BYTES_PER_TOKEN = 3
_PIECE = 1_000_000


class Worst(Struct, frozen=True, gc=False):
    """The most an ask can use: `output_tokens` None when the caller set no limit."""

    input_tokens: int
    output_tokens: int | None
    n: int = 1
    searches: int = 0


class Caller(Struct, frozen=True):
    """Who asks: the key's id and name, and its tenant ("" without keys).

    `budgeted` says that a dollar budget applies, so that no call may be open-ended;
    `region` is the area in which its targets must answer, "" for any; `role` what it may do at
    `/admin`, everywhere; `user` the person it was made for, whose role in its tenant counts there.
    """

    id: str = ""
    name: str = ""
    tenant: str = ""
    budgeted: bool = False
    region: str = ""
    role: str = ""
    user: str = ""


ANYONE = Caller()


class Tab(Protocol):
    """Who else pays for an ask, beside its caller's budgets: a part of a task's."""

    def hold(self, nanos: int, tokens: int, /) -> Callable[[int, int], None]:
        """Set aside the most that an attempt takes. What comes back is told once what it took.

        Raises:
            OverBudget: it does not fit.
        """
        ...


class Attempt(Struct):
    """One attempt on one target, as the record shows it. Times are durations in seconds."""

    target: str
    key: str = ""
    outcome: str = ""
    status: int = 0
    duration_s: float = 0.0
    first_s: float = 0.0
    nano: int = 0
    estimated: bool = False


class Trail(Struct, kw_only=True):
    """What happened while an ask was answered: the source of headers and of the record."""

    attempts: list[Attempt] = []
    dropped: list[str] = []
    """Of members, those that no target was told."""
    dropped_for: dict[str, dict[str, None]] = {}
    """Those that one target was not told, by its `provider/model`."""
    added: list[str] = []
    route: str = ""
    why: str = ""
    decided: object = None
    """What a route that learns has decided: a `Choice` of the optimizer."""
    trial: str = ""
    """Which variant of which experiment it was answered by, `NAME: VARIANT`."""
    sent: Mapping[str, Raw] | None = None
    """The members of its body as its caller sent them, where an experiment may change them."""
    hidden: str = ""
    """The prompt that an operator's variant put into it: its caller does not know it."""
    first: str = ""
    """The target that is to be asked first, whatever the route's pick says, by its name."""
    cascade: object = None
    """How its answer is verified, and who is asked where it is not: the optimizer's `Cascade`."""
    held: str = ""
    """The target whose answer is verified before anybody has a part of it: it needs no rescue."""
    refused: str = ""
    """The target whose answer was not verified: it is not asked again."""
    orders: int = 0
    """Attempts that were paid for so far: the number of the next one's row."""
    nano: int = 0
    estimated: bool = False
    rescue: str = ""
    """What became of a stream that broke: `splice`, `prefill`, or in vain `diverged`, `failed`."""
    wasted_tokens: int = 0
    """What replies used that were not given to the caller, because they were not what it asked."""
    wasted_output_tokens: int = 0
    """How much of it was output."""
    findings: dict[tuple[str, str], int] | None = None
    """How many of which type the guard found, by what it did about them."""
    cache: Literal["off", "hit", "semantic", "miss"] = "off"
    saved_nano: int = 0
    """What a hit cost when it was asked of its target."""
    replayed: bool = False
    """Whether it is the answer to an earlier request with the same idempotency key."""
    told_as: tuple[str, int] | None = None
    """Under an idempotency key: the id of the request that was first answered, and when (Unix time,
    seconds), so that all its answers are the same."""
    fetched: dict[tuple[str, str], Media] | None = None
    """Media by kind and URL whose bytes were fetched for one attempt, for those after it."""
    deadline_at: float = float("inf")
    """That of its route, on the event loop's clock."""
    untold: bool = False
    """Of a stream: its head went out before it opened, so its end says who answered."""
    goes_on: Callable[[Callable[[Any, Any], None]], None] | None = None
    """Where it is answered although its caller left before it opened: whom to ask to be told of
    outcome and usage when that has ended."""
    labels: Mapping[str, str] | None = None
    """What the record has as metadata, where no caller sent the request: its task."""
    tab: Tab | None = None
    task: str = ""
    """The task of an agent that asks it, or that answers it."""
    of_parts: bool = False
    """What it cost and used is that of requests with records of their own."""

    def drop(self, target: str, names: Iterable[str]) -> None:
        """Note that a target, `provider/model`, is not told of these members."""
        for name in names:
            self.dropped_for.setdefault(target, {})[name] = None

    def all_dropped(self) -> tuple[str, ...]:
        """What the target that answered was not told, each name once."""
        names = dict.fromkeys(self.dropped)
        answered = self.answered() if self.dropped_for else None
        if answered is not None:
            target = answered.target
            of_it = self.dropped_for.get(target) or self.dropped_for.get(target.rpartition("@")[0])
            names |= of_it or {}
        return tuple(names)

    def answered(self) -> Attempt | None:
        """The attempt that opened an answer, of two at once the winner; else the last one."""
        if not self.attempts:
            return None
        aside = ("outrun", "compared", "judged", "escalated")
        won = (a for a in reversed(self.attempts) if 0 < a.status < 400 and a.outcome not in aside)
        return next(won, self.attempts[-1])


class Ask(Struct):
    """One operation for one caller.

    `face` names the dialect the caller speaks, `started_at` and `deadline_at` are on the
    event loop's clock, `headers` holds the inbound headers that may travel (lower case).
    """

    id: str
    face: str
    model: str
    raw: bytes
    deadline_at: float
    started_at: float = 0.0
    op: Operation = "chat"
    stream: bool = False
    caller: Caller = ANYONE
    headers: dict[str, str] = {}
    trail: Trail = msgspec.field(default_factory=Trail)
    tier: str = ""
    """The service tier that is asked for, "" for the usual one."""

    @property
    def reply_id(self) -> str:
        """What the ids of its reply are made of."""
        return self.trail.told_as[0] if self.trail.told_as else self.id

    def replied_at(self, now: Callable[[], float]) -> int:
        """What its reply says of when it was made: Unix time, seconds."""
        return self.trail.told_as[1] if self.trail.told_as else int(now())

    def worst_case(self) -> Worst:
        """The most this can use, for a reservation."""
        return Worst(_tokens(len(self.raw)), 0)


class Single(Ask):
    """An operation of one body in and one body out. `fields` are the members of its body.

    `output_tokens` None: the caller set no limit. `added_tokens` are read beside the body as it
    is, and `searches` may be billed: both of a ranking (`dialects/single/ranking.py`).
    """

    fields: dict[str, Raw] = {}
    output_tokens: int | None = 0
    n: int = 1
    added_tokens: int = 0
    searches: int = 0

    def worst_case(self) -> Worst:
        """Bytes of the body / 3 rounded up, and the output that was asked for."""
        tokens = _tokens(len(self.raw)) + self.added_tokens
        return Worst(tokens, self.output_tokens, self.n, self.searches)


class Passed(Ask):
    """A request that goes to one provider as it came.

    `path` is path and query below the provider's base, `sent` the headers that go on.
    `generates`: its body names a model, so it may be billed by tokens. `in_pieces`: its reply
    is wanted as it comes, whatever its type. `output_tokens`: what may follow, where that is known
    and comes later than the reply; it is charged whole. `told`: it may be billed though it names
    no model, by the model and the usage of its reply.
    """

    method: str = "GET"
    path: str = ""
    sent: tuple[tuple[str, str], ...] = ()
    generates: bool = False
    in_pieces: bool = False
    output_tokens: int | None = None
    told: bool = False

    def worst_case(self) -> Worst:
        """The body's bytes / 3 and as much output as the model has; nothing without a model."""
        return Worst(_tokens(len(self.raw)), self.output_tokens) if self.generates else Worst(0, 0)


def _nobody(call: "Call") -> Chat:
    raise InvalidCall(f"Nobody here understands the {call.face} dialect.")


class Call(Ask):
    """A chat request. `fields` are the body's top-level members, byte for byte.

    `added_tokens` is what somebody here may put around it.
    """

    fields: dict[str, Raw] = {}
    understand: Callable[["Call"], Chat] = _nobody
    max_tokens: int | None = None
    n: int = 1
    may_hold_media: bool = False
    added_tokens: int = 0
    prefix: str = ""
    """What the reply is to go on from: the typed view ends with it, in the assistant's words."""
    _chat: Chat | None = None
    _worst: Worst | None = None

    @property
    def is_understood(self) -> bool:
        """Whether there is a typed view already."""
        return self._chat is not None

    def chat(self) -> Chat:
        """The typed view, decoded at the first use.

        Raises:
            InvalidCall: the body does not mean anything in its dialect, or is not UTF-8, which
                a decoder does not see in values that it reads over.
        """
        if self._chat is None:
            check_utf8(self.raw)
            self._chat = self.understand(self)
            if self.prefix:
                said = Message("assistant", (TextPart(self.prefix),))
                self._chat = replace(self._chat, messages=(*self._chat.messages, said))
        return self._chat

    def worst_case(self) -> Worst:
        """Bytes of text / 3 rounded up, plus 1,000 tokens per image or page."""
        worst = self._worst
        if worst is None:
            tokens = -(-len(self.raw) // BYTES_PER_TOKEN)
            if self.may_hold_media:
                with contextlib.suppress(InvalidCall):  # verbatim: the provider may understand
                    tokens = _typed_tokens(self.chat())
            worst = self._worst = Worst(tokens + self.added_tokens, self.max_tokens, self.n)
        return worst


def check_utf8(body: bytes) -> None:
    """Refuse what is not UTF-8; other threads go on meanwhile.

    Raises:
        InvalidCall: it is not.
    """
    if body.isascii():
        return
    decode, size = getincrementaldecoder("utf-8")().decode, len(body)
    try:  # in pieces: one call for all of 20 MB holds up other threads for 200 ms
        for at in range(0, size, _PIECE):
            decode(body[at : at + _PIECE], at + _PIECE >= size)
    except UnicodeDecodeError as error:
        raise InvalidCall(f"The body is not UTF-8: {error}.") from None


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


def _typed_tokens(chat: Chat) -> int:
    """Count text by its bytes and media by the piece: base64 is not text."""
    size = sum(len(bytes(t.schema or b"")) + len(t.description or "") for t in chat.tools)
    media = 0
    for message in chat.messages:
        for part in message.parts:
            inner = part.parts if isinstance(part, ToolResult) else (part,)
            for piece in inner:
                if isinstance(piece, Media):
                    media += 1
                elif isinstance(piece, TextPart):
                    size += len(piece.text.encode())
                else:
                    size += len(msgspec.json.encode(piece))
    return _tokens(size) + media * MEDIA_TOKENS


def fallback_models(call: Call) -> tuple[str, ...]:
    """The `models` of a call's body: names to try after its `model`. Empty when absent.

    Raises:
        InvalidCall: it is not a list of names.
    """
    raw = call.fields.get("models")
    if raw is None:
        return ()
    try:
        return tuple(msgspec.json.decode(raw, type=list[str] | None) or ())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidCall(
            f"`models` must be a list of model names: {error}.", param="models"
        ) from None
