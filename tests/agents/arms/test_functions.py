"""Python functions as arms, and arms as services."""

import asyncio
import json
from importlib.metadata import EntryPoint
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from octoplex.agents.arms import function as functions
from octoplex.agents.arms.contracts import CONTRACTS, Wanted, capability_of, schemas, served
from octoplex.agents.arms.executor import COMMAND
from octoplex.agents.arms.function import arm, function_arm, loaded
from octoplex.agents.arms.joined import OURS, Means, arms_of
from octoplex.agents.capability import Mint
from octoplex.agents.words import Failed, Order, Outcome, World
from octoplex.reflex.guard.config import Guard
from octoplex.reflex.guard.ruling import compile_ruling, find
from octoplex.wire.error import BadConfig, InvalidCall
from tests.agents.arms.bench import ALL, Bench, Model, nothing, workspace
from tests.sandbox.host import needs_sandbox


class Day(Struct):
    name: str
    warm: float = 1.0


@arm(effect="none", needs=("net:{city}",), brings_untrusted=False)
async def forecast(
    city: str, world: World, order: Order, days: Annotated[int, Meta(ge=1, le=9)] = 1
) -> list[Day]:
    """Say how warm it will be.

    This is for who reads the code.
    """
    assert (world.allow, order.action) == (("net:a.example.com",), "test_functions.forecast")
    return [Day(city, at) for at in range(days)]


def plain(value: Any) -> Any:
    if value == "refuse":
        raise Failed("refused", "no")
    return {1: 1 / value}


def untyped(value):  # type: ignore[no-untyped-def]
    """Has no type."""


def done(one: Any, action: str, allow: tuple[str, ...] = (), **inputs: Any) -> Outcome:
    world = World(ask=nothing, workspace=None, allow=allow)  # type: ignore[arg-type]
    return asyncio.run(one(Order("t", "s", action, inputs), world))


def test_a_function_is_an_arm_by_its_types() -> None:
    made = function_arm(forecast)
    (offer,) = made.offers
    assert (offer.name, offer.description) == (
        "test_functions.forecast",
        "Say how warm it will be.",
    )
    assert (offer.effect, offer.needs, offer.brings_untrusted) == ("none", ("net:{city}",), False)
    assert set(offer.input_schema["properties"]) == {"city", "days"}
    assert offer.input_schema["required"] == ["city"]
    assert offer.output_schema["type"] == "array"
    allow = ("net:a.example.com",)
    said = done(made, offer.name, allow, city="a.example.com", days=2)
    assert said.output == [
        {"name": "a.example.com", "warm": 0},
        {"name": "a.example.com", "warm": 1},
    ]
    assert not said.is_untrusted
    for wrong in (
        {"city": 1},
        {},
        {"city": "a.example.com", "days": 10},
        {"city": "b.example.com"},
    ):
        with pytest.raises(Failed) as caught:
            done(made, offer.name, allow, **wrong)
        assert caught.value.failure == "refused"


def test_what_is_not_said_of_a_function_is_taken_to_be_grave() -> None:
    made = function_arm(plain)
    assert (made.offers[0].effect, made.offers[0].brings_untrusted) == ("once", True)
    said = done(made, "test_functions.plain", value=2)
    assert (said.output, said.is_untrusted) == ({"1": 0.5}, True)
    with pytest.raises(Failed, match="ZeroDivisionError"):
        done(made, "test_functions.plain", value=0)
    with pytest.raises(Failed, match="no"):
        done(made, "test_functions.plain", value="refuse")
    for wrong in (untyped, arm(needs=("net:*bad",))(plain_copy()), lambda *values: values):
        with pytest.raises(BadConfig, match="is no arm"):
            function_arm(wrong)


def plain_copy() -> Any:
    def other(value: int) -> int:
        """Other."""
        return value

    return other


def test_arms_are_found_by_name_path_and_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    mint = Mint()
    made = arms_of(("executor", f"{__name__}:plain"), Means(mint.checker()))
    assert [o.name for o in made[f"{__name__}:plain"].offers] == ["test_functions.plain"]
    with pytest.raises(Failed, match="token"):
        done(made[f"{__name__}:plain"], "test_functions.plain", value=1)
    point = EntryPoint("weather", f"{__name__}:forecast", functions.GROUP)
    monkeypatch.setattr(functions, "entry_points", lambda group, name: [point][: name == "weather"])
    assert loaded("weather").offers[0].name == "test_functions.forecast"
    for wrong in (
        "sunny",
        "nowhere:f",
        f"{__name__}:nothing_there",
        f"{__name__}:ALL",
        "builtins:exit",
    ):
        with pytest.raises(BadConfig, match="arms:"):
            arms_of((wrong,), Means())


def test_all_that_is_offered_is_described() -> None:
    names = set()
    for one in arms_of(tuple(OURS), Means()).values():
        for offer in one.offers:
            names.add(offer.name)
            described = capability_of(offer, "/v1/x")
            again = msgspec.json.decode(msgspec.json.encode(described), type=type(described))
            assert again.arm_id == offer.name.replace(".", "-").replace("_", "-")
    assert {"executor.python", "coder.code", "model.ask", "guardian.check"} <= names


