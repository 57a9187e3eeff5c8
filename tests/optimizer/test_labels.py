"""What people say of pairs is inside the certificate, and so is the judge's bias."""

from math import log, nan
from random import Random

import numpy as np
import pytest
from msgspec.structs import replace

from octoplex.optimizer.evidence import Capital
from octoplex.optimizer.features import features_of
from octoplex.optimizer.labels import (
    Proofs,
    bias_of,
    corrected,
    is_swapped,
    label_of,
    question_of,
)
from octoplex.optimizer.learner import Pupil
from octoplex.optimizer.loop import Plan
from octoplex.optimizer.notes import Label, Lesson, Note, Noticed, Pair, Planned, encode
from octoplex.optimizer.policy import NO_PROPOSAL, RUNGS, Decision
from octoplex.optimizer.ppi import bound_of
from tests.optimizer.world import COSTS, WORDS

BET, LOSS, ALPHA = 0.4, 0.05, 0.05
FEATURES = features_of("How many pools are there?")
DECISION = Decision(
    1, 0, 1.0, 0, 0, 0, NO_PROPOSAL, 0, 0.5, True, 1, 1.0, NO_PROPOSAL, float("-inf")
)


def pair(number: int, worth: tuple[float, float] = (1.0, 1.0), **more: float | bool) -> Pair:
    given = {"labels": 0.5, "is_asked": True} | more
    return Pair(f"req_{number}", FEATURES, DECISION, *worth, "models.judge", 0, "m", **given)  # type: ignore[arg-type]


def certified(human: float, labels: float, rounds: int, runs: int = 200) -> float:
    """The share of many routes that are ever certified. Their judge finds both answers good; a
    person finds the rival's good with this probability. The rung is the one that moves all."""
    random, every = np.random.default_rng(1), np.ones(runs, bool)
    found = Capital(runs, (BET / bound_of(labels),))
    highest = np.zeros(runs)
    for _ in range(rounds):
        said = (random.random(runs) < human).astype(float)
        asked = random.random(runs) < labels
        rival = 1.0 + np.where(asked, (said - 1.0) / labels, 0.0)
        found.see(rival - (1 - LOSS), every)
        highest = np.maximum(highest, found.logs())
    return float(np.mean(highest >= -log(ALPHA)))


def test_a_judge_that_flatters_certifies_nothing_beyond_its_chance() -> None:
    """What people find just at the promise is certified in at most alpha of the runs, whenever one
    looks, though the judge sees no fault at all: believed alone it would certify every time."""
    for labels in (0.2, 1.0):
        wrong = certified(1 - LOSS, labels, 1_500)
        assert wrong <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 200) ** 0.5
    assert certified(1.0, 0.2, 2_500) > 0.95, "and what is as good is certified"


