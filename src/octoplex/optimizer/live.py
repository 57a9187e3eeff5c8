"""`pick = "learned"`: who answers a request, by the policy that was learned.

    learned = Learned({"support": Study(course)}, shelf)
    learned.order(ask, route, health)      the chosen one, then the reference, then the others
    ask.trail.decided                      a `Choice`: everything it was decided by
    await learned.renew()                  take what the learner has published

No I/O, no lock; whatever goes wrong the reference answers, so it does where there is no policy,
where a route is paused, and for requests of which no pair can be made (`_read`): who cannot be
judged is not moved. Where a pair is made (`pairs.py`) the reference answers too.

One decision is made for a request, however often routing orders for it. Its draw is a hash of
its conversation (`routing/affinity.py`), so that turns of one conversation meet the same draw,
in each process and after a restart; only what is known of each turn can part them.

Who answers in place of a target that fails, rests or is slow is the reference, then the others
as listed, certified or not: an answer is worth more than a promise that nothing answers. The
record says who it was.

Measured with nine snapshots of one candidate, other programs at work, for a question of 20, 200 or
500 words, each at its best of twelve (`make bench-optimizer`): 97, 110, 134 us of CPU in all, p99
121, 140, 168; 3,900 bytecodes for 20 words. In the midst of it `features_of` takes 32, 45, 57 us,
`Encoder.row` 17 to 20, prices 11, reading the body 9 to 11; by itself each takes half of that,
where caches hold nothing else. Before there is a policy, features are made for
requests that are noted or judged.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

import msgspec
import numpy as np
from msgspec import Raw, Struct
from msgspec.structs import replace

from octoplex.optimizer.compiled import Compiled, load
from octoplex.optimizer.course import Course, Expected, Fund, Name
from octoplex.optimizer.features import HEAD, TAIL, Features, Form, Seen, features_of
from octoplex.optimizer.notes import Noticed
from octoplex.optimizer.policy import Decision, Draws, Judging, Policy
from octoplex.optimizer.shelf import Shelf
from octoplex.routing import Candidate, Health, Route
from octoplex.routing.affinity import conversation
from octoplex.wire.ask import Ask, Call
from octoplex.wire.chat import Chat, Media, Message, Native, TextPart, ToolCall, ToolResult
from octoplex.wire.error import GatewayError, InvalidCall
from octoplex.wire.event import Refusal

log = logging.getLogger("octoplex.optimizer")
MOST = HEAD + TAIL
"""Characters of a conversation's end that are looked at."""
FIRST_NOTICED = 2_000
"""Requests of which, at first, every other one is noted."""
NOTICED_S = 5.0
"""How long after that until another one is, on average."""
NOTHING = Seen(np.zeros(0, np.int64), np.zeros(0), 0)


class Study:
    """One route while it learns: its course, the policy in force, and figures of late."""

    def __init__(self, course: Course, before: "Study | None" = None) -> None:
        """`before` is the same route in the configuration before this one."""
        self.course = course
        self.numbers = {
            target.name: n for n, target in enumerate(course.targets) if course.change(n) is None
        }
        self.blind = self.compiled = _blind(course)
        self.read: int | None = None
        """The version that was read last of what was published; None: there was none."""
        self.expected, self.fund = Expected(len(course.variants)), Fund(course.spend)
        self.names = tuple(Name() for _ in course.variants)
        if before is not None and before.course.variants == course.variants:
            self.expected, self.names, self.read = before.expected, before.names, before.read
            if _certain(before.course) == _certain(course):
                self.compiled = before.compiled
        if before is not None and before.course.spend == course.spend:
            self.fund = before.fund
        self.noticed, self.notice_at = 0, 0.0
        self.problem = ""
        """What went wrong at the last decision that did not come about."""


class Choice(Struct, frozen=True, eq=False):
    """What was decided for a request. Without a `decision` the reference answers."""

    study: Study
    raw: bytes
    """The body it was decided for."""
    first: str
    """The target to ask first, as `Target.name` says it."""
    why: str
    features: Features | None = None
    decision: Decision | None = None
    costs: tuple[float, ...] = ()


