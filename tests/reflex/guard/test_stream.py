"""A text in pieces comes out as it would whole, and no more of it is held than must be."""

import json
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octoplex.reflex.guard.config import Action, Guard
from octoplex.reflex.guard.layer import _reply
from octoplex.reflex.guard.ruling import Ruling, Verdict, compile_ruling
from octoplex.reflex.guard.scan import Detector
from octoplex.reflex.guard.stream import Flow, Flows
from octoplex.wire.event import (
    NO_USAGE,
    Event,
    Finished,
    Reply,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
    fold,
)

CARD, MAIL = "4111 1111 1111 1111", "ana.maria@acme.example"
KEY = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkq\n" * 40 + "-----END PRIVATE KEY-----"
TOKEN = "ghp_" + "c4n4ry" * 6
PLANTED = [CARD, MAIL, KEY, TOKEN, "8.35.201.17", "1-2345-45678-78-1", "112-233-445 95"]
PLANTED += [f"{h}{h}-{h[:8]}-{h[8:]}" for h in ["9f8e7d6c5b4a3928"]]
PLANTED += [r"4111 1111\u00201111 1111", r"ana.mar\u0069a\u0040acme.org"]
PLANTED += [r"postgres:\/\/u:s3cr3tPw9@db.acme.io\/x"]
PLANTED += ["dp.st.prd_eu." + "c4N4ryT0k3n" * 4, "+49 30 90182030", "DE89370400440532013000"]


@cache
def ruling_of(pii: Action, secrets: Action) -> Ruling:
    guard = Guard(pii=pii, secrets=secrets)
    ruling = compile_ruling(guard, lambda text: text, lambda reference: reference)
    assert ruling is not None
    return ruling


def verdict_of(pii: Action = "mask", secrets: Action = "mask") -> Verdict:
    return Verdict(ruling_of(pii, secrets))


def whole(text: str) -> str:
    verdict = verdict_of()
    assert verdict.ruling.replied is not None
    return verdict.told(text, "", verdict.ruling.replied)


def cut(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(c % (len(text) + 1) for c in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


PROSE = st.text("abc dé. ,\n", max_size=30)
TEXTS = st.lists(PROSE | st.sampled_from(PLANTED).map(lambda p: f" {p} "), max_size=6).map("".join)


@settings(deadline=None)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 2_000), max_size=12))
def test_a_text_in_pieces_is_the_text_whole(text: str, cuts: list[int]) -> None:
    verdict = verdict_of()
    flow = Flow(verdict)
    out = [flow.feed(piece) for piece in cut(text, cuts)] + [flow.end()]
    assert "".join(out) == whole(text)


@pytest.mark.parametrize("planted", PLANTED)
def test_nothing_of_a_finding_leaves_a_character_at_a_time(planted: str) -> None:
    text = f"It is {planted} and that is all."
    flow = Flow(verdict_of())
    out = "".join([flow.feed(char) for char in text] + [flow.end()])
    assert out == whole(text)
    assert planted[:8] not in out
    assert out.startswith("It is [")
    assert out.endswith("] and that is all.")


def test_clean_prose_is_late_by_a_word_at_most() -> None:
    flow, given_ = Flow(verdict_of()), ""
    text = "The quick brown fox jumps over the lazy dog, again and again."
    for place, char in enumerate(text, 1):
        given_ += flow.feed(char)
        assert place - len(given_) <= len("jumps ") + 1, text[:place]
    assert given_ + flow.end() == text


def test_a_private_key_goes_before_its_end_has_come_and_holds_little() -> None:
    flow = Flow(verdict_of())
    out = flow.feed("Here: " + KEY[:600])
    assert out == "Here: [PRIVATE_KEY]"
    for _ in range(100):
        assert flow.feed("MIIEvQIBADANBgkq\n" * 8) == ""
    assert len(flow._held) < 2_000
    assert flow.feed("-----END PRIVATE KEY-----\nand more ") + flow.end() == "\nand more "


def test_what_a_token_stands_for_leaves_json_json() -> None:
    verdict = verdict_of(pii="token")
    said = 'pa"ss\\word\n'
    token = verdict.vault.token("password", said)
    for text in (json.dumps({"a": token}, indent=1), json.dumps([{"a": token}]), f'["{token}"]'):
        flow = Flow(verdict)
        given_ = "".join([flow.feed(char) for char in text]) + flow.end()
        assert given_ == verdict.vault.restored(text)
        assert json.loads(given_) == json.loads(text.replace(token, json.dumps(said)[1:-1]))
    assert verdict.vault.restored(f"[{token}]: {token}") == f"[{said}]: {said}"


@pytest.mark.parametrize("indent", [None, 2])
def test_a_number_in_a_reply_that_is_json_leaves_it_json(indent: int | None) -> None:
    """What was asked for in a form (`response_format`) is read by a parser."""
    said = {"card": int(CARD.replace(" ", "")), "to": MAIL, "of": {"card": 5500000000000004}}
    told = {"card": "[CREDIT_CARD]", "to": "[EMAIL]", "of": {"card": "[CREDIT_CARD]"}}
    text = json.dumps(said, indent=indent)
    flow = Flow(verdict_of())
    assert json.loads("".join([flow.feed(char) for char in text]) + flow.end()) == told
    nested = json.dumps({"body": text})
    flow = Flow(verdict_of())
    made = json.loads("".join([flow.feed(char) for char in nested]) + flow.end())
    assert json.loads(made["body"]) == told
    assert whole(f"card: {CARD}") == "card: [CREDIT_CARD]"


