"""Texts that come in pieces, with what takes the place of findings: push machines.

    flow = Flow(verdict)
    flow.feed("call +49 30 9018")      -> "call "
    flow.feed("20 today")              -> "[PHONE] today"       as soon as it can be nothing more
    flow.end()                         -> what was held

    stream = Flows(verdict)            the same for the events of a reply

Only an end that more text could make a finding is held: of clean prose a word. A finding that is
longer than `LONGEST_HELD`, such as a private key, is replaced before its end has come, and what
follows is dropped until it has.

The arguments of a tool call are held until they are whole: they are JSON, whose escapes hide
what it says, and nobody can use a part of them.

Not promised: findings over the border of two blocks of a reply with another between them.
"""

import re
from collections.abc import Iterable

from msgspec.structs import replace

from octoplex.reflex.guard.finding import Finding
from octoplex.reflex.guard.masks import begins_json, token_begins
from octoplex.reflex.guard.ruling import ALTERING, Verdict, meant
from octoplex.reflex.guard.tables import context
from octoplex.wire.event import (
    Event,
    Finished,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolDelta,
    ToolStart,
)

CONTEXT = 128
"""Characters of what was given that are looked at again, for patterns that need a word before."""
LONGEST_HELD = 256
MARK = 64
"""Characters of the beginning and of the end that stand for a finding that is longer."""
_SPACE = re.compile(r"\s")
MUCH = 64
"""Characters held, of which no word is so long, from which on a look waits for as many more."""
LONGEST_ESCAPE = 6
_BEGUN = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
Delta = TextDelta | RefusalDelta | ThinkingDelta | ToolDelta


class Flow:
    """One text of a reply."""

    __slots__ = ("_before", "_begins", "_held", "_new", "_open", "_out", "_verdict")

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._before = self._held = self._out = ""
        """The end of what is settled, as it came; what is not; what is, with a token begun."""
        self._begins = ""
        """What it begins with, once it has come: JSON is restored as JSON."""
        self._new = 0
        """Characters of what is held that were not looked at yet."""
        self._open = False
        """What is held begins with a finding that was replaced already."""

    def feed(self, text: str) -> str:
        """What may be given by now."""
        self._held += text
        self._begins = self._begins if len(self._begins) > MUCH else self._begins + text
        self._new += len(text)
        if self._new < MUCH < len(self._held) and not _SPACE.search(text):
            return ""  # a run of letters or digits that goes on: 2 ms a look
        return self._given(final=False)

    def end(self) -> str:
        """The text is whole: the rest of it."""
        return self._given(final=True)

    def _given(self, *, final: bool) -> str:
        self._new = 0
        self._out += self._settled(final=final)
        vault = self._verdict.vault
        if not vault:
            out, self._out = self._out, ""
            return out
        cut = len(self._out) if final else token_begins(self._out)
        out, self._out = self._out[:cut], self._out[cut:]
        return vault.restored(out, is_json=begins_json(self._begins))

    def _settled(self, *, final: bool) -> str:
        """Take from what is held what can be nothing else any more."""
        detector = self._verdict.ruling.replied
        if detector is None or not self._held:
            held, self._held = self._held, ""
            return held
        start, text = len(self._before), self._before + self._held
        end = len(text) if final else _half(text)
        looked, starts = meant(text[:end])
        cut = end if final else max(start, starts[detector.open_from(looked)])
        moved = [(f, starts[f.start], starts[f.end]) for f in detector.find(looked)]
        findings = [replace(f, start=at, end=to) for f, at, to in moved if at >= start]
        for finding in findings:
            if finding.start < cut < finding.end:
                cut = finding.start
        out = self._changed(text, start, cut, [f for f in findings if f.end <= cut])
        self._held = text[cut:]
        if cut > start:
            self._before, self._open = _context(text[:cut]), False
        beyond = next((f for f in findings if f.start == cut and f.end == end), None)
        if beyond is not None and len(self._held) > LONGEST_HELD:
            out += "" if self._open else self._verdict.put(beyond, text)
            self._held, self._open = self._held[:MARK] + self._held[-MARK:], True
        return out

    def _changed(self, text: str, start: int, cut: int, findings: Iterable[Finding]) -> str:
        pieces: list[str] = []
        at = start
        for finding in findings:
            action = self._verdict.ruling.actions[finding.type]
            if action not in ALTERING:
                self._verdict.count(finding.type, action)
                continue
            done = self._open and finding.start == start
            pieces += (text[at : finding.start], "" if done else self._verdict.put(finding, text))
            at = finding.end
        return "".join((*pieces, text[at:cut]))