def asked(bench: Bench, path: str, body: Any, **more: Any) -> Any:
    async def call(wanted: Wanted) -> tuple[Outcome, tuple[str, ...]]:
        step = bench.step(wanted.action, wanted.inputs, ALL, seconds=wanted.seconds, **more)
        return await step, ALL

    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    reply = asyncio.run(served(CONTRACTS[path], data, call))
    assert msgspec.convert(msgspec.to_builtins(reply), CONTRACTS[path].reply) == reply
    return reply


@needs_sandbox
def test_each_contract_is_served_by_the_arms() -> None:
    with workspace(notes_txt="The backup runs at 02:30.", calc_py="x = 1") as place:
        bench = Bench(place)
        ran = asked(
            bench, "/execute", {"action_type": "shell", "command": "cat", "args": ["calc.py"]}
        )
        assert (ran.success, ran.stdout, ran.exit_code) == (True, "x = 1", 0)
        assert len(ran.provenance.command_hash) == 64
        assert (ran.provenance.arm_id, ran.provenance.action_type) == ("executor", "shell")
        ran = asked(bench, "/execute", {"action_type": "python", "command": "print(1); 1/0"})
        assert (ran.success, ran.stdout, ran.exit_code) == (False, "1\n", 1)
        found = asked(bench, "/search", {"query": "backup"})
        assert found.citations == ("notes.txt:1",)
        assert found.results[0].score == 1.0
        told = {"request_type": "explain", "instruction": "What is x?", "files": ["calc.py"]}
        assert asked(bench, "/code", told, ask=Model("One.")).text == "One."
        edits = {"summary": "set", "edits": [{"path": "calc.py", "content": "x = 2"}]}
        told = {"request_type": "refactor", "instruction": "Set x to 2."}
        coded = asked(bench, "/code", told, ask=Model(edits))
        assert (coded.success, coded.files, coded.passed) == (True, ("calc.py",), None)
        checked = asked(bench, "/check", {"text": "ana@acme.io"})
        assert (checked.safe, checked.issues[0].type) == (False, "email")


def test_a_request_that_is_none_is_refused() -> None:
    with workspace() as place:
        bench = Bench(place)
        for path, body in (
            ("/execute", {"action_type": "magic", "command": "x"}),
            ("/execute", {"action_type": "shell", "command": "x", "timeout_seconds": 0}),
            ("/execute", {"action_type": "shell", "command": "x", "extra": 1}),
            ("/search", {"query": ""}),
            ("/search", {"query": "x", "filters": {"owner": "me"}}),
            ("/check", b"{"),
            ("/plan", b'{"goal": "\xff"}'),
            ("/validate", {"output": "x"}),
            ("/validate", b'{"output": ' + b"[" * 100_000),
        ):
            with pytest.raises(InvalidCall, match=path):
                asked(bench, path, body)
        with pytest.raises(Failed, match="is not a command"):
            asked(bench, "/execute", {"action_type": "shell", "command": "bash"})
        assert COMMAND.name in bench.offers


def test_plans_and_verdicts_are_said_in_the_contracts_words() -> None:
    plan = {
        "steps": [
            {"id": "a", "arm": "retriever.read", "inputs": {"path": "x.csv"}, "why": "Read it."},
            {
                "id": "b",
                "arm": "model.ask",
                "inputs": {"prompt": "sum", "data": [{"$from": "a", "at": "/rows"}]},
                "criteria": [{"kind": "model", "text": "It is right."}],
            },
        ],
        "answer": {"$from": "b", "at": "/text"},
        "why": "Two steps do.",
    }
    verdicts = {"verdicts": [{"passed": False, "why": "It is not."}]}
    with workspace() as place:
        bench = Bench(place)
        reply = asked(bench, "/plan", {"goal": "Sum it up."}, ask=Model(plan))
        assert [(s.step, s.action, s.depends_on) for s in reply.plan] == [
            (1, "Read it.", ()),
            (2, "model.ask", (1,)),
        ]
        assert reply.plan[1].acceptance_criteria == ("It is right.",)
        assert (reply.rationale, reply.confidence) == ("Two steps do.", None)
        asks = {"output": 7, "acceptance_criteria": ["It is right."]}
        asks["expected_schema"] = {"type": "integer"}
        reply = asked(bench, "/validate", asks, ask=Model(verdicts))
        assert (reply.valid, reply.failed_criteria, reply.issues) == (
            False,
            ("It is right.",),
            ("It is not.",),
        )
        assert len(reply.passed_criteria) == 1
        asks["output"] = "seven"
        reply = asked(bench, "/validate", asks, ask=nothing)
        assert (reply.valid, "integer" in reply.issues[0]) == (False, True)


def test_openapi_has_what_is_served() -> None:
    paths, parts = schemas()
    assert set(paths) == set(CONTRACTS)
    for one in paths.values():
        for schema in one.values():
            assert schema["$ref"].rpartition("/")[2] in parts


def test_a_guard_finds_nothing_in_what_models_are_told_of_arms() -> None:
    """What was called "text: bytes", 10000000 of them, was a number to send a text to: [PHONE]."""
    ruling = compile_ruling(Guard(pii="mask", secrets="mask"), lambda said: said, str)
    assert ruling is not None
    assert ruling.asked is not None
    for made in arms_of((*OURS, "planner"), Means()).values():
        for offer in made.offers:
            told = json.dumps(msgspec.to_builtins(offer), sort_keys=True, separators=(",", ":"))
            assert find(ruling.asked, told) == [], offer.name
