"""Pairs: a request that both the reference and a candidate answer, so that somebody can judge.

    answerer = Paired(inner, pairs)        around routing; knows a request by its `Choice`

The reference's answer is the caller's, and goes its way. When it has ended well, the rival is asked
the same, beside the path: nobody waits for it, and it is not the caller's. It has an id, a record
and rows in the ledger of its own, under the key and the route `shadow:NAME`; no limit of the
caller's counts it. Then the judges compare, and a note is written. Tools are never run here: of a
reply that calls some only the calls are compared.

At most `MOST` pairs are under way in a process; what `learn.spend` allows is asked before
(`course.py`). A graceful stop drops what is under way.

Of a sample of what a model has judged people say what it is worth, too (`learn.labels`): its texts
are kept for them, the only ones that are.

Silence: where pairs are made and none of them has had a verdict for `SILENT_S`, nobody watches
what serves any more. The reference takes over here at once, and everywhere once the learner has
read of it. Pairs for which there was no money are none, and time without any is none, or little:
what fails just before a quiet night says nothing of the morning.

A rival that fails in a way after which routing would ask the reference has cost nobody an answer:
it is noted without scores. What would have ended the call, such as a refusal or the deadline, is
worth nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from math import isnan, nan
from random import Random
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from octoplex.ledger.ids import request_ids
from octoplex.optimizer.course import NANO, Course, nano_of
from octoplex.optimizer.judges import answer_of, conversation_of, is_model
from octoplex.optimizer.live import Choice, Study
from octoplex.optimizer.notes import Order, Pair
from octoplex.optimizer.shelf import Shelf
from octoplex.wire.answer import Answer, Answerer, Ended, Frame, Outcome, Whole, bound, reply_of
from octoplex.wire.ask import Ask, Call, Trail
from octoplex.wire.beside import understood
from octoplex.wire.chat import Chat
from octoplex.wire.error import (
    CallerError,
    DeadlinePassed,
    GatewayError,
    NoTarget,
    OurError,
    OverBudget,
    UpstreamError,
)
from octoplex.wire.event import Event, Reply, Usage, fold

log = logging.getLogger("octoplex.optimizer")
MOST = 64
SILENT, SILENT_S = 20, 900.0
"""Pairs without a verdict, and over how long they were begun: a reply may take 600 s and a judge
120."""
APART_S = 60.0
"""What counts of the time between two pairs, at most."""
NO_ROOM = -1.0
LONGEST = 1 << 20
"""Bytes of a reply that is compared."""
REFUSED = "refused"
"""Who has judged where the rival's answer was an error that its caller would have been given."""


class Judged(Protocol):
    """What a judge says of two replies: their worth, 0..1, who it was and what it cost."""

    @property
    def reference(self) -> float: ...
    @property
    def rival(self) -> float: ...
    @property
    def judge(self) -> str: ...
    @property
    def nano(self) -> int: ...
    @property
    def model(self) -> str: ...


Judge = Callable[[Chat, Reply, Reply], Awaitable[Judged | None]]
"""(the request, the reference's reply, the rival's)."""
Rival = Callable[[Course, int], Answerer | None]
"""Asks a variant of a course alone, recorded; None where it cannot be asked."""
Prepared = Callable[[Call], Call]
"""The call as the variant has it that is chosen for it."""


class Silence(Struct):
    """Pairs of a route that were made since one had a verdict."""

    study: Study
    pairs: int = 0
    lasts_s: float = 0.0
    newest_at: float = 0.0

    def begin(self, now: float) -> None:
        """Another one is made."""
        self.lasts_s += min(now - self.newest_at, APART_S) if self.pairs else -self.lasts_s
        self.pairs, self.newest_at = self.pairs + 1, now

    @property
    def is_broken(self) -> bool:
        """Whether there were many, over a long time."""
        return self.pairs >= SILENT and self.lasts_s >= SILENT_S


