"""Keys: one policy for every carrier, the full hash, and no word about why not."""

import random
import string
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from octoplex.reflex import (
    Entry,
    Hasher,
    Keyring,
    KeySpec,
    Models,
    credentials,
    from_config,
    in_force,
    new_key,
    pepper,
    weak,
)
from octoplex.server.line import merged
from octoplex.wire.error import BadConfig, InvalidCall, Unauthorized

HASHER = Hasher(b"p" * 32)
SECRET = "oct-k3yk3yk3yk3yabcdefgh"


def entry(name: str = "app", secret: str = SECRET, **how: object) -> Entry:
    return from_config(KeySpec(name=name, **how), secret, HASHER)  # type: ignore[arg-type]


def carried(pairs: list[tuple[bytes, bytes]], query: bytes = b"") -> bytes | None:
    headers, repeated = merged(pairs)
    return credentials(headers, query, repeated)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([(b"authorization", b"Bearer " + SECRET.encode())], b""),
        ([(b"authorization", b"bearer   " + SECRET.encode() + b" ")], b""),
        ([(b"x-api-key", SECRET.encode())], b""),
        ([(b"x-goog-api-key", SECRET.encode())], b""),
        ([(b"api-key", SECRET.encode())], b""),
        ([], b"alt=sse&key=" + SECRET.encode()),
        ([], b"k%65y=" + SECRET.encode()),
        ([(b"x-api-key", SECRET.encode()), (b"authorization", b"Bearer " + SECRET.encode())], b""),
        ([(b"authorization", b"Bearer "), (b"x-api-key", SECRET.encode())], b""),
    ],
)
def test_every_carrier_is_one_policy(headers: list[tuple[bytes, bytes]], query: bytes) -> None:
    ring = Keyring(HASHER, [entry()])
    assert ring.find(carried([(b"host", b"x"), *headers], query)).name == "app"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([(b"x-api-key", b"one")], b"k%65y=two"),
        ([(b"x-api-key", b"a"), (b"authorization", b"Bearer b")], b""),
        ([(b"x-api-key", b"a"), (b"x-api-key", b"b")], b""),
        ([(b"x-api-key", b"a")], b"key=b"),
        ([], b"key=a&key=b"),
        ([(b"authorization", b"Basic YTpi"), (b"api-key", b"b")], b""),
    ],
)
def test_two_that_differ_are_refused(headers: list[tuple[bytes, bytes]], query: bytes) -> None:
    with pytest.raises(InvalidCall) as refused:
        carried(headers, query)
    assert refused.value.status == 400


def test_no_credentials_are_none() -> None:
    assert carried([(b"authorization", b"Bearer"), (b"x-api-key", b" ")], b"monkey=1") is None
    assert not carried([(b"authorization", b"Bearer ")])
    assert carried([(b"host", b"x")]) is None


def strange(dice: random.Random) -> list[bytes]:
    return [
        b"oct-wrong-but-of-good-shape",
        SECRET.encode()[:-1],
        SECRET.encode() + b"x",
        SECRET.upper().encode(),
        b"\x00",
        SECRET.encode() + b"\x00",
        b"a" * 1_000_000,
        "ключ\U0001f511".encode(),
        b"\xff\xfe",
        b"' or '1'='1' --",
        b'"; drop table keys; --',
        b"Basic " + SECRET.encode(),
        dice.randbytes(511),
    ]


def test_everything_else_is_the_same_refusal() -> None:
    live = entry()
    ring = Keyring(HASHER, [live], now=lambda: 1_000.0)
    words = set()
    for secret in strange(random.Random(1)):
        with pytest.raises(Unauthorized) as refused:
            ring.find(secret)
        words.add((str(refused.value), refused.value.status, *refused.value.facts))
    ring.replace([entry("late", "oct-expired-expired-1", expires_at_ms=999_999)])
    for gone in (SECRET, "oct-expired-expired-1"):  # revoked, expired
        with pytest.raises(Unauthorized) as refused:
            ring.find(gone.encode())
        words.add((str(refused.value), refused.value.status, *refused.value.facts))
    assert len(words) == 1
    assert SECRET not in str(words)