@pytest.mark.parametrize("labels", [0.01, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("judged", [0.0, 1.0])
def test_corrected_values_lie_where_the_bets_need_them(labels: float, judged: float) -> None:
    least, bound = 1 - 1 / labels, bound_of(labels)
    for said in (0.0, 1.0):
        worth = corrected(pair(1, (judged, judged), labels=labels), (said, 1 - said))
        assert all(least - 1e-9 <= one <= 1 / labels + 1e-9 for one in worth)
        first, other = worth
        assert other - (1 - LOSS) * first >= -bound - 1e-9
        assert 1 + BET / bound * (other - (1 - LOSS) * first) > 0
    assert corrected(pair(1, (judged, 0.5)), None) == (judged, 0.5)


def test_on_average_it_is_what_people_say() -> None:
    random = Random(1)
    total = 0.0
    for number in range(20_000):
        asked = random.random() < 0.5
        total += corrected(pair(number, (0.9, 0.8)), (1.0, 0.2) if asked else None)[1]
    assert total / 20_000 == pytest.approx(0.2, abs=0.01)


def test_pairs_wait_in_their_order_for_what_people_say() -> None:
    proofs = Proofs()
    for number in range(4):
        proofs.add(pair(number, is_asked=number in (1, 2)))
    assert [one.request_id for one, _ in proofs.ready()] == ["req_0"]
    proofs.hear(Label("req_2", 0.0, 1.0, "ann"))
    proofs.hear(Label("req_9", 0.0, 1.0, "ann"))
    assert (list(proofs.ready()), len(proofs)) == ([], 1), "an earlier one is not known yet"
    proofs.hear(Label("req_1", 1.0, 0.0))
    proofs.hear(Label("req_1", 0.0, 1.0, "who comes too late"))
    told = [(one.request_id, said) for one, said in proofs.ready()]
    assert told == [("req_1", (1.0, 0.0)), ("req_2", (0.0, 1.0)), ("req_3", None)]
    proofs.add(pair(5))
    assert [one.request_id for one, _ in proofs.ready(changed=2)] == ["req_5"], "it counts no more"


def test_people_are_blind_and_what_they_say_finds_its_answer() -> None:
    texts = b'{"conversation": [], "reference": {"text": "dear"}, "rival": {"text": "cheap"}}'
    ids = [f"req_{number}" for number in range(200)]
    assert 60 < sum(map(is_swapped, ids)) < 140
    for id_ in ids[:20]:
        shown = question_of(id_, texts, 7)
        assert {shown.a["text"], shown.b["text"]} == {"dear", "cheap"}
        said = label_of(id_, ("a",), "ann")
        assert (said.reference, said.rival)[shown.a["text"] == "cheap"] == 1.0
        assert said.reference + said.rival == 1.0
    assert label_of("req_1", (), "ann") == Label("req_1", 0.0, 0.0, "ann")


def test_the_bias_of_a_judge_is_told_with_its_interval() -> None:
    random, notes = Random(2), list[Note]()
    for number in range(600):
        asked = random.random() < 0.5
        notes.append(pair(number, (1.0, 1.0), is_asked=asked))
        if asked and number < 590:
            notes.append(Label(f"req_{number}", 1.0, float(random.random() < 0.7), "ann"))
    notes.append(pair(700, labels=0.0, is_asked=False))
    found = bias_of([encode(note) for note in notes], 0.95)
    assert found.mean == pytest.approx(0.3, abs=0.08)
    assert found.low < 0.3 < found.high
    assert found.high - found.low < 0.3
    assert found.waiting == sum(n.is_asked for n in notes[-11:] if isinstance(n, Pair))
    assert found.labelled > 250
    assert bias_of([], 0.95).mean is None
    late = [*notes, Label("req_1", 1.0, 0.0)]
    assert bias_of([encode(note) for note in late], 0.95).lapsed == 1


PLAN = Plan(("big", "small"), feedback=0.5, labels=1.0)


class Route:
    """A route that learns, whose pairs a model judges; it finds everything good."""

    def __init__(self, plan: Plan = PLAN) -> None:
        self.pupil, self.made = Pupil(), list[bytes]()
        self._random, self._number = Random(4), 0
        self.asked: list[str] = []
        self.notes: list[Note] = []
        self.hear(Planned(plan, ("models.judge",), 1))

    @property
    def share(self) -> float:
        assert self.pupil.loop is not None
        return self.pupil.loop.share

    def hear(self, note: Note) -> None:
        self.notes.append(note)
        made = self.pupil.hear(encode(note))
        if made is not None:
            self.made.append(made.body)

    def traffic(
        self, requests: int, worth: tuple[float, float] = (1.0, 1.0), segment: str = ""
    ) -> None:
        for _ in range(requests):
            self._number += 1
            words = " ".join([*self._random.choices(WORDS, k=6), str(self._number)])
            features, loop = features_of(words, segment=segment), self.pupil.loop
            assert loop is not None
            seen, costs = loop.seen(features), np.array(COSTS)
            decision = loop.policy.decide(seen, costs, loop.draws())
            self.hear(Noticed(features, COSTS))
            if decision.is_judged:
                id_, labels = f"req_{self._number}", loop.plan.labels
                asked = bool(labels)
                seems = (worth[0], worth[1] - 0.2 * ("lemma" in words and bool(segment)))
                given = (*seems, "models.judge", 0, "m", labels, asked)
                self.hear(Pair(id_, features, decision, *given))
                self.asked += [id_] * asked

    def odd(self, judge: str, labels: float) -> None:
        """A pair as a process writes it that has no room, or reads another file than we."""
        loop = self.pupil.loop
        assert loop is not None
        decision = loop.policy.decide(loop.seen(FEATURES), np.array(COSTS), loop.draws())
        decision = decision._replace(is_judged=True, judged=0.5)
        self.hear(Pair("req_x", FEATURES, decision, 1.0, 1.0, judge, 0, "m", labels))

    def label(self, reference: float, rival: float) -> None:
        asked, self.asked = self.asked, []
        for id_ in asked:
            self.hear(Label(id_, reference, rival, "ann"))


def test_nothing_is_certified_before_people_have_said_something() -> None:
    route = Route()
    route.traffic(900)
    for judge, labels in (
        ("models.judge", -1.0), ("exact-match", -1.0), ("models.judge", 0.0), ("models.judge", 0.2)
    ):  # fmt: skip
        route.odd(judge, labels)
    assert "req_x" not in {one.request_id for one in route.pupil._proofs._held}
    route.odd("exact-match", 0.0)
    assert route.pupil._proofs._held[-1].request_id == "req_x"
    loop = route.pupil.loop
    assert loop is not None
    assert "fit" in {event.kind for event in loop.events}, "it is learned from meanwhile"
    assert route.share == 0
    route.label(1.0, 1.0)
    assert route.share > 0
    believed = Route(Plan(("big", "small"), feedback=0.5))
    believed.traffic(900)
    assert believed.share > 0, "without labels a judge is believed"


def test_people_who_find_rivals_bad_certify_nothing() -> None:
    route = Route()
    route.traffic(900)
    route.label(1.0, 0.0)
    assert route.share == 0


def test_bets_are_as_low_as_a_judge_that_errs_most_demands() -> None:
    """Else the capital would fall below zero, which nobody can learn from: all would be void."""
    route = Route(Plan(("big", "small"), feedback=0.5, labels=0.2))
    route.traffic(600, (0.0, 1.0))
    route.label(1.0, 0.0)
    loop = route.pupil.loop
    assert loop is not None
    assert loop.told is not None
    assert "void" not in {event.kind for event in loop.events}


def test_what_was_known_before_is_learned_from_and_certifies_nothing() -> None:
    route = Route(Plan(("big", "small"), feedback=0.5))
    random = Random(6)
    for number in range(600):
        words = random.choices(WORDS, k=6)
        bad = "lemma" in words
        route.hear(Lesson(features_of(" ".join([*words, str(number)])), 1, -1.0 if bad else 0.0))
    for rival, difference in ((0, 0.0), (2, 0.0), (1, 7.0), (1, nan)):
        route.hear(Lesson(FEATURES, rival, difference))
    route.traffic(110)
    loop = route.pupil.loop
    assert loop is not None
    assert 40 <= loop.pairs < 65, "one fit"
    assert route.share == 0
    newest = loop.policy.newest
    assert newest is not None
    scores = [newest.scorers[0].of(loop.seen(features_of(f"{w} order sum"))) for w in WORDS]
    assert WORDS[scores.index(min(scores))] == "lemma"
    assert min(scores) < sorted(scores)[1] - 0.3


def test_of_each_segment_counts_what_people_say_there() -> None:
    """A judge finds nearly all good; people do so in one segment, find the rival bad in another,
    and say nothing in time of a third, which is as bad. Three in ten may be lost: so of these so
    many are moved at most, whatever the judge says, and of the route as many as they leave."""
    plan, said = Plan(("big", "small"), 0.3, 0.95, 0.5, "each", 1.0), dict[str, str]()
    route = Route(plan)
    for name in ("good", "bad", "mute") * 22:
        route.traffic(16, segment=name)
        said |= dict.fromkeys(route.asked, name)
        route.asked = []
    loop = route.pupil.loop
    assert loop is not None
    assert route.share == 0, "nobody has said anything yet"
    for id_, name in said.items():  # in their order
        lost = Label(id_, 1.0, 0.0)  # as it is noted of what nobody has said in time
        told = {"good": Label(id_, 1.0, 1.0, "ann"), "bad": replace(lost, who="ann")}
        route.hear(told.get(name, lost))
    assert loop.told is not None
    segments = {one.segment: one for one in loop.told.segments}
    assert segments.keys() == {"good", "bad", "mute"}
    assert sum(one.told.pairs for one in segments.values()) == loop.told.now.pairs > 300
    assert 0 < loop.told.rung < RUNGS
    assert segments["good"].told.snips == pytest.approx(1.0)
    assert segments["good"].rung == loop.told.rung < segments["good"].certified
    for name in ("bad", "mute"):
        one = segments[name]
        assert 1 - one.told.snips > 0.25, "at the route's rung about as much is lost as may be"
        assert 0 < one.rung == one.certified < segments["good"].certified
    for name, mix in loop.policy.limits.segments.items():
        assert abs(mix.rung - segments[name].rung) <= 2, "what serves is at most 25 labels behind"
    again = Route(plan)
    for note in route.notes[1:]:
        again.hear(note)
    assert again.made == route.made, "all of it follows from the notes"