class Pairs:
    """The pairs that are under way in this process."""

    def __init__(self, shelf: Shelf, most: int = MOST, random: Random | None = None) -> None:
        self.shelf, self._most = shelf, most
        self._tasks: set[asyncio.Task[None]] = set()
        self._new_id, self._random = request_ids(), random or Random()
        self._silences: dict[str, Silence] = {}
        self.stopping = False

    def have_room(self) -> bool:
        """Whether another one may begin."""
        return not self.stopping and len(self._tasks) < self._most

    def begin(self, work: "Comparison", reference: Callable[[], Reply]) -> None:
        """Make a pair of an answer that has ended."""
        if not self.have_room():
            return
        loop, study = asyncio.get_running_loop(), work.choice.study
        silence = self._silences.setdefault(study.course.route, Silence(study))
        silence.study = study
        silence.begin(loop.time())
        task = loop.create_task(self._made(work, reference, silence))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _made(
        self, work: "Comparison", reference: Callable[[], Reply], silence: Silence
    ) -> None:
        try:
            pair = await work.pair(self._new_id(), reference)
        except OverBudget:
            silence.pairs = max(0, silence.pairs - 1)
            return
        except Exception:  # a defect: it costs a pair, and must not end unseen
            log.exception("a pair of %s was not made", work.choice.study.course.route)
            return
        if pair is not None:
            if pair.judge and not isnan(pair.reference + pair.rival):
                silence.pairs = 0
            self._note(work, pair)

    def _note(self, work: "Comparison", pair: Pair) -> None:
        """Write it down; of one that a model has judged a lot says whether people are asked.

        While there is no room none is evidence, whoever judged it: which pairs a verifier speaks
        of depends on how they are.
        """
        course = work.choice.study.course
        labels, days = course.table.learn.labels, course.table.learn.labels_days
        if labels and not self.shelf.has_room(course.route):
            self.shelf.note(course.route, replace(pair, labels=NO_ROOM))
        elif not labels or not is_model(pair.judge) or isnan(pair.reference + pair.rival):
            self.shelf.note(course.route, pair)
        elif self._random.random() < labels:
            asked = replace(pair, labels=labels, is_asked=True)
            self.shelf.keep(course.route, asked, work.texts, days)
        else:
            self.shelf.note(course.route, replace(pair, labels=labels))

    def look(self) -> None:
        """Give everything to the reference where feedback has been silent for too long."""
        for route, silence in self._silences.items():
            if self.shelf.paused(route):
                silence.pairs = 0
            elif silence.is_broken:
                study, pairs = silence.study, silence.pairs
                silence.pairs = 0
                if study.compiled.policy.rung:
                    minutes = silence.lasts_s / 60
                    why = f"feedback is broken: of {pairs} pairs in {minutes:.0f} min none had"
                    self.shelf.note(route, Order("void", f"{why} a verdict"))
                    study.compiled = study.blind

    async def close(self) -> None:
        """Drop what is under way."""
        self.stopping = True
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel("stopped")
        if tasks:
            await asyncio.wait(tasks)


class Comparison:
    """What one pair is made of: who was chosen for what, and who is asked besides."""

    __slots__ = ("_judge", "_rival", "call", "choice", "texts")

    def __init__(self, call: Call, choice: Choice, rival: Answerer, judge: Judge) -> None:
        self.call, self.choice = call, choice
        self._rival, self._judge = rival, judge
        self.texts = b""
        """What people are shown who label it, JSON; only where the file wants labels."""

    async def pair(self, id_: str, reference: Callable[[], Reply]) -> Pair | None:
        """Ask the rival under this id, and have both judged; None where nothing was learned.

        Raises:
            OverBudget: there is no money for it.
        """
        choice, shadow = self.choice, self._shadow(id_)
        scores, judge, nano, model = (nan, nan), "", 0, ""
        try:
            told = reference()
        except GatewayError:
            return None  # it reached its caller, and cannot be read here
        try:
            reply = await reply_of(await self._rival(shadow))
        except DeadlinePassed:
            scores, judge = (1.0, 0.0), REFUSED
        except OverBudget:
            raise
        except (CallerError, OurError, NoTarget):
            return None  # nobody was asked
        except UpstreamError as error:
            if error.next == "end":
                scores, judge = (1.0, 0.0), REFUSED
        else:
            judged = await self._judged(told, reply)
            if judged is not None:
                scores, judge, nano = (judged.reference, judged.rival), judged.judge, judged.nano
                model = judged.model
        finally:
            choice.study.fund.pay(shadow.trail.nano)  # the judges' asks pay for themselves
        nano += shadow.trail.nano
        assert choice.features is not None
        assert choice.decision is not None
        self._bill(choice.decision.rival, shadow.trail)
        return Pair(self.call.id, choice.features, choice.decision, *scores, judge, nano, model)

    def _bill(self, variant: int, trail: Trail) -> None:
        """What a cascade costs is learned beside the path, too: it may not be served otherwise."""
        study = self.choice.study
        change = study.course.change(variant)
        if change is not None and change.cascade is not None and trail.nano:
            study.expected.cascaded(variant, change.target, trail.attempts)

    async def _judged(self, reference: Reply, rival: Reply) -> Judged | None:
        chat = self.call.chat()
        if self.choice.study.course.table.learn.labels:
            self.texts = texts_of(chat, reference, rival)
        try:
            return await self._judge(chat, reference, rival)
        except GatewayError as error:
            log.info("a pair has no verdict: %s", error)
            return None

    def _shadow(self, id_: str) -> Call:
        """The same request, of nobody, with as much time as it had at first."""
        call, now = self.call, asyncio.get_running_loop().time()
        return replace(
            call,
            id=id_,
            caller=self.choice.study.course.caller,
            started_at=now,
            deadline_at=now + call.deadline_at - call.started_at,
            trail=Trail(why=f"beside {call.id}"),
        )


def texts_of(chat: Chat, reference: Reply, rival: Reply) -> bytes:
    """What people see of a pair, and whoever looks for better prompts: as judges see it."""
    shown = {"reference": answer_of(reference), "rival": answer_of(rival)}
    return msgspec.json.encode({"conversation": conversation_of(chat), **shown})