def test_revoking_takes_effect_at_once_and_expiry_by_the_clock() -> None:
    now = [0.0]
    ring = Keyring(HASHER, [entry(expires_at_ms=5_000)], now=lambda: now[0])
    assert ring.find(SECRET.encode()).id == "app"
    now[0] = 5.0
    with pytest.raises(Unauthorized):
        ring.find(SECRET.encode())
    ring.replace([entry()])
    assert ring.find(SECRET.encode())
    ring.replace([])
    with pytest.raises(Unauthorized):
        ring.find(SECRET.encode())


def test_a_key_opens_nothing_before_its_time() -> None:
    now = [4.9]
    begun = entry(expires_at_ms=9_000)
    begun = replace(begun, key=replace(begun.key, begins_at=5.0))
    ring = Keyring(HASHER, [begun], now=lambda: now[0])
    with pytest.raises(Unauthorized):
        ring.find(SECRET.encode())
    for now[0] in (5.0, 8.9):
        assert ring.find(SECRET.encode())
    now[0] = 9.0
    with pytest.raises(Unauthorized):
        ring.find(SECRET.encode())
    ring.replace([replace(begun, key=replace(begun.key, expires_at=None))])
    assert ring.find(SECRET.encode())
    now[0] = 4.0  # the clock was put back
    with pytest.raises(Unauthorized):
        ring.find(SECRET.encode())


def test_what_is_looked_up_and_compared_is_a_keyed_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret meets the hash under the pepper and nothing else: what takes longer for a near miss
    tells of hashes that nobody can choose. By the structure; no clock is asked."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    ring = Keyring(HASHER, [entry()])
    monkeypatch.setattr("octoplex.reflex.keys.hmac.compare_digest", compare)
    right = ring.proof(SECRET.encode())
    assert (len(right), ring.opened_by(right).id) == (32, "app")
    assert compared == [(right, right)]
    assert SECRET.encode() not in right
    for near in (SECRET[:-1], SECRET[:-1] + "!", SECRET + "!", SECRET.swapcase(), right.hex()):
        proof = ring.proof(near.encode())
        assert (len(proof), proof[:4] == right[:4]) == (32, False)
        with pytest.raises(Unauthorized):
            ring.opened_by(proof)
    with pytest.raises(Unauthorized):
        ring.opened_by(SECRET.encode())
    assert len(compared) == 1, "what is not found by its whole hash is compared with nothing"


