"""A token says what a step may do, and nothing else makes it do more."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from octoplex.agents.capability import (
    MOST_S,
    Mint,
    checked,
    is_covered,
    lacking,
    leaves,
    narrowed,
)
from octoplex.agents.words import Failed, Offer, Order
from octoplex.wire.error import BadConfig

ALLOW = ("read:workspace", "write:workspace/out", "run:python", "net:api.example.com", "mcp:hub.*")
WRITE = Offer("executor.write", "", {}, needs=("write:workspace/{path}",))
ORDER = Order("task-1", "s1", WRITE.name, {"path": "out/a.txt"}, nanos=5, seconds=20.0)


class Clock:
    """A clock that is set."""

    at = 1_000.0

    def __call__(self) -> float:
        return self.at


def minted(order: Order = ORDER, clock: Clock | None = None) -> tuple[Order, Any, Clock]:
    clock = clock or Clock()
    mint = Mint(clock)
    return replace(order, grant=mint.mint(order, WRITE, ALLOW)), mint.checker(), clock


def test_inputs_that_nobody_can_write_down_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(Failed, match="nested"):
        minted(replace(ORDER, inputs={**ORDER.inputs, "more": deep}))


def refusal(checker: Any, order: Order) -> str:
    with pytest.raises(Failed) as caught:
        checker.check(order)
    assert caught.value.failure == "refused"
    return str(caught.value)


def test_a_token_is_good_for_its_step_alone() -> None:
    order, checker, _ = minted()
    grant = checker.check(order)
    assert grant.can == ("write:workspace/out/a.txt",)
    assert (grant.nanos, grant.seconds, grant.expires_at) == (5, 20.0, 1_025.0)
    for wrong in (
        {"task_id": "task-2"},
        {"step_id": "s2"},
        {"action": "executor.delete"},
        {"inputs": {"path": "out/b.txt"}},
    ):
        assert "another step" in refusal(checker, replace(order, **wrong))
    for more in ({"nanos": 6}, {"seconds": 21.0}):
        assert "less money or time" in refusal(checker, replace(order, **more))
    assert checker.check(replace(order, attempt=2, nanos=4)) == grant


def test_a_token_ends_and_can_be_ended() -> None:
    order, checker, clock = minted()
    clock.at = 1_024.9
    grant = checker.check(order)
    clock.at = 1_025.0
    assert "expired" in refusal(checker, order)
    clock.at = 1_001.0
    checker.revoke(grant.id)
    assert "revoked" in refusal(checker, order)
    clock.at += 2 * MOST_S
    checker.revoke("x")
    assert len(checker._revoked) == 1, "what has ended by itself need not be remembered"


def test_a_task_that_is_ended_has_no_token_and_one_that_goes_on_gets_new_ones() -> None:
    clock = Clock()
    mint = Mint(clock)
    checker = mint.checker()
    order = replace(ORDER, grant=mint.mint(ORDER, WRITE, ALLOW))
    checker.revoke_task("task-2")
    checker.check(order)
    checker.revoke_task("task-1")
    assert "revoked" in refusal(checker, order)
    clock.at += 1
    checker.check(replace(ORDER, grant=mint.mint(ORDER, WRITE, ALLOW)))


def test_what_was_changed_or_made_by_others_is_no_token() -> None:
    order, checker, _ = minted()
    stranger = minted()[0].grant
    payload, _, signature = order.grant.partition(".")
    words = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    wide = coded({**words, "can": ["write:workspace"]})
    header = coded({"alg": "none", "typ": "JWT"})
    for wrong in (
        "",
        stranger,
        payload,
        f"{payload}.",
        f".{signature}",
        f"{wide}.{signature}",
        f"{wide}.",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature}",
        f"{payload}={'.'}{signature}",
        f"{order.grant}\n",
        f"{payload}.{signature[:-1]}{'A' if signature[-1] != 'A' else 'Q'}",
        f"{payload}.{signature}é",
        "x" * 100_000,
    ):
        assert "token" in refusal(checker, replace(order, grant=wrong))


def coded(value: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


def test_a_token_is_never_wider_than_what_is_allowed() -> None:
    mint = Mint(Clock())
    for path in ("outside/a", "out/../a", "a", ".", "/etc/passwd", "out\u2215..\u2215a"):
        with pytest.raises(Failed):
            mint.mint(replace(ORDER, inputs={"path": path}), WRITE, ALLOW)
    whole = Offer("x", "", {}, needs=("read:workspace", "write:workspace?", "run:sh?", "net:*"))
    assert narrowed(ALLOW, whole.needs, {}) == (
        "read:workspace",
        "write:workspace/out",
        "net:api.example.com",
    )
    assert narrowed(("write:workspace/out",), ("read:workspace",), {}) == ("write:workspace/out",)


def test_needs_are_filled_with_inputs() -> None:
    needs = ("run:{argv/0}", "net:{hosts}", "mcp:hub.read")
    inputs: dict[str, Any] = {"argv": ["python", "x"], "hosts": ["api.example.com"]}
    found = narrowed(ALLOW, needs, inputs)
    assert found == ("run:python", "net:api.example.com", "mcp:hub.read")
    assert narrowed(ALLOW, needs, {}) == ("mcp:hub.read",)
    for wrong in ({"hosts": ["evil.example.com"]}, {"argv": ["./python"]}, {"hosts": [7]}):
        with pytest.raises(Failed):
            narrowed(ALLOW, needs, wrong)
    for host in ("{hosts}", "*", "*.com"):
        with pytest.raises(Failed):
            narrowed(ALLOW, ("net:{hosts}",), {"hosts": host})
    odd = {"path": "out/{path}.txt"}
    assert narrowed(ALLOW, WRITE.needs, odd) == ("write:workspace/out/{path}.txt",)


def test_what_lacks_is_known_before_inputs_are() -> None:
    needs = ("net:{host}", "memory:read", "write:workspace?")
    assert lacking(ALLOW, needs, {"host": {"$from": "find"}}) == ("memory:read",)
    assert lacking(ALLOW, needs, {"host": "evil.example.com"}) == ("net:{host}", "memory:read")
    assert lacking(ALLOW, ("run:{argv/0}",), {"argv": ["sh", {"$item": "/x"}]}) == ()
    assert leaves(Offer("x", "", {}, needs=("net:{host}",)))
    assert not leaves(WRITE)


COVERED = [
    ("write:workspace/out", "write:workspace/out/a/b"),
    ("write:workspace/out", "read:workspace/out/a"),
    ("read:workspace", "read:workspace"),
    ("run:command", "run:grep"),
    ("net:*.example.com", "net:a.b.example.com"),
    ("net:example.com:8443", "net:example.com:8443"),
    ("mcp:hub.*", "mcp:hub.create"),
    ("run:python3", "run:python"),
]
NOT_COVERED = [
    ("write:workspace/out", "write:workspace/outside"),
    ("write:workspace/out", "write:workspace"),
    ("write:workspace/out", "write:workspace/OUT"),
    ("write:workspace/out", "write:workspace/out "),
    ("read:workspace", "write:workspace"),
    ("run:command", "run:sh"),
    ("run:command", "run:python"),
    ("net:*.example.com", "net:example.com"),
    ("net:*.example.com", "net:badexample.com"),
    ("net:example.com", "net:example.com:8443"),
    ("net:example.com", "net:example.com.evil.org"),
    ("mcp:hub.*", "mcp:hubs.create"),
    ("mcp:hub.a", "mcp:hub.ab"),
    ("memory:read", "memory:write"),
]


def test_what_covers_what() -> None:
    for whole, part in COVERED:
        assert is_covered(checked(part), checked(whole)), (whole, part)
    for whole, part in NOT_COVERED:
        assert not is_covered(checked(part), checked(whole)), (whole, part)


def test_what_is_no_capability() -> None:
    for text in (
        "",
        "workspace",
        "read",
        "read:",
        "read:/etc",
        "read:workspace/../x",
        "read:workspace//etc",
        "write:other",
        "run:",
        "run:./x",
        "run:a b",
        "net:*",
        "net:https://x",
        "net:a/b",
        "mcp:hub",
        "mcp:*",
        "memory:all",
        "exec:all",
        " read:workspace",
    ):
        with pytest.raises(BadConfig, match="is no capability"):
            checked(text)


NAMES = st.lists(st.sampled_from(["out", "outside", "a", "..", ".", "", "é"]), max_size=4)


@settings(max_examples=200)
@given(allowed=NAMES, asked=NAMES)
def test_a_path_is_granted_only_below_an_allowed_one(allowed: list[str], asked: list[str]) -> None:
    try:
        allow = checked("write:workspace/" + "/".join(allowed))
        found = narrowed((allow,), ("write:workspace/{path}",), {"path": "/".join(asked)})
    except (BadConfig, Failed):
        return
    for one in found:
        assert one == allow or one.startswith(allow + "/") or allow == "write:workspace"
        assert ".." not in one.split("/")