class Whole:
    """The arguments of a tool call: nothing until all have come."""

    __slots__ = ("_pieces", "_verdict")

    def __init__(self, verdict: Verdict) -> None:
        self._verdict, self._pieces = verdict, list[str]()

    def feed(self, text: str) -> str:
        """Nothing yet."""
        self._pieces.append(text)
        return ""

    def end(self) -> str:
        """All of them."""
        return self._verdict.arguments("".join(self._pieces))


class Flows:
    """The texts of a streamed reply, by block."""

    __slots__ = ("_flows", "_last", "_verdict")

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._flows: dict[int, tuple[Flow | Whole, Delta]] = {}
        self._last = -1

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """What may be given of these events by now."""
        out: list[Event] = []
        for event in events:
            if isinstance(event, Delta):
                out += self._delta(event)
            elif isinstance(event, Started):
                out.append(event)
            else:
                out += self.end(tools=isinstance(event, Finished))
                if isinstance(event, ToolStart):
                    event = replace(event, name=self._verdict.named(event.name))
                out.append(event)
        return out

    def end(self, *, tools: bool = True) -> list[Event]:
        """The rest of every text, of tool calls only where they are over, too."""
        over = [i for i, (_, event) in self._flows.items() if tools or type(event) is not ToolDelta]
        out: list[Event] = []
        for index in sorted(over):
            flow, event = self._flows.pop(index)
            rest = flow.end()
            if rest:
                out.append(_with(event, rest))
        return out

    def _delta(self, event: Delta) -> list[Event]:
        out: list[Event] = []
        if event.index != self._last:
            if not self._goes_on(event):  # a block is over when another begins
                out = self.end(tools=False)
            self._last = event.index
        known = self._flows.get(event.index)
        if known is None or type(known[1]) is not type(event):
            out += [] if known is None else self.end()
            flow = Whole(self._verdict) if type(event) is ToolDelta else Flow(self._verdict)
            known = flow, event
            self._flows[event.index] = known
        text = known[0].feed(event.arguments if isinstance(event, ToolDelta) else event.text)
        if isinstance(event, ThinkingDelta) and event.signature:  # it closes the block
            del self._flows[event.index]
            return [*out, replace(event, text=text + known[0].end())]
        return [*out, _with(event, text)] if text else out

    def _goes_on(self, event: Delta) -> bool:
        """Text directly behind a block of text is looked at as its end: what is held of the one is
        given with the other.
        """
        before = self._flows.get(self._last)
        goes_on = type(event) is TextDelta and before is not None and type(before[1]) is TextDelta
        if goes_on and event.index not in self._flows:
            flow, _ = self._flows.pop(self._last)
            self._flows[event.index] = flow, event
            return True
        return False


def _with(event: Delta, text: str) -> Event:
    """The delta with another text."""
    if isinstance(event, ToolDelta):
        return ToolDelta(text, event.index)
    if isinstance(event, ThinkingDelta):
        return ThinkingDelta(text, event.index)
    return type(event)(text, event.index)


def _half(text: str) -> int:
    """Where an escape begins that is not whole, of which nobody knows what it says; its length."""
    begun = _BEGUN.search(text, max(0, len(text) - LONGEST_ESCAPE))
    return begun.start() if begun else len(text)


def _context(settled: str) -> str:
    """The end of what was given, from the beginning of a word on; in a table whole rows of it,
    with its heading."""
    if len(settled) <= CONTEXT:
        return settled
    rows = context(settled, CONTEXT)
    if rows:
        return rows
    end = settled[-CONTEXT:]
    space = _SPACE.search(end)
    return end[space.end() :] if space else ""