def test_s05_a_secret_that_nearly_opens_runs_the_same_steps_as_any_other() -> None:
    """Every instruction of the look-up, one by one, in place of its time."""
    ring = Keyring(HASHER, [entry(), entry("web", "oct-of-somebody-else-4c1a")])
    size = len(SECRET)
    near = [SECRET[:most] + "!" * (size - most) for most in (1, size // 2, size - 1)]
    steps = [_steps(ring, guess) for guess in (*near, SECRET.swapcase(), "x" * size, "y" * size)]
    assert len(steps[0]) > 20
    assert all(one == steps[0] for one in steps)
    assert _steps(ring, SECRET) != steps[0], "what is compared is seen here"


def _steps(ring: Keyring, guess: str) -> list[tuple[str, int]]:
    """The instructions that looking for a key executes."""
    seen: list[tuple[str, int]] = []

    def trace(frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode":
            seen.append((frame.f_code.co_qualname, frame.f_lasti))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(Unauthorized):
            ring.find(guess.encode())
    finally:
        sys.settrace(before)
    return seen


def test_one_secret_for_two_keys_or_one_id_twice_changes_nothing() -> None:
    ring = Keyring(HASHER, [entry()])
    with pytest.raises(BadConfig, match=r"keys\.web and keys\.app") as refused:
        ring.replace([entry("app"), entry("web")])
    assert SECRET not in str(refused.value)
    with pytest.raises(BadConfig, match="taken"):
        ring.replace([entry("app", "a" * 20), entry("app", "b" * 20)])
    assert ring.find(SECRET.encode())


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    value = pepper(tmp_path)
    secret, row = new_key(KeySpec(name="app"), Hasher(value), 0)
    shown = (
        f"{row!r}{in_force([row])!r}{Hasher(value)!r}{Keyring(Hasher(value), in_force([row]))!r}"
    )
    assert secret not in shown
    assert value.hex() not in shown


def test_new_keys_are_long_random_and_shown_once() -> None:
    secret, row = new_key(KeySpec(name="app", models=("main",), limits="$5/day"), HASHER, 7)
    other, _ = new_key(KeySpec(name="app"), HASHER, 7)
    assert secret != other
    assert secret.startswith("oct-")
    assert len(secret) == 4 + 32  # base32: 160 bits
    assert set(secret[4:]) <= set(string.ascii_lowercase + "234567")
    assert weak(secret) is None
    assert (row.prefix, row.last4) == (secret[:8], secret[-4:])
    assert secret.encode() not in row.hash
    ring = Keyring(HASHER, in_force([row]))
    key = ring.find(secret.encode())
    assert (key.name, key.origin, key.limits.caps[0].nano) == ("app", "run-time", 5 * 10**9)
    assert key.caller.id == row.id
    fixed = [new_key(KeySpec(name="a"), HASHER, 0, lambda n: b"\x01" * n)[0] for _ in range(2)]
    assert fixed[0] == fixed[1]


def test_a_new_key_with_wrong_limits_is_not_made() -> None:
    with pytest.raises(ValueError, match="cows"):
        new_key(KeySpec(name="app", limits="5 cows/min"), HASHER, 0)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "sk-1234",
        "sk-1234567890abcdef",
        "changeme-changeme",
        "a" * 40,
        "abababababababab",
        "password12345678",
        "Test-key-for-prod-1",
        "admin-admin-admin-12",
    ],
)
def test_weak_secrets_are_told_why(secret: str) -> None:
    assert weak(secret)


def test_strong_secrets_are_not_weak() -> None:
    for secret in ("oct-mzxw6ytboi2dgnbvgy3tqojq", "Tr0ub4dor&3-correct-horse", "9f86d081884c7d65"):
        assert weak(secret) is None


def test_the_pepper_is_private_and_stays(tmp_path: Path) -> None:
    first = pepper(tmp_path)
    path = tmp_path / "pepper"
    assert (len(first), path.stat().st_mode & 0o777) == (32, 0o600)
    path.chmod(0o644)
    assert pepper(tmp_path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(BadConfig, match="32 bytes"):
        pepper(tmp_path)
    with pytest.raises(BadConfig):
        pepper(tmp_path / "nowhere")


def test_another_pepper_opens_nothing() -> None:
    ring = Keyring(Hasher(b"q" * 32), [entry()])
    with pytest.raises(Unauthorized):
        ring.find(SECRET.encode())


def test_hashes_do_not_depend_on_what_was_hashed_before() -> None:
    hasher = Hasher(b"p" * 32)
    first = hasher.hash(b"a")
    hasher.hash(b"b")
    assert hasher.hash(b"a") == first
    assert len(first) == 32


def test_models_are_names_and_globs() -> None:
    models = Models(("main", "openai/*", "claude-*-5", "x[12]"))
    allowed = ["main", "openai/gpt", "openai/a/b", "claude-haiku-4-5", "x1"]
    refused = [
        "Main",
        "main2",
        "xmain",
        "openai",
        "aopenai/gpt",
        "claude-haiku-4",
        "x3",
        "",
        "main\n",
    ]
    assert [m for m in allowed + refused if models.allows(m)] == allowed
    assert Models().allows("anything")
    assert Models(("a", "*")).allows("anything")
    assert str(models) == "main, openai/*, claude-*-5, x[12]"


@pytest.mark.parametrize("pattern", ["", " main", "a\nb"])
def test_what_is_no_model_name_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="no model name"):
        Models((pattern,))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600))
def test_no_input_does_anything_but_fail(secret: bytes) -> None:
    ring = Keyring(HASHER, [entry()])
    with pytest.raises(Unauthorized):
        ring.find(carried([(b"authorization", b"Bearer " + secret)]))
