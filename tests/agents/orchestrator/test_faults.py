"""What is wrong with plans, and that it is said so that somebody can mend it."""

from typing import Any

import msgspec
import pytest

from octoplex.agents.faults import Terms, faults
from octoplex.agents.plan import Plan
from octoplex.agents.schemas import Schemas, inside
from tests.agents.scripted import ALLOW, OFFERS, nested, plan, ref, step

TERMS = Terms(offers={o.name: o for o in OFFERS}, schemas=Schemas(), steps=5, allow=ALLOW)
TEXT = {"text": "x"}


def wrong(*steps: dict[str, Any], answer: Any = None, terms: Terms = TERMS) -> list[str]:
    return faults(msgspec.convert(plan(*steps, answer=answer), Plan), terms)


CASES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "unknown arm": ([step("a", "sing")], 'there is no arm "small.sing"; there are small.add'),
    "missing input": ([step("a", "text")], '"text" is a required property'),
    "unknown input": ([step("a", "text", {**TEXT, "tune": 1})], "('tune' was unexpected)"),
    "wrong type": ([step("a", "text", {"text": 1})], 'input/text: 1 is not of type "string"'),
    "no such step": ([step("a", "text", {"text": ref("b")})], 'refers to "b", but there is no'),
    "no such output": (
        [step("a", "text", TEXT), step("b", "text", {"text": ref("a", "/words")})],
        'the output of "a" has no "/words"; it has /text',
    ),
    "wrong type of output": (
        [step("a", "add", {"a": 1, "b": 1}), step("b", "text", {"text": ref("a", "/sum")})],
        '"/sum" of "a" is number, but must be string',
    ),
    "circle": (
        [step("a", "text", {"text": ref("b")}), step("b", "text", {"text": ref("a")})],
        "wait for each other in a circle",
    ),
    "itself": ([step("a", "text", {"text": ref("a")})], 'step "a" waits for itself'),
    "twice": ([step("a", "text", TEXT), step("a", "text", TEXT)], 'two steps have the id "a"'),
    "too many": ([step(f"s{i}", "text", TEXT) for i in range(6)], "has 6 steps, at most 5"),
    "not allowed": (
        [step("a", "write", {"path": "../x", "text": "x"})],
        'needs "write:workspace/{path}", which is not allowed; allowed: read:workspace',
    ),
    "shares": ([step("a", "text", TEXT, share=0.6), step("b", "text", TEXT, share=0.6)], "1.2"),
    "lighter": (
        [step("a", "send", {"to": "x", "text": "x"}, effect="none")],
        'said to be "none", but that of "small.send" is "once"',
    ),
    "item without each": (
        [step("a", "text", {"text": {"$item": ""}})],
        'only in a step with "each',
    ),
    "each is no list": ([step("a", "text", TEXT, each="abc")], '"each" must be a list'),
    "each is a number": (
        [step("a", "add", {"a": 1, "b": 1}), step("b", "text", TEXT, each=ref("a", "/sum"))],
        '"/sum" of "a" is number, but must be array',
    ),
    "pointer": ([step("a", "text", TEXT), step("b", "text", {"text": ref("a", "x")})], "pointer"),
    "stray word": (
        [step("a", "text", TEXT), step("b", "text", {"text": {**ref("a"), "or": 1}})],
        "not or",
    ),
    "pattern": (
        [step("a", "text", TEXT, criteria=[{"kind": "matches", "value": "("}])],
        "must be a regular expression",
    ),
    "endless schema": (
        [step("a", "text", TEXT, criteria=[{"kind": "schema", "value": {"$ref": "#"}}])],
        'without "$ref"',
    ),
    "endless schema of another draft": (
        [step("a", "text", TEXT, criteria=[{"kind": "schema", "value": {"$recursiveRef": "#"}}])],
        'without "$ref"',
    ),
    "file elsewhere": (
        [step("a", "text", TEXT, criteria=[{"kind": "file", "path": "../../etc/passwd"}])],
        "below the workspace",
    ),
    "nested": ([step("a", "any", {"x": nested(900)})], "nested more than 100 times"),
    "no words": ([step("a", "text", TEXT, criteria=[{"kind": "model"}])], "what has to be true"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_named(name: str) -> None:
    steps, said = CASES[name]
    found = wrong(*steps)
    assert any(said in one for one in found), found


def test_a_good_plan_has_none() -> None:
    good = [
        step("l", "list", {"count": 2}),
        step("m", "add", {"a": {"$item": "/n"}, "b": 1}, each=ref("l", "/items")),
        step("t", "text", {"text": ref("m", "/0/sum")}),
    ]
    assert wrong(*good[:2], answer=ref("m", "/1/sum")) == []
    assert wrong(*good)[0].startswith('step "t": input /text: "/0/sum" of "m" is number')


def test_nobody_uses_it() -> None:
    idle, used = step("a", "text", TEXT), step("b", "text", TEXT)
    assert 'nobody uses the output of step "a"' in wrong(idle, used, answer=ref("b"))[0]
    assert wrong(idle, used) == []
    assert wrong({**idle, "criteria": [{"kind": "exit"}]}, used, answer=ref("b")) == []
    acting = step("a", "write", {"path": "x", "text": "x"})
    assert wrong(acting, used, answer=ref("b")) == []


def test_the_answer_is_looked_at() -> None:
    assert "no such step" in wrong(step("a", "text", TEXT), answer=ref("z"))[0]
    assert 'has no "/sum"' in wrong(step("a", "text", TEXT), answer=ref("a", "/sum"))[0]


def test_steps_that_are_done_may_be_referred_to() -> None:
    terms = msgspec.structs.replace(TERMS, done={"old": OFFERS[1].output_schema})
    later = step("a", "text", {"text": ref("old", "/text")})
    assert wrong(later, terms=terms) == []
    assert "is done already" in wrong(step("old", "text", TEXT), terms=terms)[0]
    assert "has no" in wrong(step("a", "text", {"text": ref("old", "/x")}), terms=terms)[0]


def test_references_stand_for_anything_within_a_choice() -> None:
    schema = {
        "properties": {"x": {"anyOf": [{"type": "string"}, {"type": "object", "required": ["y"]}]}}
    }
    assert Schemas().open_faults(schema, {"x": {"$from": "a"}}) == []
    assert Schemas().faults(schema, {"x": 3}) != []
    assert Schemas().faults({"minItems": 3, "type": "array"}, [{"$from": "a"}]) != []


def test_inside_of_a_schema() -> None:
    schema = {
        "$defs": {"row": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        "type": "object",
        "properties": {"rows": {"type": "array", "items": {"$ref": "#/$defs/row"}}, "any": {}},
    }
    assert inside(schema, ["rows", "0", "n"]) == {"type": "integer"}
    assert inside(schema, ["rows", "0", "m"]) is None
    assert inside(schema, ["rows", "n"]) is None
    assert inside(schema, ["any", "thing"]) == {}
    assert inside({}, ["any"]) == {}