def test_a_run_that_goes_on_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hex, digits: each look at all that is held takes 2 ms, and pieces have four characters."""
    looks: list[str] = []
    open_from = Detector.open_from

    def counted(detector: Detector, text: str) -> int:
        looks.append(text)
        return open_from(detector, text)

    monkeypatch.setattr(Detector, "open_from", counted)
    run = "9f8e7d6c5b4a3928" * 100 + f" {TOKEN}."
    flow = Flow(verdict_of())
    out = [flow.feed(run[at : at + 4]) for at in range(0, len(run), 4)] + [flow.end()]
    assert "".join(out) == whole(run)
    assert len(looks) < len(run) // 4 // 6  # of as many pieces


def test_a_token_cut_in_two_turns_back() -> None:
    verdict = verdict_of(pii="token")
    token = verdict.vault.token("email", MAIL)
    for at in range(len(token) + 1):
        flow = Flow(verdict)
        out = flow.feed(f"to {token[:at]}") + flow.feed(f"{token[at:]} now") + flow.end()
        assert out == f"to {MAIL} now"


@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_arguments_stay_json(size: int) -> None:
    given = {"card": 4111111111111111, "to": f"mail: {MAIL}", "n": [12], "k": KEY[:300]}
    hidden = json.dumps(given).replace("@", "\\u0040")
    flows, told = Flows(verdict_of()), list[Event]()
    for at in range(0, len(hidden), size):
        told += flows.feed([ToolDelta(hidden[at : at + size], 0)])
    assert not told, "half of it is of no use"
    (whole,) = flows.end()
    assert isinstance(whole, ToolDelta)
    want = {"card": "[CREDIT_CARD]", "to": "mail: [EMAIL]", "n": [12], "k": "[PRIVATE_KEY]"}
    assert json.loads(whole.arguments) == want


def reply(*events: Event) -> list[Event]:
    return [Started("r", "m"), *events, Finished(stop="end", usage=NO_USAGE)]


def test_each_block_of_a_reply_is_a_text_of_its_own() -> None:
    events = reply(
        ThinkingDelta(f"mail {MAIL[:5]}", 0),
        ThinkingDelta(MAIL[5:], 0),
        ThinkingDelta("", 0, "signed"),
        TextDelta("I write to ana.", 1),
        TextDelta("maria@acme", 1),
        TextDelta(".example", 1),
        ToolStart("a", "send", 2),
        ToolStart("b", TOKEN, 3),
        ToolDelta('{"to": "ana.ma', 2),
        ToolDelta('{"to": "x"}', 3),
        ToolDelta('ria@acme.example", "ana.maria\\u0040acme.example": 1}', 2),
    )
    flows = Flows(verdict_of())
    told = fold([out for event in events for out in flows.feed([event])])
    assert told.thinking == "mail [EMAIL]"
    assert told.blocks[0].signature == "signed"  # type: ignore[union-attr]
    assert told.text == "I write to [EMAIL]"
    assert [t.name for t in told.tool_calls] == ["send", "[GITHUB_TOKEN]"]
    want = [{"to": "[EMAIL]", "[EMAIL]": 1}, {"to": "x"}]
    assert [json.loads(t.arguments) for t in told.tool_calls] == want
    assert _reply(fold(events), verdict_of()) == told


def test_a_finding_cut_over_two_texts_behind_each_other_does_not_pass() -> None:
    flows = Flows(verdict_of())
    events = reply(TextDelta("It is 4111 1111", 0), TextDelta(" 1111 1111, yes.", 1))
    told = fold([out for event in events for out in flows.feed([event])])
    assert told.text == "It is [CREDIT_CARD], yes."
    clean = Flows(verdict_of())
    events = reply(TextDelta("One.", 0), TextDelta("Two.", 1), ThinkingDelta("Three.", 2))
    told = fold([out for event in events for out in clean.feed([event])])
    assert (told.text, told.thinking) == ("One.Two.", "Three.")


def test_nor_in_a_whole_reply_that_is_written_anew() -> None:
    blocks = (Text("It is 4111 1111"), Text(" 1111 1111, yes."), Thinking("hm"), Text("4111"))
    verdict = verdict_of()
    told = _reply(Reply(id="r", model="m", blocks=blocks, stop="end", usage=NO_USAGE), verdict)
    assert told.text == "It is [CREDIT_CARD], yes.4111"
    assert verdict.counts == {("credit_card", "mask"): 1}


def test_the_same_guard_on_two_routes_is_made_once() -> None:
    one, two = (
        compile_ruling(Guard(pii="mask", injection=injection), lambda text: text, lambda _: "")
        for injection in ("flag", "allow")
    )
    assert one is not None
    assert two is not None
    assert one.replied is two.replied is two.asked is not one.asked


def test_what_is_only_flagged_is_counted_once_however_it_comes() -> None:
    verdict = verdict_of(pii="flag", secrets="allow")
    flows = Flows(verdict)
    for char in f"mail {MAIL}, card {CARD}, ":
        flows.feed([TextDelta(char)])
    flows.end()
    assert verdict.counts == {("email", "flag"): 1, ("credit_card", "flag"): 1}
