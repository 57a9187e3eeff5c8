"""Any plan: each step once, after what it waits for, never more at once than there may be."""

from collections import Counter
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.agents.course import Course, Room, Run
from octoplex.agents.faults import before
from octoplex.agents.plan import Plan
from tests.agents.scripted import plan, ref, step

ARMS = ("a", "b", "c")


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """Graphs of up to twelve steps, some with conditions, some that are maps."""
    steps: list[dict[str, Any]] = []
    for i in range(draw(st.integers(1, 12))):
        names = [s["id"] for s in steps]
        some = st.lists(st.sampled_from(names), max_size=3, unique=True) if names else st.just([])
        more: dict[str, Any] = {"after": draw(some)}
        if names and draw(st.booleans()):
            is_ = draw(st.sampled_from(["there", "missing"]))
            more["when"] = {"step": draw(st.sampled_from(names)), "is_": is_}
        if draw(st.booleans()):
            more["each"] = list(range(draw(st.integers(0, 4))))
        inputs = {name: ref(name) for name in draw(some)}
        steps.append(step(f"s{i}", draw(st.sampled_from(ARMS)), inputs, **more))
    return plan(*draw(st.permutations(steps)))


@settings(max_examples=50)
@given(plans(), st.data())
def test_every_step_once_and_in_order(made: dict[str, Any], data: st.DataObject) -> None:
    told = msgspec.convert(made, Plan)
    steps = {s.id: s for s in told.steps}
    limits = {f"small.{arm}": data.draw(st.integers(1, 3)) for arm in ARMS}
    course = Course(told, Room(limits.__getitem__, at_once=4))
    going: list[Run] = []
    begun: Counter[str] = Counter()
    over: set[str] = set()
    broken: set[str] = set()
    while True:
        ready = course.ready()
        going += ready
        for run in ready:
            begun[run.id] += 1
            states = {course.state(name) for name in before(run.step)}
            assert states <= {"done", "skipped"}
            assert "running" not in states
        running = Counter(run.step.arm for run in going)
        assert sum(running.values()) <= 4
        assert all(running[arm] <= limits[arm] for arm in running)
        if not going:
            break
        run = going.pop(data.draw(st.integers(0, len(going) - 1)))
        if data.draw(st.integers(0, 5)) == 0:
            course.failed(run, "no")
            broken.add(run.id)
            over.add(run.step.id)
        else:
            course.done(run, {"x": 1})
    assert max(begun.values(), default=0) <= 1
    for name, one in steps.items():
        state = course.state(name)
        assert state in ("done", "failed", "skipped", "stranded")
        bad = {course.state(n) for n in before(one)} & {"failed", "stranded"}
        assert (state == "stranded") == bool(bad)
        assert (state == "failed") == (name in over)
        if state == "done" and one.each is not None:
            assert len(course.output(name)) == len(one.each)
    again = another_turn(course)
    assert again & set(begun) == broken
    assert not course.steps("failed", "stranded", "waiting", "running")


def another_turn(course: Course) -> set[str]:
    """Let what failed be done now; the runs that began."""
    course.again()
    began: set[str] = set()
    while ready := course.ready():
        for run in ready:
            assert run.id not in began
            began.add(run.id)
            course.done(run, {"x": 1})
    return began


def course_of(*steps: dict[str, Any], takes: Any = None, at_once: int = 1) -> Course:
    told = msgspec.convert(plan(*steps), Plan)
    return Course(told, Room(lambda action: 9, takes or (lambda s: 1.0), at_once))


def test_the_longest_way_comes_first() -> None:
    """Of two that may begin, the one with more behind it; without that, in the plan's order."""
    short, long = step("short", "x"), step("long", "x")
    behind = step("behind", "x", {"x": ref("long")})
    assert course_of(short, long, behind).ready()[0].id == "long"
    assert course_of(short, long).ready()[0].id == "short"
    slow = course_of(short, long, takes=lambda s: 9.0 if s.id == "long" else 1.0)
    assert slow.ready()[0].id == "long"


def test_a_repair_takes_the_place_of_what_failed() -> None:
    course = course_of(
        step("a", "x"), step("b", "x", after=["a"]), step("c", "x", {"x": ref("b")}), at_once=9
    )
    course.done(course.ready()[0], {"n": 1})
    course.failed(course.ready()[0], "no")
    assert course.ready() == []
    assert [course.state(n) for n in "abc"] == ["done", "failed", "stranded"]
    new = plan(
        step("b", "x", {"n": ref("a", "/n")}),
        step("c", "x", {"x": ref("b")}, when={"step": "b"}, after=["b"], each=ref("b", "/l")),
        answer=[ref("c"), ref("a")],
    )
    told = course.replace(msgspec.convert(new, Plan))
    assert [s.id for s in told.steps] == ["b-2", "c-2"]
    assert before(told.steps[1]) == {"b-2"}
    assert course.answer == [ref("c-2"), ref("a")]
    begun = course.ready()
    assert [(r.id, r.inputs) for r in begun] == [("b-2", {"n": 1})]
    course.done(begun[0], {"l": [1, 2]})
    assert [r.id for r in course.ready()] == ["c-2.0", "c-2.1"]


def test_a_map_of_no_list_and_of_too_many() -> None:
    for value, said in (({"x": 1}, "must be a list, not dict"), (list(range(1_001)), "1001")):
        course = course_of(
            step("a", "x"), step("m", "x", each=ref("a")), step("n", "x", after=["m"])
        )
        course.done(course.ready()[0], value)
        assert course.ready() == []
        assert said in course.why("m")
        assert (course.state("m"), course.state("n")) == ("failed", "stranded")


def test_conditions() -> None:
    cases: list[tuple[Any, str, Any, bool]] = [
        (3, "above", 2, True),
        (3, "below", 2, False),
        ("3", "above", 2, False),
        (True, "above", 0, False),
        (1, "equal", 1.0, True),
        (1, "equal", True, False),
        (1, "unequal", 2, True),
        (None, "there", None, False),
        (0, "there", None, True),
        (None, "missing", None, True),
    ]
    for value, is_, wanted, holds in cases:
        when = {"step": "a", "at": "/v", "is_": is_, "value": wanted}
        course = course_of(step("a", "x"), step("b", "x", when=when))
        course.done(course.ready()[0], {"v": value})
        assert bool(course.ready()) == holds, (value, is_)
        assert course.state("b") == ("running" if holds else "skipped")