class Paired:
    """The Answerer around routing: sees what requests use and save, and begins pairs."""

    __slots__ = ("_inner", "_judges", "_pairs", "_prepared", "_rival")

    def __init__(
        self,
        inner: Answerer,
        pairs: Pairs,
        rival: Rival,
        judges: Mapping[str, Judge],
        prepared: Prepared | None = None,
    ) -> None:
        """`judges` are those of each route; `prepared` is needed where variants are more than
        targets."""
        self._inner, self._pairs, self._prepared = bound(inner), pairs, prepared
        self._rival, self._judges = rival, judges

    async def __call__(self, ask: Ask, /) -> Answer:
        """Open an answer inside; its content is listened to where a pair is made of it."""
        told, before = ask, len(ask.trail.attempts)  # a guard's judge was asked already
        if self._prepared is not None and isinstance(ask, Call) and ask.op == "chat":
            await understood(ask)
            told = self._prepared(ask)
        answer = await self._inner(told)
        choice = ask.trail.decided
        if not isinstance(choice, Choice) or not isinstance(ask, Call):
            return answer
        if choice.raw is not told.raw:
            return answer
        self._name(choice, ask, answer.head.model)
        answer.on_end(partial(_learn, choice, ask, before))
        work = self._comparison(ask, choice, answer)
        if work is None:
            return answer
        if isinstance(answer, Whole):
            self._pairs.begin(work, answer.reply)
            return answer
        return Overheard(answer, partial(self._pairs.begin, work))

    def _name(self, choice: Choice, call: Call, model: str) -> None:
        """Hear which model has answered; another one than before is not what was certified."""
        study, variant, answered = choice.study, _variant(choice, call), call.trail.answered()
        if variant is None or answered is None or not model:
            return
        if answered.target != study.course.targets[variant].name:  # a cascade has escalated
            return
        before = study.names[variant].heard(model)
        if before:
            name = study.course.variants[variant]
            why = f"{name} answers as {model}, no longer as {before}"
            self._pairs.shelf.note(study.course.route, Order("void", why))

    def _comparison(self, call: Call, choice: Choice, answer: Answer) -> Comparison | None:
        """What a pair of this answer is made of; None where there is to be none."""
        decision, course = choice.decision, choice.study.course
        if decision is None or not decision.is_judged or answer.head.status != 200:
            return None
        if _variant(choice, call) != 0:
            return None
        rival = self._rival(course, decision.rival)
        if rival is None:
            return None
        return Comparison(call, choice, rival, self._judges[course.route])


def _learn(choice: Choice, call: Call, before: int, outcome: Outcome, usage: Usage) -> None:
    """What a request has used and saved."""
    study, variant = choice.study, _variant(choice, call)
    if variant is None or outcome != "done":
        return
    costs, trail, change = choice.costs, call.trail, study.course.change(variant)
    cost = costs[variant] if costs else 0.0
    if change is None or change.cascade is None:
        study.expected.saw(variant, call, usage, change.added_tokens if change else 0)
    else:
        rows = trail.attempts[before:]
        cost = nano_of(rows) / NANO
        study.expected.cascaded(variant, change.target, rows)
        if not trail.refused and rows[0].target == change.target:
            study.expected.saw(variant, call, usage, change.added_tokens)
    saved = costs[0] - cost if costs else 0.0
    study.fund.earn(saved * NANO, trail.nano)


def _variant(choice: Choice, call: Call) -> int | None:
    """Who has answered: the variant that was chosen, where it is more than its target; a target."""
    answered, decision = call.trail.answered(), choice.decision
    if answered is None:
        return None
    if decision is not None and not decision.is_judged:
        change = choice.study.course.change(decision.variant)
        if change is not None and answered.target in change.targets:
            return decision.variant
    return choice.study.numbers.get(answered.target)


class Overheard:
    """A stream of which a copy is gathered, as far as its caller reads it."""

    __slots__ = ("_events", "_inner", "_size", "_told", "body", "dialect", "head")

    def __init__(self, inner: Answer, told: Callable[[Callable[[], Reply]], None]) -> None:
        self.head, self.dialect, self.body = inner.head, inner.dialect, inner.body
        self._inner, self._told = inner, told
        self._events: list[Event] = []
        self._size = 0
        inner.on_end(self._ended)

    def reply(self) -> Reply:
        """A stream has no whole body."""
        return self._inner.reply()

    def __aiter__(self) -> "Overheard":
        return self

    async def __anext__(self) -> Frame:
        """The next frame, as it came."""
        frame = await self._inner.__anext__()
        if self._size <= LONGEST:
            self._size += len(frame.wire or b"") or 64
            try:
                self._events += frame.events()
            except GatewayError:  # its caller's to meet, if it looks
                self._size = LONGEST + 1
        return frame

    def _ended(self, outcome: Outcome, usage: Usage) -> None:
        """Its last frame is on its way yet: what it says is heard in this turn of the loop."""
        if outcome == "done":
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        if self._size <= LONGEST:
            self._told(partial(fold, self._events))

    def close(self, outcome: Outcome = "left") -> None:
        """Stop caring."""
        self._inner.close(outcome)

    def on_end(self, told: Ended) -> None:
        """Be told once how it ended."""
        self._inner.on_end(told)