class Learned:
    """The chooser of all routes that learn. Made anew with each configuration."""

    def __init__(
        self,
        studies: Mapping[str, Study],
        shelf: Shelf,
        random: Random | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.studies, self.shelf = studies, shelf
        self._random = random or Random()
        self._now = now or asyncio.get_running_loop().time
        self.may_compare: Callable[[], bool] = lambda: True
        """Whether there is room for another pair."""

    def order(self, ask: Ask, route: Route, health: Health, /) -> Sequence[Candidate]:
        """The chosen candidate, the reference, then the others as listed."""
        choice = ask.trail.decided
        if not isinstance(choice, Choice) or choice.raw is not ask.raw:
            choice = ask.trail.decided = self._choice(ask, self.studies[route.name])
        ask.trail.why = choice.why
        wanted = {choice.first: 0, choice.study.course.targets[0].name: 1}
        return sorted(route.candidates, key=lambda c: wanted.get(c.target.name, 2))

    def prepared(self, call: Call, study: Study) -> Call:
        """The call as the variant has it that is chosen for it; itself where that is a target.

        Who is asked first is for `order` to say, which finds the choice: a rule may want another.
        """
        trail = call.trail
        choice = trail.decided = self._choice(call, study)
        decision, first = choice.decision, trail.first
        if decision is None or decision.is_judged:
            return call
        change = study.course.change(decision.variant)
        if change is None:
            return call
        try:
            call = change(call)
        except InvalidCall:
            name, why = study.course.targets[0].name, "learned: the request cannot be varied"
            trail.decided = Choice(study, call.raw, name, why)
            return call
        if first:  # an experiment's
            trail.cascade = None
        trail.first, trail.decided = first, replace(choice, raw=call.raw)
        return call

    def _choice(self, ask: Ask, study: Study) -> Choice:
        course, why = study.course, ""
        if self.shelf.paused(course.route):
            why = "paused"
        elif not isinstance(ask, Call) or ask.op != "chat":
            why = "only chats are learned from"
        elif ask.caller.region and any(t.outside(ask.caller.region) for t in course.targets):
            why = "not all targets are in its region"
        else:
            try:
                return self._decided(ask, study)
            except GatewayError:
                why = "the request cannot be read"
            except Exception as error:  # noqa: BLE001 - no defect here may cost an answer
                why = "no decision came about"
                _complain(study, error)
        return Choice(study, ask.raw, course.targets[0].name, f"learned: {why}")

    def _decided(self, call: Call, study: Study) -> Choice:
        course, shelf = study.course, self.shelf
        chat = call.chat()
        found = _read(call, chat)
        if found is None:
            why = "learned: cannot be compared"
            return Choice(study, call.raw, course.targets[0].name, why)
        costs = study.expected.costs(course, call)
        policy, encoder, variants = study.compiled
        features, seen = None, NOTHING
        if encoder is not None:
            features = _features(call, course, found)
            seen = encoder.row(features)
        decision = policy.decide(seen, costs, self._draws(call, course.route))
        if decision.is_judged and not (study.fund.is_open and self.may_compare()):
            decision = decision._replace(judged=0.0, is_judged=False)
        chosen = 0 if decision.is_judged else decision.variant
        first = course.targets[chosen].name
        is_noticed = self._is_noticed(study)
        if features is None and (is_noticed or decision.is_judged):
            features = _features(call, course, found)
        if is_noticed and features is not None:
            shelf.note(course.route, Noticed(features, costs))
        shelf.decided(call.id, course.route, decision, costs, variants)
        return Choice(study, call.raw, first, _why(decision, variants), features, decision, costs)

    def _draws(self, call: Call, route: str) -> Draws:
        draw, said = self._random.random, conversation(call)
        if said is None:
            return Draws(draw(), draw(), draw(), draw())
        hashed = hashlib.blake2b(f"{route}\n{call.caller.id}".encode(), digest_size=16)
        for part in said:
            hashed.update(part if isinstance(part, bytes) else repr(part).encode())
        both = hashed.digest()
        serve, floor = (int.from_bytes(half) / 2**64 for half in (both[:8], both[8:]))
        return Draws(serve, floor, draw(), draw())

    def _is_noticed(self, study: Study) -> bool:
        """Whether a request is one of the sample: a coin at first, then at times drawn before."""
        if study.noticed < FIRST_NOTICED:
            study.noticed += 1
            return self._random.random() < 0.5
        now = self._now()
        if now < study.notice_at:
            return False
        study.notice_at = now + self._random.expovariate(1 / NOTICED_S)
        return True

    async def renew(self) -> None:
        """Take what was published since: read beside the loop, then put in force at once."""
        for study in self.studies.values():
            found = self.shelf.policy(study.course.route)
            if found is None or found[0] == study.read:
                continue
            compiled = await asyncio.to_thread(_compiled, study, found[1])
            study.compiled, study.read, study.problem = compiled, found[0], ""


def _blind(course: Course) -> Compiled:
    """The policy before there is one: the reference answers, pairs are made of everybody."""
    shadow = course.table.learn.shadow
    return Compiled(Policy(None, Judging(shadow, shadow, np.inf, 0)), None, course.variants)


def _certain(course: Course) -> tuple[object, ...]:
    """What certificates speak of: with another one nothing is certified any more."""
    return course.table.promise, course.version


def _compiled(study: Study, data: bytes) -> Compiled:
    """A policy; the one that knows nothing where this one cannot be used. What served before
    may be what this one was published to end."""
    route = study.course.route
    try:
        compiled = load(data)
    except Exception as error:  # noqa: BLE001 - whatever is in it, the reference answers
        log.error("the policy of %s cannot be read, so its reference answers: %s", route, error)
        return study.blind
    if compiled.variants != study.course.variants:
        log.info("the policy of %s is for other targets; its reference answers until then", route)
        return study.blind
    return compiled


def _complain(study: Study, error: Exception) -> None:
    problem = f"{type(error).__name__}: {error}"
    if problem != study.problem:
        study.problem = problem
        log.error("%s is answered by its reference: %s", study.course.route, problem)


def _why(decision: Decision, variants: Sequence[str]) -> str:
    """The reason as the record has it; `octoplex optimize explain` has the numbers."""
    if decision.is_judged:
        said = f"compared with {variants[decision.rival]}"
    elif decision.variant:
        said = f"{variants[decision.variant]}, p {decision.propensity:.3g}"
    else:
        said = "the reference"
    return f"learned: {said}, rung {decision.rung}, policy {decision.version}"


def _features(call: Call, course: Course, read: tuple[Chat, Form]) -> Features:
    text = _text_of(read[0].messages)
    return features_of(text, read[1], _segment(call, course), call.caller.id)


def _read(call: Call, chat: Chat) -> tuple[Chat, Form] | None:
    """A conversation and its form; None where no pair can be made of it: several replies at once,
    tools that the provider runs, what is only known at one provider."""
    if call.n != 1 or chat.server_tools or chat.native or set(chat.modalities) - {"text"}:
        return None
    media = 0
    for message in chat.messages:
        for part in _pieces(message):
            if isinstance(part, Media):
                media += 1
            if isinstance(part, Native) or (isinstance(part, Media) and part.file_id):
                return None
    form = Form(len(chat.messages), len(chat.tools), media, chat.format is not None)
    return chat, form


def _text_of(messages: Sequence[Message]) -> str:
    """The last turn, then those before it, newest first, as far as `MOST` goes."""
    told: list[str] = []
    size = 0
    for message in reversed(messages):
        text = "\n".join(_texts(message))
        if len(text) > MOST:
            text = f"{text[:HEAD]}\n{text[-TAIL:]}"
        if text:
            told.append(text)
            size += len(text)
        if size >= MOST:
            break
    return "\n".join(told)


def _pieces(message: Message) -> Iterator[object]:
    for part in message.parts:
        yield part
        if isinstance(part, ToolResult):
            yield from part.parts


def _texts(message: Message) -> Iterator[str]:
    for part in _pieces(message):
        if isinstance(part, TextPart | Refusal):
            yield part.text
        elif isinstance(part, ToolCall):
            yield part.use.name


def _segment(call: Call, course: Course) -> str:
    """What the file's `segments` are for this call."""
    names = course.table.segments
    if not names:
        return ""
    labels = _labels(call.fields.get("metadata"))
    own = {"key": call.caller.id, "tenant": call.caller.tenant}
    told = [own.get(n) or labels.get(n.removeprefix("metadata."), "") for n in names]
    return "\n".join(str(one)[:64] for one in told) if any(told) else ""


def _labels(raw: Raw | None) -> dict[str, object]:
    if raw is None:
        return {}
    try:
        return msgspec.json.decode(raw, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
