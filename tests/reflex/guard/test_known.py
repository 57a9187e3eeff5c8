"""A text in which nothing was found is not looked through again; one with a find always is."""

import json
from typing import Any

import pytest
from msgspec import Raw

from octoplex.reflex.guard import layer
from octoplex.reflex.guard.known import MOST, Known
from tests.reflex.guard.found import detector


def body(*texts: str) -> dict[bytes, bytes]:
    turns = [{"role": "user", "content": text} for text in texts]
    return {"messages": json.dumps(turns).encode(), "temperature": b"1"}  # type: ignore[dict-item]


def looked_at(monkeypatch: pytest.MonkeyPatch, fields: Any) -> tuple[bool, int]:
    """Whether all is clean, and how many pieces had to be looked through."""
    seen: list[bytes] = []

    def counted(piece: bytes) -> bytes:
        seen.append(piece)
        return piece

    monkeypatch.setattr(layer, "timeless", counted)
    pieces = list(layer._pieces(fields, layer.TURNS))
    return all(layer.is_clean(piece, name, FRESH) for name, piece in pieces), len(seen)


FRESH = detector()


def test_only_what_is_new_in_a_conversation_is_looked_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    FRESH.known = Known()
    assert looked_at(monkeypatch, body("The tide leaves a pool.")) == (True, 2)
    assert looked_at(monkeypatch, body("The tide leaves a pool.")) == (True, 0)
    longer = body("The tide leaves a pool.", "And a crab?")
    assert looked_at(monkeypatch, longer) == (True, 1)
    found = body("The tide leaves a pool.", "Write to ana@acme-tides.com")
    for _ in range(2):
        assert looked_at(monkeypatch, found) == (False, 1)


def test_a_list_that_is_no_conversation_is_one_piece() -> None:
    assert len(list(layer._pieces({"input": Raw(b"[" + b"7," * 999 + b"7]")}, ()))) == 1


@pytest.mark.parametrize("odd", [rb"\ud83d", b"\xff", rb"\ud83d ana@acme-tides.com"])
def test_half_a_surrogate_pair_is_looked_through_and_no_error(odd: bytes) -> None:
    """msgspec refuses it even where it only looks for the end of a value."""
    raw = Raw(b'[{"role":"user","content":"a %b"}]' % odd)
    pieces = layer._pieces({"messages": raw}, layer.TURNS)
    clean = all(layer.is_clean(piece, name, FRESH) for name, piece in pieces)
    assert clean is (b"@" not in odd)


def test_a_text_is_known_under_its_name_only_and_the_oldest_is_forgotten() -> None:
    known = Known()
    known.add(known.mark(b"a", b"text"))
    assert known.mark(b"a", b"text") in known
    assert known.mark(b"at", b"ext") not in known
    assert Known().mark(b"a", b"text") != known.mark(b"a", b"text")
    for number in range(MOST):
        known.add(number.to_bytes(16, "big"))
    assert known.mark(b"a", b"text") not in known
    assert (MOST - 1).to_bytes(16, "big") in known
